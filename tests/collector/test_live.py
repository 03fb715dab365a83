"""`GET /api/live`: what a collector stores and refuses, as real clients of its operator's listener see it."""

import asyncio
import contextlib
import json
import socket

import httpx
import psycopg
import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from collector.keyed import ALL, write_keys
from footfall_collector.config.schema import OperatorConfig, ServiceConfig
from footfall_collector.process.app import running
from footfall_collector.receivers import http_server, live
from support.collectors import configured
from support.otlp import PROTOBUF, logs, traces

LISTENER = ServiceConfig(operator=OperatorConfig(endpoint="127.0.0.1:0"))
PLANTED = "planted-7f3a9c"


class Stream:
    """A client as a browser's EventSource is one, by the letter of the specification."""

    def __init__(self, lines):
        self._lines, self.last_id = lines, None

    async def next(self, kind=None):
        """The next event, of a kind."""
        while True:
            event, data = await asyncio.wait_for(self._event(), 20)
            if kind in (None, event):
                return data if kind else (event, data)

    async def _event(self):
        event, data = "message", []
        async for line in self._lines:
            field, _, value = line.partition(":")
            value = value.removeprefix(" ")
            if line == "" and data:
                return event, json.loads("\n".join(data))
            if field == "id":
                self.last_id = value
            elif field == "event":
                event = value
            elif field == "data":
                data.append(value)
        raise EOFError

    async def rest(self):
        found = []
        with contextlib.suppress(EOFError):
            while True:
                found.append(await asyncio.wait_for(self._event(), 20))
        return found


@contextlib.asynccontextmanager
async def looking(collector, last_id=None, **query):
    headers = {"last-event-id": last_id} if last_id else {}
    url = f"http://{collector.operator}/api/live"
    async with (
        httpx.AsyncClient(timeout=30, verify=False) as client,
        client.stream("GET", url, params=query, headers=headers) as answer,
    ):
        assert answer.status_code == 200
        assert answer.headers["content-type"].startswith("text/event-stream")
        assert answer.headers["cache-control"] == "no-store"
        yield Stream(answer.aiter_lines())


async def joined(stream):
    """Waits until a stream says how far it is: what comes from now on is in it."""
    while stream.last_id is None:
        line = await asyncio.wait_for(anext(stream._lines, "EOF"), 20)
        assert line != "EOF"
        if line.startswith("id:"):
            stream.last_id = line[3:].strip()


async def send(collector, signal, body, token=None):
    headers = PROTOBUF | ({"authorization": f"Bearer {token}"} if token else {})
    async with httpx.AsyncClient(timeout=30, verify=False) as http:
        url = f"http://{collector.http}/v1/{signal}"
        return await http.post(url, content=body, headers=headers)


async def recent(collector):
    """The newest observations that are stored."""
    async with httpx.AsyncClient(verify=False) as http:
        return (await http.get(f"http://{collector.operator}/api/reports/recent")).json()


@pytest.fixture
async def collector(store_database, catalog):
    async with running(configured(catalog, store_database, service=LISTENER)) as collector:
        yield collector


async def test_what_is_stored_and_lost_is_streamed_without_a_pseudonym(collector, query):
    async with looking(collector) as stream:
        await joined(stream)
        await send(collector, "traces", traces("shop.order", number=2, guild_id=PLANTED))
        await send(collector, "logs", logs("planted.event"))
        stored = [await stream.next("stored") for _ in range(2)]
        lost = await stream.next("lost")
    assert stored[0] == stored[1]
    assert {**stored[0], "at": ""} == {
        "at": "", "event": "shop.order", "action": "success", "surface": "web", "feature": "order",
        "status": "ok", "product": "testbed", "duration_ms": 83, "attributes": {},
    }  # fmt: skip
    assert (lost["reason"], lost["signal"], lost["count"]) == ("undeclared_event", "logs", 1)
    [[pseudonym]] = query("SELECT DISTINCT guild_hash::text FROM footfall.feature_events")
    assert pseudonym
    assert not {PLANTED, pseudonym} & {*json.dumps([stored, lost]).split('"')}


async def test_who_has_read_what_was_before_misses_nothing_and_hears_nothing_twice(collector):
    async with looking(collector) as other:
        await joined(other)
        await send(collector, "traces", traces("shop.order"))
        read = await recent(collector)
        assert [each["event"] for each in read["events"]] == ["shop.order"]
        await send(collector, "traces", traces("shop.ping"))
        async with looking(collector, after=read["position"]) as stream:
            await send(collector, "traces", traces("shop.order"))
            stored = [await stream.next("stored") for _ in range(2)]
    assert [each["event"] for each in stored] == ["shop.ping", "shop.order"]


async def test_who_was_away_is_told_what_came_meanwhile_and_nothing_twice(collector):
    async with looking(collector) as stream:
        await joined(stream)
        await send(collector, "traces", traces("shop.ping"))
        await stream.next("stored")
        await send(collector, "traces", traces("shop.ping"))
        await stream.next("stored")
        before = stream.last_id
    for _ in range(3):
        await send(collector, "traces", traces("shop.ping", number=2))
    async with looking(collector, last_id=before) as stream:
        again = [await stream.next() for _ in range(6)]
        await send(collector, "traces", traces("shop.ping", number=9))
        later = [await stream.next() for _ in range(9)]
    assert {kind for kind, _ in again + later} == {"stored"}
    assert int(stream.last_id) > int(before)


def of_staging(body):
    request = ExportTraceServiceRequest.FromString(body)
    attributes = request.resource_spans[0].resource.attributes
    attributes.add(key="deployment.environment.name").value.string_value = "staging"
    return request.SerializeToString()


async def test_it_may_be_asked_of_a_product_and_an_environment(collector):
    async with (
        looking(collector, product="testbed", environment="staging") as staging,
        looking(collector, product="other") as other,
        looking(collector) as every,
    ):
        for stream in (staging, other, every):
            await joined(stream)
        await send(collector, "traces", traces("shop.ping"))
        await send(collector, "traces", of_staging(traces("shop.ping")))
        await send(collector, "logs", logs("planted.event"))
        assert (await staging.next("stored"))["environment"] == "staging"
        assert (await staging.next())[0] == "lost", "nothing else was of that environment"
        assert (await other.next())[0] == "lost"
        assert [(await every.next())[0] for _ in range(3)] == ["stored", "stored", "lost"]


@pytest.mark.parametrize(
    ("query", "headers"),
    [({"guild": PLANTED}, {}), ({}, {"last-event-id": PLANTED}), ({"after": PLANTED}, {})],
)
async def test_what_cannot_be_asked_is_said_and_not_echoed(collector, query, headers):
    async with httpx.AsyncClient(verify=False) as client:
        url = f"http://{collector.operator}/api/live"
        answer = await client.get(url, params=query, headers=headers)
    assert (answer.status_code, answer.json()["error"]) == (400, "invalid_query")
    assert PLANTED not in answer.text


async def test_of_very_many_at_once_some_are_shown_and_all_are_summed(collector):
    async with looking(collector) as stream:
        await joined(stream)
        await send(collector, "traces", traces("shop.ping", number=1000))
        found = [await stream.next() for _ in range(201)]
    assert [kind for kind, _ in found] == ["stored"] * 200 + ["summary"]
    summary = found[-1][1]
    assert summary["left_out"] == 800
    assert [(each["event"], each["count"]) for each in summary["events"]] == [("shop.ping", 1000)]


async def test_streams_are_limited_and_a_place_is_free_when_a_client_has_gone(collector):
    async with contextlib.AsyncExitStack() as stack:
        opened = [await stack.enter_async_context(looking(collector)) for _ in range(live.MOST)]
        for stream in opened:
            await joined(stream)
        async with httpx.AsyncClient(verify=False) as client:
            answer = await client.get(f"http://{collector.operator}/api/live")
        assert (answer.status_code, answer.json()["error"]) == (503, "too_many")
        assert answer.headers["retry-after"] == "10"
    async with asyncio.timeout(20):
        while True:
            with contextlib.suppress(AssertionError):
                async with looking(collector) as stream:
                    await joined(stream)
                    return
            await asyncio.sleep(0.05)


def narrow(monkeypatch):
    """Has the system keep little of what is sent, so that it is soon felt that nobody reads."""
    made = http_server.open_socket

    def open_socket(*args, **options):
        listener = made(*args, **options)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)
        return listener

    monkeypatch.setattr(http_server, "open_socket", open_socket)


async def test_a_client_that_reads_nothing_is_given_up_and_holds_nobody(
    store_database, catalog, monkeypatch
):
    narrow(monkeypatch)
    monkeypatch.setattr(http_server, "TAKES_S", 0.5)
    monkeypatch.setattr(live, "MOST", 2)
    config = configured(catalog, store_database, service=LISTENER)
    async with running(config) as collector, looking(collector) as stream:
        with socket.socket() as deaf:
            deaf.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2048)
            host, port = collector.operator.split(":")
            deaf.connect((host, int(port)))
            deaf.sendall(b"GET /api/live HTTP/1.1\r\nhost: localhost\r\n\r\n")
            await joined(stream)
            async with asyncio.timeout(60):
                while await is_full(collector):
                    await send(collector, "traces", traces("shop.ping", number=1000))
                    await stream.next("summary")


async def is_full(collector):
    async with (
        httpx.AsyncClient(verify=False) as client,
        client.stream("GET", f"http://{collector.operator}/api/live") as answer,
    ):
        return answer.status_code == 503


async def test_a_store_that_goes_and_comes_back_is_said_to(collector, query):
    async with looking(collector) as stream:
        await joined(stream)
        await send(collector, "traces", traces("shop.ping"))
        await stream.next("stored")
        with contextlib.suppress(psycopg.Error):
            query(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                " WHERE application_name = 'footfall live' AND datname = current_database()"
            )
        assert (await stream.next("away"))["reason"]
        assert (await stream.next("away"))["reason"] is None
        await send(collector, "traces", traces("shop.ping"))
        await stream.next("stored")


async def test_it_goes_on_after_postgres_was_started_again(own_server, own_database, catalog):
    config = configured(catalog, own_database, service=LISTENER)
    async with running(config) as collector, looking(collector) as stream:
        await joined(stream)
        own_server.stop()
        assert (await stream.next("away"))["reason"]
        own_server.start()
        assert (await stream.next("away"))["reason"] is None
        assert (await send(collector, "traces", traces("shop.ping"))).status_code == 200
        await stream.next("stored")


async def test_a_collector_that_stops_ends_its_streams_at_once(store_database, catalog, caplog):
    config = configured(catalog, store_database, service=LISTENER)
    async with contextlib.AsyncExitStack() as stack:
        async with running(config) as collector:
            stream = await stack.enter_async_context(looking(collector))
            await joined(stream)
            await send(collector, "traces", traces("shop.ping"))
        assert [kind for kind, _ in await stream.rest()] in ([], ["stored"])
    assert "graceful shutdown exceeded" not in caplog.text


async def test_a_stream_says_that_it_is_there_and_ends_after_a_while(collector, monkeypatch):
    monkeypatch.setattr(live, "HEARTBEAT_S", 0.05)
    monkeypatch.setattr(live, "LASTS_S", 1.0)
    async with httpx.AsyncClient(verify=False) as client:
        answer = await client.get(f"http://{collector.operator}/api/live")
    assert answer.text.startswith("retry: 2000\n\n")
    assert ": there\n\n" in answer.text


async def test_refused_requests_are_streamed_with_whose_they_were(
    store_database, catalog, tmp_path
):
    write_keys(tmp_path / "keys.yaml", web=(ALL, {}))
    keys = {"keys_file": str(tmp_path / "keys.yaml")}
    config = configured(catalog, store_database, service=LISTENER, **keys)
    async with running(config) as collector, looking(collector, product="other") as stream:
        await joined(stream)
        await send(collector, "traces", traces("shop.ping"), PLANTED)
        refused = await stream.next("refused")
    assert (refused["reason"], refused["signal"], refused["count"]) == ("key", "traces", 1)
