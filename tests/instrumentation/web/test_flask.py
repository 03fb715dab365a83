import threading

import pytest
from opentelemetry.instrumentation.flask import FlaskInstrumentor

import footfall
from footfall.web import instrument_flask
from instrumentation.web.flask_shop import make_app
from instrumentation.web.shop import SoldOut


def outcomes(client, received):
    assert client.flush()
    return [(o["event"], o["feature.action"], o.get("error.type")) for o in received.observations()]


def by_footfall(app, client, provider):
    instrument_flask(app, client=client)


def on_a_provider(app, client, provider):
    instrument_flask(app, client=client, tracer_provider=provider)


def after_opentelemetry(app, client, provider):
    FlaskInstrumentor.instrument_app(app, tracer_provider=provider)
    instrument_flask(app, client=client)


@pytest.mark.parametrize("way", [by_footfall, on_a_provider, after_opentelemetry])
def test_routes_with_rules_are_counted_by_their_answers(way, client, received, serve_wsgi, spans):
    app = make_app()
    way(app, client, spans[0])
    way(app, client, spans[0]) if way is not after_opentelemetry else None
    http = serve_wsgi(app)
    assert http.get("/seeds/17").json() == {"id": 17}
    for path, status in (
        ("/answer/204", 204),
        ("/answer/401", 401),
        ("/answer/503", 503),
        ("/answer/404", 404),
        ("/raise/sold_out", 500),
        ("/raise/preset", 400),
        ("/admin/page", 403),
        ("/nowhere", 404),
    ):
        assert http.get(path).status_code == status
    http.post("/made")
    http.head("/seeds/1")
    assert outcomes(client, received) == [
        ("seed.get", "success", None),
        ("seed.answer", "success", None),
        ("seed.answer", "failure", "permission_denied"),
        ("seed.answer", "failure", "provider_unavailable"),
        ("seed.answer", "failure", "bad_request"),
        ("seed.raise", "failure", "sold_out"),
        ("seed.raise", "failure", "bad_request"),
        ("admin.page", "failure", "permission_denied"),
        ("seed.made", "success", None),
    ]
    assert received.count("seed.answer", feature_action="invoke") == 4
    assert received.dropped() == {}


@pytest.mark.parametrize("way", [by_footfall, on_a_provider, after_opentelemetry])
def test_every_answer_has_its_trace_in_the_headers(way, serve_wsgi, spans):
    app = make_app()
    way(app, footfall.Client(strict=True), spans[0])
    http = serve_wsgi(app)
    for path in ("/seeds/1", "/nowhere", "/raise/key", "/answer/403"):
        spans[1].clear()
        headers = http.get(path).headers
        version, trace_id, span_id, _ = headers["traceparent"].split("-")
        assert (version, len(trace_id), len(span_id)) == ("00", 32, 16)
        assert headers["x-trace-id"] == trace_id
        for server in spans[1].get_finished_spans():
            assert f"{server.context.trace_id:032x}" == trace_id
            assert f"{server.context.span_id:016x}" == span_id
    assert http.get("/other").headers.get_list("traceparent") == ["mine"]


def test_a_stream_lasts_until_it_is_closed(client, received, serve_wsgi):
    app = make_app()
    instrument_flask(app, client=client)
    assert serve_wsgi(app).get("/stream").content == b"ab"
    for _ in range(100):
        if outcomes(client, received):
            break
        threading.Event().wait(0.02)
    assert outcomes(client, received) == [("seed.stream", "success", None)]
    (span,) = received.spans()
    assert span.end_time_unix_nano - span.start_time_unix_nano > 90_000_000


def test_an_exception_that_goes_on_to_the_server_counts_by_its_class(client, received):
    app = make_app()
    app.testing = True
    instrument_flask(app, client=client)
    with app.test_client() as http:
        with pytest.raises(SoldOut, match="jane"):
            http.get("/raise/sold_out")
        http.get("/seeds/1").close()
    assert outcomes(client, received) == [
        ("seed.raise", "failure", "sold_out"),
        ("seed.get", "success", None),
    ]
