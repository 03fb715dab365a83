"""What is stored of the days that housekeeping looks at."""

import datetime as dt
import math
from contextlib import asynccontextmanager

import psycopg
import pytest

from support.batches import dimension
from support.stores import TODAY

BOUND = 0.022
"""What the buckets promise."""


def day(back):
    return TODAY - dt.timedelta(days=back)


def row(moment, duration=None, guild=None, of=None):
    return moment, duration, of or dimension(), {"guild_id": guild and guild.ljust(16).encode()}


@asynccontextmanager
async def connected(dsn, **options):
    async with await psycopg.AsyncConnection.connect(dsn, autocommit=True, **options) as connection:
        yield connection


def nearest_rank(values, share):
    """The percentile by its definition: no interpolation."""
    return sorted(values)[math.ceil(share * len(values)) - 1]


def latencies(query, back):
    found = query(
        "SELECT event, action, observations, p50_ms, p95_ms, p99_ms FROM reporting.latency WHERE day = %s",
        day(back),
    )
    by_name = {(event, action): tuple(rest) for event, action, *rest in found}
    assert len(by_name) == len(found)  # each once
    return by_name


def groups(query, back):
    found = query("SELECT attribute, groups FROM reporting.active_groups WHERE day = %s", day(back))
    assert len(dict(found)) == len(found)  # each once
    return dict(found)


def stored_rows(query):
    return query("SELECT count(*) FROM footfall.feature_events")[0][0]


def same(found, durations):
    """Whether percentiles from buckets are those of these durations, as near as is promised."""
    number, *percentiles = found
    assert number == len(durations)
    for got, share in zip(percentiles, (0.5, 0.95, 0.99), strict=True):
        assert got == pytest.approx(nearest_rank(durations, share), rel=BOUND)


def moment(us):
    return dt.datetime.fromtimestamp(us / 1e6, dt.UTC)
