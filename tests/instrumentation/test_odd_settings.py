"""Values that a host has for its own telemetry, or mistook: telemetry goes on, and one warning names them."""

import inspect
import itertools
import os
import re
from pathlib import Path

import pytest

import footfall
from footfall import Client, Flushed

DOCS = Path(__file__).parents[2] / "docs"
SHA = "3f786850e387550fdab836ed7e6dc881de23001b"
OTLP = "OTEL_EXPORTER_OTLP_"
ABOUT = "OTEL_RESOURCE_ATTRIBUTES"


@pytest.fixture
def client():
    client = Client(strict=True)
    yield client
    client.shutdown(0.2)


def send(client, catalog, sink, caplog):
    """One use, that arrives; returns what is said of the service, and the warnings."""
    client.configure(catalog, enabled=True)
    client.event("shop.order")
    assert client.flush() is Flushed.DONE, caplog.text
    (span,) = sink.resource_spans()
    said = {a.key: a.value.string_value for a in span.resource.attributes}
    fields = [said.get(f"service.{name}") for name in ("name", "version")]
    return [*fields, said.get("deployment.environment.name")], [
        r.getMessage() for r in caplog.records
    ]


@pytest.mark.parametrize(
    ("variables", "sent"),
    [
        ({ABOUT: f"service.version={SHA}"}, ["shop", SHA[:12], None]),
        ({ABOUT: "service.version=" + "0123456789" * 4}, ["shop", None, None]),
        ({ABOUT: "service.version=1.0/rc 1"}, ["shop", "1.0-rc-1", None]),
        ({ABOUT: "service.version=" + "1." * 40}, ["shop", "1." * 16, None]),
        ({"OTEL_SERVICE_NAME": "My Shop"}, ["My-Shop", None, None]),
        ({"OTEL_SERVICE_NAME": "1shop-sync"}, ["s-1shop-sync", None, None]),
        ({"OTEL_SERVICE_NAME": '"shop"'}, ["shop", None, None]),
        ({"OTEL_SERVICE_NAME": "café"}, ["cafe", None, None]),
        ({"OTEL_SERVICE_NAME": "商店"}, ["shop", None, None]),
        ({"OTEL_SERVICE_NAME": "x" * 99}, ["x" * 63, None, None]),
        ({"OTEL_SERVICE_NAME": "jane@example.org"}, ["shop", None, None]),
        ({"OTEL_SERVICE_NAME": "203.0.113.7"}, ["shop", None, None]),
        ({ABOUT: "deployment.environment.name=prod (2)"}, ["shop", None, "prod-2"]),
        ({ABOUT: "service.name=my%20shop,service.version=1"}, ["my-shop", "1", None]),
    ],
    ids=str,
)
def test_a_service_that_cannot_be_named_as_it_is(
    client, catalog, received, variables, sent, monkeypatch, caplog
):
    monkeypatch.setenv("FOOTFALL_ENDPOINT", received.endpoint)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    said, warnings = send(client, catalog, received, caplog)
    assert said == sent
    (warning,) = warnings
    assert any(name in warning for name in ("OTEL_SERVICE_NAME", ABOUT))
    for personal in ("jane", "203.0", "0123456789"):
        assert personal not in caplog.text


@pytest.mark.parametrize(
    "value", ["nonsense", "a=b=c,,=,x", "%zz=%zz", "service.name=", ",", "a b c", "service.version"]
)
def test_malformed_resource_attributes_are_none_of_footfalls_business(
    client, catalog, received, value, monkeypatch, caplog
):
    monkeypatch.setenv("FOOTFALL_ENDPOINT", received.endpoint)
    monkeypatch.setenv(ABOUT, value)
    assert send(client, catalog, received, caplog) == (["shop", None, None], [])


def test_odd_arguments_about_the_service_are_cleaned_too(client, catalog, received, caplog):
    client.configure(
        catalog, received.endpoint, enabled=True, service_name="7 up!", service_version=7,
        environment="x" * 99,
    )  # fmt: skip
    client.event("shop.order")
    assert client.flush() is Flushed.DONE
    (warning,) = [r.getMessage() for r in caplog.records]
    for part in (
        'service_name (OTEL_SERVICE_NAME) is sent as "s-7-up"',
        "service_version",
        "environment",
    ):
        assert part in warning


HOST = "{host}:{port}"
ENDPOINTS = {
    "no scheme": ("127.0.0.1:{port}", True),
    "no scheme, a name": ("localhost:{port}", True),
    "a slash at the end": ("http://127.0.0.1:{port}/", False),
    "spaces": ("  http://127.0.0.1:{port} ", False),
    "quotes": ('"http://127.0.0.1:{port}"', False),
    "upper case": ("HTTP://127.0.0.1:{port}", False),
    "a user": ("http://user:pw7@127.0.0.1:{port}", True),
    "a query": ("http://127.0.0.1:{port}?key=pw7", True),
    "grpc as scheme": ("grpc://127.0.0.1:{port}", False),
    "a slash too few": ("http:/127.0.0.1:{port}", False),
    "a slash too many": ("http:///127.0.0.1:{port}", False),
    "a name of gRPC's": ("dns:///127.0.0.1:{port}", True),
}


@pytest.mark.parametrize("protocol", ["grpc", "http/protobuf"])
@pytest.mark.parametrize("what", ENDPOINTS)
def test_an_endpoint_that_is_only_odd(
    client, catalog, received, received_http, what, protocol, monkeypatch, caplog
):
    text, is_told = ENDPOINTS[what]
    sink = received if protocol == "grpc" else received_http
    port = sink.endpoint.rpartition(":")[2]
    monkeypatch.setenv(f"{OTLP}ENDPOINT", text.replace("{port}", port))
    monkeypatch.setenv(f"{OTLP}PROTOCOL", protocol)
    _, warnings = send(client, catalog, sink, caplog)
    assert len(warnings) == is_told
    assert all(f"{OTLP}ENDPOINT" in warning for warning in warnings)
    assert "pw7" not in caplog.text


@pytest.mark.parametrize(
    ("value", "sink", "is_told"),
    [
        ("http/json", "received_http", True),
        ("HTTP/protobuf", "received_http", True),
        ("http", "received_http", True),
        (" http/protobuf ", "received_http", False),
        ('"http/protobuf"', "received_http", True),
        ("GRPC", "received", True),
        ("carrier-pigeon", "received", True),
        ("grpc", "received", False),
    ],
)
def test_a_protocol_that_is_only_odd(
    client, catalog, request, value, sink, is_told, monkeypatch, caplog
):
    sink = request.getfixturevalue(sink)
    monkeypatch.setenv(f"{OTLP}ENDPOINT", sink.endpoint)
    monkeypatch.setenv(f"{OTLP}PROTOCOL", value)
    _, warnings = send(client, catalog, sink, caplog)
    assert len(warnings) == is_told
    assert all(f"{OTLP}PROTOCOL" in warning for warning in warnings)


@pytest.mark.parametrize("own", [True, False])
@pytest.mark.parametrize(
    ("name", "value"),
    [
        (f"{OTLP}TRACES_TIMEOUT", ""),  # `OTEL_...=` in an .env file
        (f"{OTLP}METRICS_TIMEOUT", "10s"),
        ("OTEL_PYTHON_EXPORTER_OTLP_GRPC_RETRYABLE_ERROR_CODES", "EVERY"),
    ],
)
def test_what_opentelemetrys_exporters_cannot_read_turns_nothing_off(
    client, catalog, received, own, name, value, monkeypatch, caplog
):
    monkeypatch.setenv("FOOTFALL_ENDPOINT" if own else f"{OTLP}ENDPOINT", received.endpoint)
    monkeypatch.setenv(name, value)
    _, warnings = send(client, catalog, received, caplog)
    assert len(warnings) == (value == "10s" and not own)
    assert all(name in warning for warning in warnings)
    assert os.environ[name] == value


def test_every_odd_value_of_the_hosts_is_in_one_warning(
    client, catalog, received, monkeypatch, caplog
):
    odd = {
        f"{OTLP}TRACES_ENDPOINT": "ftp://nowhere",
        f"{OTLP}TIMEOUT": "soon",
        f"{OTLP}COMPRESSION": "brotli",
        f"{OTLP}CERTIFICATE": "/no/such/file",
        f"{OTLP}METRICS_CLIENT_KEY": "/no/such/file",
        f"{OTLP}TRACES_CLIENT_CERTIFICATE": "/no/such/file",
        "OTEL_METRIC_EXPORT_INTERVAL": "soon",
        "OTEL_BSP_SCHEDULE_DELAY": "0",
        "OTEL_BSP_MAX_QUEUE_SIZE": "1.5",
        "OTEL_BSP_MAX_EXPORT_BATCH_SIZE": "many",
    }
    monkeypatch.setenv(f"{OTLP}ENDPOINT", received.endpoint)
    for name, value in odd.items():
        monkeypatch.setenv(name, value)
    _, warnings = send(client, catalog, received, caplog)
    (warning,) = warnings
    for name in odd:
        assert warning.count(name) == 1


WRONG = [
    7,
    -1.5,
    float("nan"),
    "",
    "nonsense",
    b"x",
    [],
    [7],
    {},
    {7: 7},
    object(),
    int,
    True,
    print,
]
ARGUMENTS = [
    name
    for name in inspect.signature(footfall.configure).parameters
    if name not in ("catalog", "enabled")
]


@pytest.mark.parametrize("name", ["catalog", "enabled", *ARGUMENTS])
def test_no_argument_of_configure_makes_it_raise(catalog, closed, name, caplog):
    client = Client()
    for value in WRONG:
        caplog.clear()
        arguments = {"catalog": catalog, "endpoint": closed, "enabled": True, name: value}
        client.configure(**arguments)
        assert len([r for r in caplog.records if r.name == "footfall"]) <= 1, caplog.text
        assert client.flush(0) in set(Flushed)
        client.shutdown(0)


@pytest.fixture
def closed():
    return "http://127.0.0.1:9"


def test_arguments_that_do_not_exist_turn_it_off(client, catalog, received, caplog):
    client.configure(catalog, received.endpoint, enabled=True)
    for call in (
        lambda: client.configure(catalog, end_point=received.endpoint, enabled=True),
        lambda: client.configure(catalog, received.endpoint, "grpc", "more", enabled=True),
    ):
        call()
        (record,) = caplog.records
        caplog.clear()
        assert "nothing is sent" in record.getMessage()
        assert "argument" in record.getMessage()
        assert client.flush() is Flushed.OFF


def test_enabled_as_text_is_not_taken_for_true(client, catalog, received, caplog):
    client.configure(catalog, received.endpoint, enabled="false")
    assert client.recorder is None
    assert "enabled must be True or False" in caplog.text


def test_every_argument_of_configure_stands_in_the_docs():
    text = (DOCS / "configuration.md").read_text(encoding="utf-8")
    section = text.partition("## Arguments of `footfall.configure()`")[2].partition("\n## ")[0]
    documented = [re.findall(r"`(\w+)`", line)[0] for line in section.splitlines() if "| `" in line]
    assert documented == list(inspect.signature(footfall.configure).parameters)
    docstring = inspect.getdoc(footfall.configure)
    named = itertools.compress(documented, [f"{name}: " not in docstring for name in documented])
    assert not list(named), "each is explained where it is called"


def test_flush_tells_off_from_done_and_not_done(client, catalog, received, closed):
    assert client.flush() is Flushed.OFF
    client.configure(catalog, received.endpoint, enabled=True)
    client.event("shop.order")
    assert client.flush() is Flushed.DONE
    client.configure(catalog, closed, enabled=True, timeout=0.2)
    client.event("shop.order")
    assert client.flush(1) is Flushed.NOT_DONE
    assert [str(each) for each in Flushed] == ["not done", "done", "off"]
    assert [bool(each) for each in Flushed] == [False, True, True], "as a condition, as it was"
    assert Flushed.DONE == True != Flushed.OFF  # noqa: E712  # as it was, where it is compared
