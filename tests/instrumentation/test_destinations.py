"""Whose headers go where, beside a host that has telemetry of its own."""

import gzip
import logging
import os

import pytest
from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter
from opentelemetry.exporter.otlp.proto.http.trace_exporter import (
    OTLPSpanExporter as HttpSpanExporter,
)
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor

from footfall import Client, Flushed
from footfall._destination import destination

VENDORS = {
    "HEADERS": "x-vendor-key=secret-of-the-host,not a header of the host",
    "TRACES_HEADERS": "x-vendor-key=secret-of-the-host",
    "METRICS_HEADERS": "x-vendor-key=secret-of-the-host,also none",
    "ENDPOINT": "http://vendor.invalid:4317",
    "TRACES_ENDPOINT": "http://vendor.invalid:4317/v1/traces",
    "CERTIFICATE": "/no/such/file",
    "TRACES_CERTIFICATE": "/no/such/file",
    "CLIENT_KEY": "/no/such/key",
    "CLIENT_CERTIFICATE": "/no/such/certificate",
    "COMPRESSION": "gzip",
    "TRACES_COMPRESSION": "brotli",
    "TIMEOUT": "soon",
    "METRICS_TIMEOUT": "-1",
    "INSECURE": "false",
}
PROTOCOLS = {"grpc": "received", "http/protobuf": "received_http"}


@pytest.fixture
def client():
    client = Client(strict=True)
    yield client
    client.shutdown(0.2)


@pytest.fixture(params=PROTOCOLS)
def sink(request):
    """A protocol, and a receiver of it."""
    return request.param, request.getfixturevalue(PROTOCOLS[request.param])


def use(client):
    client.event("shop.order")
    assert client.flush() is Flushed.DONE


@pytest.mark.parametrize("way", ["arguments", "variables"])
def test_nothing_of_the_hosts_is_used_for_an_endpoint_of_footfalls_own(
    client, catalog, sink, way, monkeypatch, caplog
):
    caplog.set_level(logging.DEBUG)
    protocol, received = sink
    for name, value in VENDORS.items():
        monkeypatch.setenv(f"OTEL_EXPORTER_OTLP_{name}", value)
    other = next(each for each in PROTOCOLS if each != protocol)
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_PROTOCOL", other)
    if way == "arguments":
        headers = {"Authorization": "Bearer ffk_1"}
        client.configure(
            catalog, received.endpoint, enabled=True, headers=headers, protocol=protocol
        )
    else:
        monkeypatch.setenv("FOOTFALL_ENDPOINT", received.endpoint)
        monkeypatch.setenv("FOOTFALL_HEADERS", "authorization=Bearer%20ffk_1")
        monkeypatch.setenv("FOOTFALL_PROTOCOL", protocol)
        client.configure(catalog, enabled=True)
    use(client)
    assert len(received.spans()) == 1, "not compressed"
    assert received.metrics
    assert {h.get("authorization") for h in received.headers} == {"Bearer ffk_1"}
    assert not any("x-vendor-key" in headers for headers in received.headers)
    assert [r for r in caplog.records if r.levelno >= logging.WARNING] == []
    assert "of the host" not in caplog.text


@pytest.mark.parametrize("insecure", ["true", "false"])
def test_whether_an_endpoint_without_a_scheme_is_encrypted_is_not_for_the_host_to_say(
    client, catalog, received, insecure, monkeypatch
):
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_INSECURE", insecure)
    client.configure(catalog, received.endpoint.removeprefix("http://"), enabled=True)
    use(client)
    assert len(received.spans()) == 1
    way = {"endpoint": "collector.example.org:4317"}
    assert destination("traces", os.environ, way, []).endpoint.startswith("https://")


@pytest.mark.parametrize("exporter", [OTLPSpanExporter, HttpSpanExporter])
def test_the_hosts_vendor_gets_no_key_of_footfalls(
    client, catalog, received, received_http, exporter, monkeypatch
):
    ours, vendor = received, received_http
    if exporter is OTLPSpanExporter:
        ours, vendor = received_http, received
        monkeypatch.setenv("FOOTFALL_PROTOCOL", "http/protobuf")
    monkeypatch.setenv("FOOTFALL_ENDPOINT", ours.endpoint)
    monkeypatch.setenv("FOOTFALL_HEADERS", "authorization=Bearer%20ffk_1")
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", vendor.endpoint)
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_HEADERS", "x-vendor-key=1")
    client.configure(catalog, enabled=True)
    use(client)
    provider = TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(SimpleSpanProcessor(exporter()))
    provider.get_tracer("app").start_span("app").end()
    provider.shutdown()
    (headers,) = vendor.headers
    assert headers["x-vendor-key"] == "1"
    assert "authorization" not in headers
    assert {h.get("x-vendor-key") for h in ours.headers} == {None}
    assert {h.get("authorization") for h in ours.headers} == {"Bearer ffk_1"}


def test_generic_variables_count_where_they_name_the_collector(client, catalog, sink, monkeypatch):
    protocol, received = sink
    base = received.endpoint
    for name, value in {
        "PROTOCOL": protocol,
        "ENDPOINT": "http://elsewhere.invalid",
        "TRACES_ENDPOINT": f"{base}/v1/traces",
        "METRICS_ENDPOINT": f"{base}/v1/metrics",
        "HEADERS": "x-a=generic",
        "METRICS_HEADERS": "x-a=of-metrics",
        "COMPRESSION": "gzip",
    }.items():
        monkeypatch.setenv(f"OTEL_EXPORTER_OTLP_{name}", value)
    client.configure(catalog, enabled=True)
    use(client)
    assert sorted(h["x-a"] for h in received.headers) == ["generic", "of-metrics"]
    if protocol != "grpc":  # which the server has decompressed
        received.traces[:] = [gzip.decompress(body) for body in received.traces]
    assert len(received.spans()) == 1


def test_an_argument_wins_over_footfalls_variable_and_this_over_the_generic_one(
    client, catalog, received, monkeypatch
):
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", received.endpoint)
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_HEADERS", "x-a=generic")
    seen = []
    for variable, argument in (("", None), ("x-a=ours", None), ("x-a=ours", {"x-a": "argument"})):
        monkeypatch.setenv("FOOTFALL_HEADERS", variable)
        client.configure(catalog, enabled=True, headers=argument)
        received.headers.clear()
        use(client)
        seen.append({headers["x-a"] for headers in received.headers})
    assert seen == [{"generic"}, {"ours"}, {"argument"}]


@pytest.mark.parametrize(
    "text", ["x-a=1,x-d=d e", '"x-a=1,x-d=d e"', "x-a='1',x-d=\"d e\"", '"x-a=1","x-d=d%20e"']
)
def test_quotes_around_headers_are_no_part_of_them(client, catalog, received, text):
    client.configure(catalog, received.endpoint, enabled=True, headers=text)
    use(client)
    for headers in received.headers:
        assert (headers["x-a"], headers["x-d"]) == ("1", "d e")


@pytest.mark.parametrize("name", ["FOOTFALL_HEADERS", "OTEL_EXPORTER_OTLP_HEADERS", "headers"])
@pytest.mark.parametrize(
    "bad",
    ["ffk_bare", "=ffk_bare", "x y=ffk_bare", "x-b=ffk_bare%0d%0ax-c: 1", "x-b=ffk_bare%C3%A9",
     "content-type=ffk_bare", "x-b=", "é=ffk_bare"],
)  # fmt: skip
def test_a_malformed_header_is_left_out_and_never_logged(
    client, catalog, sink, name, bad, monkeypatch, caplog
):
    caplog.set_level(logging.DEBUG)
    protocol, received = sink
    text, arguments = f"x-a=100%, {bad} ,X-D=d%20e", {}
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_PROTOCOL", protocol)
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", received.endpoint)
    if name == "headers":
        arguments["headers"] = text
    else:
        monkeypatch.setenv(name, text)
    client.configure(catalog, enabled=True, **arguments)
    use(client)
    for headers in received.headers:
        assert (headers["x-a"], headers["x-d"]) == ("100%", "d e")
        assert "ffk_bare" not in str(headers)
    (warning,) = [r.getMessage() for r in caplog.records if r.levelno >= logging.WARNING]
    assert name in warning
    assert "header" in warning
    assert "ffk_bare" not in caplog.text


@pytest.mark.parametrize(
    "value", [7, ["x-a", "b"], {"x-a": 7}, {7: "b"}, {"x-a": "b\nc"}, object()]
)
def test_headers_of_another_kind_are_left_out(client, catalog, received, value, caplog):
    client.configure(catalog, received.endpoint, enabled=True, headers=value)
    use(client)
    assert not any("x-a" in headers for headers in received.headers)
    (record,) = caplog.records
    assert "headers" in record.getMessage()


def test_what_would_send_elsewhere_is_a_mistake(client, catalog, received, monkeypatch, caplog):
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", received.endpoint)
    for arguments in (
        {"endpoint": "http://user:pw7@localhost"},
        {"endpoint": "carrier://pigeon7"},
        {"endpoint": 7},
        {"endpoint": "http://localhost:99999"},
        {"endpoint": "unix:/run/7@collector"},
        {"endpoint": "http://localhost:"},
        {"endpoint": "::1:4317"},
        {"certificate": "/no/such/file"},
        {"client_key": "/no/such/file", "client_certificate": __file__},
    ):
        caplog.clear()
        client.configure(catalog, enabled=True, **arguments)
        (record,) = caplog.records
        assert "nothing is sent" in record.getMessage()
        assert next(iter(arguments)) in record.getMessage() or "client_" in record.getMessage()
        assert "7@" not in caplog.text
        assert client.flush() is Flushed.OFF
    assert received.traces == []


@pytest.mark.parametrize("name", ["FOOTFALL_TIMEOUT", "OTEL_EXPORTER_OTLP_TIMEOUT", "timeout"])
def test_a_timeout_that_is_meant_in_milliseconds_is_questioned(
    client, catalog, received, name, monkeypatch, caplog
):
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", received.endpoint)
    arguments = {"timeout": 10000} if name == "timeout" else {}
    if not arguments:
        monkeypatch.setenv(name, "10000")
    client.configure(catalog, enabled=True, **arguments)
    use(client)
    (record,) = caplog.records
    assert f"{name} is 10000 seconds; is it meant in milliseconds? Then it is 10" in (
        record.getMessage()
    )
    caplog.clear()
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_TIMEOUT", "60")
    monkeypatch.delenv("FOOTFALL_TIMEOUT", raising=False)
    client.configure(catalog, enabled=True)
    assert caplog.records == []
