"""Ranges that end now: today is read as a day, and nothing of it is missing or too many."""

import datetime as dt

import psycopg
import pytest

from grafana.panels import DASHBOARDS, View, dashboard, query
from support.batches import batch, dimension, one_row
from support.stores import writing

NOW = dt.datetime.now(dt.UTC)
HOUR, MINUTE = dt.timedelta(hours=1), dt.timedelta(minutes=1)
TIMES = [NOW - n * 17 * MINUTE for n in range(400)] + [NOW + 4 * MINUTE]
"""For four days and more; what is ahead may be of the next hour, or of tomorrow."""
OVERVIEW = dashboard(DASHBOARDS / "footfall-overview.json")


@pytest.fixture
async def reader(store_database, catalog):
    async with writing(store_database, catalog) as writer:
        rows = (one_row(round(at.timestamp() * 10**6), dimension()) for at in TIMES)
        await writer.consume(batch(*rows))
    with psycopg.connect(store_database, autocommit=True) as session:
        session.execute("SET ROLE footfall_reader")
        yield session


def hour_of(at):
    return at.replace(minute=0, second=0, microsecond=0)


@pytest.mark.parametrize("hours", [0.2, 3, 30, 72])
@pytest.mark.parametrize("ends", [-3, 0, 1, 25])
async def test_uses_are_those_of_the_hours_that_the_range_touches(reader, hours, ends):
    until = NOW - ends * HOUR
    since = until - hours * HOUR
    of = [hour_of(at) for at in TIMES if since - HOUR < hour_of(at) <= until]
    [row] = query(reader, OVERVIEW, "Uses", View(since, until))
    assert row["Uses"] == len(of)
    for bucket, size in (("1h", 1), ("6h", 6), ("1d", 24)):
        chosen = View(since, until, {"bucket": [bucket]})
        points = query(reader, OVERVIEW, "Uses per ${bucket}, by surface", chosen)
        found = {point["time"]: point["value"] for point in points}
        starts = [at - at.hour % size * HOUR for at in of]
        assert found == {at: starts.count(at) for at in starts}
