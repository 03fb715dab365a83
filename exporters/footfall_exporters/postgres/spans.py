"""Spans told apart one by one: a hop that batches again after a retry sends them in other requests.

Only where it is asked for (`receivers.otlp.deduplicate: spans`): it takes an index over all spans of two
weeks. A span's id begins with its day, so that new ones stand together at the end of the index, and old ones
go in one stretch (ADR 11).
"""

import os
from collections import Counter
from collections.abc import Mapping, Sequence, Set
from dataclasses import replace
from functools import partial
from hashlib import blake2b

from psycopg import AsyncConnection

from footfall_exporters.postgres.statements import note_losses
from footfall_processors import Batch, Dimension, Loss, Rows
from footfall_processors.batch import DAY_US, HOUR_US

_NAME = 14
"""Bytes of a span's name behind its day."""


def span_ids(key: bytes, ids: Sequence[bytes], times: Sequence[int]) -> list[bytes]:
    """The 16 bytes that stand for each span: its day, and a keyed BLAKE2b, cut to 112 bits.

    Args:
        key: The store's, 64 bytes at most.
        ids: Trace id and span id, one after the other; one without ids is like no other.
        times: When they ended, µs since the Unix epoch.
    """
    named = partial(blake2b, key=key, digest_size=_NAME)
    days = {day: oldest_of(day)[:2] for day in {time // DAY_US for time in times}}
    return [
        days[time // DAY_US] + (named(each).digest() if each else os.urandom(_NAME))
        for each, time in zip(ids, times, strict=True)
    ]


def oldest_of(day: int) -> bytes:
    """The least id of a day, counted since 1970."""
    return day.to_bytes(2, "big") + bytes(_NAME)


async def keep_new(connection: AsyncConnection, batches: Mapping[int, Batch]) -> dict[int, Batch]:
    """Enters the spans of batches, and leaves out those that were there.

    Args:
        connection: In the transaction that stores the batches, whose requests are in the ledger.
        batches: By their ids.

    Returns:
        The batches that are not whole any more.
    """
    spans = [span for batch in batches.values() for rows in batch.rows for span in rows.spans]
    new = set(spans)
    known = await _enter(connection, new) if spans else set()
    if not known and len(new) == len(spans):  # nearly always
        return {}
    new -= known
    shortened = {}
    for number, batch in sorted(batches.items()):
        kept = _only(batch, new)
        if kept is not batch:
            shortened[number] = kept
            await _note(connection, number, kept, batch.size - kept.size)
    return shortened


async def _enter(connection: AsyncConnection, spans: Set[bytes]) -> set[bytes]:
    """Enters spans; those that were there. No other writer enters any meanwhile (ADR 10)."""
    found = await connection.execute(
        "WITH given AS (SELECT * FROM unnest(%s::uuid[]) AS g (span)),"
        " entered AS (INSERT INTO footfall.span_ledger SELECT span FROM given ORDER BY span"
        "   ON CONFLICT DO NOTHING)"
        " SELECT uuid_send(span) FROM given JOIN footfall.span_ledger USING (span)",
        ["{" + ",".join(map(bytes.hex, spans)) + "}"],
    )
    return {bytes(row[0]) for row in await found.fetchall()}


def _only(batch: Batch, new: set[bytes]) -> Batch:
    """A batch with the first row of each new span, which is then no longer new."""
    counts, rows, left_out = Counter(batch.counts), [], 0
    for each in batch.rows:
        positions = _take(each.spans, new) if each.spans else range(len(each.times))
        if len(positions) == len(each.times):
            rows.append(each)
            continue
        left_out += len(each.times) - len(positions)
        counts.subtract(_hours(each.take(sorted(set(range(len(each.times))) - set(positions)))))
        if positions:
            rows.append(each.take(positions))
    if not left_out:
        return batch
    losses = Counter(batch.losses) + Counter({Loss.DUPLICATE_SPAN: left_out})
    return replace(batch, rows=rows, counts=+counts, losses=losses, bounds=None)


def _take(spans: Sequence[bytes], new: set[bytes]) -> list[int]:
    positions = []
    for position, span in enumerate(spans):
        if span in new:
            new.remove(span)
            positions.append(position)
    return positions


def _hours(rows: Rows) -> Counter[tuple[int, Dimension]]:
    return Counter(
        (time // HOUR_US * HOUR_US, shape.dimension)
        for time, shape in zip(rows.times, rows.shapes, strict=True)
    )


async def _note(connection: AsyncConnection, number: int, kept: Batch, left_out: int) -> None:
    await connection.execute(
        "UPDATE footfall.ingest_batches SET accepted = %s WHERE id = %s", [kept.size, number]
    )
    await note_losses(connection, {number: {Loss.DUPLICATE_SPAN: left_out}})
