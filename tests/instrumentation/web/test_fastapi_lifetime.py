"""When a use begins and ends: streams, background tasks, WebSockets, applications that have started."""

import asyncio
import contextlib
import threading
from collections import Counter

import httpx
import pytest
from fastapi import BackgroundTasks, FastAPI
from websockets.exceptions import InvalidStatus
from websockets.sync.client import connect as websocket

import footfall
from footfall.web import instrument_fastapi, route_event
from instrumentation.web.shop import (
    OK,
    make_app,
    outcomes,
)
from support.waiting import wait_until


def test_a_stream_lasts_until_its_end_and_fails_when_it_breaks(client, received, serve):
    app = make_app()
    instrument_fastapi(app, client=client)
    http = serve(app)
    assert http.get("/stream").content == b"ab"
    with pytest.raises(httpx.RemoteProtocolError):
        http.get("/stream", params={"broken": True})
    assert outcomes(client, received) == [
        ("seed.stream", "success", "ok", None),
        ("seed.stream", "failure", "error", "sold_out"),
    ]
    for span in received.spans():
        assert span.end_time_unix_nano - span.start_time_unix_nano > 90_000_000


def test_a_client_that_leaves_a_stream_had_enough(client, received, serve):
    app = make_app()
    instrument_fastapi(app, client=client)
    http = serve(app)
    with http.stream("GET", "/stream") as response:
        next(response.iter_raw())
    wait_until(lambda: client.flush() and received.spans())
    assert outcomes(client, received) == [("seed.stream", "success", "ok", None)]


def test_background_tasks_are_not_part_of_the_use(client, received, serve):
    app = FastAPI()

    @app.get("/slow")
    async def slow(tasks: BackgroundTasks):
        tasks.add_task(asyncio.sleep, 0.3)
        return {}

    instrument_fastapi(app, client=client)
    serve(app).get("/slow")
    assert outcomes(client, received) == [("seed.slow", "success", "ok", None)]
    (span,) = received.spans()
    assert span.end_time_unix_nano - span.start_time_unix_nano < 200_000_000


def test_a_use_lasts_as_long_as_the_request(client, received, serve):
    app = FastAPI()

    @app.get("/undeclared")
    @route_event("seed.slow")
    async def slow():
        await asyncio.sleep(0.1)

    instrument_fastapi(app, client=client)
    serve(app).get("/undeclared")
    assert outcomes(client, received) == [("seed.slow", "success", "ok", None)]
    (span,) = received.spans()
    assert span.end_time_unix_nano - span.start_time_unix_nano > 90_000_000


def test_the_start_is_counted_before_the_end(client, received, serve):
    app, inside, leave = FastAPI(), threading.Event(), threading.Event()

    @app.get("/slow")
    def slow():
        inside.set()
        leave.wait(10)

    instrument_fastapi(app, client=client)
    http = serve(app)
    thread = threading.Thread(target=http.get, args=["/slow"])
    thread.start()
    assert inside.wait(10)
    assert client.flush()
    assert received.count("seed.slow", feature_action="invoke") == 1
    assert received.spans() == []
    leave.set()
    thread.join()


def test_websockets_count_as_get_from_handshake_to_close(client, received, serve):
    app = make_app()
    instrument_fastapi(app, client=client)
    url = str(serve(app).base_url).replace("http", "ws")
    with websocket(f"{url}/rooms/open") as socket:
        assert socket.recv() == "hello"
    with websocket(f"{url}/rooms/left") as socket:
        assert socket.recv() == "hello"
    with websocket(f"{url}/rooms/broken"), contextlib.suppress(Exception):
        pass
    with pytest.raises(InvalidStatus), websocket(f"{url}/rooms/closed"):
        pass
    wait_until(lambda: len(outcomes(client, received)) == 4)
    assert Counter(outcome[1:] for outcome in outcomes(client, received)) == {
        ("failure", "error", "sold_out"): 1,
        ("success", "ok", None): 2,
        ("failure", "denied", "permission_denied"): 1,
    }


def test_instrumenting_twice_does_nothing_and_a_started_app_can_be_instrumented(
    client, received, serve
):
    app = make_app()
    started = []

    @contextlib.asynccontextmanager
    async def lifespan(app):
        instrument_fastapi(app, client=client)
        instrument_fastapi(app, client=client)
        started.append(app)
        yield
        started.clear()

    app.router.lifespan_context = lifespan
    http = serve(app)
    assert started == [app]
    http.get("/seeds/1")
    instrument_fastapi(app, client=client)
    http.get("/seeds/1")
    assert outcomes(client, received) == [OK, OK]


def test_the_client_may_be_configured_after_the_app_was_instrumented(received, catalog, serve):
    client = footfall.Client(strict=True)
    app = make_app()
    instrument_fastapi(app, client=client)
    http = serve(app)
    http.get("/seeds/1")
    client.configure(catalog, received.endpoint, enabled=True)
    http.get("/seeds/1")
    try:
        assert outcomes(client, received) == [OK]
    finally:
        client.shutdown()
