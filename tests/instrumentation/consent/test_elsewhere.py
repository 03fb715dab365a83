"""What the user says in another program reaches one that runs, before it sends anything more.

The other program is a `Consent` of its own: all that it shares with the one that runs is the file.
"""

import os
import time

import pytest

from footfall import Client
from footfall._consent.consent import Consent
from footfall._variables import VARIABLES
from footfall.sessions import session
from instrumentation.programs import python
from support.waiting import happens

pytestmark = [pytest.mark.requirement("E1")]

SLOW = {"OTEL_BSP_SCHEDULE_DELAY": "100", "OTEL_METRIC_EXPORT_INTERVAL": "100"}


@pytest.fixture
def asking(catalog, received):
    """A program whose user agreed before it started."""
    client = Client(strict=True)
    client.configure(catalog, received.endpoint, consent=True)
    client.consent.grant()
    yield client
    client.shutdown(0.2)


@pytest.fixture
def elsewhere(allowed):
    return Consent("shop", allowed)


def events(received):
    return [each["event"] for each in received.observations()]


def no(consent, decision):
    consent.revoke()


def clear(consent, decision):
    decision.unlink()


def damage(consent, decision):
    decision.write_bytes(decision.read_bytes()[:-9])


def here(consent, decision):
    consent.grant("local")


@pytest.mark.parametrize("say", [no, clear, damage, here])
def test_nothing_more_is_sent_of_what_waits_or_comes(asking, received, elsewhere, decision, say):
    asking.event("shop.visit")
    assert asking.flush()
    sent = received.bytes
    asking.event("shop.order")
    asking.count("shop.press")
    asking.observe("shop.order", None, {}, keep=True)
    say(elsewhere, decision)
    asking.event("shop.order")
    assert asking.flush()
    asking.event("shop.order")
    asking.shutdown()
    assert received.bytes == sent


def test_at_its_end_a_program_sends_nothing_after_a_no(asking, received, elsewhere):
    asking.event("shop.order")
    asking.count("shop.press")
    elsewhere.revoke()
    assert asking.shutdown()
    assert received.bytes == b""


def test_the_periodic_exports_look_as_well(catalog, received, elsewhere, monkeypatch):
    for name, value in SLOW.items():
        assert name in VARIABLES
        monkeypatch.setenv(name, value)
    elsewhere.grant()
    client = Client(strict=True)
    client.configure(catalog, received.endpoint, consent=True)
    client.event("shop.visit")
    assert happens(lambda: received.spans() and received.metrics)  # which follow the first spans
    elsewhere.revoke()
    time.sleep(0.5)  # an export that had begun before ends as it would
    sent = received.bytes
    client.event("shop.order")
    assert happens(lambda: not client.on)
    assert received.bytes == sent
    client.shutdown()


def test_a_yes_elsewhere_is_heard_at_the_next_use(asking, received, elsewhere):
    elsewhere.revoke()
    asking.event("shop.order")
    assert asking.flush()
    asking.event("shop.order")
    with asking.feature("shop.order"):
        pass
    assert asking.match("route", "GET /") is None
    elsewhere.grant()
    asking.event("shop.visit")
    assert asking.flush()
    assert events(received) == ["shop.visit"]
    assert received.emitted() == {"shop.visit": 1}


@pytest.mark.parametrize("hears", [
    lambda client: client.flush(),
    lambda client: client.consent.state(),
    lambda client: session("shop.order", heartbeat=0, client=client).start(),
])  # fmt: skip
def test_who_was_never_asked_hears_of_a_yes(catalog, received, elsewhere, hears):
    client = Client(strict=True)
    client.configure(catalog, received.endpoint, consent=True)
    assert client.recorder is None
    elsewhere.grant()
    hears(client)
    client.event("shop.visit")
    assert client.flush()
    assert events(received) == ["shop.visit"]
    client.shutdown()


def test_what_every_event_carries_outlasts_the_wait_for_a_yes(
    catalog, received, elsewhere, decision
):
    elsewhere.revoke()
    client = Client(strict=True)
    client.configure(catalog, received.endpoint, consent=True)
    client.ambient(provider="smz3")
    assert client.flush()
    client.consent.grant()
    client.event("shop.visit")
    assert client.flush()
    (seen,) = received.observations()
    assert seen["provider"] == "smz3"
    client.shutdown()


def test_after_shutdown_nothing_is_heard(asking, received, elsewhere):
    asking.shutdown()
    elsewhere.revoke()
    elsewhere.grant()
    assert asking.consent.state().mode == "on"
    asking.event("shop.visit")
    assert asking.flush()
    assert received.bytes == b""


def test_local_elsewhere_keeps_from_now_on_and_on_sends_from_now_on(
    asking, received, elsewhere, kept
):
    elsewhere.grant("local")
    asking.flush()
    asking.event("shop.order")
    asking.flush()
    assert received.bytes == b""
    elsewhere.grant()
    asking.event("shop.order", note="waits while it becomes on")
    asking.flush()
    asking.event("shop.visit")
    asking.flush()
    assert events(received) == ["shop.visit"]
    assert b"waits while" in b"".join(p.read_bytes() for p in kept.parent.iterdir())


def test_in_local_mode_a_no_elsewhere_leaves_nothing(catalog, elsewhere, kept):
    elsewhere.grant("local")
    client = Client(strict=True)
    client.configure(catalog, consent=True)
    client.event("shop.visit")
    assert client.flush()
    assert kept.exists()
    elsewhere.revoke()
    client.event("shop.visit")
    client.flush()
    client.shutdown()
    assert list(kept.parent.iterdir()) == []


def test_a_wider_program_that_is_answered_does_not_disturb_an_older_one(
    asking, received, catalog, elsewhere
):
    catalog.write_text(catalog.read_text().replace("max: 100", "max: 900"))
    wider = Client(strict=True)
    wider.configure(catalog, received.endpoint, consent=True)
    wider.event("shop.order")
    assert wider.consent.state().outdated
    wider.consent.grant()
    asking.event("shop.visit")
    assert asking.flush()
    wider.shutdown()
    assert events(received) == ["shop.visit"]
    elsewhere.grant()
    assert wider.consent.state().outdated


def test_a_session_ends_with_a_no_elsewhere_and_begins_anew_when_it_is_started(
    asking, received, elsewhere
):
    running = session("shop.lamp", heartbeat=0, client=asking)
    running.start()
    first = asking.surroundings["session_id"]
    elsewhere.revoke()
    asking.flush()
    assert asking.surroundings == {}
    running.start()
    assert asking.surroundings == {}, "while it is off there is no id"
    elsewhere.grant()
    running.start()
    assert asking.surroundings["session_id"] not in (None, first)
    running.end()


def test_a_request_that_is_tried_again_stops(
    asking, received_http, catalog, elsewhere, monkeypatch
):
    """The collector is away while the user says no, and comes back."""
    monkeypatch.setenv("FOOTFALL_PROTOCOL", "http/protobuf")
    asking.configure(catalog, received_http.endpoint, consent=True)
    received_http.status = 503
    asking.event("shop.order")
    assert not asking.flush(0.1)
    elsewhere.revoke()
    assert happens(lambda: not asking.on)
    received_http.status = None
    time.sleep(1.5)
    assert received_http.bytes == b""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork")
def test_a_child_that_was_forked_before_the_no_sends_nothing_after_it(catalog, received):
    out = python(f"""
        import os, footfall
        footfall.configure({str(catalog)!r}, {received.endpoint!r}, consent=True)
        footfall.consent.grant()
        ready, go = os.pipe()
        told, tell = os.pipe()
        if (child := os.fork()) == 0:
            footfall.event("shop.visit")
            assert footfall.flush()
            footfall.event("shop.order")
            os.write(tell, b"x")
            os.read(ready, 1)
            footfall.event("shop.order")
            print(bool(footfall.flush()), footfall.consent.state().mode, flush=True)
            footfall.event("shop.order")
            footfall.shutdown()
            os._exit(0)
        os.read(told, 1)
        footfall.consent.revoke()
        os.write(go, b"x")
        os.waitpid(child, 0)
    """)
    assert out == "True off\n"
    assert events(received) == ["shop.visit"]
