"""R-number G7: receipts of the SDK, before a real collector and its HTTP API."""

import asyncio
import hashlib
import hmac
import json
import re
import secrets
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest
from opentelemetry.sdk.trace import TracerProvider

import footfall
from collector.http_api.conftest import HERE, collector
from collector.keyed import ALL
from conftest import new_database
from footfall import Client, ReceiptError
from footfall.allowlist import AllowlistSpanProcessor
from instrumentation.programs import run
from support.ports import free_port

EVENT = "suggestion_shown"
TOKEN, OTHER = "k3-Q_m1xRr0aY7pTz5uWcg", "a-token-of-somebody-else"
SECRET = secrets.token_hex(32)
NOTHING = (0, [])

pytestmark = pytest.mark.requirement("G7")


@pytest.fixture(scope="module")
def shared(postgres_server: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    with new_database(postgres_server) as dsn:
        api = collector(tmp_path_factory.mktemp("receipts"), dsn)  # type: ignore[no-untyped-call]
        yield api
        api.http.close()
        api.up.stop()


@pytest.fixture
def api(shared: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Any:
    """A collector with nothing in its database, and an empty home."""
    monkeypatch.setenv("FOOTFALL_API_URL", f"{shared.http.base_url}/telemetry")
    monkeypatch.setenv("HOME", str(tmp_path))
    for name in ("XDG_CONFIG_HOME", "XDG_DATA_HOME"):
        monkeypatch.delenv(name, raising=False)
    with psycopg.connect(shared.dsn, autocommit=True) as connection:
        connection.execute(
            "TRUNCATE footfall.feature_events, footfall.feature_counts, footfall.losses_daily"
        )
    return shared


Sender = Callable[..., Client]


@pytest.fixture
def sender(api: Any) -> Iterator[Sender]:
    """Makes clients that send to it."""
    made = []

    def make(**options: Any) -> Client:
        client = Client(strict=True)
        made.append(client)
        sent = {"headers": {"authorization": f"Bearer {ALL}"}, "protocol": "http/protobuf"}
        client.configure(HERE / "events.yaml", str(api.http.base_url), **sent, **options)
        return client

    yield make
    for client in made:
        client.shutdown(0.2)


@pytest.fixture
def server(sender: Sender) -> Client:
    """Of a program that serves several users."""
    return sender(enabled=True)


@pytest.fixture
def program(sender: Sender) -> Client:
    """Of a program on its user's machine, who has said nothing yet."""
    return sender(consent=True)


def told(api: Any, token: str, method: str = "GET") -> int:
    """What the API says to whoever has the token: how many events."""
    headers = {"footfall-receipt-token": token}
    events: int = api.http.request(method, "/telemetry/receipt", headers=headers).json()["events"]
    return events


def kept(home: Path) -> Any:
    return json.loads((home / ".config/footfall/shop.json").read_text())


def test_whoever_holds_the_token_is_told_and_has_it_erased(api: Any, server: Client) -> None:
    mine = footfall.receipt(TOKEN, client=server)
    with mine.attached():
        server.event(EVENT)
        with server.feature(EVENT):
            pass
    with footfall.receipt(OTHER, client=server).attached():
        server.event(EVENT)
    server.event(EVENT)
    assert server.flush()
    held = mine.show()
    assert (held.events, [line[1:] for line in held.stored]) == (2, [(EVENT, 2)])
    assert told(api, TOKEN) == 2
    assert mine.erase() == held
    assert mine.show() == mine.erase() == NOTHING
    assert told(api, OTHER) == 1
    assert api.counts() == {EVENT: 2}
    assert api.losses() == {"erased": 2}


def test_what_waits_is_erased_as_well(api: Any, server: Client) -> None:
    mine = footfall.receipt(TOKEN, client=server)
    with mine.attached():
        server.event(EVENT)
    assert mine.erase().events == 1
    assert api.counts() == {EVENT: 0}


def test_it_is_the_receipt_of_the_http_api(api: Any, server: Client) -> None:
    mine = footfall.receipt(TOKEN, client=server)
    digest = hashlib.sha256(TOKEN.encode()).hexdigest()
    api.post("/telemetry/ingest", {"event": EVENT, "count": 3}, footfall_receipt=digest)
    with mine.attached():
        server.event(EVENT)
    assert mine.erase().events == 4


def test_a_server_derives_the_tokens_of_its_users(
    api: Any, server: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FOOTFALL_RECEIPT_SECRET", SECRET)

    async def serve(user: int) -> None:
        with footfall.receipt(user=user, client=server).attached():
            await asyncio.sleep(0)
            server.event(EVENT)
            await asyncio.gather(asyncio.create_task(deeper()))

    async def deeper() -> None:
        server.event(EVENT)

    async def serve_all() -> None:
        await asyncio.gather(*map(serve, (11, 12, 12)))

    asyncio.run(serve_all())
    assert server.flush()
    for user, events in ((11, 2), (12, 4), (13, 0)):
        message = b"footfall receipt\0" + str(user).encode()
        token = hmac.digest(SECRET.encode(), message, "sha256").hex()
        assert footfall.receipt(user=user, client=server).token == token
        assert (
            footfall.receipt(user=user, client=server).show().events == told(api, token) == events
        )


def test_hashing_at_the_source_leaves_a_receipt_to_be_found(
    api: Any, sender: Sender, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TELEMETRY_HASH_SALT", secrets.token_hex(32))
    server = sender(enabled=True)
    mine = footfall.receipt(TOKEN, client=server)
    digest = hashlib.sha256(TOKEN.encode()).hexdigest()
    server.event(EVENT, receipt_id=mine.digest)
    server.event(EVENT, receipt_id=digest)  # whatever somebody calls so is hashed like all else
    assert server.flush()
    assert told(api, TOKEN) == 1


def test_spans_of_other_instrumentations_carry_it(api: Any, server: Client) -> None:
    provider = TracerProvider()
    provider.add_span_processor(AllowlistSpanProcessor(server))
    tracer = provider.get_tracer("theirs")
    mine = footfall.receipt(TOKEN, client=server)
    with mine.attached(), tracer.start_as_current_span(f"{EVENT}.shown"):
        pass
    with tracer.start_as_current_span(f"{EVENT}.shown") as span:
        span.set_attribute("receipt_id", mine.digest or "")
    assert server.flush()
    assert told(api, TOKEN) == 2


def test_an_sdk_that_is_not_ours_sends_the_digest_as_an_attribute(api: Any) -> None:
    digest = hashlib.sha256(TOKEN.encode()).hexdigest()
    now = str(time.time_ns())
    span = {
        "traceId": secrets.token_hex(16),
        "spanId": secrets.token_hex(8),
        "name": f"{EVENT}.shown",
        "startTimeUnixNano": now,
        "endTimeUnixNano": now,
        "attributes": [{"key": "receipt_id", "value": {"stringValue": digest}}],
    }
    request = {"resourceSpans": [{"scopeSpans": [{"spans": [span]}]}]}
    headers = {"authorization": f"Bearer {ALL}"}
    assert api.http.post("/v1/traces", json=request, headers=headers).status_code == 200
    assert told(api, TOKEN) == 1


def test_neither_token_nor_digest_is_stored(api: Any, server: Client) -> None:
    with footfall.receipt(TOKEN, client=server).attached():
        server.event(EVENT)
    assert server.flush()
    ((row,),) = api.query("SELECT e::text FROM footfall.feature_events e")
    digest = hashlib.sha256(TOKEN.encode()).hexdigest()
    assert all(text not in row for text in (TOKEN, digest, digest[:32]))


def test_an_installation_has_one_after_a_yes(api: Any, program: Client, tmp_path: Path) -> None:
    mine = footfall.receipt(client=program)
    program.event(EVENT)
    assert (mine.token, mine.digest) == (None, None)
    assert mine.show() == mine.erase() == NOTHING
    assert not list(tmp_path.iterdir())
    program.consent.grant()
    for _ in range(3):
        program.event(EVENT)
    assert program.flush()
    token = mine.token
    assert token
    assert kept(tmp_path)["tokens"] == [token]
    assert mine.show().events == told(api, token) == 3
    again = footfall.receipt(client=program)
    assert again.token == token


def test_a_new_one_after_it_was_erased(api: Any, program: Client, tmp_path: Path) -> None:
    program.consent.grant()
    mine = footfall.receipt(client=program)
    before = mine.token
    program.event(EVENT)
    assert mine.erase().events == 1
    program.event(EVENT)
    assert program.flush()
    assert before != mine.token
    assert kept(tmp_path)["tokens"] == [mine.token]
    assert mine.show().events == 1


def test_who_says_no_can_still_have_it_erased(api: Any, program: Client, tmp_path: Path) -> None:
    program.consent.grant()
    mine = footfall.receipt(client=program)
    program.event(EVENT)
    assert program.flush()
    program.consent.revoke()
    assert mine.token is None
    assert mine.erase().events == 1
    assert kept(tmp_path)["tokens"] == []
    program.consent.grant()  # and events carry one again, without anybody having to say so
    program.event(EVENT)
    assert program.flush()
    assert mine.show().events == 1


def test_forgetting_parts_what_comes_from_what_was(api: Any, program: Client) -> None:
    program.consent.grant()
    mine = footfall.receipt(client=program)
    first = mine.token or ""
    program.event(EVENT)
    assert program.flush()
    program.event(EVENT)  # waits
    program.consent.forget()
    program.event(EVENT)
    assert program.flush()
    second = mine.token or ""
    assert (told(api, first), told(api, second)) == (1, 1)
    assert api.counts() == {EVENT: 3}
    (line,) = mine.show().stored
    assert (line.event, line.number) == (EVENT, 2)
    assert mine.erase().events == 2


def test_two_programs_of_an_installation_have_one(
    api: Any, program: Client, sender: Sender
) -> None:
    other = sender(consent=True)
    program.consent.grant()
    mine, theirs = footfall.receipt(client=program), footfall.receipt(client=other)
    other.consent.state()  # hears of it
    other.event(EVENT)
    program.event(EVENT)
    assert other.flush()
    assert program.flush()
    assert mine.token == theirs.token
    assert mine.erase().events == 2
    assert other.consent.state().mode == "on"
    other.event(EVENT)
    assert other.flush()
    assert mine.show().events == 1


def test_with_a_collector_away_nothing_is_forgotten(
    api: Any, program: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    program.consent.grant()
    mine = footfall.receipt(client=program)
    program.event(EVENT)
    there = mine._api
    mine._api = f"http://127.0.0.1:{free_port()}/telemetry"
    before = mine.token
    for _ in range(3):
        with pytest.raises(ReceiptError, match=r"does not answer .*look whether it runs"):
            mine.erase()
    assert mine.token == before
    mine._api = there
    assert mine.erase().events == 1


@pytest.mark.parametrize(
    ("path", "said"),
    [
        ("/nowhere", r"no.* a collector's HTTP API .*404.*; set FOOTFALL_API_URL to its prefix"),
        ("/healthz", r"no.* a collector's HTTP API"),
    ],
)
def test_what_answers_otherwise_is_told(api: Any, server: Client, path: str, said: str) -> None:
    mine = footfall.receipt(TOKEN, api=f"{api.http.base_url}{path}", client=server)
    with pytest.raises(ReceiptError, match=said) as caught:
        mine.show()
    assert TOKEN not in str(caught.value)


def test_an_api_that_is_switched_off_is_told(
    postgres_server: str, tmp_path: Path, server: Client
) -> None:
    with new_database(postgres_server) as dsn:
        off = collector(tmp_path, dsn, enabled=False)  # type: ignore[no-untyped-call]
        try:
            mine = footfall.receipt(TOKEN, api=f"{off.http.base_url}/telemetry", client=server)
            with pytest.raises(
                ReceiptError, match=r"switched off; set `receivers.http_api.enabled`"
            ):
                mine.erase()
        finally:
            off.http.close()
            off.up.stop()


@pytest.mark.parametrize("token", ["", "short", "x" * 257, "ä" * 30, "\n" * 30, 7])
def test_what_is_no_token_is_sent_with_nothing_and_told(
    api: Any, server: Client, token: Any
) -> None:
    mine = footfall.receipt(token, client=server)
    with mine.attached():
        server.event(EVENT)
    assert server.flush()
    assert api.query("SELECT receipt_hash FROM footfall.feature_events") == [(None,)]
    with pytest.raises(ReceiptError, match=r"no token; it has 22 to 256 characters"):
        mine.show()


@pytest.mark.parametrize("secret", ["", "short", "a" * 64])
def test_without_a_good_secret_nothing_is_derived(server: Client, secret: str) -> None:
    mine = footfall.receipt(user=7, secret=secret, client=server)
    assert mine.token is None
    with pytest.raises(ReceiptError, match=r"FOOTFALL_RECEIPT_SECRET .*; set it to: openssl"):
        mine.erase()


def test_a_program_that_does_not_ask_keeps_none(server: Client, tmp_path: Path) -> None:
    mine = footfall.receipt(client=server)
    assert mine.token is None
    with pytest.raises(ReceiptError, match=r"does not ask its user.*; call configure"):
        mine.show()
    assert not list(tmp_path.glob(".config/*"))


def block(language: str) -> str:
    """The guide's."""
    guide = Path(__file__).parents[2] / "docs/guides/receipts.md"
    found = re.search(rf"^```{language}\n(.*?)^```", guide.read_text("utf-8"), re.M | re.S)
    assert found
    return found[1]


def test_the_guides_program(postgres_server: str, tmp_path: Path) -> None:
    program, catalog = tmp_path / "program.py", tmp_path / "events.yaml"
    program.write_text(block("python"))
    catalog.write_text(block("yaml"))
    assert len(program.read_text().splitlines()) <= 20
    with new_database(postgres_server) as dsn:
        there = collector(tmp_path, dsn, catalog)  # type: ignore[no-untyped-call]
        url = str(there.http.base_url)
        sent = {
            "FOOTFALL_ENDPOINT": url,
            "FOOTFALL_PROTOCOL": "http/protobuf",
            "FOOTFALL_HEADERS": f"authorization=Bearer%20{ALL}",
            "FOOTFALL_API_URL": f"{url}/telemetry",
        }
        homes = dict.fromkeys(("HOME", "XDG_CONFIG_HOME", "XDG_DATA_HOME"), str(tmp_path / "home"))
        try:
            typed = "a.txt\nagree\nb.txt\nc.txt\nquit\n"
            first = run(program, folder=tmp_path, typed=typed, **sent, **homes)
            typed = "show\nerase\nshow\nquit\n"
            second = run(program, folder=tmp_path, typed=typed, **sent, **homes)
        finally:
            there.http.close()
            there.up.stop()
        typed = "erase\nquit\n"
        third = run(program, folder=tmp_path, typed=typed, **sent, **homes)
    assert first.stderr == second.stderr == ""
    assert re.fullmatch(r"[> ]+[\d-]{10} editor.document: 2\n> 2 erased\n[> \n]+", second.stdout)
    assert "> the collector does not answer (" in third.stdout
