"""OpenTelemetry's traces beside Footfall: the headers of every answer, and the host's own spans."""

import re

import pytest
from fastapi import APIRouter, FastAPI
from fastapi.responses import Response
from opentelemetry.instrumentation.fastapi import _get_default_span_details

import footfall
from footfall.web import instrument_fastapi
from footfall.web._routes import Routes
from instrumentation.web.shop import (
    OK,
    WAYS,
    after_its_middleware,
    after_opentelemetry,
    by_footfall,
    excluded,
    make_app,
    on_a_provider,
    outcomes,
    sampled_out,
)
from support.waiting import wait_until

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

    wait_until(lambda: servers() == named)


def test_a_measured_answer_has_its_trace_in_the_headers(client, serve):
    app = make_app()
    instrument_fastapi(app, client=client)
    http = serve(app)
    for path in PATHS:
        headers = http.get(path).headers
        assert headers["traceparent"][3:35] == headers["x-trace-id"]


def test_the_callers_trace_goes_on(client, serve, spans):
    app = make_app()
    on_a_provider(app, client, spans[0])
    caller = "00-0123456789abcdef0123456789abcdef-0123456789abcdef-01"
    headers = serve(app).get("/other", headers={"traceparent": caller}).headers
    assert headers["x-trace-id"] == "0123456789abcdef0123456789abcdef"
    assert headers["traceparent"] != caller, "it names the server's own span"


def test_headers_that_the_app_sets_itself_stay_and_its_responses_are_not_changed(client, serve):
    app = FastAPI()
    shared = Response(headers={"Traceparent": "mine", "X-Trace-Id": "too"})
    bare = Response()
    app.add_api_route("/mine", lambda: shared)
    app.add_api_route("/bare", lambda: bare)
    instrument_fastapi(app, client=client)
    http = serve(app)
    for _ in range(2):
        headers = http.get("/mine").headers
        assert headers.get_list("traceparent") == ["mine"]
        assert headers.get_list("x-trace-id") == ["too"]
        assert len(http.get("/bare").headers.get_list("traceparent")) == 1
    assert "traceparent" not in bare.headers


def test_the_hosts_own_tracing_goes_on_unharmed(client, received, serve, spans):
    provider, exporter = spans
    app = FastAPI()
    tracer = provider.get_tracer("app")

    @app.get("/seeds/{id}")
    def seed(id: int):
        with tracer.start_as_current_span("inside"):
            return {}

    after_opentelemetry(app, client, provider)
    serve(app).get("/seeds/1")
    assert client.flush()
    wait_until(lambda: "GET /seeds/{id}" in [s.name for s in exporter.get_finished_spans()])
    finished = {s.name: s for s in exporter.get_finished_spans()}
    server, inside = finished["GET /seeds/{id}"], finished["inside"]
    assert inside.parent.span_id == server.context.span_id
    assert server.parent is None
    assert "GET /seeds/{id} http send" in finished, "what it asked OpenTelemetry for stays"
    assert outcomes(client, received) == [OK]
    for ids in (server.context.trace_id.to_bytes(16), server.context.span_id.to_bytes(8)):
        assert ids not in received.bytes


def test_without_a_provider_nothing_becomes_the_current_span(client, serve, spans):
    provider, exporter = spans
    app = FastAPI()
    tracer = provider.get_tracer("app")  # not the global one, and not given to Footfall

    @app.get("/seeds/{id}")
    def seed(id: int):
        with tracer.start_as_current_span("inside"):
            return {}

    instrument_fastapi(app, client=client)
    serve(app).get("/seeds/1")
    (inside,) = exporter.get_finished_spans()
    assert inside.parent is None, "a root of the application's own trace"


def test_spans_are_named_as_opentelemetry_names_them():
    def scope(app, method, path, kind="http", host=b"example.org"):
        headers = [(b"host", host)]
        known = {"type": kind, "path": path, "headers": headers, "root_path": "", "app": app}
        return known | ({"method": method} if kind == "http" else {})

    plain = FastAPI()
    plain.add_api_route("/seeds/{id}", lambda id: {}, methods=["GET"])
    plain.add_api_route("/seeds/{other}", lambda other: {}, methods=["PUT"])
    plain.add_api_route("/files/{path:path}", lambda path: {})
    plain.mount("/shops/{shop}", FastAPI())
    plain.add_api_websocket_route("/rooms/{name}", lambda: None)
    router, inner, of_a_host = APIRouter(prefix="/routed"), APIRouter(prefix="/inner"), FastAPI()
    for each in (router, inner, of_a_host):
        each.add_api_route("/seeds/{id}", lambda id: {}, methods=["GET"])
    inner.mount("/mounted", FastAPI())
    router.include_router(inner)
    plain.include_router(router)
    plain.host("other.example.org", of_a_host)
    paths = (
        "/seeds/1", "/files/a/b", "/shops/a/b", "/rooms/a", "/nowhere", "/answer/200",
        "/routed/seeds/1", "/routed/inner/seeds/1", "/routed/inner/mounted/a",
    )  # fmt: skip
    for app in (plain, make_app(), FastAPI(openapi_url=None)):
        ours = Routes(app, _get_default_span_details).details
        for path in paths:
            for method in ("GET", "PUT", "DELETE", "BREW"):
                asked = scope(app, method, path)
                assert ours(dict(asked)) == _get_default_span_details(dict(asked))
            asked = scope(app, "", path, "websocket")
            assert ours(dict(asked)) == _get_default_span_details(dict(asked))
            asked = scope(app, "GET", path, host=b"other.example.org")
            assert ours(dict(asked)) == _get_default_span_details(dict(asked))
