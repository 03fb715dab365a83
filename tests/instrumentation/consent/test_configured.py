"""`configure(consent=True)`: what the user says starts and stops the default client, at once."""

import os
import time

import pytest

from footfall import Client
from instrumentation.programs import python

pytestmark = [pytest.mark.requirement("E1")]


@pytest.fixture(autouse=True)
def home(tmp_path, monkeypatch):
    for name in ("HOME", "XDG_CONFIG_HOME", "XDG_DATA_HOME"):
        monkeypatch.setenv(name, str(tmp_path / "home"))
    return tmp_path / "home"


@pytest.fixture
def asking(catalog, received):
    client = Client(strict=True)
    client.configure(catalog, received.endpoint, consent=True)
    yield client
    client.shutdown(0.2)


def events(received):
    return [each["event"] for each in received.observations()]


def test_a_yes_starts_at_once_and_a_no_sends_nothing_of_what_still_waits(asking, received):
    asking.event("shop.order")
    asking.consent.grant()
    asking.event("shop.visit")
    assert asking.flush()
    assert events(received) == ["shop.visit"]
    asking.event("shop.order")
    asking.observe("shop.order", None, {}, keep=True)
    asking.consent.revoke()
    assert asking.recorder is None
    asking.event("shop.order")
    time.sleep(0.3)
    assert asking.flush()
    assert events(received) == ["shop.visit"]
    assert received.emitted() == {"shop.visit": 1}


def test_a_no_ends_what_is_being_tried_again(asking, received):
    asking.consent.grant()
    received.held = True
    asking.observe("shop.order", None, {}, keep=True)
    asking.flush(0.2)
    asking.consent.revoke()
    shown = len(received.spans())
    received.held = False
    time.sleep(1.5)
    assert len(received.spans()) == shown


def test_a_second_yes_changes_nothing_and_does_not_block(asking, received):
    asking.consent.grant()
    recorder = asking.recorder
    before = time.monotonic()
    asking.consent.grant()
    assert time.monotonic() - before < 5
    assert asking.recorder is recorder


def test_local_keeps_and_sends_nothing(asking, received, home):
    asking.consent.grant("local")
    asking.event("shop.order")
    assert asking.flush()
    assert received.spans() == []
    assert list(home.rglob("*.sqlite"))
    asking.consent.grant()
    asking.event("shop.visit")
    assert asking.flush()
    assert events(received) == ["shop.visit"]


def test_the_consent_object_stays_the_same_through_configure(catalog, received):
    client = Client(strict=True)
    consent = client.consent
    assert consent.state().decided is False
    client.configure(catalog, received.endpoint, consent=True)
    consent.grant()
    client.event("shop.order")
    assert client.shutdown()
    assert events(received) == ["shop.order"]


def test_without_asking_nothing_can_be_granted_and_it_is_said_once(caplog, home):
    client = Client(strict=True)
    client.consent.grant()
    client.consent.grant()
    client.consent.revoke()
    assert [r.getMessage() for r in caplog.records] == [
        "footfall: configure(consent=True) comes before consent; nothing was changed"
    ]
    assert not home.exists()


@pytest.mark.parametrize("off", [{"TELEMETRY_ENABLED": "false"}, {"DO_NOT_TRACK": "1"}])
def test_where_it_is_turned_off_nothing_is_said_about_a_missing_catalog(
    monkeypatch, tmp_path, caplog, off
):
    for name, value in off.items():
        monkeypatch.setenv(name, value)
    Client(strict=True).configure(consent=True)
    Client(strict=True).configure(tmp_path / "missing.yaml", consent=True)
    assert caplog.records == []


def test_elsewhere_a_missing_catalog_is_told(caplog):
    Client(strict=True).configure(consent=True)
    assert "no catalog is named" in caplog.text


def test_before_the_answer_opentelemetry_is_not_even_imported(catalog):
    out = python(f"""
        import sys, footfall
        footfall.configure({str(catalog)!r}, consent=True)
        footfall.consent.changes()
        print([name for name in sys.modules if name.startswith(("opentelemetry", "grpc"))])
    """)
    assert out == "[]\n"


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork")
def test_a_forked_child_asks_what_the_user_says_now(catalog, received):
    out = python(f"""
        import logging, os, footfall
        logging.basicConfig()
        footfall.configure({str(catalog)!r}, {received.endpoint!r}, consent=True)
        footfall.consent.grant()
        ready, go = os.pipe()
        if (child := os.fork()) == 0:
            os.read(ready, 1)
            footfall.event("shop.order")
            print(footfall.flush(), flush=True)
            os._exit(0)
        footfall.consent.revoke()
        os.write(go, b"x")
        os.waitpid(child, 0)
    """)
    assert out == "off\n"
    assert events(received) == []
