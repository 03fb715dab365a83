import asyncio
import contextlib
import re
import threading
import time
from collections import Counter

import httpx
import pytest
from fastapi import APIRouter, BackgroundTasks, Depends, FastAPI, HTTPException, Request, WebSocket
from fastapi.responses import JSONResponse, Response, StreamingResponse
from opentelemetry.instrumentation.asgi import OpenTelemetryMiddleware
from opentelemetry.instrumentation.fastapi import FastAPIInstrumentor, _get_default_span_details
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF
from starlette.middleware.base import BaseHTTPMiddleware
from websockets.exceptions import InvalidStatus
from websockets.sync.client import connect as websocket

import footfall
from footfall._web_fastapi import details
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


@pytest.fixture
def errors(connect, received):
    return connect(received.endpoint, errors={SoldOut: "sold_out", PresetError: "invalid_preset"})


@pytest.fixture
def spans():
    exporter = InMemorySpanExporter()
    provider = TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    yield provider, exporter
    provider.shutdown()


def outcomes(client, received):
    assert client.flush()
    return [
        (o["event"], o["feature.action"], o["feature.status"], o.get("error.type"))
        for o in received.observations()
    ]


def eventually(condition):
    """Waits for what a server does after it has answered."""
    for _ in range(200):
        if condition():
            return
        time.sleep(0.02)
    assert condition()


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


@pytest.mark.parametrize("way", WAYS, ids=lambda way: way.__name__)
def test_a_route_with_a_rule_is_counted_however_the_app_is_traced(
    way, errors, received, serve, spans
):
    app = make_app()
    way(app, errors, spans[0])
    http = serve(app)
    assert http.get("/seeds/17").json() == {"id": 17}
    with contextlib.suppress(httpx.HTTPError):
        assert http.get("/raise/sold_out").status_code == 500
    assert http.get("/other").status_code == 200
    assert http.get("/nowhere").status_code == 404
    assert outcomes(errors, received) == [OK, ("seed.raise", "failure", "error", "sold_out")]
    assert received.count("seed.get", feature_action="invoke") == 1
    assert received.count("seed.raise", feature_action="invoke") == 1
    assert received.emitted() == {"seed.get": 2, "seed.raise": 2}
    assert received.dropped() == {}
    assert {o["feature.surface"] for o in received.observations()} == {"api"}


OUTCOMES = {
    200: ("success", "ok", None),
    304: ("success", "ok", None),
    400: ("failure", "error", "bad_request"),
    401: ("failure", "denied", "permission_denied"),
    403: ("failure", "denied", "permission_denied"),
    404: ("failure", "error", "bad_request"),
    408: ("failure", "timeout", "provider_timeout"),
    422: ("failure", "error", "bad_request"),
    500: ("failure", "error", "unexpected_error"),
    502: ("failure", "error", "provider_unavailable"),
    503: ("failure", "error", "provider_unavailable"),
    504: ("failure", "timeout", "provider_timeout"),
}


def test_the_answers_status_says_how_a_use_ended(errors, received, serve):
    app = make_app()
    instrument_fastapi(app, client=errors)
    http = serve(app)
    for status in OUTCOMES:
        assert http.get(f"/answer/{status}").status_code == status
    assert outcomes(errors, received) == [("seed.answer", *each) for each in OUTCOMES.values()]
    classes = [o["status_class"] for o in received.observations()]
    assert classes == [f"{status // 100}xx" for status in OUTCOMES]


def test_an_error_that_no_catalog_declares_is_unexpected(
    tmp_path, connect, received, serve, catalog
):
    catalog.write_text(catalog.read_text().replace("bad_request, ", ""))
    client = connect(received.endpoint)
    app = make_app()
    instrument_fastapi(app, client=client)
    assert serve(app).get("/seeds/x").status_code == 422
    assert outcomes(client, received) == [("seed.get", "failure", "error", "unexpected_error")]


def test_an_exception_counts_by_its_class_and_a_handled_one_by_the_answer(errors, received, serve):
    app = make_app()
    instrument_fastapi(app, client=errors)
    http = serve(app)
    for kind, status in (("sold_out", 500), ("key", 500), ("timeout", 500), ("preset", 400)):
        assert http.get(f"/raise/{kind}").status_code == status
    assert outcomes(errors, received) == [
        ("seed.raise", "failure", "error", "sold_out"),
        ("seed.raise", "failure", "error", "unexpected_error"),
        ("seed.raise", "failure", "timeout", "provider_timeout"),
        ("seed.raise", "failure", "error", "invalid_preset"),
    ]


def test_inside_a_handler_the_use_of_its_route_is_the_current_one(errors, received, serve):
    app = FastAPI()

    @app.get("/answer/{status}")
    def in_a_thread(status: int):
        footfall.current().set(status_class="1xx")
        footfall.current().fail("sold_out")
        return JSONResponse({}, status)

    @app.get("/seeds/{id}")
    async def in_the_loop(id: int):
        footfall.current().deny()

    instrument_fastapi(app, client=errors)
    http = serve(app)
    http.get("/answer/200")
    http.get("/answer/504")
    http.get("/seeds/7")
    assert type(footfall.current()).__name__ != "Measured"
    assert outcomes(errors, received) == [
        ("seed.answer", "failure", "error", "sold_out"),
        ("seed.answer", "failure", "error", "sold_out"),
        ("seed.get", "failure", "denied", "permission_denied"),
    ]


def test_a_500_that_a_handler_makes_of_an_exception_counts_by_its_class(errors, received, serve):
    app = make_app()
    app.add_exception_handler(SoldOut, lambda request, error: JSONResponse({}, 500))
    app.add_exception_handler(500, lambda request, error: JSONResponse({}, 418))
    instrument_fastapi(app, client=errors)
    http = serve(app)
    assert http.get("/raise/sold_out").status_code == 500
    assert http.get("/raise/key").status_code == 418, "made by the application's own last handler"
    assert [o[3] for o in outcomes(errors, received)] == ["sold_out", "bad_request"]


def test_exceptions_reach_the_server_as_they_were(errors):
    plain, measured = make_app(), make_app()
    instrument_fastapi(measured, client=errors)
    for app in (plain, measured):
        transport = httpx.ASGITransport(app)

        async def get(transport=transport):
            async with httpx.AsyncClient(transport=transport, base_url="http://test") as http:
                await http.get("/raise/sold_out")

        with pytest.raises(SoldOut, match="jane"):
            asyncio.run(get())


def test_a_rule_with_an_action_counts_that_action_and_no_start(errors, received, serve):
    app = make_app()
    instrument_fastapi(app, client=errors)
    http = serve(app)
    http.get("/callback")
    http.get("/callback", params={"ok": False})
    assert outcomes(errors, received) == [
        ("login.done", "callback", "ok", None),
        ("login.done", "failure", "error", "bad_request"),
    ]
    assert received.count("login.done") == 0


def test_a_request_that_is_refused_before_its_handler_is_denied(errors, received, serve):
    app = make_app()

    async def guard(request, call_next):
        return (
            Response(status_code=403) if "x-stop" in request.headers else await call_next(request)
        )

    app.add_middleware(BaseHTTPMiddleware, dispatch=guard)
    instrument_fastapi(app, client=errors)
    http = serve(app)
    assert http.get("/admin/page").status_code == 401
    assert http.get("/seeds/1", headers={"x-stop": "1"}).status_code == 403
    assert http.get("/seeds/1").status_code == 200
    assert outcomes(errors, received) == [
        ("admin.page", "failure", "denied", "permission_denied"),
        ("seed.get", "failure", "denied", "permission_denied"),
        OK,
    ]


def test_a_decorated_handler_stays_itself_and_is_counted(errors, received, serve):
    def handler(name: str): ...

    assert route_event("seed.made")(handler) is handler
    assert route_event("seed.made")(len) is len, "what cannot be marked is left alone"
    app = make_app()
    instrument_fastapi(app, client=errors)
    http = serve(app)
    assert http.post("/made", params={"name": "x"}).json() == {"name": "x"}
    assert http.post("/made").status_code == 422
    assert outcomes(errors, received) == [
        ("seed.made", "success", "ok", None),
        ("seed.made", "failure", "error", "bad_request"),
    ]
    assert received.count("seed.made", feature_action="invoke") == 2


def test_a_rule_goes_before_a_decorator_and_a_request_is_one_use(errors, received, serve):
    app = FastAPI()

    @app.get("/seeds/{id}")
    @route_event("seed.made")
    def seed(id: int): ...

    instrument_fastapi(app, client=errors)
    serve(app).get("/seeds/1")
    assert outcomes(errors, received) == [OK]


def test_features_inside_a_handler_are_uses_of_their_own(errors, received, serve):
    app = FastAPI()

    @app.get("/seeds/{id}")
    def seed(id: int):
        with errors.feature("seed.inner"):
            return {}

    instrument_fastapi(app, client=errors)
    serve(app).get("/seeds/1")
    assert outcomes(errors, received) == [("seed.inner", "success", "ok", None), OK]


def test_other_methods_than_the_rules_are_not_counted(errors, received, serve):
    app = make_app()
    instrument_fastapi(app, client=errors)
    http = serve(app)
    assert http.delete("/seeds/1").status_code == 405
    assert http.head("/seeds/1").status_code == 405
    assert http.options("/seeds/1").status_code == 405
    assert http.post("/answer/200").status_code == 200, "its rule is for every method"
    assert outcomes(errors, received) == [("seed.answer", "success", "ok", None)]
    assert received.dropped() == {}


def test_a_stream_lasts_until_its_end_and_fails_when_it_breaks(errors, received, serve):
    app = make_app()
    instrument_fastapi(app, client=errors)
    http = serve(app)
    assert http.get("/stream").content == b"ab"
    with pytest.raises(httpx.RemoteProtocolError):
        http.get("/stream", params={"broken": True})
    assert outcomes(errors, received) == [
        ("seed.stream", "success", "ok", None),
        ("seed.stream", "failure", "error", "sold_out"),
    ]
    for span in received.spans():
        assert span.end_time_unix_nano - span.start_time_unix_nano > 90_000_000


def test_a_client_that_leaves_a_stream_had_enough(errors, received, serve):
    app = make_app()
    instrument_fastapi(app, client=errors)
    http = serve(app)
    with http.stream("GET", "/stream") as response:
        next(response.iter_raw())
    eventually(lambda: errors.flush() and received.spans())
    assert outcomes(errors, received) == [("seed.stream", "success", "ok", None)]


def test_background_tasks_are_not_part_of_the_use(errors, received, serve):
    app = FastAPI()

    @app.get("/slow")
    async def slow(tasks: BackgroundTasks):
        tasks.add_task(asyncio.sleep, 0.3)
        return {}

    instrument_fastapi(app, client=errors)
    serve(app).get("/slow")
    assert outcomes(errors, received) == [("seed.slow", "success", "ok", None)]
    (span,) = received.spans()
    assert span.end_time_unix_nano - span.start_time_unix_nano < 200_000_000


def test_a_use_lasts_as_long_as_the_request(errors, received, serve):
    app = FastAPI()

    @app.get("/undeclared")
    @route_event("seed.slow")
    async def slow():
        await asyncio.sleep(0.1)

    instrument_fastapi(app, client=errors)
    serve(app).get("/undeclared")
    assert outcomes(errors, received) == [("seed.slow", "success", "ok", None)]
    (span,) = received.spans()
    assert span.end_time_unix_nano - span.start_time_unix_nano > 90_000_000


def test_the_start_is_counted_before_the_end(errors, received, serve):
    app, inside, leave = FastAPI(), threading.Event(), threading.Event()

    @app.get("/slow")
    def slow():
        inside.set()
        leave.wait(10)

    instrument_fastapi(app, client=errors)
    http = serve(app)
    thread = threading.Thread(target=http.get, args=["/slow"])
    thread.start()
    assert inside.wait(10)
    assert errors.flush()
    assert received.count("seed.slow", feature_action="invoke") == 1
    assert received.spans() == []
    leave.set()
    thread.join()


def test_mounted_applications_are_matched_by_their_whole_template(errors, received, serve):
    app, shop, deep = FastAPI(), FastAPI(), APIRouter(prefix="/items")

    @deep.get("/{item}")
    def item(item: int): ...

    @shop.get("/made")
    @route_event("seed.made")
    def made(): ...

    @app.get("/seeds/{id}")
    def seed(id: int): ...

    shop.include_router(deep)
    app.mount("/shops/{shop}", shop)
    instrument_fastapi(shop, client=errors)
    instrument_fastapi(app, client=errors)
    http = serve(app)
    assert http.get("/shops/a/items/3").status_code == 200
    assert http.get("/shops/a/made").status_code == 200
    assert http.get("/shops/a/nothing").status_code == 404
    assert http.get("/seeds/1").status_code == 200
    assert outcomes(errors, received) == [
        ("shop.item", "success", "ok", None),
        ("seed.made", "success", "ok", None),
        OK,
    ]


def test_websockets_count_as_get_from_handshake_to_close(errors, received, serve):
    app = make_app()
    instrument_fastapi(app, client=errors)
    url = str(serve(app).base_url).replace("http", "ws")
    with websocket(f"{url}/rooms/open") as socket:
        assert socket.recv() == "hello"
    with websocket(f"{url}/rooms/left") as socket:
        assert socket.recv() == "hello"
    with websocket(f"{url}/rooms/broken"), contextlib.suppress(Exception):
        pass
    with pytest.raises(InvalidStatus), websocket(f"{url}/rooms/closed"):
        pass
    eventually(lambda: len(outcomes(errors, received)) == 4)
    assert Counter(outcome[1:] for outcome in outcomes(errors, received)) == {
        ("failure", "error", "sold_out"): 1,
        ("success", "ok", None): 2,
        ("failure", "denied", "permission_denied"): 1,
    }


def test_instrumenting_twice_does_nothing_and_a_started_app_can_be_instrumented(
    errors, received, serve
):
    app = make_app()
    started = []

    @contextlib.asynccontextmanager
    async def lifespan(app):
        instrument_fastapi(app, client=errors)
        instrument_fastapi(app, client=errors)
        started.append(app)
        yield
        started.clear()

    app.router.lifespan_context = lifespan
    http = serve(app)
    assert started == [app]
    http.get("/seeds/1")
    instrument_fastapi(app, client=errors)
    http.get("/seeds/1")
    assert outcomes(errors, received) == [OK, OK]


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


PATHS = ("/seeds/1", "/other", "/nowhere", "/answer/403", "/stream", "/raise/key")


@pytest.mark.parametrize("way", WAYS, ids=lambda way: way.__name__)
def test_every_answer_has_its_trace_in_the_headers_also_while_off(way, serve, spans):
    app = make_app()
    way(app, footfall.Client(strict=True), spans[0])
    http = serve(app)
    # What the application itself puts around all else makes its 500 outside of our reach.
    paths = PATHS[:-1] if way is after_its_middleware else PATHS
    named = set()
    for path in paths:
        headers = http.get(path).headers
        assert re.fullmatch(r"00-[0-9a-f]{32}-[0-9a-f]{16}-0[0-3]", headers["traceparent"])
        _, trace_id, span_id, flags = headers["traceparent"].split("-")
        assert headers["x-trace-id"] == trace_id
        named.add((trace_id, span_id, int(flags, 16) & 1))
    assert len(named) == len(paths)
    if way in (by_footfall, sampled_out, excluded):
        assert spans[1].get_finished_spans() == ()
        assert {sampled for _, _, sampled in named} == {0}
        return

    def servers():
        finished = (s for s in spans[1].get_finished_spans() if s.kind.name == "SERVER")
        return {(f"{s.context.trace_id:032x}", f"{s.context.span_id:016x}", 1) for s in finished}

    eventually(lambda: servers() == named)


def test_a_measured_answer_has_its_trace_in_the_headers(errors, serve):
    app = make_app()
    instrument_fastapi(app, client=errors)
    http = serve(app)
    for path in PATHS:
        headers = http.get(path).headers
        assert headers["traceparent"][3:35] == headers["x-trace-id"]


def test_the_callers_trace_goes_on(errors, serve, spans):
    app = make_app()
    on_a_provider(app, errors, spans[0])
    caller = "00-0123456789abcdef0123456789abcdef-0123456789abcdef-01"
    headers = serve(app).get("/other", headers={"traceparent": caller}).headers
    assert headers["x-trace-id"] == "0123456789abcdef0123456789abcdef"
    assert headers["traceparent"] != caller, "it names the server's own span"


def test_headers_that_the_app_sets_itself_stay_and_its_responses_are_not_changed(errors, serve):
    app = FastAPI()
    shared = Response(headers={"Traceparent": "mine", "X-Trace-Id": "too"})
    bare = Response()
    app.add_api_route("/mine", lambda: shared)
    app.add_api_route("/bare", lambda: bare)
    instrument_fastapi(app, client=errors)
    http = serve(app)
    for _ in range(2):
        headers = http.get("/mine").headers
        assert headers.get_list("traceparent") == ["mine"]
        assert headers.get_list("x-trace-id") == ["too"]
        assert len(http.get("/bare").headers.get_list("traceparent")) == 1
    assert "traceparent" not in bare.headers


def test_the_hosts_own_tracing_goes_on_unharmed(errors, received, serve, spans):
    provider, exporter = spans
    app = FastAPI()
    tracer = provider.get_tracer("app")

    @app.get("/seeds/{id}")
    def seed(id: int):
        with tracer.start_as_current_span("inside"):
            return {}

    after_opentelemetry(app, errors, provider)
    serve(app).get("/seeds/1")
    assert errors.flush()
    eventually(lambda: "GET /seeds/{id}" in [s.name for s in exporter.get_finished_spans()])
    finished = {s.name: s for s in exporter.get_finished_spans()}
    server, inside = finished["GET /seeds/{id}"], finished["inside"]
    assert inside.parent.span_id == server.context.span_id
    assert server.parent is None
    assert "GET /seeds/{id} http send" in finished, "what it asked OpenTelemetry for stays"
    assert outcomes(errors, received) == [OK]
    for ids in (server.context.trace_id.to_bytes(16), server.context.span_id.to_bytes(8)):
        assert ids not in received.bytes


def test_without_a_provider_nothing_becomes_the_current_span(errors, serve, spans):
    provider, exporter = spans
    app = FastAPI()
    tracer = provider.get_tracer("app")  # not the global one, and not given to Footfall

    @app.get("/seeds/{id}")
    def seed(id: int):
        with tracer.start_as_current_span("inside"):
            return {}

    instrument_fastapi(app, client=errors)
    serve(app).get("/seeds/1")
    (inside,) = exporter.get_finished_spans()
    assert inside.parent is None, "a root of the application's own trace"


def test_a_root_path_is_not_part_of_the_template(errors, received, serve):
    app = make_app()
    app.root_path = "/prefix"
    instrument_fastapi(app, client=errors)
    http = serve(app)
    assert http.get("/prefix/seeds/1").status_code == 200
    assert http.get("/seeds/1").status_code == 200
    assert outcomes(errors, received) == [OK, OK]


def test_spans_are_named_as_opentelemetry_names_them():
    def scope(app, method, path, kind="http"):
        known = {"type": kind, "path": path, "headers": [], "root_path": "", "app": app}
        return known | ({"method": method} if kind == "http" else {})

    plain = FastAPI()
    plain.add_api_route("/seeds/{id}", lambda id: {}, methods=["GET"])
    plain.add_api_route("/seeds/{other}", lambda other: {}, methods=["PUT"])
    plain.add_api_route("/files/{path:path}", lambda path: {})
    plain.mount("/shops/{shop}", FastAPI())
    plain.add_api_websocket_route("/rooms/{name}", lambda: None)
    for app in (plain, make_app(), FastAPI(openapi_url=None)):
        for path in ("/seeds/1", "/files/a/b", "/shops/a/b", "/rooms/a", "/nowhere", "/answer/200"):
            for method in ("GET", "PUT", "DELETE", "BREW"):
                asked = scope(app, method, path)
                assert details(dict(asked)) == _get_default_span_details(dict(asked))
            asked = scope(app, "", path, "websocket")
            assert details(dict(asked)) == _get_default_span_details(dict(asked))
