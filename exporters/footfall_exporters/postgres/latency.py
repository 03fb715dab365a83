"""Durations, rolled up as they are committed (docs/design.md, "Rollups"; ADR 34).

Whoever changes them holds `latency_state` until the end of the transaction. What holds then: the rollups
have of every day what the commits up to the position stored for it, but for two kinds of days. A day that is
*unfilled* (of a store of before, or after a gap in the commits) has nothing rolled up: `UNFILLED` reads it
from where it is, until it is filled as a whole. A day that was *dropped* has what it had then; what comes for
it later is added when that is dropped. Of observations that are deleted before their day (thinning.py)
`latency_thinned` has what they came to: it stands for them wherever a day is made anew.
"""

import datetime as dt
import math
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

from psycopg import AsyncConnection, sql

from footfall_exporters.postgres import daily
from footfall_exporters.postgres.queries import query
from footfall_processors import window

COMMITS: Final = 1000
"""That are followed at a time, in a transaction."""
HOURS: Final = window.REACH
"""So long are single hours kept, which take more than days: while they may grow."""
BUDGET: Final = 20.0
"""Seconds after which the rest is left to the next look: other tasks wait meanwhile."""
LOCK: Final = "LOCK TABLE footfall.latency_state IN EXCLUSIVE MODE"
_SORTED_IN_MEMORY: Final = "SET LOCAL work_mem = '64MB'"

_OBSERVED = """
    SELECT date_bin('1 hour', e.time, timestamptz 'epoch') AS hour, e.dim_id,
           sum(footfall.latency_histogram(footfall.latency_bucket(e.duration_ms), 1)) AS histogram
    FROM footfall.{source} e WHERE e.duration_ms IS NOT NULL {which} GROUP BY 1, 2
"""
_OF_COMMITS = _OBSERVED.format(
    source="feature_events",
    # By the range the index finds them; a search for each of thousands of ids would take longer.
    which="AND e.batch_id BETWEEN %(lowest)s AND %(highest)s"
    " AND e.batch_id + 0 = ANY(%(batches)s::bigint[])"
    " AND e.time >= %(first)s AND e.time <= %(last)s",
)
_OF_ARRAYS = """
    SELECT * FROM unnest(%(hours)s::timestamptz[], %(dims)s::integer[], %(histograms)s::numeric[])
    AS a (hour, dim_id, histogram)
"""
_WITHIN_DAY = """
    {time} >= u.day::timestamp AT TIME ZONE 'UTC' AND {time} < (u.day + 1)::timestamp AT TIME ZONE 'UTC'
"""
_OF_A_DAY = _OBSERVED.format(
    source="feature_events",
    which="AND NOT EXISTS (SELECT FROM footfall.dropped_days d WHERE d.day = u.day) AND"
    + _WITHIN_DAY.format(time="e.time"),
)
_THINNED = f"""
    SELECT t.hour, t.dim_id, t.histogram FROM footfall.latency_thinned t
    WHERE {_WITHIN_DAY.format(time="t.hour")}
"""  # noqa: S608  # constants
UNFILLED: Final = f"""
    SELECT u.day, h.* FROM footfall.latency_unfilled u CROSS JOIN LATERAL (
        {_OF_A_DAY}
        UNION ALL
        {_THINNED}
        UNION ALL
        SELECT l.hour, l.dim_id, (
            SELECT sum(footfall.latency_histogram(bucket, number))
            FROM unnest(l.buckets, l.counts) AS b (bucket, number)
        ) FROM footfall.dropped_days d, footfall.latency_hourly l
        WHERE d.day = u.day AND {_WITHIN_DAY.format(time="l.hour")}
    ) AS h
"""  # noqa: S608  # constants
"""What is to be filled: reads nothing where no day is."""
_FOLLOWED = """
    WHERE (hour AT TIME ZONE 'UTC')::date <> ALL (ARRAY(
        SELECT day FROM footfall.latency_unfilled UNION ALL SELECT day FROM footfall.dropped_days))
"""
_POSITIONS = """
    SELECT s.position, k.position FROM footfall.latency_state s, footfall.commit_clock k
"""
_NEXT = """
    SELECT position, requests, first_time, last_time, count_hours FROM footfall.commits
    WHERE position > %s ORDER BY position LIMIT %s
"""
_UNFILLED_DAY = "SELECT day FROM footfall.latency_unfilled ORDER BY day DESC LIMIT 1"
_LEFT = """
    SELECT (SELECT count(*) FROM footfall.latency_unfilled),
           (SELECT count(*) FROM footfall.feature_counts_stale)
"""
_FILLED = "DELETE FROM footfall.latency_unfilled WHERE day = %s"
_EMPTY = """
    DELETE FROM footfall.{} WHERE hour >= %(day)s::date::timestamp AT TIME ZONE 'UTC'
    AND hour < (%(day)s::date + 1)::timestamp AT TIME ZONE 'UTC'
"""
_FORMER = _EMPTY.format("latency_hourly")
_GONE = _EMPTY.format("latency_thinned")
_CLEAR = (
    _EMPTY.format("latency_hours"),
    "DELETE FROM footfall.latency_days WHERE day = %(day)s",
    "DELETE FROM footfall.latency_percentiles WHERE day = %(day)s",
)
_KNOWN = """
    SELECT EXISTS (SELECT FROM footfall.latency_unfilled WHERE day = %(day)s),
           EXISTS (SELECT FROM footfall.dropped_days WHERE day = %(day)s),
           (SELECT coalesce(sum(observations), 0) FROM footfall.latency_percentiles WHERE day = %(day)s)
"""
_STORED = f"""
    SELECT (SELECT count(duration_ms) FROM footfall.{{table}})
           + (SELECT coalesce(footfall.latency_number(sum(h.histogram)), 0)
              FROM (VALUES (%(day)s::date)) AS u (day), LATERAL ({_THINNED}) AS h)
"""  # noqa: S608  # constants
_SUMMED = "SELECT hour, dim_id, sum(histogram) AS histogram FROM ({}) AS found GROUP BY 1, 2"
_OF_TABLE = _SUMMED.format(f"""
    {_OBSERVED.format(source="{table}", which="")}
    UNION ALL SELECT h.* FROM (VALUES (%(day)s::date)) AS u (day), LATERAL ({_THINNED}) AS h
""")  # noqa: S608  # constants
Durations = tuple[dt.datetime, int, str]
"""Hour, dimension's id, histogram."""


@dataclass(frozen=True, slots=True)
class KeptUp:
    """What a call has done.

    Attributes:
        commits: How many were followed.
        filled: Days.
        unfilled: Days that are to be filled still.
        more: Whether something is left, because it took long.
    """

    commits: int
    filled: int
    unfilled: int
    more: bool


async def keep_up(connection: AsyncConnection) -> KeptUp:
    """Rolls up what was committed since the last time, then days that are not filled.

    Args:
        connection: In autocommit mode, as the owner.

    Raises:
        psycopg.Error: Postgres refused; what was done stays done.
    """
    end = time.monotonic() + BUDGET
    commits, more = await follow(connection, end)
    filled = 0
    while not more and await _fill_next(connection):
        filled += 1
        if time.monotonic() > end:
            break
    while not more and await _renew_stale(connection) and time.monotonic() < end:
        pass
    unfilled, stale = await (await connection.execute(_LEFT)).fetchone() or (0, 0)
    return KeptUp(commits, filled, unfilled, more or unfilled + stale > 0)


async def follow(connection: AsyncConnection, end: float = math.inf) -> tuple[int, bool]:
    """Rolls up what was committed; how many commits, and whether more are left at the end of the time.

    Args:
        connection: In autocommit mode, as the owner.
        end: By the monotonic clock.

    Raises:
        psycopg.Error: Postgres refused; what was done stays done.
    """
    commits = 0
    while True:
        async with connection.transaction():
            number, more = await advance(connection)
        commits += number
        if not more or time.monotonic() > end:
            return commits, more


async def advance(connection: AsyncConnection) -> tuple[int, bool]:
    """Rolls up the next portion; how many commits it had, and whether more are left.

    Args:
        connection: In a transaction.

    Raises:
        psycopg.Error: Postgres refused.
    """
    await connection.execute(LOCK)
    position, last = await (await connection.execute(_POSITIONS)).fetchone() or (0, 0)
    commits = await (await connection.execute(_NEXT, [position, COMMITS])).fetchall()
    if (commits[0][0] - 1 if commits else last) > position:
        await _start_anew(connection)
    elif not commits:
        return 0, False
    await _roll_up(connection, commits)
    await daily.renew(connection, _days(commits))
    followed = commits[-1][0] if commits else last
    await connection.execute("UPDATE footfall.latency_state SET position = %s", [followed])
    return len(commits), len(commits) == COMMITS


async def take_away(connection: AsyncConnection, erased: Sequence[Durations]) -> None:
    """Takes durations away whose observations are erased.

    Args:
        connection: In the transaction that erases them, while nobody stores and `advance` has nothing left.
        erased: Their histograms, below zero.

    Raises:
        psycopg.Error: Postgres refused.
    """
    hours, dims, histograms = map(list, zip(*erased, strict=True)) if erased else ([], [], [])
    less = {"hours": hours, "dims": dims, "histograms": histograms}
    await _add(connection, _OF_ARRAYS, less, _FOLLOWED)


async def finish(connection: AsyncConnection, table: str, day: dt.date) -> None:
    """Rolls a day up for good, in the transaction that drops its detached partition.

    Args:
        connection: In a transaction.
        table: The detached partition; nobody writes there, and who follows does not find it any more.
        day: Its day (UTC).

    Raises:
        psycopg.Error: Postgres refused.
    """
    await connection.execute(LOCK)
    known = await connection.execute(_KNOWN, {"day": day})
    unfilled, dropped, observations = await known.fetchone() or (False, False, 0)
    if dropped:
        if unfilled:
            await _fill(connection, day)
        await _add(connection, _OBSERVED.format(source=table, which=""), {})
        return
    number = sql.SQL(_STORED).format(table=sql.Identifier(table))
    stored = await (await connection.execute(number, {"day": day})).fetchone() or (0,)
    if unfilled or stored[0] != observations:
        await _clear(connection, day)
        await _add(connection, _OF_TABLE.format(table=table), {"day": day})
        await connection.execute(_FILLED, [day])
    await connection.execute(_GONE, {"day": day})


async def _roll_up(connection: AsyncConnection, commits: Sequence[tuple[Any, ...]]) -> None:
    dated = [commit for commit in commits if commit[2] is not None]
    batches = [number for commit in dated for number in commit[1]]
    if not batches:
        return
    parameters = {
        "batches": batches,
        "lowest": min(batches),
        "highest": max(batches),
        "first": min(commit[2] for commit in dated),
        "last": max(commit[3] for commit in dated),
    }
    await _add(connection, _OF_COMMITS, parameters, _FOLLOWED)


def _days(commits: Sequence[tuple[Any, ...]]) -> Iterator[dt.date]:
    """The days (UTC) whose counts they may have changed."""
    for _, _, first, last, hours in commits:
        yield from (dt.datetime.fromtimestamp(hour, dt.UTC).date() for hour in set(hours))
        if first is not None:
            day, end = (time.astimezone(dt.UTC).date() for time in (first, last))
            yield from (day + dt.timedelta(days=n) for n in range((end - day).days + 1))


async def _start_anew(connection: AsyncConnection) -> None:
    """Has all days made anew from what there is: commits are gone that nobody has followed."""
    await daily.distrust(connection)
    emptied = await (await connection.execute(query("latency_unfilled"))).fetchall()
    for (day,) in emptied:
        await _clear(connection, day)


async def _renew_stale(connection: AsyncConnection) -> bool:
    async with connection.transaction():
        await connection.execute(LOCK)
        return await daily.renew_stale(connection)


async def _fill_next(connection: AsyncConnection) -> bool:
    """Fills the newest day that is not filled; whether there was one.

    All is seen as it was at one moment: what was committed by then is followed for all other days, and found
    in this one.
    """
    async with connection.transaction():
        await connection.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
        await connection.execute(LOCK)  # which is no look yet
        found = await (await connection.execute(_UNFILLED_DAY)).fetchone()
        if found is None:
            return False
        while (await advance(connection))[1]:
            pass
        await _fill(connection, found[0])
    return True


async def _fill(connection: AsyncConnection, day: dt.date) -> None:
    found = f"SELECT hour, dim_id, histogram FROM ({UNFILLED}) AS u WHERE day = %(day)s"  # noqa: S608
    await _add(connection, _SUMMED.format(found), {"day": day})
    await connection.execute(_FORMER, {"day": day})
    await connection.execute(_FILLED, [day])


async def _clear(connection: AsyncConnection, day: dt.date) -> None:
    for statement in _CLEAR:
        await connection.execute(statement, {"day": day})


async def _add(
    connection: AsyncConnection, histograms: str, parameters: dict[str, Any], kept: str = ""
) -> None:
    """Adds what a statement finds, and shows what it comes to."""
    await connection.execute(_SORTED_IN_MEMORY)
    statement = query("latency_add").format(
        histograms=histograms, kept=kept, hours_kept=f"{HOURS.days} days"
    )
    # Planned anew each time: only then are partitions left out by these very times.
    found = await connection.execute(statement, parameters, prepare=False)
    if touched := await found.fetchall():
        days, dims = map(list, zip(*touched, strict=True))
        await connection.execute(query("latency_show"), [days, dims, sorted(set(days))])
