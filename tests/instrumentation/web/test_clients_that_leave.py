"""Streams that break, and clients that leave, before and within an answer, under asyncio and trio."""

import contextlib
import socket

import anyio
import httpx
import pytest
from fastapi import FastAPI, Request
from fastapi.responses import FileResponse, StreamingResponse
from starlette.middleware.base import BaseHTTPMiddleware
from starlette.requests import ClientDisconnect

import footfall
from footfall.web import instrument_asgi, instrument_fastapi
from instrumentation.web.shop import SoldOut, outcomes
from support.waiting import wait_until

LATE = ("failure", "timeout", "timeout")
OK = ("success", "ok", None)
BROKEN = ("failure", "error", "unexpected_error")


async def passes(request, call_next):
    return await call_next(request)


def make_app(path):
    app = FastAPI()

    @app.get("/stream")
    async def stream(kind: str):
        async def parts():
            yield b"a"
            if kind == "group":
                async with anyio.create_task_group() as tasks:
                    tasks.start_soon(sold_out)
            if kind == "broken":
                raise SoldOut
            if kind == "told":
                footfall.current().fail("sold_out")
            yield b"b"

        def plain_parts():
            yield b"a"
            raise SoldOut

        return StreamingResponse(plain_parts() if kind == "plain" else parts())

    @app.post("/answer/{status}")
    async def answer(status: int, request: Request):
        return len(await request.body())

    @app.get("/slow")
    async def slow():
        await anyio.sleep(0.5)

    @app.get("/seeds/{id}")
    async def file(id: int):
        return FileResponse(path)

    return app


async def sold_out():
    raise SoldOut


@pytest.mark.parametrize("between", [False, True], ids=["alone", "with a middleware"])
def test_a_stream_that_breaks_is_a_failure(between, client, received, serve, tmp_path):
    (tmp_path / "file").write_bytes(b"x" * 500_000)
    app = make_app(tmp_path / "file")
    if between:
        app.add_middleware(BaseHTTPMiddleware, dispatch=passes)
    instrument_fastapi(app, client=client)
    http = serve(app)
    for kind in ("whole", "broken", "plain", "group", "told"):
        with contextlib.suppress(httpx.RemoteProtocolError):
            http.get("/stream", params={"kind": kind})
    assert len(http.get("/seeds/1").content) == 500_000
    (tmp_path / "file").unlink()
    assert http.get("/seeds/1").status_code == 500
    wait_until(lambda: len(outcomes(client, received)) == 7)
    broken = ("seed.stream", "failure", "error", "sold_out")
    assert outcomes(client, received) == [
        ("seed.stream", *OK), broken, broken, broken, broken, ("seed.get", *OK),
        ("seed.get", "failure", "error", "unexpected_error"),
    ]  # fmt: skip


def test_a_client_that_leaves_before_its_answer_stopped_waiting(client, received, serve, tmp_path):
    app = make_app(tmp_path)
    instrument_fastapi(app, client=client)
    http = serve(app)
    address = (http.base_url.host, http.base_url.port)
    with socket.create_connection(address) as half:
        half.sendall(b"POST /answer/1 HTTP/1.1\r\nhost: x\r\ncontent-length: 9\r\n\r\nabc")
    wait_until(lambda: outcomes(client, received))
    assert outcomes(client, received) == [("seed.answer", *LATE)]


SCOPE = {
    "type": "http", "method": "GET", "path": "/stream", "headers": [], "query_string": b"",
    "asgi": {"version": "3.0"}, "http_version": "1.1", "scheme": "http",
}  # fmt: skip


async def begun(scope, receive, send):
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": b"a", "more_body": True})
    await anyio.sleep(60)


async def begun_in_a_group(scope, receive, send):
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(begun, scope, receive, send)


async def hanging(scope, receive, send):
    await anyio.sleep(60)


async def left(scope, receive, send):
    raise ClientDisconnect


async def left_in_a_group(scope, receive, send):
    await send({"type": "http.response.start", "status": 200, "headers": []})
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(left, scope, receive, send)


class UnloadedError(ExceptionGroup):
    @property
    def exceptions(self):
        raise RuntimeError


async def broken_in_a_group_that_does_not_tell(scope, receive, send):
    await send({"type": "http.response.start", "status": 200, "headers": []})
    raise UnloadedError("x", [KeyError()])


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
@pytest.mark.parametrize(
    ("app", "outcome"),
    [
        (begun, OK), (begun_in_a_group, OK), (left_in_a_group, OK), (hanging, LATE), (left, LATE),
        (broken_in_a_group_that_does_not_tell, BROKEN),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)  # fmt: skip
def test_cancelled_by_the_server_is_the_same_under_every_loop(
    app, outcome, backend, client, received
):
    measured = instrument_asgi(app, client=client)

    async def drop(message): ...

    async def main():
        with anyio.move_on_after(0.02):
            await measured(dict(SCOPE), anyio.sleep_forever, drop)

    with contextlib.suppress(ClientDisconnect, ExceptionGroup):
        anyio.run(main, backend=backend)
    assert outcomes(client, received) == [("seed.stream", *outcome)]
