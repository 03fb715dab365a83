"""Sessions: start, heartbeats, end, and the ids that other events carry meanwhile."""

import threading
import time
import uuid

import pytest

from footfall import Client
from footfall.sessions import session
from instrumentation.programs import python

pytestmark = [
    pytest.mark.requirement("E2"),
    pytest.mark.requirement("E3"),
    pytest.mark.requirement("E4"),
    pytest.mark.requirement("E5"),
]

CATALOG = """
product: plugin
attributes:
  session_id: {type: uuid}
  installation_id: {type: uuid, hash: monthly}
events:
  plugin.session:
    surface: plugin
    feature: session
    actions: [start, alive, end]
    attributes: [session_id, installation_id]
  plugin.story: {surface: plugin, feature: story, actions: ["open", close], attributes: [session_id]}
  plugin.page: {surface: plugin, feature: page, actions: [visit]}
"""


@pytest.fixture
def catalog_text():
    return CATALOG


@pytest.fixture
def home(tmp_path, monkeypatch):
    for name in ("HOME", "XDG_CONFIG_HOME", "XDG_DATA_HOME"):
        monkeypatch.setenv(name, str(tmp_path / "home"))
    return tmp_path / "home"


def said(received):
    return [
        (o["event"].split(".")[1], o["feature.action"], o.get("session_id"))
        for o in received.observations()
    ]


def test_a_session_begins_and_ends_and_events_within_carry_its_id_if_they_declare_it(
    client, received
):
    client.event("plugin.story", "open")
    with session("plugin.session", client=client) as running:
        client.event("plugin.story", "open")
        client.event("plugin.page")
        known = running.id
        time.sleep(0.02)
    assert running.id is None
    client.event("plugin.story", "close")
    assert client.flush()
    assert uuid.UUID(known).version == 4
    assert said(received) == [
        ("story", "open", None),
        ("session", "start", known),
        ("story", "open", known),
        ("page", "visit", None),
        ("session", "end", known),
        ("story", "close", None),
    ]
    end = received.spans()[4]
    assert 20_000_000 <= end.end_time_unix_nano - end.start_time_unix_nano < 10**10
    assert received.dropped() == {}


def test_heartbeats_come_until_the_end(client, received):
    begun = time.monotonic()
    with session("plugin.session", heartbeat=0.02, client=client):
        while len(said(received)) < 4 and time.monotonic() - begun < 20:
            client.flush()
    lasted = time.monotonic() - begun
    assert client.flush()
    beats = [action for _, action, _ in said(received)]
    assert beats[0] == "start"
    assert beats[-1] == "end"
    assert 3 <= beats.count("alive") <= lasted / 0.02
    time.sleep(0.1)
    assert client.flush()
    assert len(said(received)) == len(beats)
    assert not [t for t in threading.enumerate() if t.name == "footfall-session"]


def test_the_clients_own_id_stands_and_every_session_has_another(client, received):
    own = str(uuid.UUID(int=7))
    with session("plugin.session", session_id=own, client=client) as running:
        assert running.id == own
    again = session("plugin.session", heartbeat=0, client=client)
    seen = []
    for _ in range(2):
        again.start()
        again.start()
        seen.append(again.id)
        again.alive()
        again.end()
        again.end()
    assert client.flush()
    assert [action for _, action, _ in said(received)] == [
        "start", "end", "start", "alive", "end", "start", "alive", "end",
    ]  # fmt: skip
    assert len({own, *seen}) == 3


def test_while_telemetry_is_off_there_is_no_id_and_no_thread():
    off = Client(strict=True)
    with session("plugin.session", heartbeat=0.01, client=off) as running:
        running.alive()
        assert running.id is None
        assert not [t for t in threading.enumerate() if t.name == "footfall-session"]


def test_an_event_without_those_actions_and_an_undeclared_one_harm_nobody(client, received):
    for name in ("plugin.page", "plugin.nothing"):
        with session(name, client=client) as running:
            running.alive()
    assert client.flush()
    assert said(received) == []
    assert received.dropped() == {"undeclared_event": 3}


def test_the_installation_stays_the_same_until_it_is_forgotten(catalog, received, home):
    def run():
        client = Client(strict=True)
        client.configure(catalog, received.endpoint, consent=True)
        with session("plugin.session", client=client):
            pass
        client.shutdown()
        return client

    assert not home.exists()
    client = run()
    assert not home.exists(), "before consent nothing is made, not even an id"
    assert received.observations() == []
    client.consent.grant()
    run()
    run()
    client.consent.forget()
    run()
    ids = [o["installation_id"] for o in received.observations() if o["feature.action"] == "start"]
    assert ids[0] == ids[1] != ids[2]
    client.consent.revoke()
    before = len(received.observations())
    run()
    assert len(received.observations()) == before
    assert ids[2].encode() not in b"".join(p.read_bytes() for p in home.rglob("*") if p.is_file())


def test_a_new_consent_begins_a_new_session(catalog, received, home):
    client = Client(strict=True)
    client.configure(catalog, received.endpoint, consent=True)
    running = session("plugin.session", heartbeat=0, client=client)
    client.consent.grant()
    running.start()
    first = running.id
    client.flush()
    client.consent.revoke()
    running.alive()
    client.consent.grant()
    client.event("plugin.story", "open")
    running.start()
    client.event("plugin.story", "open")
    running.end()
    client.shutdown()
    found = said(received)
    second = found[-1][2]
    assert second not in (None, first)
    assert found == [
        ("session", "start", first),
        ("story", "open", None),
        ("session", "start", second),
        ("story", "open", second),
        ("session", "end", second),
    ]


def test_after_a_no_its_thread_ends(catalog, received, home):
    client = Client(strict=True)
    client.configure(catalog, received.endpoint, consent=True)
    client.consent.grant()
    session("plugin.session", heartbeat=0.02, client=client).start()
    client.consent.revoke()
    for _ in range(500):
        if not [t for t in threading.enumerate() if t.name == "footfall-session"]:
            return
        time.sleep(0.01)
    pytest.fail("it goes on")


def actions(catalog, received, more=""):
    """The session's actions that arrive from a program which begins one, does more, and just ends."""
    python(f"""
        import os, sys, footfall
        def configure():
            footfall.configure({str(catalog)!r}, {received.endpoint!r}, enabled=True)
        configure()
        footfall.session("plugin.session").start()
        {more}
    """)
    return [action for _, action, _ in said(received)]


def test_a_program_that_just_ends_has_ended_its_session(catalog, received):
    assert actions(catalog, received) == ["start", "end"]


def test_a_session_survives_a_second_configure_and_ends_with_the_program(catalog, received):
    assert actions(catalog, received, "configure()") == ["start", "end"]


def test_a_forked_child_does_not_end_its_parents_session(catalog, received):
    more = "os.waitpid(child, 0) if (child := os.fork()) else sys.exit()"
    assert actions(catalog, received, more) == ["start", "end"]


def test_any_heartbeat_will_do(client, capfd):
    with session("plugin.session", heartbeat=float("inf"), client=client):
        time.sleep(0.05)
    assert capfd.readouterr().err == ""
