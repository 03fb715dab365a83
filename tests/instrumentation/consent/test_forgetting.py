"""An installation id that was dropped is sent no more, wherever it still is."""

import sqlite3
import uuid
from contextlib import closing

import pytest

from footfall import Client
from footfall._consent.consent import Consent
from footfall._consent.store import LocalStore
from footfall.sessions import session
from footfall_processors import load_catalog
from instrumentation.consent.conftest import finish
from support.waiting import happens

pytestmark = [pytest.mark.requirement("E5")]

CATALOG = """
product: shop
attributes:
  session_id: {type: uuid, hash: daily}
  installation_id: {type: uuid, hash: monthly}
  device: {type: string, max_length: 20}
  machine: {type: string, hash: daily}
  plain: {type: uuid}
  provider: {type: enum, values: [a, b]}
events:
  shop.order:
    surface: web
    feature: order
    attributes: [session_id, installation_id, device, machine, plain, provider]
  shop.session:
    surface: web
    feature: session
    actions: [start, alive, end]
    attributes: [session_id, installation_id]
"""


@pytest.fixture
def catalog_text():
    return CATALOG


@pytest.fixture
def elsewhere(allowed):
    return Consent("shop", allowed)


@pytest.fixture
def asking(catalog, received):
    client = Client(strict=True)
    client.configure(catalog, received.endpoint, consent=True)
    client.consent.grant()
    yield client
    client.shutdown(0.2)


def everything(old):
    """An event that has the id under whatever name, whoever named it so."""
    return {"device": old, "machine": old, "plain": old.upper(), "provider": "a"}


@pytest.fixture(params=["here", "in another program"])
def forget(request, asking, elsewhere):
    return asking.consent.forget if request.param == "here" else elsewhere.forget


def test_what_waits_and_what_comes_goes_without_it(asking, received, forget):
    running = session("shop.session", heartbeat=0, client=asking)
    running.start()
    old = asking.consent.installation_id()
    assert asking.flush()
    sent = len(received.traces)
    asking.event("shop.order", **everything(old))
    asking.observe("shop.order", None, everything(old), keep=True)
    forget()
    asking.event("shop.order", **everything(old))
    running.alive()
    running.end()
    assert asking.flush()
    later = b"".join(received.traces[sent:])
    for form in (old, old[:20], old.upper()):
        assert form.encode() not in later
    assert [o["event"] for o in received.observations()[1:]] == [
        *["shop.order"] * 3,
        *["shop.session"] * 2,
    ]
    assert {o.get("provider") for o in received.observations()[1:4]} == {"a"}
    assert len({o["session_id"] for o in received.observations()}) == 1
    assert asking.shutdown()
    assert received.dropped() == {}


def test_the_next_session_has_another(asking, received, forget):
    running = session("shop.session", heartbeat=0, client=asking)
    running.start()
    old = asking.consent.installation_id()
    forget()
    running.end()
    running.start()
    assert asking.flush()
    ids = [o.get("installation_id") for o in received.observations()]
    assert ids[:2] == [None, None]
    assert uuid.UUID(ids[2]) != uuid.UUID(old)


def test_hashed_at_the_source_it_is_known_as_well(catalog, received, monkeypatch):
    monkeypatch.setenv(
        "TELEMETRY_HASH_SALT", "9f2c61d07be84a35c1e7f0a94d3b82655a7d1e90c4f3826be08b47a6d2915fc3"
    )
    client = Client(strict=True)
    client.configure(catalog, received.endpoint, consent=True)
    client.consent.grant()
    old = client.consent.installation_id()
    client.event("shop.order", installation_id=old, machine=old, plain=str(uuid.UUID(int=1)))
    client.consent.forget()
    client.flush()
    client.shutdown()
    (seen,) = received.observations()
    assert seen["plain"] == str(uuid.UUID(int=1))
    assert not {"installation_id", "machine"} & set(seen)


def test_a_second_configure_does_not_bring_it_back(asking, catalog, received, forget):
    session("shop.session", heartbeat=0, client=asking).start()
    asking.flush()
    sent = len(received.traces)
    old = asking.consent.installation_id()
    asking.configure(catalog, received.endpoint, consent=True)
    forget()
    asking.configure(catalog, received.endpoint, consent=True)
    asking.event("shop.order")
    asking.flush()
    assert old.encode() not in b"".join(received.traces[sent:])
    assert received.observations()[-1]["event"] == "shop.order"


@pytest.mark.parametrize("protocol", ["grpc", "http/protobuf"])
def test_a_request_that_is_tried_again_does_not_bring_it_back(
    asking, received, received_http, catalog, monkeypatch, forget, protocol
):
    """The collector is away while the id is dropped, and comes back."""
    receiver = received if protocol == "grpc" else received_http
    monkeypatch.setenv("FOOTFALL_PROTOCOL", protocol)
    asking.configure(catalog, receiver.endpoint, consent=True)
    old = asking.consent.installation_id()
    receiver.status = __import__("grpc").StatusCode.UNAVAILABLE if protocol == "grpc" else 503
    asking.observe("shop.order", None, everything(old), keep=True)
    assert not asking.flush(0.2)
    forget()
    assert happens(lambda: asking._lifecycle._answer.gate.forgotten), (
        "a program that waits looks twice a second"
    )
    receiver.status = None
    asking.event("shop.order")
    assert happens(lambda: asking.flush() and len(receiver.spans()) == 2)
    assert old[:20].encode() not in receiver.bytes


def stored(kept):
    return b"".join(path.read_bytes() for path in kept.parent.iterdir())


def bodies(kept):
    with closing(sqlite3.connect(kept)) as database:
        return [
            row[0] for row in database.execute("SELECT body FROM requests WHERE signal = 'traces'")
        ]


def test_it_leaves_the_local_store_and_the_rest_stays(catalog, elsewhere, kept, received):
    elsewhere.grant("local")
    old = elsewhere.installation_id()
    client = Client(strict=True)
    client.configure(catalog, received.endpoint, consent=True)
    for _ in range(3):
        client.event("shop.order", installation_id=old, **everything(old))
        assert client.flush()
    assert old.encode() in stored(kept)
    client.event("shop.order", installation_id=old, provider="b")
    elsewhere.forget()
    assert old.encode() not in stored(kept)
    assert client.flush()
    client.shutdown()
    for form in (old, old[:20]):
        assert form.encode() not in stored(kept)
    assert len(bodies(kept)) == 4
    assert all(b"shop.order" in body and b"provider" in body for body in bodies(kept))


def test_what_an_earlier_program_kept_is_cleaned_by_one_that_is_off(
    elsewhere, catalog, kept, spawn
):
    elsewhere.grant("local")
    finish(spawn(f"""
        import footfall
        footfall.configure({str(catalog)!r}, consent=True)
        with footfall.session("shop.session"):
            pass
    """))  # fmt: skip
    old = elsewhere.installation_id()
    assert old.encode() in stored(kept)
    elsewhere.forget()
    assert old.encode() not in stored(kept)
    assert len(bodies(kept)) == 1


@pytest.mark.parametrize("damaged", [
    lambda kept: kept.write_bytes(b"this is no database" * 500),
    lambda kept: sqlite3.connect(kept).execute("PRAGMA user_version = 9").connection.close(),
    lambda kept: sqlite3.connect(kept, isolation_level=None)
    .execute("INSERT INTO requests (time, signal, items, body) VALUES (1, 'traces', 1, X'0aff')")
    .connection.close(),
])  # fmt: skip
def test_a_store_that_cannot_be_searched_goes_as_a_whole(elsewhere, kept, damaged):
    elsewhere.grant("local")
    LocalStore(kept)
    elsewhere.installation_id()
    damaged(kept)
    elsewhere.forget()
    assert list(kept.parent.iterdir()) == []


def test_products_do_not_forget_for_each_other(elsewhere, catalog):
    elsewhere.grant()
    other = Consent("stock", load_catalog(catalog))
    other.grant()
    ids = elsewhere.installation_id(), other.installation_id()
    elsewhere.forget()
    assert other.installation_id() == ids[1]
    assert other.forgotten() == {}
    assert elsewhere.forgotten()["installation_id"] == {ids[0]}
