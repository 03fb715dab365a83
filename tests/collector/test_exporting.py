import asyncio
import datetime as dt
import hashlib
import json
import time
from contextlib import asynccontextmanager
from itertools import count

import click
import pytest
from click.testing import CliRunner
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from conftest import CATALOG, known_by
from footfall_collector.cli.export import export, moment
from footfall_collector.subscribers import replay
from footfall_exporters import registry
from footfall_exporters.background import beside
from footfall_exporters.otlp import OtlpHttpConfig
from footfall_exporters.postgres.writer import Writer
from footfall_processors import Batch, Dimension, Rows, Shape
from support.http_server import OK, serving, status

NOW = time.time_ns() // 1000
ORDER = Dimension("shop.order", "web", "order", "success", "ok", None, None, None, None, ())
NUMBERS = count(1)


def order(number=1):
    rows = Rows([NOW] * number, [1] * number, [Shape(ORDER, 1.0, ())] * number, [])
    counts = {(NOW // 3_600_000_000 * 3_600_000_000, ORDER): number}
    digest = hashlib.sha256(str(next(NUMBERS)).encode()).digest()[:16]
    return Batch(digest, "traces", [rows], counts)


async def store(dsn, catalog, *batches):
    writer = Writer(dsn, catalog)
    async with beside(writer.run()):
        for each in batches:
            await writer.consume(each)


@pytest.fixture(autouse=True)
def _kinds(monkeypatch):
    """The kinds of this test, whichever are installed."""
    monkeypatch.setattr(registry, "config_class", {"otlphttp": OtlpHttpConfig}.get)
    monkeypatch.setattr(registry, "kinds", lambda: ["otlphttp"])
    monkeypatch.setattr(replay, "PATIENCE", 0.2)
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")


@asynccontextmanager
async def backend(tmp_path, dsn):
    """A server, and what runs `footfall export` with options, configured for it."""
    async with serving() as server:
        config = tmp_path / "collector.yaml"
        quoted = dsn.replace("'", "''").replace("$", "$$")
        config.write_text(
            f"processors: {{footfall: {{catalog: {CATALOG}, hash_salt: 3f9c1a7be2d05846c1e97ab304fd2865}}}}\n"
            f"exporters: {{postgres: {{dsn: '{quoted}'}}, otlphttp/far: {{endpoint: '{server.url}'}}}}\n"
        )

        async def run(*options, to="otlphttp/far", since="1h"):
            arguments = ["--to", to, "--since", since, "--config", str(config), *options]
            return await asyncio.to_thread(CliRunner().invoke, export, arguments)

        yield server, run


def event_ids(server):
    return [
        span.trace_id
        for request in server.requests
        for group in ExportTraceServiceRequest.FromString(request.body).resource_spans
        for scope in group.scope_spans
        for span in scope.spans
    ]


def ids(*batches):
    named = b"footfall event\0"
    return [
        hashlib.sha256(named + known_by(batch.digest) + n.to_bytes(8, "big")).digest()[:16]
        for batch in batches
        for n in range(batch.size)
    ]


async def test_what_was_stored_is_sent_and_no_cursor_moves(
    tmp_path, store_database, catalog, query
):
    sent = [order(3), order(), order(2)]
    await store(store_database, catalog, *sent)
    query("INSERT INTO footfall.subscribers VALUES ('otlphttp/far', 1) RETURNING 1")
    async with backend(tmp_path, store_database) as (server, run):
        first = await run("--json")
        again = await run()
    assert (first.exit_code, again.exit_code) == (0, 0), first.output + again.output
    said = json.loads(first.stdout)
    assert {k: said[k] for k in ("to", "commits", "sent", "parked", "incomplete")} == {
        "to": "otlphttp/far",
        "commits": 3,
        "sent": 3,
        "parked": 0,
        "incomplete": 0,
    }
    assert event_ids(server) == ids(*sent) * 2
    assert len({request.body for request in server.requests}) == 3
    assert query("SELECT position FROM footfall.subscribers") == [(1,)]
    assert "requests sent" in again.output


async def test_a_period_has_two_ends(tmp_path, store_database, catalog, query):
    sent = [order() for _ in range(4)]
    await store(store_database, catalog, *sent)
    query(
        "UPDATE footfall.commits SET committed_at = now() - position * interval '1 day' RETURNING 1"
    )
    async with backend(tmp_path, store_database) as (server, run):
        until = (dt.datetime.now(dt.UTC) - dt.timedelta(hours=36)).isoformat()
        done = await run("--until", until, since="84h")
    assert done.exit_code == 0, done.output
    assert event_ids(server) == ids(sent[1], sent[2])


async def test_what_was_parked_and_is_taken_now_is_no_longer_parked(
    tmp_path, store_database, catalog, query
):
    sent = [order(), order()]
    await store(store_database, catalog, *sent)
    async with backend(tmp_path, store_database) as (server, run):
        server.script(OK, status(400))
        refused = await run()
        [parked] = query("SELECT name, position, part, events, reason FROM footfall.parked")
        mended = await run()
    assert refused.exit_code == 1
    assert "refused 1 request for good" in refused.output
    assert parked == ("otlphttp/far", 2, 0, 1, "the backend answered HTTP 400")
    assert mended.exit_code == 0, mended.output
    assert query("SELECT * FROM footfall.parked") == []


async def test_a_backend_that_is_away_is_said(tmp_path, store_database, catalog):
    await store(store_database, catalog, order())
    async with backend(tmp_path, store_database) as (server, run):
        server.answer = lambda _: status(503)
        done = await run()
    assert done.exit_code == 1
    assert "otlphttp/far is not available (the backend answered HTTP 503)" in done.output
    assert "run the same command again" in done.output


async def test_an_exporter_that_is_not_there_is_told_with_those_that_are(tmp_path, store_database):
    async with backend(tmp_path, store_database) as (_, run):
        done = await run(to="otlphttp")
    assert done.exit_code == 2
    assert "no exporter otlphttp (there are otlphttp/far)" in done.output


async def test_nothing_is_sent_to_analytics_while_they_are_switched_off(
    tmp_path, store_database, monkeypatch
):
    async with backend(tmp_path, store_database) as (server, run):
        monkeypatch.setenv("TELEMETRY_ANALYTICS_ENABLED", "false")
        done = await run(to="posthog/eu")
        assert done.exit_code == 2
        assert "TELEMETRY_ANALYTICS_ENABLED is false" in done.output
        assert (await run()).exit_code == 0  # to a relay
        assert server.requests == []


async def test_a_database_that_was_never_used_is_said(tmp_path, empty_database):
    async with backend(tmp_path, empty_database) as (_, run):
        done = await run()
    assert done.exit_code == 1
    assert "holds nothing of Footfall yet" in done.output


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("30m", 1800), ("12h", 43_200), ("7d", 604_800), ("2w", 1_209_600), ("0h", 0)],
)
def test_how_long_ago(text, seconds):
    before = dt.datetime.now(dt.UTC)
    assert abs((before - moment(text)).total_seconds() - seconds) < 5


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("2026-11-22", dt.datetime(2026, 11, 22, tzinfo=dt.UTC)),
        ("2026-11-22T14:30", dt.datetime(2026, 11, 22, 14, 30, tzinfo=dt.UTC)),
        ("2026-11-22T14:30+02:00", dt.datetime(2026, 11, 22, 12, 30, tzinfo=dt.UTC)),
    ],
)
def test_dates_are_utc_unless_they_say_otherwise(text, found):
    assert moment(text) == found


@pytest.mark.parametrize(
    "text", ["", "7", "d", "-7d", "7 days", "999999d", "2026-13-01", "yesterday"]
)
def test_what_is_no_time_is_told_what_would_be(text):
    with pytest.raises(click.BadParameter, match="30m, 12h, 7d or 2w ago, or a date"):
        moment(text)
