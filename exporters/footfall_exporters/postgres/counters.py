"""Cumulative counters → exact increments (DESIGN, `feature_counts`; OTLP.md, "Traps").

A cumulative counter is exported again and again, and what was lost is made good by the next export. Per
series the highest value seen is kept; only what exceeds it is an increment. All of it happens in the
transaction that stores the batch, so that a replay adds nothing.
"""

import time
import uuid
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from psycopg import AsyncConnection

from footfall_processors import Dimension, Point
from footfall_processors.batch import HOUR_US

OLD_US = 7 * 24 * HOUR_US
"""A counter that started earlier than this may have been counted already, and its state deleted since: its
first value is a baseline."""

_Key = tuple[uuid.UUID, uuid.UUID]


@dataclass(frozen=True, slots=True)
class Increments:
    """What a group of batches adds.

    Attributes:
        counts: (hour as µs since the Unix epoch, dimension) → increment.
        baselines: Batch → its series whose first value was taken as a baseline: losses of unknown size.
    """

    counts: Counter[tuple[int, Dimension]]
    baselines: Counter[int]


async def merge(connection: AsyncConnection, batches: Mapping[int, Sequence[Point]]) -> Increments:
    """Merges the points of batches into the stored series, inside the caller's transaction.

    All series of the group are locked at once and in key order, so that collectors cannot deadlock.
    """
    points = [(number, _key(p), p) for number, group in batches.items() for p in group]
    keys = sorted({key for _, key, _ in points})
    known = await _streams(connection, {stream for stream, _ in keys})
    new = await _seed(connection, keys)
    values = await _lock(connection, keys)
    found = Increments(Counter(), Counter())
    now_us = time.time_ns() // 1000  # retention goes by it as well; a spooled point may be days old
    for number, key, point in sorted(points, key=lambda entry: (entry[2].time_us, entry[2].value)):
        old = now_us - point.start_us > OLD_US
        if key in new and old and key[0] not in known:
            found.baselines[number] += 1
        elif point.value > values[key]:
            hour = point.time_us // HOUR_US * HOUR_US
            found.counts[hour, point.dimension] += point.value - values[key]
        new.discard(key)
        values[key] = max(values[key], point.value)
    await _raise(connection, keys, [values[key] for key in keys])
    return found


def _key(point: Point) -> _Key:
    return uuid.UUID(bytes=point.stream), uuid.UUID(bytes=point.series)


async def _streams(connection: AsyncConnection, streams: Iterable[uuid.UUID]) -> set[uuid.UUID]:
    """Which streams have any series: a new series of a known stream began at zero."""
    found = await connection.execute(
        "SELECT DISTINCT stream FROM footfall.counter_series WHERE stream = ANY(%s)",
        [list(streams)],
    )
    return {row[0] for row in await found.fetchall()}


async def _seed(connection: AsyncConnection, keys: Sequence[_Key]) -> set[_Key]:
    """Inserts the series that are new, at zero; returns them."""
    found = await connection.execute(
        "INSERT INTO footfall.counter_series (stream, series, value)"
        " SELECT stream, series, 0 FROM unnest(%s::uuid[], %s::uuid[]) AS k (stream, series)"
        " ORDER BY stream, series ON CONFLICT DO NOTHING RETURNING stream, series",
        list(map(list, zip(*keys, strict=True))),
    )
    return {(stream, series) for stream, series in await found.fetchall()}


async def _lock(connection: AsyncConnection, keys: Sequence[_Key]) -> dict[_Key, int]:
    found = await connection.execute(
        "SELECT stream, series, value FROM footfall.counter_series"
        " WHERE (stream, series) IN (SELECT * FROM unnest(%s::uuid[], %s::uuid[]))"
        " ORDER BY stream, series FOR UPDATE",
        list(map(list, zip(*keys, strict=True))),
    )
    return {(stream, series): value for stream, series, value in await found.fetchall()}


async def _raise(connection: AsyncConnection, keys: Sequence[_Key], values: Sequence[int]) -> None:
    streams, series = map(list, zip(*keys, strict=True))
    await connection.execute(
        "UPDATE footfall.counter_series AS s"
        " SET value = greatest(s.value, k.value), seen_at = clock_timestamp()"
        " FROM unnest(%s::uuid[], %s::uuid[], %s::bigint[]) AS k (stream, series, value)"
        " WHERE s.stream = k.stream AND s.series = k.series",
        [streams, series, list(values)],
    )
