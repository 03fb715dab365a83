"""The newest observations: those that are, however many there are, and without reading a whole day."""

import datetime as dt

import psycopg
import pytest

from footfall_exporters.postgres.reports import periods, seen
from footfall_exporters.postgres.reports.distinct import Span
from footfall_exporters.postgres.reports.newest import newest
from support.batches import batch, dimension, one_row
from support.stores import writing

NOW = dt.datetime.now(dt.UTC).replace(microsecond=0)
SECOND = dt.timedelta(seconds=1)


def microseconds(back):
    return round((NOW - back * SECOND).timestamp() * 10**6)


@pytest.mark.parametrize(
    "backs",
    [
        [0, 0, 40, 4000, 5000],
        [1] * 90 + [30] * 90 + [4000] * 20,
        [n * 10 for n in range(300)],
        [4000 + n for n in range(150)],
        [n * 100 for n in range(108)],
        [2000] * 60 + [2500] * 60,
        [],
    ],
    ids=["few", "many of a minute", "an hour", "long ago", "all of it", "at once", "none"],
)
@pytest.mark.parametrize("ends_before", [0, 3900, -3600])
async def test_they_are_the_newest_of_the_period(store_database, catalog, backs, ends_before):
    async with writing(store_database, catalog) as writer:
        await writer.consume(batch(*(one_row(microseconds(n), dimension()) for n in backs)))
    span = Span(NOW - 3 * 3600 * SECOND, NOW - ends_before * SECOND)
    with psycopg.connect(store_database, options="-c TimeZone=UTC") as connection:
        found = periods.recent(connection, span)["events"]
        stored = connection.execute("SELECT time FROM footfall.feature_events").fetchall()
    within = sorted((t for (t,) in stored if span.since <= t < span.until), reverse=True)
    assert [each["created_at"] for each in found] == within[:100]


def test_it_is_looked_back_from_when_something_was_stored_last():
    parts = []

    def ask(part, limit):
        parts.append(part)
        return ["one"] * min(limit, len(parts) - 1)

    span = Span(NOW - 3 * 3600 * SECOND, NOW + 60 * SECOND)
    last = NOW - 3600 * SECOND
    assert newest(ask, span, 3, last) == ["one"] * 3
    begins = [last - seconds * SECOND for seconds in (1, 2, 3)]
    assert parts == [
        Span(since, until) for since, until in zip(begins, [span.until, *begins[:-1]], strict=True)
    ]


async def test_of_a_store_that_waits_since_an_hour_they_are_found_at_once(
    store_database, catalog, query
):
    async with writing(store_database, catalog) as writer:
        await writer.consume(
            batch(*(one_row(microseconds(3602 + n), dimension()) for n in range(300)))
        )
    query(f"UPDATE footfall.commits SET committed_at = '{NOW - 3600 * SECOND}'")
    statements = []

    class Counting(psycopg.Connection):
        def execute(self, statement, *more, **options):
            statements.append(statement)
            return super().execute(statement, *more, **options)

    with Counting.connect(store_database, options="-c TimeZone=UTC") as connection:
        found = periods.recent(connection, Span(NOW - 7200 * SECOND, NOW))["events"]
    assert len(found) == 100
    assert len(statements) < 20, "not minute by minute since now"


@pytest.mark.parametrize("limit", [1, 50, 1000])
async def test_recent_finds_the_newest_those_of_a_clock_ahead_first(store_database, catalog, limit):
    backs = [-1800, -1, 1, *[3] * 80, 40, 7000, 6 * 86400]
    async with writing(store_database, catalog) as writer:
        await writer.consume(batch(*(one_row(microseconds(n), dimension()) for n in backs)))
    with psycopg.connect(store_database, options="-c TimeZone=UTC") as connection:
        found = seen.recent(connection, {}, limit, NOW)
        stored = connection.execute("SELECT time FROM footfall.feature_events").fetchall()
    at = found.columns.index("created_at")
    assert [row[at] for row in found.rows] == sorted((t for (t,) in stored), reverse=True)[:limit]


async def test_an_index_finds_them(store_database, catalog):
    async with writing(store_database, catalog) as writer:
        await writer.consume(batch(one_row(microseconds(0), dimension())))
    with psycopg.connect(store_database) as connection:
        connection.execute("SET enable_seqscan = off")
        plan = connection.execute(
            "EXPLAIN SELECT * FROM reporting.events WHERE created_at >= %s AND created_at < %s",
            [NOW - SECOND, NOW + SECOND],
        ).fetchall()
    index = f"feature_events_{NOW:%Y%m%d}_seconds"
    assert any(f"Bitmap Index Scan on {index}" in line for (line,) in plan), plan
