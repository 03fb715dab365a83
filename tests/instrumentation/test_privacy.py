"""Planted personal data, in every place of OTLP that a sender can influence, and none of it sent."""

import gzip
import logging
from contextlib import suppress

import opentelemetry.metrics
import opentelemetry.trace
import pytest
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.trace import Link, SpanContext, Status, StatusCode, TraceFlags, TraceState

from footfall.allowlist import AllowlistSpanProcessor
from instrumentation.planted import ID, SECRET, assert_no_secret, secret
from instrumentation.programs import started
from support.waiting import happens


class Person(Exception):
    def __str__(self) -> str:
        return secret("str")

    def __repr__(self) -> str:
        return secret("repr")


def test_nothing_of_an_exception_but_its_kind_leaves(client, received, caplog):
    caplog.set_level(logging.DEBUG)
    local_variable = secret("frame")
    for error in (ValueError(secret("message")), Person(secret("args"))):
        error.add_note(secret("note"))
        error.__cause__ = KeyError(secret("cause"))
        with suppress(type(error)), client.feature("shop.order", provider="smz3") as use:
            use.fail(secret("word"))
            raise error
        with suppress(type(error)), client.feature("shop.order") as use:
            use.fail(error)
            raise error
        with suppress(type(error)), client.feature("shop.order"):
            raise error
    assert client.flush()
    assert local_variable
    assert len(received.spans()) == 6
    assert_no_secret(received, "unexpected_error", "smz3")
    assert SECRET not in caplog.text


def test_undeclared_names_and_values_do_not_leave(client, received, caplog):
    caplog.set_level(logging.DEBUG)
    with client.feature(
        "shop.order",
        preset="standard",
        provider=secret("enum"),
        note={"text": secret("map")},
        items=[secret("list")],
        order_id=secret("uuid"),
        gift=secret("bool"),
        weight=secret("number"),
        **{secret("key"): 1, "user_name": secret("value"), "number": ID},
    ) as use:
        use.set(address=secret("set"), **{secret("key"): 2})
    client.event("shop.order", secret("action"))
    client.event(secret("event"), note=secret("attribute"))
    client.count(secret("event"), provider=secret("enum"))
    client.count("shop.order", provider=secret("enum"), user=secret("count"), guild_id=str(ID))
    assert client.flush()
    assert len(received.spans()) == 1
    assert_no_secret(received, "standard")
    assert SECRET not in caplog.text


def test_free_text_is_redacted_before_it_leaves(client, received):
    client.event("shop.order", note=f"from {secret('note')} <@{ID}> ok")
    assert client.flush()
    assert_no_secret(received, "from [email]")


@pytest.fixture
def planted(client):
    """Spans of another instrumentation, full of personal data everywhere."""
    provider = TracerProvider(
        resource=Resource(
            {"service.name": secret("service"), "host.name": secret("host"), "process.owner": "me"},
            schema_url=secret("schema"),
        ),
        shutdown_on_exit=False,
    )
    provider.add_span_processor(AllowlistSpanProcessor(client))
    tracer = provider.get_tracer(
        secret("scope"), secret("version"), secret("schema"), {"scope.user": secret("scope")}
    )
    state = TraceState([("vendor", SECRET)])
    parent = SpanContext(ID << 64 | ID, ID, True, TraceFlags(1), state)
    context = opentelemetry.trace.set_span_in_context(opentelemetry.trace.NonRecordingSpan(parent))
    for name in ("shop.order", "shop.order.failure", "shop.visit", secret("name")):
        span = tracer.start_span(
            name,
            context,
            attributes={
                "provider": "smz3",
                "preset": secret("preset"),
                "client.address": "198.51.100.7",
                "url.full": secret("url"),
                "user.id": ID,
                secret("key"): "x",
                "note": [secret("list")],
                "feature.surface": secret("surface"),
                "feature.name": secret("feature"),
                "feature.action": secret("action") if name == "shop.visit" else "success",
                "error.type": secret("error"),
            },
            links=[Link(parent, {"link": secret("link")})],
        )
        span.add_event(secret("event"), {"event": secret("event")})
        span.record_exception(Person(secret("exception")))
        span.set_status(Status(StatusCode.ERROR, secret("status")))
        span.end()
    yield client
    provider.shutdown()


def test_spans_of_other_instrumentations_leave_rebuilt_from_declared_fields(planted, received):
    assert planted.flush()
    assert_no_secret(received, "smz3", "shop")
    for leak in (b"198.51.100.7", b"vendor", b"process.", b"host.", b"exception"):
        assert leak not in received.bytes
    assert [(o["event"], o["feature.action"], o["provider"]) for o in received.observations()] == [
        ("shop.order", "success", "smz3"),
        ("shop.order", "success", "smz3"),
    ]
    for span in received.spans():
        assert not any((span.events, span.links, span.trace_state, span.parent_span_id))
        assert span.status.message == ""
        assert int.from_bytes(span.trace_id) != ID << 64 | ID
        assert set(received.observations()[0]) == {
            "event", "feature.surface", "feature.name", "feature.action", "feature.status",
            "provider",
        }  # fmt: skip
    assert received.dropped()["undeclared_event"] == 2


def test_only_the_service_is_said_about_the_sender(connect, received, monkeypatch):
    monkeypatch.setenv(
        "OTEL_RESOURCE_ATTRIBUTES",
        f"host.name={SECRET},user.name={SECRET},service.version=1.2.3,"
        f"deployment.environment.name=staging,service.instance.id={SECRET}",
    )
    monkeypatch.setenv("OTEL_SERVICE_NAME", "bot")
    monkeypatch.setenv("OTEL_EXPERIMENTAL_RESOURCE_DETECTORS", "process,os,host")
    monkeypatch.setenv("OTEL_METRICS_EXEMPLAR_FILTER", "always_on")
    client = connect(received.endpoint)
    client.event("shop.order")
    assert client.flush()
    assert_no_secret(received, "staging")
    metrics = [m for p in received.resource_metrics() for s in p.scope_metrics for m in s.metrics]
    assert not any(point.exemplars for metric in metrics for point in metric.sum.data_points)
    parts = [*received.resource_spans(), *received.resource_metrics()]
    assert len(parts) == 2
    for part in parts:
        about = {a.key: a.value.string_value for a in part.resource.attributes}
        assert len(about.pop("service.instance.id")) == 36
        assert about.pop("telemetry.sdk.version")
        assert about == {
            "service.name": "bot",
            "service.version": "1.2.3",
            "deployment.environment.name": "staging",
            "telemetry.sdk.language": "python",
            "telemetry.sdk.name": "opentelemetry",
            "telemetry.distro.name": "footfall",
        }
    scopes = [
        *(s.scope for part in received.resource_spans() for s in part.scope_spans),
        *(s.scope for part in received.resource_metrics() for s in part.scope_metrics),
    ]
    assert {(s.name, s.version, len(s.attributes)) for s in scopes} == {("footfall", "", 0)}


def test_arguments_name_the_service_and_the_product_is_the_default(connect, received, monkeypatch):
    connect(received.endpoint).event("shop.order")
    monkeypatch.setenv("OTEL_SERVICE_NAME", "bot")
    named = connect(received.endpoint, service_name="api", service_version="7", environment="prod")
    named.event("shop.order")
    assert named.flush()
    about = {a.key: a.value.string_value for a in received.resource_spans()[0].resource.attributes}
    assert (about["service.name"], about["service.version"]) == ("api", "7")
    assert about["deployment.environment.name"] == "prod"


def test_what_opentelemetry_measures_about_itself_is_not_sent(connect, received, monkeypatch):
    monkeypatch.setenv("OTEL_PYTHON_SDK_INTERNAL_METRICS_ENABLED", "true")
    client = connect(received.endpoint)
    client.event("shop.order")
    assert client.flush()
    assert client.flush()
    assert {dict(key)["event"] for key in received.counts()} == {"footfall.emitted"}
    assert b"otel." not in received.bytes
    assert b"server.address" not in received.bytes


def test_the_applications_own_opentelemetry_is_left_alone(client, received):
    provider = TracerProvider(shutdown_on_exit=False)
    tracer = provider.get_tracer("app")
    with tracer.start_as_current_span("request") as request:
        with client.feature("shop.order"):
            assert opentelemetry.trace.get_current_span() is request
        client.count("shop.order")
        assert client.flush()
    proxy = opentelemetry.trace.ProxyTracerProvider
    assert isinstance(opentelemetry.trace.get_tracer_provider(), proxy)
    assert "Proxy" in type(opentelemetry.metrics.get_meter_provider()).__name__
    assert len(received.spans()) == 1
    trace_id = request.get_span_context().trace_id
    assert trace_id.to_bytes(16) not in received.bytes, "neither in the span nor in an exemplar"


def test_a_processor_may_be_added_before_its_client_is_configured(client, received, catalog):
    from footfall import Client

    later = Client(strict=True)
    provider = TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(AllowlistSpanProcessor(later))
    tracer = provider.get_tracer("app")
    tracer.start_span("shop.order").end()
    later.configure(catalog, received.endpoint, enabled=True)
    tracer.start_span("shop.order").end()
    tracer.start_span("shop.lamp", attributes={"feature.action": "out"}).end()
    assert provider.force_flush()
    found = [
        (o["event"], o["feature.action"], o["feature.status"]) for o in received.observations()
    ]
    assert found == [("shop.order", "success", "ok"), ("shop.lamp", "out", "ok")]
    provider.shutdown()
    assert later.recorder is not None, "it has other users"
    later.shutdown()


def test_an_adopted_span_went_as_its_request_was_answered(client, received):
    provider = TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(AllowlistSpanProcessor(client))
    tracer = provider.get_tracer("app")
    for key, code in [("http.response.status_code", 200), ("http.response.status_code", 403),
                      ("http.status_code", 503)]:  # fmt: skip
        tracer.start_span("shop.order", attributes={key: code}).end()
    said_ok = tracer.start_span("shop.order", attributes={"http.status_code": 404})
    said_ok.set_status(StatusCode.OK)
    said_ok.end()
    assert provider.force_flush()
    assert [
        (o["feature.action"], o["feature.status"], o.get("error.type"))
        for o in received.observations()
    ] == [
        ("success", "ok", None),
        ("failure", "denied", "permission_denied"),
        ("failure", "error", "provider_unavailable"),
        ("success", "ok", None),
    ]
    assert not [key for key in received.counts() if dict(key)["event"] == "footfall.dropped"]
    provider.shutdown()


def test_a_fork_adds_nothing_about_the_process(received_http, catalog):
    """OpenTelemetry detects the process anew in a child and merges that into its resource."""
    code = f"""
        import os, sys, footfall
        footfall.configure({str(catalog)!r}, {received_http.endpoint!r}, enabled=True)
        footfall.count("shop.order")
        if child := os.fork():
            os.waitpid(child, 0)
        else:
            footfall.count("shop.visit")
            sys.stdin.read()  # the counters are exported by themselves
            os._exit(0)
    """
    variables = {
        "FOOTFALL_PROTOCOL": "http/protobuf",
        "OTEL_METRIC_EXPORT_INTERVAL": "50",
        "OTEL_EXPERIMENTAL_RESOURCE_DETECTORS": "process,host,os",
    }
    with started(code, **variables) as process:
        assert happens(lambda: received_http.count("shop.visit") == 1), (
            "the child has sent something"
        )
        assert process.communicate() == ("", "")
    for leak in (b"process.", b"host.", b"os.type"):
        assert leak not in received_http.bytes


def test_the_search_of_these_tests_finds_what_was_not_removed(received):
    received.traces.append(secret("control").encode())
    with pytest.raises(AssertionError):
        assert_no_secret(received)
    received.traces[:] = [gzip.compress(ID.to_bytes(8, "big"), 0)]
    with pytest.raises(AssertionError):
        assert_no_secret(received)


def test_an_adopted_span_has_other_keys_under_their_names(catalog, connect, received):
    declared = catalog.read_text().replace("smz3]}", "smz3], from: status}")
    catalog.write_text(declared)
    provider = TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(AllowlistSpanProcessor(connect(received.endpoint)))
    tracer = provider.get_tracer("app")
    tracer.start_span("shop.order", attributes={"status": "smz3"}).end()
    tracer.start_span("shop.order", attributes={"provider": "smz3", "status": "alttpr"}).end()
    assert provider.force_flush()
    assert [found["provider"] for found in received.observations()] == ["smz3", "smz3"]
    provider.shutdown()
