"""Cumulative counters → exact increments (ADR 4; OTLP metrics data model, "Resets and Gaps").

A cumulative counter is exported again and again, and what was lost is made good by the next export. For
every stream it is remembered how far it has been counted; only what exceeds that is an increment. All of it
happens in the transaction that stores the batch, so that a replay adds nothing; it is a matter of values, not
of the order of arrival, so that delay, repetition and splitting add nothing either.
"""

import time
import uuid
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from psycopg import AsyncConnection

from footfall_processors import Dimension, Loss, Point
from footfall_processors.batch import HOUR_US

OLD_US = 7 * 24 * HOUR_US
"""A counter that started earlier than this may have been counted already, and its state deleted since: its
first value is a baseline. Idle states are deleted after the same time."""
MOST_STREAMS = 500_000
"""States in a database, some 100 MB; the streams beyond are not counted."""
MOST_WRITERS = 8
"""Of one stream that are told apart; it should have one."""

_Key = tuple[uuid.UUID, uuid.UUID]


class State(NamedTuple):
    """How far a stream has been counted.

    Attributes:
        value: Up to which it is counted.
        time_us: When it was read last, by the sender's clock.
        beside: Where other writers of the same stream stand; or where this one stood before it fell.
        shared: Whether there are several, which should not be: the data model's "Single-Writer".
    """

    value: int
    time_us: int
    beside: tuple[int, ...] = ()
    shared: bool = False


@dataclass(frozen=True, slots=True)
class Increments:
    """What a group of batches adds.

    Attributes:
        counts: (hour as µs since the Unix epoch, dimension) → increment.
        losses: Batch → what of it was not counted, by reason.
    """

    counts: Counter[tuple[int, Dimension]] = field(default_factory=Counter)
    losses: dict[int, Counter[Loss]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class _Known:
    """What is known when a group comes.

    Attributes:
        states: By stream.
        stale: Those that were not written for long.
        runs: Senders' runs that have been known for long.
        oldest_us: Whatever began earlier may have been counted before.
        room: How many streams can be added.
    """

    states: dict[_Key, State]
    stale: set[_Key]
    runs: set[uuid.UUID]
    oldest_us: int
    room: int


def advance(state: State, time_us: int, value: int) -> tuple[State, int]:
    """What a later export adds to a stream that is known.

    A value that is not below where the stream stands continues it, whatever its time: clocks are set back. A
    lower one of an earlier time came late, and says nothing new. A lower one of a later time means that it
    began again at zero: all of it is new. If it then goes on where it stood before, two senders share the
    stream, and each value continues the nearest one below it, which keeps their sum.

    Returns:
        The state that follows, and by how much the stream grew.
    """
    runs = (state.value, *state.beside)
    latest = max(state.time_us, time_us)
    if state.beside and not state.shared and time_us <= state.time_us and value <= max(runs):
        return state, 0  # from before it fell
    below = [run for run in runs if run <= value]
    if not below:
        if time_us <= state.time_us:
            return state, 0
        return State(value, latest, runs[: MOST_WRITERS - 1], state.shared), value
    base = max(below)
    if base == state.value and not state.shared:  # it did begin again
        return State(value, latest), value - base
    others = list(runs)
    others.remove(base)
    shared = state.shared or base != state.value
    return State(value, latest, tuple(others), shared), value - base


async def merge(connection: AsyncConnection, batches: Mapping[int, Sequence[Point]]) -> Increments:
    """Merges the points of batches into the stored states, inside the caller's transaction.

    Args:
        connection: In a transaction in which no other writer stores (ADR 10).
        batches: Batch → its points, of which a stream may have several.
    """
    points = [(number, _key(p), p) for number, group in batches.items() for p in group]
    now_us = time.time_ns() // 1000  # retention goes by it as well; a spooled point may be days old
    known = await _known(connection, {key for _, key, _ in points}, now_us)
    states = dict(known.states)
    found = Increments()
    for number, key, point in sorted(points, key=lambda entry: (entry[2].time_us, entry[2].value)):
        lost = found.losses.setdefault(number, Counter())
        if key not in states:
            reason = _first(point, known, len(states) - len(known.states), now_us)
            if reason is Loss.COUNTER_LIMIT:
                lost[reason] += 1
                continue
            states[key] = State(point.value, point.time_us)
            grown = 0 if reason else point.value
            lost[Loss.COUNTER_BASELINE] += bool(reason and point.value)
        else:
            lowest = min((states[key].value, *states[key].beside))
            states[key], grown = advance(states[key], point.time_us, point.value)
            lost[Loss.COUNTER_RESET] += bool(grown) and point.value < lowest
        if grown:
            found.counts[point.time_us // HOUR_US * HOUR_US, point.dimension] += grown
    await _write(connection, {k: s for k, s in states.items() if _has_moved(s, k, known)})
    return found


def _first(point: Point, known: _Known, added: int, now_us: int) -> Loss | None:
    """Why the first value of a stream is not counted; None when it is."""
    if added >= known.room:
        return Loss.COUNTER_LIMIT
    unknown = point.start_us in (0, point.time_us)
    outside = not max(known.oldest_us, now_us - OLD_US) <= point.start_us <= now_us + OLD_US
    if (unknown or outside) and uuid.UUID(bytes=point.stream) not in known.runs:
        return Loss.COUNTER_BASELINE
    return None


def _has_moved(state: State, key: _Key, known: _Known) -> bool:
    """Whether a state must be written; its time alone tells nothing about a counter that stands still."""
    before = known.states.get(key)
    return before is None or key in known.stale or state != before._replace(time_us=state.time_us)


def _key(point: Point) -> _Key:
    return uuid.UUID(bytes=point.stream), uuid.UUID(bytes=point.series)


async def _known(connection: AsyncConnection, keys: set[_Key], now_us: int) -> _Known:
    found = await connection.execute(
        "SELECT stream, series, value, time_us, beside, shared,"
        # What stands still is written now and then, so that it does not expire.
        " seen_at < clock_timestamp() - interval '1 hour'"
        " FROM footfall.counter_series"
        " WHERE (stream, series) IN (SELECT * FROM unnest(%s::uuid[], %s::uuid[]))"
        " ORDER BY stream, series FOR UPDATE",
        list(map(list, zip(*sorted(keys), strict=True))),
    )
    states: dict[_Key, State] = {}
    stale = set()
    for stream, series, value, time_us, beside, shared, is_stale in await found.fetchall():
        states[stream, series] = State(value, time_us, tuple(beside), shared)
        if is_stale:
            stale.add((stream, series))
    new = {stream for stream, series in keys if (stream, series) not in states}
    if not new:
        return _Known(states, stale, set(), now_us, 0)
    return _Known(states, stale, *await _acquainted(connection, new))


async def _acquainted(
    connection: AsyncConnection, streams: Iterable[uuid.UUID]
) -> tuple[set[uuid.UUID], int, int]:
    """What decides on streams that are new: see the last three attributes of `_Known`."""
    # After an hour a run is known with all its counters: what is new in it then began at zero.
    found = await connection.execute(
        "SELECT DISTINCT stream FROM footfall.counter_series WHERE stream = ANY(%s)"
        " AND first_at < clock_timestamp() - interval '1 hour'",
        [sorted(streams)],
    )
    runs = {row[0] for row in await found.fetchall()}
    # As many as the statistics say: to count them takes a tenth of a second when there are most.
    found = await connection.execute(
        "SELECT since_us, (SELECT greatest(reltuples, pg_stat_get_live_tuples(oid))::bigint FROM pg_class"
        " WHERE oid = 'footfall.counter_series'::regclass) FROM footfall.counter_epoch"
    )
    [(since_us, number)] = await found.fetchall()
    return runs, since_us, max(MOST_STREAMS - number, 0)


async def _write(connection: AsyncConnection, states: Mapping[_Key, State]) -> None:
    if not states:
        return
    keys = sorted(states)
    ordered = [states[key] for key in keys]
    await connection.execute(
        "INSERT INTO footfall.counter_series AS s (stream, series, value, time_us, beside, shared)"
        " SELECT stream, series, value, time_us, beside::bigint[], shared"
        " FROM unnest(%s::uuid[], %s::uuid[], %s::bigint[], %s::bigint[], %s::text[], %s::boolean[])"
        " AS k (stream, series, value, time_us, beside, shared) ORDER BY stream, series"
        " ON CONFLICT (stream, series) DO UPDATE SET value = excluded.value, time_us = excluded.time_us,"
        " beside = excluded.beside, shared = excluded.shared, seen_at = clock_timestamp()",
        [
            *map(list, zip(*keys, strict=True)),
            [state.value for state in ordered],
            [state.time_us for state in ordered],
            ["{" + ",".join(map(str, state.beside)) + "}" for state in ordered],
            [state.shared for state in ordered],
        ],
    )
