"""The same small shop in each framework: `app` is that of FRAMEWORK, with Footfall as FOOTFALL says.

FOOTFALL is `absent` (it cannot even be imported), `off` or `on`; a server imports this module.
"""

import os
import sys

FRAMEWORK, FOOTFALL = os.environ["FRAMEWORK"], os.environ["FOOTFALL"]
HEADERS = [("X-Shop", "one"), ("Set-Cookie", "a=1"), ("Set-Cookie", "b=2")]
PARTS = [b"first ", b"second ", b"third"]

if FOOTFALL == "absent":
    sys.modules["footfall"] = None
    measured = lambda handler: handler  # noqa: E731
else:
    import footfall

    footfall.configure(enabled=FOOTFALL == "on")
    measured = footfall.feature("shop.inner")


class SoldOut(Exception): ...


def fastapi():
    from fastapi import FastAPI, Request
    from fastapi.responses import Response, StreamingResponse

    app = FastAPI()

    @app.get("/seeds/{number}")
    @measured
    async def seed(number: int):
        return {"number": number}

    @app.post("/echo")
    @measured
    async def echo(request: Request):
        response = Response(await request.body(), 201)
        for name, value in HEADERS:
            response.headers.append(name, value)
        return response

    @app.get("/stream")
    def stream():
        return StreamingResponse(iter(PARTS))

    @app.get("/broken")
    @measured
    def broken():
        raise SoldOut

    if FOOTFALL != "absent":
        footfall.instrument_fastapi(app)
    return app


def flask():
    from flask import Flask, Response, request

    app = Flask(__name__)

    @app.get("/seeds/<int:number>")
    @measured
    def seed(number):
        return {"number": number}

    @app.post("/echo")
    @measured
    def echo():
        return request.get_data(), 201, HEADERS

    @app.get("/stream")
    def stream():
        return Response(iter(PARTS))

    @app.get("/broken")
    @measured
    def broken():
        raise SoldOut

    if FOOTFALL != "absent":
        footfall.instrument_flask(app)
    return app


def django(server):
    from django.conf import settings
    from django.core import asgi, wsgi
    from django.http import HttpResponse, JsonResponse, StreamingHttpResponse
    from django.urls import path

    @measured
    def seed(request, number):
        return JsonResponse({"number": number})

    @measured
    def echo(request):
        response = HttpResponse(request.body, status=201, headers={"X-Shop": "one"})
        response.set_cookie("a", "1")
        response.set_cookie("b", "2")
        return response

    def stream(request):
        return StreamingHttpResponse(iter(PARTS))

    @measured
    def broken(request):
        raise SoldOut

    global urlpatterns
    urlpatterns = [
        path("seeds/<int:number>", seed),
        path("echo", echo),
        path("stream", stream),
        path("broken", broken),
    ]
    settings.configure(
        ROOT_URLCONF=__name__, ALLOWED_HOSTS=["*"], SECRET_KEY="x", LOGGING_CONFIG=None
    )
    if FOOTFALL != "absent":
        footfall.instrument_django()
    return asgi.get_asgi_application() if server == "asgi" else wsgi.get_wsgi_application()


async def plain(scope, receive, send):
    """An ASGI application of no framework."""

    async def answer(status, *parts, headers=()):
        encoded = [(name.lower().encode(), value.encode()) for name, value in headers]
        await send({"type": "http.response.start", "status": status, "headers": encoded})
        for part in parts:
            await send({"type": "http.response.body", "body": part, "more_body": True})
        await send({"type": "http.response.body"})

    assert scope["type"] == "http"
    match scope["path"]:
        case "/seeds/7":
            await answer(200, b"7")
        case "/echo":
            await answer(201, (await receive())["body"], headers=HEADERS)
        case "/stream":
            await answer(200, *PARTS)
        case "/broken":
            await measured(broken_plain)()
        case _:
            await answer(404)


async def broken_plain():
    raise SoldOut


def asgi():
    return plain if FOOTFALL == "absent" else footfall.instrument_asgi(plain)


app = {
    "fastapi": fastapi,
    "flask": flask,
    "django-asgi": lambda: django("asgi"),
    "django-wsgi": lambda: django("wsgi"),
    "asgi": asgi,
}[FRAMEWORK]()
