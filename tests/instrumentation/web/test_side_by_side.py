"""Footfall beside the host's own instrumentation, in any order: the host exports what it exports alone."""

import itertools
from collections import Counter

import flask
import pytest
from fastapi import FastAPI
from opentelemetry.instrumentation.asgi import OpenTelemetryMiddleware
from opentelemetry.instrumentation.fastapi import FastAPIInstrumentor
from opentelemetry.instrumentation.flask import FlaskInstrumentor
from opentelemetry.instrumentation.starlette import StarletteInstrumentor
from opentelemetry.instrumentation.wsgi import OpenTelemetryMiddleware as WsgiMiddleware
from starlette.applications import Starlette
from starlette.responses import PlainTextResponse
from starlette.routing import Route

from footfall.web import instrument_asgi, instrument_fastapi, instrument_flask
from instrumentation.web import flask_shop
from instrumentation.web.hosts import Host
from instrumentation.web.shop import SoldOut, make_app, outcomes
from support.waiting import wait_until

PATHS = (
    "/seeds/1",
    "/other",
    "/nowhere",
    "/answer/403",
    "/stream",
    "/raise/key",
    "/raise/sold_out",
)


class OnFastapi:
    """`FastAPIInstrumentor`, with all that it can do."""

    make = staticmethod(make_app)

    def theirs(self, app, host):
        FastAPIInstrumentor.instrument_app(
            app,
            server_request_hook=host.hook("request"),
            client_request_hook=host.hook("receive"),
            client_response_hook=host.hook("send"),
            http_capture_headers_server_request=["accept"],
            **host.providers,
        )
        return app

    def undo(self, app):
        FastAPIInstrumentor.uninstrument_app(app)

    def ours(self, app, client, provider=None):
        instrument_fastapi(app, client=client, tracer_provider=provider)
        return app


class ByMiddleware(OnFastapi):
    """OpenTelemetry's middleware among those of a FastAPI application."""

    undo = None

    def theirs(self, app, host):
        app.add_middleware(
            OpenTelemetryMiddleware, server_request_hook=host.hook("request"), **host.providers
        )
        return app


class AroundFastapi(OnFastapi):
    """OpenTelemetry's middleware around a FastAPI application."""

    undo = None

    def theirs(self, app, host):
        return OpenTelemetryMiddleware(
            app, server_request_hook=host.hook("request"), **host.providers
        )

    def ours(self, app, client, provider=None):
        return instrument_asgi(app, client=client, tracer_provider=provider)


class OnStarlette(OnFastapi):
    """`StarletteInstrumentor`."""

    @staticmethod
    def make():
        async def seed(request):
            return PlainTextResponse("ok")

        async def broken(request):
            raise SoldOut

        return Starlette(routes=[Route("/seeds/{id}", seed), Route("/raise/{kind}", broken)])

    def theirs(self, app, host):
        StarletteInstrumentor.instrument_app(
            app, server_request_hook=host.hook("request"), **host.providers
        )
        return app

    undo = None

    def ours(self, app, client, provider=None):
        return instrument_asgi(app, client=client, tracer_provider=provider)


class OnFlask:
    """`FlaskInstrumentor`."""

    make = staticmethod(flask_shop.make_app)

    def theirs(self, app, host):
        FlaskInstrumentor().instrument_app(
            app,
            request_hook=host.hook("request"),
            response_hook=host.hook("response"),
            **host.providers,
        )
        return app

    def undo(self, app):
        FlaskInstrumentor().uninstrument_app(app)

    def ours(self, app, client, provider=None):
        instrument_flask(app, client=client, tracer_provider=provider)
        return app


class AroundFlask(OnFlask):
    """OpenTelemetry's middleware around a Flask application."""

    undo = None

    def theirs(self, app, host):
        app.wsgi_app = WsgiMiddleware(
            app.wsgi_app,
            request_hook=lambda span, _: host.hooks.append(("request", span.name)),
            **host.providers,
        )
        return app


PAIRS = [OnFastapi(), ByMiddleware(), AroundFastapi(), OnStarlette(), OnFlask(), AroundFlask()]
WAYS = {
    "host first": ["theirs", "ours"],
    "footfall first": ["ours", "theirs"],
    "footfall first, on a provider": ["traced", "theirs"],
    "host first, footfall on a provider": ["theirs", "traced"],
    "footfall first, the host twice": ["ours", "theirs", "undo", "theirs", "rebuild"],
    "host first, and again": ["theirs", "ours", "undo", "theirs", "rebuild"],
    "the host while it serves": ["ours", "request", "theirs", "rebuild"],
    "footfall while it serves": ["theirs", "request", "ours"],
}
ALONE = {
    "the host while it serves": ["request", "theirs", "rebuild"],
    "footfall while it serves": ["theirs", "request"],
}


def run(pair, steps, client, serve, serve_wsgi):
    """What the host exports, and how the answers were."""
    app, host = pair.make(), Host()
    serving = served = app
    start = serve_wsgi if isinstance(app, flask.Flask) else serve
    for step in steps:
        if step == "theirs":
            serving = pair.theirs(serving, host)
        elif step in ("ours", "traced"):
            serving = pair.ours(serving, client, host.tracers if step == "traced" else None)
        elif step == "undo":
            pair.undo(app)
        elif step == "rebuild":
            app.middleware_stack = None  # OpenTelemetry changes none that is there
        else:
            served, http = serving, start(serving)
            http.get("/other")
    if served is not serving or "request" not in steps:
        http = start(serving)
    answers = [(r.status_code, r.content) for r in map(http.get, PATHS)]
    port = str(http.base_url.port)
    is_first_traced = steps[:2] == ["theirs", "request"]
    wait_until(lambda: ended(host, len(PATHS) + is_first_traced))
    exported = host.settled(port)
    if pair.undo:
        pair.undo(app)  # it also patches what is global
    return exported, answers


def ended(host, requests):
    spans = Counter(str(s.kind) for s in host.spans.get_finished_spans())
    return spans["SpanKind.SERVER"] >= requests


@pytest.mark.parametrize(
    ("pair", "way"),
    [
        pytest.param(pair, way, id=f"{type(pair).__name__}-{way}")
        for pair, way in itertools.product(PAIRS, WAYS)
        if (pair.undo or "undo" not in WAYS[way])
        and ("request" not in WAYS[way] or type(pair) is OnFastapi)
    ],
)
def test_the_host_exports_what_it_exports_alone(pair, way, client, received, serve, serve_wsgi):
    steps = ALONE.get(way) or [step for step in WAYS[way] if step not in ("ours", "traced")]
    alone, answers = run(pair, steps, client, serve, serve_wsgi)
    assert outcomes(client, received) == []
    beside, same = run(pair, WAYS[way], client, serve, serve_wsgi)
    assert beside == alone
    assert same == answers
    spans, metrics, hooks = alone
    assert spans
    assert metrics
    assert hooks
    seen = [outcome[:2] for outcome in outcomes(client, received)]
    assert ("seed.get", "success") in seen
    assert ("seed.raise", "failure") in seen


@pytest.mark.parametrize("pair", PAIRS, ids=lambda pair: type(pair).__name__)
@pytest.mark.parametrize("way", ["host first", "footfall first"])
def test_the_headers_name_the_hosts_span(pair, way, client, serve, serve_wsgi):
    app, host = pair.make(), Host()
    for step in WAYS[way]:
        app = pair.theirs(app, host) if step == "theirs" else pair.ours(app, client)
    http = (serve_wsgi if isinstance(app, flask.Flask) else serve)(app)
    headers = http.get("/seeds/1").headers
    _, trace_id, span_id, _ = headers["traceparent"].split("-")

    def servers():
        finished = [s for s in host.spans.get_finished_spans() if s.kind.name == "SERVER"]
        return {(f"{s.context.trace_id:032x}", f"{s.context.span_id:016x}") for s in finished}

    wait_until(servers)
    inside = isinstance(pair, AroundFastapi) and way == "host first"
    assert servers() == {(trace_id, span_id)} or inside
    if pair.undo:
        pair.undo(app)


def test_an_app_that_was_uninstrumented_is_measured_still(client, received, serve, spans):
    app = FastAPI()
    app.add_api_route("/seeds/{id}", lambda id: {})
    FastAPIInstrumentor.instrument_app(app, tracer_provider=spans[0])
    instrument_fastapi(app, client=client)
    http = serve(app)
    http.get("/seeds/1")
    FastAPIInstrumentor.uninstrument_app(app)
    http.get("/seeds/1")
    assert len(outcomes(client, received)) == 2
    servers = [s for s in spans[1].get_finished_spans() if s.kind.name == "SERVER"]
    assert len(servers) == 1


def test_an_app_that_is_not_footfalls_is_left_as_it_is(client, received, serve):
    measured, other = make_app(), make_app()
    instrument_fastapi(measured, client=client)
    assert "traceparent" not in serve(other).get("/seeds/1").headers
    assert outcomes(client, received) == []
