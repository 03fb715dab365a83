"""What a group's transaction says to Postgres, statement by statement (docs/design.md, "Exactly once")."""

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Final, NamedTuple

from psycopg import AsyncConnection

from footfall_exporters.contracts import Losses
from footfall_exporters.postgres.direct import Direct
from footfall_processors import Batch, Loss

MOST = 10**12
"""What a count can reach: sums over counts then fit in 64 bits, whatever a sender claims."""

_ENTER: Final = """INSERT INTO footfall.ingest_batches (id, digest, signal, accepted, losses, content)
    SELECT * FROM unnest($1::bigint[], $2::uuid[], $3::text[], $4::integer[], $5::jsonb[], $6::uuid[])
        AS b (id, digest, signal, accepted, losses, content) ORDER BY digest
    ON CONFLICT (digest) DO NOTHING RETURNING id
"""
# A millisecond: backends that know no less must see commits apart, also while the clock is behind.
_TAKE_POSITION: Final = f"""WITH counted AS (
        INSERT INTO footfall.feature_counts AS c (hour, dim_id, count)
        SELECT to_timestamp(hour), dim, n
        FROM unnest($1::bigint[], $2::integer[], $3::bigint[]) AS t (hour, dim, n) ORDER BY hour, dim
        ON CONFLICT (hour, dim_id) DO UPDATE SET count = least(c.count + excluded.count, {MOST})
        RETURNING 1
    ), next AS (
        UPDATE footfall.commit_clock SET position = position + 1, counted_from = counted_to,
            counted_to = greatest(clock_timestamp(), counted_to + interval '1 millisecond')
        WHERE (SELECT count(*) FROM counted) >= 0 RETURNING position, counted_from, counted_to
    )
    INSERT INTO footfall.commits (position, counted_from, counted_to, requests, first_time, last_time,
                                  count_hours, count_dims, count_values)
    SELECT position, counted_from, counted_to, $4, to_timestamp($5::bigint), to_timestamp($6::bigint),
           $7, $8, $9 FROM next
"""  # noqa: S608  # a constant
Increment = tuple[int, int, int]
"""Hour in seconds since the Unix epoch, dimension's id, number."""


class Before(NamedTuple):
    """What is known of a request that came before.

    Attributes:
        losses: What of it was dropped then; None where that was in this very transaction.
        content: What its content is known by, where its sender named it.
    """

    losses: Losses | None
    content: bytes | None


async def enter(
    direct: Direct,
    batches: Mapping[int, Batch],
    names: Mapping[int, bytes],
    contents: Mapping[int, bytes],
) -> list[int]:
    """Enters requests in the ledger; returns the ids of those that were not there, in order.

    Args:
        direct: In the group's transaction.
        batches: By their ids.
        names: What each is known by, by the same ids (digests.py).
        contents: What the content of each is known by whose sender named it, by the same ids.
    """
    ordered = sorted(batches, key=names.__getitem__)
    found = await direct.ask(
        _ENTER,
        _array(ordered),
        _array(names[n].hex() for n in ordered),
        _array(batches[n].signal for n in ordered),
        _array(batches[n].size + len(batches[n].points) for n in ordered),
        _array(_quoted(json.dumps(dict(batches[n].losses))) for n in ordered),
        _array(contents[n].hex() if n in contents else "NULL" for n in ordered),
    )
    return sorted(int(number or b"") for (number,) in found)


async def note_repeats(
    connection: AsyncConnection, repeats: Mapping[bytes, Sequence[Batch]]
) -> dict[bytes, Before]:
    """Counts requests that the ledger knew already, and says what it knows of them.

    By now they may be decoded otherwise, when a clock or the catalog was corrected: what was refused then is
    not stored, and its sender must be told so, not that all is well. What of a repeated request has nothing
    that tells a retry from another sender's equal one is a loss, if it was none (ADR 11).

    Args:
        connection: In the group's transaction; it writes, so that its COMMIT waits for standbys.
        repeats: The repeated requests by what they are known by.
    """
    if not repeats:
        return {}
    found = await connection.execute(
        "UPDATE footfall.ingest_batches AS b SET repeats = b.repeats + r.number, losses = b.losses"
        " || CASE WHEN r.lost > 0 THEN jsonb_build_object("
        "     %(reason)s::text, coalesce((b.losses ->> %(reason)s)::bigint, 0) + r.lost)"
        "   ELSE '{}' END"
        " FROM unnest(%(digests)s::uuid[], %(numbers)s::integer[], %(lost)s::bigint[])"
        " AS r (digest, number, lost) WHERE b.digest = r.digest RETURNING b.digest, b.losses,"
        " b.content",
        {
            "reason": Loss.REPEATED_WITHOUT_ID.value,
            "digests": [digest.hex() for digest in repeats],
            "numbers": [len(again) for again in repeats.values()],
            "lost": [sum(map(_unidentified, again)) for again in repeats.values()],
        },
    )
    return {
        digest.bytes: Before(
            {Loss(reason): number for reason, number in losses.items()}, content and content.bytes
        )
        for digest, losses, content in await found.fetchall()
    }


async def note_losses(
    connection: AsyncConnection, losses: Mapping[int, Mapping[Loss, int]]
) -> None:
    """Enters in the ledger, by batch, what was found only now."""
    for number, found in losses.items():
        lost = {reason: times for reason, times in found.items() if times}
        if lost:
            await connection.execute(
                "UPDATE footfall.ingest_batches SET losses = losses || %s::jsonb WHERE id = %s",
                [json.dumps(lost), number],
            )


def _unidentified(batch: Batch) -> int:
    """Occurrences that another sender may have meant, if the request is no retry."""
    return 0 if batch.identified else sum(batch.counts.values())


async def take_position(
    direct: Direct,
    batches: Mapping[int, Batch],
    counts: Sequence[Increment],
    beyond: Sequence[Increment],
) -> None:
    """The last statement: the counts, then what subscribers follow, gapless and in commit order.

    The counts come in key order and before the position is taken: whoever takes no turn waits for others
    here, never in a ring.
    """
    times = [time for batch in batches.values() if batch.rows for time in _bounds(batch)]
    await direct.ask(
        _TAKE_POSITION,
        *_columns(counts),
        _array(batches),
        str(min(times) // 1_000_000) if times else None,
        str(max(times) // 1_000_000 + 1) if times else None,
        *_columns(beyond),
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


def _array(values: Iterable[object]) -> str:
    """Postgres' text form of an array; psycopg's adapter looks at every element by itself."""
    return "{" + ",".join(map(str, values)) + "}"


def _quoted(text: str) -> str:
    """As it stands in an array, whatever is in it."""
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


def _bounds(batch: Batch) -> tuple[int, int]:
    if batch.bounds is not None:
        return batch.bounds
    return min(min(r.times) for r in batch.rows), max(max(r.times) for r in batch.rows)
