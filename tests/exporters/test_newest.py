"""The newest observations: those that are, however many there are, and without reading a whole day."""

import datetime as dt

import psycopg
import pytest

from footfall_exporters.postgres.reports import periods, seen
from footfall_exporters.postgres.reports.distinct import Span
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
