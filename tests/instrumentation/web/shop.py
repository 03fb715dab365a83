"""The FastAPI application of these tests, and the ways in which it may be traced."""

import asyncio

from fastapi import APIRouter, BackgroundTasks, Depends, FastAPI, HTTPException, Request, WebSocket
from fastapi.responses import JSONResponse, Response, StreamingResponse
from opentelemetry.instrumentation.asgi import OpenTelemetryMiddleware
from opentelemetry.instrumentation.fastapi import FastAPIInstrumentor
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF

from footfall.web import instrument_fastapi, route_event


class SoldOut(Exception): ...


class PresetError(Exception): ...


RAISED = {"sold_out": SoldOut, "key": KeyError, "timeout": TimeoutError, "preset": PresetError}


def make_app():
    app = FastAPI()
    api = APIRouter(prefix="/seeds")

    @api.get("/{id}")
    async def seed(id: int):
        return {"id": id}

    app.include_router(api)

    @app.api_route("/answer/{status}", methods=["GET", "POST"])
    def answer(status: int):
        if status >= 400:
            raise HTTPException(status)
        return Response(b"" if status == 304 else b"x", status_code=status)

    @app.get("/raise/{kind}")
    async def raise_(kind: str):
        raise RAISED[kind]("jane@example.org")

    @app.exception_handler(PresetError)
    async def preset_error(request: Request, error: PresetError):
        return JSONResponse({}, 400)

    @app.get("/stream")
    async def stream(broken: bool = False):
        async def parts():
            yield b"a"
            await asyncio.sleep(0.1)
            if broken:
                raise SoldOut
            yield b"b"

        return StreamingResponse(parts())

    @app.get("/other")
    async def other():
        return {}

    @app.get("/admin/page", dependencies=[Depends(refuse)])
    async def admin(): ...

    @app.get("/callback")
    async def callback(ok: bool = True):
        if not ok:
            raise HTTPException(400)
        return {}

    @app.post("/made")
    @route_event("seed.made")
    async def made(name: str, tasks: BackgroundTasks):
        return {"name": name}

    @app.websocket("/rooms/{name}")
    async def room(socket: WebSocket, name: str):
        if name == "closed":
            await socket.close()
            return
        await socket.accept()
        if name == "broken":
            raise SoldOut
        await socket.send_text("hello")
        if name == "left":
            await socket.receive_text()

    return app


def refuse():
    raise HTTPException(401)


def outcomes(client, received):
    assert client.flush()
    return [
        (o["event"], o["feature.action"], o["feature.status"], o.get("error.type"))
        for o in received.observations()
    ]


OK = ("seed.get", "success", "ok", None)


def by_footfall(app, client, provider):
    instrument_fastapi(app, client=client)


def on_a_provider(app, client, provider):
    instrument_fastapi(app, client=client, tracer_provider=provider)


def after_opentelemetry(app, client, provider):
    FastAPIInstrumentor.instrument_app(app, tracer_provider=provider)
    instrument_fastapi(app, client=client)


def after_its_middleware(app, client, provider):
    app.add_middleware(OpenTelemetryMiddleware, tracer_provider=provider)
    instrument_fastapi(app, client=client)


def sampled_out(app, client, provider):
    provider.sampler = ALWAYS_OFF
    FastAPIInstrumentor.instrument_app(app, tracer_provider=provider)
    instrument_fastapi(app, client=client)


def excluded(app, client, provider):
    FastAPIInstrumentor.instrument_app(app, tracer_provider=provider, excluded_urls=".*")
    instrument_fastapi(app, client=client)


WAYS = [
    by_footfall,
    on_a_provider,
    after_opentelemetry,
    after_its_middleware,
    sampled_out,
    excluded,
]
