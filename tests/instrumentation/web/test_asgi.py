import asyncio

import pytest
from fastapi import FastAPI
from opentelemetry.instrumentation.asgi import OpenTelemetryMiddleware
from starlette.applications import Starlette
from starlette.middleware.cors import CORSMiddleware
from starlette.responses import PlainTextResponse
from starlette.routing import Host, Mount, Route

from footfall.web import instrument_asgi, route_event
from instrumentation.servers import asgi_server


def outcomes(client, received):
    assert client.flush()
    return [(o["event"], o["feature.action"], o.get("error.type")) for o in received.observations()]


def starlette_app():
    async def answer(request):
        return PlainTextResponse("x", int(request.path_params.get("status", 200)))

    @route_event("seed.made")
    async def made(request):
        raise TimeoutError

    async def item(request):
        return PlainTextResponse("x")

    return Starlette(
        routes=[
            Route("/answer/{status}", answer),
            Route("/made", made),
            Host("other.example.org", app=plain),
            Mount("/shops/{shop}", routes=[Mount("/items", routes=[Route("/{item}", item)])]),
        ]
    )


@pytest.mark.parametrize(
    "wrap",
    [
        lambda app: app,
        lambda app: CORSMiddleware(app, allow_origins=["*"]),
        OpenTelemetryMiddleware,
    ],
    ids=["alone", "in a middleware", "traced already"],
)
def test_a_starlette_app_is_matched_by_its_templates(wrap, client, received, serve):
    http = serve(instrument_asgi(wrap(starlette_app()), client=client))
    assert http.get("/answer/200").headers["x-trace-id"]
    assert http.get("/answer/504").status_code == 504
    assert http.get("/shops/a/items/b").status_code == 200
    assert http.get("/made").headers["traceparent"]
    assert http.get("/nowhere").status_code == 404
    assert http.post("/made").status_code == 405
    assert http.get("/admin/page", headers={"host": "other.example.org"}).status_code == 200
    assert outcomes(client, received) == [
        ("seed.answer", "success", None),
        ("seed.answer", "failure", "provider_timeout"),
        ("shop.item", "success", None),
        ("seed.made", "failure", "timeout"),
        ("seed.made", "failure", "bad_request"),
    ]
    assert received.dropped() == {}


async def plain(scope, receive, send):
    """An application of no framework, which uses the freedom that ASGI leaves it."""
    if scope["type"] == "lifespan":
        plain.lifespan += [(await receive())["type"]]
        await send({"type": "lifespan.startup.complete"})
        plain.lifespan.append((await receive())["type"])
        await send({"type": "lifespan.shutdown.complete"})
        return
    if scope["path"] == "/admin/raise":
        raise PermissionError("jane@example.org")
    if scope["path"] == "/admin/nothing":
        return
    headers = ((b"a", b"1") for _ in range(1))
    message = {"type": "http.response.start", "status": 200}
    if scope["path"] != "/admin/bare":
        message["headers"] = headers
    await send(message)
    await send({"type": "http.response.body"})


plain.lifespan = []


def test_any_asgi_app_is_matched_by_its_paths(client, received, serve):
    http = serve(instrument_asgi(plain, client=client))
    for path, status in (("page", 200), ("bare", 200), ("raise", 500), ("nothing", 500)):
        response = http.get(f"/admin/{path}")
        assert response.status_code == status
        assert ("traceparent" in response.headers) == (status == 200), "uvicorn's own 500 has none"
    assert http.get("/admin/page").headers["a"] == "1"
    assert http.get("/else").status_code == 200
    assert outcomes(client, received) == [
        ("admin.page", "success", None),
        ("admin.page", "success", None),
        ("admin.page", "failure", "permission_denied"),
        ("admin.page", "failure", "unexpected_error"),
        ("admin.page", "success", None),
    ]


def test_the_lifespan_passes(client):
    plain.lifespan.clear()
    with asgi_server(instrument_asgi(plain, client=client)):
        assert plain.lifespan == ["lifespan.startup"]
    assert plain.lifespan == ["lifespan.startup", "lifespan.shutdown"]


def call(app, send, path="/stream"):
    """One request without a server, so that it can end as a server's ends only sometimes."""
    scope = {
        "type": "http", "method": "GET", "path": path, "headers": [], "query_string": b"",
        "asgi": {"version": "3.0"}, "http_version": "1.1", "scheme": "http",
    }  # fmt: skip

    async def receive():
        await asyncio.sleep(60)

    return app(scope, receive, send)


async def stream(scope, receive, send):
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": b"a", "more_body": True})
    await asyncio.sleep(60)


async def hang(scope, receive, send):
    await asyncio.sleep(60)


async def drop(message):
    """A server whose client reads all."""


async def closed(message):
    """A server whose client has left."""
    if message["type"] == "http.response.body":
        raise OSError("the socket is closed")


@pytest.mark.parametrize(
    ("app", "outcome"),
    [
        (stream, ("seed.stream", "success", None)),
        (hang, ("seed.stream", "failure", "timeout")),
    ],
)
def test_a_server_that_gives_up_before_the_answer_means_a_timeout(app, outcome, client, received):
    async def run():
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(call(instrument_asgi(app, client=client), drop), 0.05)

    asyncio.run(run())
    assert outcomes(client, received) == [outcome]


def test_an_answer_that_cannot_be_sent_counts_as_it_was_made(client, received):
    async def run():
        with pytest.raises(OSError, match="the socket is closed"):
            await call(instrument_asgi(stream, client=client), closed)

    asyncio.run(run())
    assert outcomes(client, received) == [("seed.stream", "success", None)]


def test_instrumenting_twice_does_nothing(client, received, serve):
    app = instrument_asgi(starlette_app(), client=client)
    assert instrument_asgi(app, client=client) is app
    serve(app).get("/answer/200")
    assert outcomes(client, received) == [("seed.answer", "success", None)]


def test_a_fastapi_app_is_measured_as_one(client, received, serve):
    app = FastAPI()
    app.add_api_route("/seeds/{id}", lambda id: {})
    assert instrument_asgi(app, client=client) is app
    serve(app).get("/seeds/1")
    assert outcomes(client, received) == [("seed.get", "success", None)]


def test_headers_that_are_none_are_left_to_the_server(connect, received):
    sent = []

    async def broken(scope, receive, send):
        await send({"type": "http.response.start", "status": 200, "headers": [(b"a", b"b"), b"c"]})
        await send({"type": "http.response.body"})

    async def keep(message):
        sent.append(message)

    client = connect(received.endpoint, strict=False)
    app = instrument_asgi(broken, client=client)
    asyncio.run(call(app, keep))
    assert sent[0]["headers"] == [(b"a", b"b"), b"c"]
    assert outcomes(client, received) == [("seed.stream", "success", None)]
