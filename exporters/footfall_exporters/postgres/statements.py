"""What a group's transaction says to Postgres, statement by statement, in the order of DESIGN ("Store")."""

import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

from psycopg import AsyncConnection

from footfall_exporters.contracts import Losses
from footfall_processors import Batch, Loss

MOST = 10**12
"""What a count can reach: sums over counts then fit in 64 bits, whatever a sender claims."""

Increment = tuple[int, int, int]
"""Hour in seconds since the Unix epoch, dimension's id, number."""


async def enter(connection: AsyncConnection, batches: Mapping[int, Batch]) -> list[int]:
    """Enters requests in the ledger; returns the ids of those that were not there, in order."""
    ordered = sorted(batches.items(), key=lambda item: item[1].digest)
    found = await connection.execute(
        "INSERT INTO footfall.ingest_batches (id, digest, signal, accepted, losses)"
        " SELECT * FROM unnest(%s::bigint[], %s::uuid[], %s::text[], %s::integer[], %s::jsonb[])"
        " AS b (id, digest, signal, accepted, losses) ORDER BY digest"
        " ON CONFLICT (digest) DO NOTHING RETURNING id",
        [
            [number for number, _ in ordered],
            [batch.digest.hex() for _, batch in ordered],
            [batch.signal for _, batch in ordered],
            [batch.size + len(batch.points) for _, batch in ordered],
            [json.dumps(dict(batch.losses)) for _, batch in ordered],
        ],
    )
    return sorted(row[0] for row in await found.fetchall())


async def losses_before(
    connection: AsyncConnection, digests: Sequence[bytes]
) -> dict[bytes, Losses]:
    """What the ledger says of requests that it knew already.

    By now they may be decoded otherwise, when a clock or the catalog was mended: what was refused then is
    not stored, and its sender must be told so, not that all is well.
    """
    if not digests:
        return {}
    found = await connection.execute(
        "SELECT digest, losses FROM footfall.ingest_batches WHERE digest = ANY(%s::uuid[])",
        [[digest.hex() for digest in digests]],
    )
    return {
        digest.bytes: {Loss(reason): number for reason, number in losses.items()}
        for digest, losses in await found.fetchall()
    }


async def note_baselines(connection: AsyncConnection, baselines: Counter[int]) -> None:
    """Enters in the ledger, by batch, the series whose first value told nothing."""
    for number, series in baselines.items():
        await connection.execute(
            "UPDATE footfall.ingest_batches SET losses = losses || %s::jsonb WHERE id = %s",
            [json.dumps({Loss.COUNTER_BASELINE: series}), number],
        )


async def take_position(
    connection: AsyncConnection,
    batches: Mapping[int, Batch],
    counts: Sequence[Increment],
    beyond: Sequence[Increment],
) -> None:
    """The last statement: the counts, then what subscribers follow, gapless and in commit order.

    The counts come in key order and before the position is taken: whoever takes no turn waits for others
    here, never in a ring.
    """
    times = [time for batch in batches.values() if batch.rows for time in _bounds(batch)]
    await connection.execute(
        "WITH counted AS (INSERT INTO footfall.feature_counts AS c (hour, dim_id, count)"
        " SELECT to_timestamp(hour), dim, n"
        " FROM unnest(%s::bigint[], %s::integer[], %s::bigint[]) AS t (hour, dim, n)"
        " ORDER BY hour, dim"
        " ON CONFLICT (hour, dim_id) DO UPDATE"
        " SET count = least(c.count + excluded.count, %s) RETURNING 1),"
        " next AS (UPDATE footfall.commit_clock SET position = position + 1, counted_from = counted_to,"
        # A millisecond: backends that know no less must see them apart, also while the clock is behind.
        " counted_to = greatest(clock_timestamp(), counted_to + interval '1 millisecond')"
        " WHERE (SELECT count(*) FROM counted) >= 0 RETURNING position, counted_from, counted_to)"
        " INSERT INTO footfall.commits"
        " (position, counted_from, counted_to, batch_ids, first_time, last_time,"
        " count_hours, count_dims, count_values)"
        " SELECT position, counted_from, counted_to, %s, to_timestamp(%s), to_timestamp(%s), %s, %s, %s"
        " FROM next",
        [
            *_columns(counts),
            MOST,
            _array(batches),
            min(times) // 1_000_000 if times else None,
            max(times) // 1_000_000 + 1 if times else None,
            *_columns(beyond),
        ],
    )


async def note_refused(connection: AsyncConnection, batch: Batch) -> None:
    """Enters a batch that can never be stored among the losses."""
    number = sum(batch.counts.values()) + len(batch.points)
    await connection.execute(
        "INSERT INTO footfall.losses_daily AS d VALUES"
        " ((now() AT TIME ZONE 'UTC')::date, %s, %s, %s) ON CONFLICT (day, signal, reason)"
        " DO UPDATE SET count = d.count + excluded.count",
        [batch.signal, Loss.REFUSED_BY_STORE, number],
    )


def _columns(increments: Sequence[Increment]) -> Iterable[str]:
    return map(_array, zip(*increments, strict=True) if increments else ((), (), ()))


def _array(numbers: Iterable[int]) -> str:
    """Postgres' text form of an array; psycopg's adapter looks at every element by itself."""
    return "{" + ",".join(map(str, numbers)) + "}"


def _bounds(batch: Batch) -> tuple[int, int]:
    if batch.bounds is not None:
        return batch.bounds
    return min(min(r.times) for r in batch.rows), max(max(r.times) for r in batch.rows)
