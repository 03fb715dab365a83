"""Personal data in every place that a web request can reach: none of it leaves the process."""

import httpx
import pytest
from fastapi import FastAPI, Request
from fastapi.responses import JSONResponse
from opentelemetry import baggage, context, trace
from opentelemetry.instrumentation import _semconv
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

import footfall
from footfall.allowlist import AllowlistSpanProcessor
from footfall.web import instrument_fastapi

pytestmark = [pytest.mark.requirement("A2")]

SECRETS = {
    "path": "walker-in-path",
    "query": "walker-in-query",
    "fragment of a parameter": "walker@example.org",
    "user agent": "WalkerBrowser/7.3",
    "header": "walker-in-header",
    "captured header": "walker-in-captured-header",
    "cookie": "walker-in-cookie",
    "authorization": "walker-in-token",
    "forwarded address": "203.0.113.77",
    "referer": "walker-in-referer",
    "body": "walker-in-body",
    "response header": "walker-in-answer",
    "response body": "walker-in-answer-body",
    "exception message": "walker-in-exception",
    "cause's message": "walker-in-cause",
    "trace state": "walkerstate",
    "baggage": "walker-in-baggage",
    "span attribute": "walker-in-attribute",
    "span event": "walker-in-event",
    "span event's attribute": "walker-in-event-attribute",
    "span status": "walker-in-status",
    "span name": "walker-in-span-name",
    "link": "walker-in-link",
    "resource": "walker-in-resource",
    "scope": "walker-in-scope",
    "attribute key": "walker-in-key",
    "attribute that is undeclared": "walker-in-undeclared",
    "attribute of another type": "walker-in-a-list",
}
FOREIGN = trace.SpanContext(0xABCDEF0123456789ABCDEF0123456789, 0x1234567890ABCDEF, is_remote=True)


@pytest.fixture(params=["", "http", "http/dup"])
def semconv(request, monkeypatch):
    """Each set of attributes that the instrumentations may write; OpenTelemetry reads it once."""
    monkeypatch.setenv("OTEL_SEMCONV_STABILITY_OPT_IN", request.param)
    monkeypatch.setenv("OTEL_INSTRUMENTATION_HTTP_CAPTURE_HEADERS_SERVER_REQUEST", ".*")
    monkeypatch.setenv("OTEL_INSTRUMENTATION_HTTP_CAPTURE_HEADERS_SERVER_RESPONSE", ".*")
    stability = _semconv._OpenTelemetrySemanticConventionStability
    monkeypatch.setattr(stability, "_initialized", False)
    return request.param


def make_app():
    app = FastAPI()

    @app.post("/seeds/{id}")
    async def seed(id: str, request: Request):
        await request.body()
        span = trace.get_current_span()
        span.set_attribute("enduser.id", SECRETS["span attribute"])
        span.set_attribute(SECRETS["attribute key"], 1)
        span.add_event(SECRETS["span event"], {"detail": SECRETS["span event's attribute"]})
        span.set_status(trace.StatusCode.ERROR, SECRETS["span status"])
        span.update_name(SECRETS["span name"])
        span.add_link(FOREIGN, {"to": SECRETS["link"]})
        context.attach(baggage.set_baggage("who", SECRETS["baggage"]))
        footfall.current().set(
            note=SECRETS["attribute that is undeclared"], status_class=[SECRETS["attribute of another type"]]
        )  # fmt: skip
        if id.startswith("raise"):
            raise ValueError(SECRETS["exception message"]) from KeyError(SECRETS["cause's message"])
        headers = {"x-answer": SECRETS["response header"]}
        return JSONResponse(SECRETS["response body"], headers=headers)

    return app


def ask(app):
    transport = httpx.ASGITransport(
        app, raise_app_exceptions=False, client=("198.51.100.213", 4711)
    )
    headers = {
        "user-agent": SECRETS["user agent"],
        "x-secret": SECRETS["header"],
        "x-captured": SECRETS["captured header"],
        "cookie": f"session={SECRETS['cookie']}",
        "authorization": f"Bearer {SECRETS['authorization']}",
        "x-forwarded-for": SECRETS["forwarded address"],
        "referer": f"https://example.org/{SECRETS['referer']}",
        "tracestate": f"vendor={SECRETS['trace state']}",
        "traceparent": f"00-{FOREIGN.trace_id:032x}-{FOREIGN.span_id:016x}-01",
        "baggage": f"who={SECRETS['baggage']}",
    }

    async def go():
        async with httpx.AsyncClient(transport=transport, base_url="http://test") as http:
            for path in (SECRETS["path"], "raise-" + SECRETS["path"]):
                query = {"q": SECRETS["query"], "mail": SECRETS["fragment of a parameter"]}
                await http.post(
                    f"/seeds/{path}", params=query, headers=headers, content=SECRETS["body"]
                )

    return go()


@pytest.fixture
def provider():
    """The host's own OpenTelemetry, which sees everything."""
    from opentelemetry.sdk.resources import Resource

    seen = InMemorySpanExporter()
    made = TracerProvider(
        resource=Resource({"host.name": SECRETS["resource"]}), shutdown_on_exit=False
    )
    made.add_span_processor(SimpleSpanProcessor(seen))
    yield made, seen
    made.shutdown()


@pytest.mark.parametrize("salted", [False, True])
async def test_nothing_personal_of_a_request_leaves(
    connect, received, provider, semconv, caplog, tmp_path, monkeypatch, salted
):
    (tmp_path / "events.yaml").write_text(
        "product: shop\nattributes:\n  status_class: {type: enum, values: [2xx, 5xx]}\nevents:\n"
        "  seed.made: {surface: api, feature: control-made, attributes: [status_class],"
        ' match: [{route: "POST /seeds/{id}"}]}\n'
    )
    if salted:
        monkeypatch.setenv("TELEMETRY_HASH_SALT", "3f9c1a7be2d05846c1e97ab304fd2865")
    client = footfall.Client(strict=True)
    client.configure(tmp_path / "events.yaml", received.endpoint, enabled=True)
    spans, seen = provider
    spans.add_span_processor(AllowlistSpanProcessor(client))
    app = make_app()
    instrument_fastapi(app, client=client, tracer_provider=spans)
    with spans.get_tracer(SECRETS["scope"]).start_as_current_span("seed.made"):
        pass
    with caplog.at_level("DEBUG", "footfall"):
        await ask(app)
        assert client.shutdown()
    ended = [(o["event"], o["feature.status"]) for o in received.observations()]
    assert sorted(ended) == [("seed.made", "error"), ("seed.made", "ok"), ("seed.made", "ok")]
    ours = "".join(r.getMessage() for r in caplog.records if r.name.startswith("footfall"))
    for place, secret in SECRETS.items():
        assert secret.encode() not in received.bytes, place
        assert secret not in ours, place
    for own in ("198.51.100.213", f"{FOREIGN.trace_id:x}"):
        assert own.encode() not in received.bytes
    assert FOREIGN.trace_id.to_bytes(16) not in received.bytes
    assert b"control-made" in received.bytes, "the search finds what was sent"
    everything = "".join(span.to_json() for span in seen.get_finished_spans())
    for place in (
        "path",
        "query",
        "user agent",
        "span event",
        "exception message",
        "resource",
        "link",
    ):
        assert SECRETS[place] in everything, f"the host's own spans have it: {place}"
