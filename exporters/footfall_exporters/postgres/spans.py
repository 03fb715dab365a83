"""Spans told apart one by one: a hop that batches again after a retry sends them in other requests.

Only where it is asked for (`receivers.otlp.deduplicate: spans`): it takes an index over all spans of a week.
A span's id begins with its day, so that new ones stand together at the end of the index, and old ones go in
one stretch (ADR 11).
"""

import hmac
import os
import uuid
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace

from psycopg import AsyncConnection

from footfall_exporters.postgres.statements import note_losses
from footfall_processors import Batch, Dimension, Loss, Rows
from footfall_processors.batch import HOUR_US

_DAY_US = 24 * HOUR_US


def span_id(key: bytes, ids: bytes, time_us: int) -> bytes:
    """The 16 bytes that stand for a span.

    Args:
        key: The store's.
        ids: Trace id and span id, one after the other; one without ids is like no other.
        time_us: When it ended, µs since the Unix epoch.
    """
    named = hmac.digest(key, ids, "sha256")[:14] if ids else os.urandom(14)
    return oldest_of(time_us // _DAY_US)[:2] + named


def oldest_of(day: int) -> bytes:
    """The least id of a day, counted since 1970."""
    return day.to_bytes(2, "big") + bytes(14)


async def keep_new(connection: AsyncConnection, batches: Mapping[int, Batch]) -> dict[int, Batch]:
    """Enters the spans of batches, and leaves out those that were there.

    Args:
        connection: In the transaction that stores the batches, whose requests are in the ledger.
        batches: By their ids.

    Returns:
        The batches that are not whole any more.
    """
    wanted = {span for batch in batches.values() for rows in batch.rows for span in rows.spans}
    if not wanted:
        return {}
    found = await connection.execute(
        "INSERT INTO footfall.span_ledger SELECT * FROM unnest(%s::uuid[]) AS s (span) ORDER BY span"
        " ON CONFLICT DO NOTHING RETURNING span",
        [[uuid.UUID(bytes=span) for span in wanted]],
    )
    new = {row[0].bytes for row in await found.fetchall()}
    shortened = {}
    for number, batch in sorted(batches.items()):
        kept = _only(batch, new)
        if kept is not batch:
            shortened[number] = kept
            await _note(connection, number, kept, batch.size - kept.size)
    return shortened


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
