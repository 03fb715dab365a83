import logging
import os
import threading

import pytest

import footfall
from footfall import Client
from footfall._variables import VARIABLES


def use_everything(client: Client) -> None:
    with client.feature("shop.order", provider="smz3") as use:
        use.set(items=1)
        use.fail("invalid_preset")
        use.deny()
    client.event("shop.order", "success", provider="smz3")
    client.count("shop.order", 3)
    assert client.flush()
    assert client.shutdown()


@pytest.fixture
def off(received, catalog):
    """A client that is turned off after the test, whatever the test did to it."""
    client = Client(strict=True)
    yield client
    client.shutdown()


@pytest.mark.parametrize(
    ("variables", "enabled", "on"),
    [
        ({}, None, False),
        ({"TELEMETRY_ENABLED": "false"}, None, False),
        ({"TELEMETRY_ENABLED": "0"}, None, False),
        ({"TELEMETRY_ENABLED": ""}, None, False),
        ({"TELEMETRY_ENABLED": "true"}, None, True),
        ({"TELEMETRY_ENABLED": " TRUE "}, None, True),
        ({"TELEMETRY_ENABLED": "1"}, None, True),
        ({}, True, True),
        ({}, False, False),
        ({"TELEMETRY_ENABLED": "true"}, False, False),
        ({"TELEMETRY_ENABLED": "false"}, True, False),
        ({"TELEMETRY_ENABLED": "true", "OTEL_SDK_DISABLED": "true"}, None, False),
        ({"OTEL_SDK_DISABLED": "true"}, True, False),
        ({"TELEMETRY_ENABLED": "true", "OTEL_SDK_DISABLED": "false"}, None, True),
        ({"TELEMETRY_ENABLED": "true", "DO_NOT_TRACK": "1"}, None, False),
        ({"DO_NOT_TRACK": "yes please"}, True, False),
        ({"TELEMETRY_ENABLED": "true", "DO_NOT_TRACK": "0"}, None, True),
    ],
)
def test_telemetry_is_on_only_when_somebody_says_so_and_nobody_the_opposite(
    off, received, catalog, monkeypatch, caplog, variables, enabled, on
):
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    off.configure(catalog, received.endpoint, enabled=enabled)
    use_everything(off)
    assert len(received.spans()) == (2 if on else 0)
    assert bool(received.metrics) is on
    assert caplog.records == []


def test_while_off_nothing_is_read_made_or_started(off, catalog):
    catalog.write_text("not: a catalog")
    threads = threading.active_count()
    off.configure(catalog, "nonsense", sample_rate=7, errors={1: 2})
    use_everything(off)
    assert threading.active_count() == threads
    assert off.recorder is None


def test_without_configure_every_call_does_nothing(caplog):
    client = Client(strict=True)
    use_everything(client)
    error = ValueError("mine")
    with pytest.raises(ValueError, match="mine") as caught, client.feature("any"):
        raise error
    assert caught.value is error
    assert caplog.records == []


def test_after_shutdown_every_call_does_nothing(client, received):
    use_everything(client)
    sent = received.bytes
    use_everything(client)
    assert received.bytes == sent


def test_a_block_that_outlives_its_client_ends_quietly(client, received, caplog):
    with client.feature("shop.order"):
        assert client.shutdown()
    assert received.spans() == []
    assert [r for r in caplog.records if r.levelno >= logging.WARNING] == []


def only_warning(caplog) -> str:
    (record,) = caplog.records
    assert (record.name, record.levelname) == ("footfall", "WARNING")
    return record.getMessage()


@pytest.mark.parametrize("said", ["argument", "variable"])
def test_in_development_a_forgotten_switch_is_told_once(off, catalog, monkeypatch, caplog, said):
    if said == "variable":
        attributes = "service.version=1,deployment.environment.name=Development"
        monkeypatch.setenv("OTEL_RESOURCE_ATTRIBUTES", attributes)
    for _ in range(2):
        off.configure(catalog, environment=None if said == "variable" else "dev")
    assert only_warning(caplog) == (
        "footfall is off, nothing is sent: TELEMETRY_ENABLED is not set; `true` turns it on, `false` ends"
        " this reminder"
    )
    assert off.recorder is None


@pytest.mark.parametrize(
    ("variables", "options"),
    [
        ({}, {}),
        ({}, {"environment": "production"}),
        ({"TELEMETRY_ENABLED": "false"}, {"environment": "dev"}),
        ({"DO_NOT_TRACK": "1"}, {"environment": "dev"}),
        ({"OTEL_SDK_DISABLED": "true"}, {"environment": "dev"}),
        ({}, {"environment": "dev", "enabled": False}),
        ({}, {"environment": "dev", "consent": True}),
        ({}, {"environment": 7}),
        ({"OTEL_RESOURCE_ATTRIBUTES": "deployment.environment.name"}, {}),
    ],
)
def test_where_somebody_decided_or_elsewhere_nothing_is_told(
    off, catalog, monkeypatch, caplog, tmp_path, variables, options
):
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    off.configure(catalog, **options)
    assert caplog.records == []


def test_everything_that_is_wrong_is_one_warning_and_the_host_goes_on(
    off, received, catalog, monkeypatch, caplog
):
    for name, value in {
        "TELEMETRY_SAMPLE_RATE": "often",
        "TELEMETRY_HASH_SALT": "short",
        "FOOTFALL_ENDPOINT": "ftp://localhost:4317",
    }.items():
        monkeypatch.setenv(name, value)
    off.configure(enabled=True)
    message = only_warning(caplog)
    for part in (
        "nothing is sent",
        "TELEMETRY_SAMPLE_RATE must be a number from 0 to 1",
        "TELEMETRY_HASH_SALT must be at least 32 bytes",
        "FOOTFALL_ENDPOINT must be a URL",
        "TELEMETRY_CATALOG",
    ):
        assert part in message
    use_everything(off)
    assert off.recorder is None


def test_a_wrong_switch_is_off(off, catalog, received, monkeypatch, caplog):
    monkeypatch.setenv("TELEMETRY_ENABLED", "maybe")
    off.configure(catalog, received.endpoint)
    assert "TELEMETRY_ENABLED must be true, false or local" in only_warning(caplog)
    assert off.recorder is None


def test_every_mistake_of_a_catalog_is_named_with_its_place(off, catalog, received, caplog):
    catalog.write_text("product: 7\nevents:\n  shop.order: {surface: web, attributes: [a]}\n")
    off.configure(catalog, received.endpoint, enabled=True)
    message = only_warning(caplog)
    assert f"{catalog}:1: product" in message
    assert "shop.order" in message
    assert len(message.splitlines()) >= 3


@pytest.mark.parametrize("missing", ["no/such/events.yaml", ["a.yaml", "b.yaml"], 7, [None]])
def test_a_catalog_that_cannot_be_read_is_a_warning(received, missing, caplog):
    client = Client()
    client.configure(missing, received.endpoint, enabled=True)
    assert "nothing is sent" in only_warning(caplog)
    use_everything(client)


def test_errors_are_checked(off, catalog, received, caplog):
    off.configure(
        catalog,
        received.endpoint,
        enabled=True,
        errors={ValueError: "invalid_presets", "str": "invalid_preset", OSError: "out_of_stock"},
    )
    message = only_warning(caplog)
    assert (
        'ValueError: "invalid_presets" is not an error type; did you mean "invalid_preset"'
        in message
    )
    assert "every key must be an exception class" in message
    assert "OSError" not in message
    assert off.recorder is None


def test_an_endpoint_with_a_password_is_refused_and_not_repeated(off, catalog, caplog):
    off.configure(catalog, "http://user:hunter2@localhost:4317", enabled=True)
    assert "without a password" in only_warning(caplog)
    assert "hunter2" not in caplog.text


def test_environment_names_the_catalogs_and_the_collector(off, received, catalog, monkeypatch):
    other = catalog.with_name("other.yaml")
    other.write_text("product: other\nevents: {other.thing: {surface: web, feature: thing}}\n")
    monkeypatch.setenv("TELEMETRY_ENABLED", "true")
    monkeypatch.setenv("TELEMETRY_CATALOG", f"{catalog}{os.pathsep}{other}")
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", received.endpoint)
    off.configure()
    off.event("shop.order")
    off.event("other.thing")
    assert off.flush()
    assert [o["event"] for o in received.observations()] == ["shop.order", "other.thing"]


def test_configure_again_sends_what_waited_and_replaces_everything(
    connect, received, received_http, catalog, monkeypatch
):
    client = connect(received.endpoint)
    client.event("shop.order")
    client.configure(catalog, received_http.endpoint, enabled=True, protocol="http/protobuf")
    client.event("shop.visit")
    assert client.flush()
    assert [o["event"] for o in received.observations()] == ["shop.order"]
    assert [o["event"] for o in received_http.observations()] == ["shop.visit"]
    client.configure(catalog, received_http.endpoint)
    assert client.recorder is None


def test_the_module_speaks_for_one_default_client(received, catalog, monkeypatch):
    monkeypatch.setenv("TELEMETRY_ENABLED", "true")
    footfall.configure(catalog, received.endpoint)
    try:
        with footfall.feature("shop.order"):
            footfall.event("shop.visit")
        footfall.count("shop.order", 2)
        assert footfall.flush()
        assert {o["event"] for o in received.observations()} == {"shop.order", "shop.visit"}
        assert received.count("shop.order") == 3
    finally:
        assert footfall.shutdown()
    footfall.event("shop.visit")
    assert len(received.spans()) == 2


def test_every_variable_has_a_default_that_can_be_read(off, catalog, received, monkeypatch, caplog):
    for name, variable in VARIABLES.items():
        monkeypatch.setenv(name, variable.default)
    monkeypatch.delenv("TELEMETRY_ENABLED")
    off.configure(catalog, received.endpoint, enabled=True)
    assert off.recorder is not None
    assert caplog.records == []
