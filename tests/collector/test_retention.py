"""Observations that are kept for less than a week: what is so old is not taken any more (R-number D1)."""

import datetime as dt

import pytest

from collector.spans import DAY, HOUR
from footfall_exporters.postgres import PostgresConfig
from footfall_exporters.postgres.housekeeping import Housekeeper
from footfall_exporters.postgres.tasks import House
from support.collectors import both, configured, connected, counts
from support.otlp import logs, metrics, traces

MAKE = {"traces": traces, "logs": logs}


@pytest.fixture
async def client(catalog, store_database):
    """Of a collector that keeps observations for a day."""
    postgres = PostgresConfig(dsn=store_database, retention_days=1)
    async with connected(configured(catalog, store_database, postgres=postgres)) as client:
        yield client


@both
@pytest.mark.parametrize("signal", MAKE)
async def test_what_would_be_dropped_at_once_is_refused_and_the_rest_is_stored(
    client, query, protocol, signal
):
    await client.send(protocol, signal, MAKE[signal]("shop.order", age=22 * HOUR))
    answer = await client.send(protocol, signal, MAKE[signal]("shop.order", age=24 * HOUR))
    assert answer.partial_success.error_message == (
        "out_of_window: 1 (times must be within 23 hours before and 5 minutes after now)"
    )
    assert sum(counts(query).values()) == 1
    [(losses,)] = query("SELECT losses FROM footfall.ingest_batches WHERE losses <> '{}'")
    assert losses == {"out_of_window": 1}


async def test_increments_of_counters_go_by_the_same_times(client, query):
    await client.send("grpc", "metrics", metrics(3, age=22 * HOUR))
    answer = await client.send("grpc", "metrics", metrics(4, age=2 * DAY))
    assert "out_of_window: 1 " in answer.partial_success.error_message
    assert counts(query) == {"shop.ping.invoke": 3}


async def test_there_is_room_for_no_day_that_is_dropped(catalog, store_database, query):
    house = House(catalog, 1, 400)
    for _ in range(2):
        keeper = Housekeeper(store_database, house)
        ran = {run.task: run.number for run in await keeper.run_due({"partitions", "retention"})}
        query("UPDATE footfall.housekeeping SET next_run = last_run")
    assert ran["partitions"] == 0, "a day that was dropped is not made again"
    [(first,)] = query(
        "SELECT min(right(relname, 8)::date) FROM pg_class JOIN pg_inherits ON inhrelid = oid"
        " WHERE inhparent = 'footfall.feature_events'::regclass"
    )
    assert first == dt.datetime.now(dt.UTC).date() - dt.timedelta(days=1)
