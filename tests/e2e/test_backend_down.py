"""A backend that is down for the whole load gets everything afterwards, once per event id."""

import asyncio
import json
from collections import Counter

import grpc
import psycopg
import pytest

from footfall_collector.process.app import running
from footfall_collector.subscribers import delivery
from footfall_exporters.posthog import PostHogConfig
from support.collectors import configured
from support.http_server import serving, status
from support.otlp import METHODS, one_ping, traces
from support.ports import free_port

pytestmark = [pytest.mark.requirement("F5"), pytest.mark.requirement("G10")]


async def caught_up(dsn):
    """Returns when the subscriber has taken everything that is stored."""
    statement = (
        "SELECT s.position = k.position FROM footfall.subscribers s, footfall.commit_clock k"
    )
    async with asyncio.timeout(60):
        while True:
            with psycopg.connect(dsn) as connection:
                if connection.execute(statement).fetchone() == (True,):
                    return
            await asyncio.sleep(0.1)


async def test_posthog_down_for_the_whole_load_gets_everything_afterwards_once_per_event_id(
    catalog, store_database, monkeypatch
):
    monkeypatch.setattr(delivery.Backoff, "wait", lambda *_: 0.2)
    port = free_port()
    posthog = PostHogConfig(endpoint=f"http://127.0.0.1:{port}/batch/", api_key="phc_test")
    config = configured(catalog, store_database, subscribers={"posthog": posthog})
    sent = [traces("shop.ping", "shop.order", number=25) for _ in range(20)]
    async with running(config) as collector:
        async with grpc.aio.insecure_channel(collector.grpc) as channel:
            export = channel.unary_unary(METHODS["traces"])
            await asyncio.gather(*(export(body) for body in sent * 2))  # each sent twice
            await channel.unary_unary(METHODS["metrics"])(one_ping("metrics"))
        async with serving(port=port) as server:
            # Back, but not well: some requests are taken and their answer is lost, some are refused for now.
            taken = []

            def answer(request):
                turn = len(server.requests) % 4
                if turn == 1:
                    return status(503, "Retry-After: 1")
                taken.extend(json.loads(request.body)["batch"])
                return b"" if turn == 2 else status(200, body=b"{}")

            server.answer = answer
            await caught_up(store_database)
    by_id = {event["uuid"]: event for event in taken}
    names = Counter()
    for event in by_id.values():
        names[event["event"]] += event["properties"].get("quantity", 1)
    assert len(taken) > len(by_id)  # it was sent some of it again, under the same ids
    assert dict(names) == {"shop.ping": 501, "shop.order": 500}
    assert len(by_id) == 1001
    with psycopg.connect(store_database) as connection:
        assert connection.execute("SELECT count(*) FROM footfall.parked").fetchone() == (0,)
        usage = connection.execute(
            "SELECT event, sum(count)::int FROM reporting.usage GROUP BY 1"
        ).fetchall()
    assert dict(usage) == dict(names)
