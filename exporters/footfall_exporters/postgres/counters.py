"""Cumulative counters → exact increments (ADR 4; OTLP metrics data model, "Resets and Gaps").

A cumulative counter is exported again and again, and what was lost is made good by the next export. For
every stream it is remembered how far it has been counted; only what exceeds that is an increment. All of it
happens in the transaction that stores the batch, so that a replay adds nothing; it is a matter of values, not
of the order of arrival, so that delay, repetition and splitting add nothing either.
"""

import datetime as dt
import time
import uuid
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from psycopg import AsyncConnection

from footfall_processors import Dimension, Loss, Point, window
from footfall_processors.batch import HOUR_US

OLD_US = window.BASELINE // dt.timedelta(microseconds=1)
MOST_STREAMS = 500_000
"""States in a database, some 100 MB; the streams beyond are not counted."""
MOST_WRITERS = 8
"""Of one stream that are told apart; it should have one."""

TICK = 1000
"""What a program can count within a tick of its clock; what has more at its start did not begin then."""

_Key = tuple[uuid.UUID, uuid.UUID, int]
"""Stream, series and start."""


class State(NamedTuple):
    """How far a stream has been counted.

    Attributes:
        value: Up to which it is counted.
        time_us: When it was read last, by the sender's clock.
        beside: Where other writers of the same stream stand; or, while it is not shared, where this one stood
            before it fell, or before it then rose past that.
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


@dataclass(slots=True)
class _Known:
    """What is known when a group comes, and of what is new in it what is known so far.

    Attributes:
        states: How far each is counted.
        stale: Those that were not written for long.
        runs: Senders, with a start, that have been known for long.
        since: Since when a sender of a stream that begins at its time counts, by its own streams, µs.
        formers: How far such a series was counted under its last start.
        oldest_us: Whatever began earlier may have been counted before.
        room: How many streams can be added.
    """

    states: dict[_Key, State]
    stale: set[_Key]
    runs: set[tuple[uuid.UUID, int]] = field(default_factory=set)
    since: dict[uuid.UUID, int] = field(default_factory=dict)
    formers: dict[tuple[uuid.UUID, uuid.UUID], int] = field(default_factory=dict)
    oldest_us: int = 0
    room: int = 0

    def take(self, key: _Key, state: State) -> None:
        """A state that follows."""
        if key not in self.states:
            self.room -= 1
        self.states[key] = state
        self.formers[key[:2]] = state.value


def advance(state: State, time_us: int, value: int) -> tuple[State, int, bool]:
    """What a later export adds to a stream that is known.

    A value that is not below where the stream stands continues it, whatever its time: clocks are set back. A
    lower one of an earlier time came late, and says nothing new. A lower one of a later time means that it
    began again at zero: all of it is new. If it then rises past where it stood, and falls back to where it
    stood before that, two senders share the stream; from then on each value continues the nearest one below
    it, which keeps their sum.

    Returns:
        The state that follows, by how much the stream grew, and whether it fell.
    """
    latest = max(state.time_us, time_us)
    if state.shared:
        return _advance_shared(state, time_us, value)
    other = state.beside[0] if state.beside else None
    if time_us <= state.time_us and (other is not None or value < state.value):
        if other is None or value <= max(state.value, other):
            return state, 0, False
        # From before it fell, where it was counted up to the higher of the two.
        higher = max(state.value, other)
        return state._replace(beside=(value,)), value - higher, False
    if value >= state.value:
        passes = other is not None and state.value < other <= value
        beside = (state.value,) if passes else ()
        return State(value, latest, beside), value - state.value, False
    if other is not None and other <= value:
        return State(value, latest, (state.value,), True), value - other, False
    return State(value, latest, (state.value,)), value, True


def _advance_shared(state: State, time_us: int, value: int) -> tuple[State, int, bool]:
    runs = (state.value, *state.beside)
    latest = max(state.time_us, time_us)
    below = [run for run in runs if run <= value]
    if below:
        others = list(runs)
        others.remove(max(below))
        return State(value, latest, tuple(others), True), value - max(below), False
    if time_us <= state.time_us:
        return state, 0, False
    return State(value, latest, runs[: MOST_WRITERS - 1], True), value, True


async def merge(connection: AsyncConnection, batches: Mapping[int, Sequence[Point]]) -> Increments:
    """Merges the points of batches into the stored states, inside the caller's transaction.

    Args:
        connection: In a transaction in which no other writer stores (ADR 10).
        batches: Batch → its points, of which a stream may have several.
    """
    points = [(number, _key(p), p) for number, group in batches.items() for p in group]
    now_us = time.time_ns() // 1000  # retention goes by it as well; a spooled point may be days old
    known = await _known(connection, [(key, point) for _, key, point in points])
    before = dict(known.states)
    since: dict[_Key, int] = {}
    found = Increments()
    for number, key, point in sorted(points, key=lambda entry: (entry[2].time_us, entry[2].value)):
        lost = found.losses.setdefault(number, Counter())
        state = known.states.get(key)
        if state is None:
            grown, reason = _first(point, known, now_us)
            if reason is not Loss.COUNTER_LIMIT:
                known.take(key, State(point.value, point.time_us))
                if 0 < point.start_us < point.time_us:
                    since[key] = point.start_us
        else:
            following, grown, fell = advance(state, point.time_us, point.value)
            known.take(key, following)
            reason = Loss.COUNTER_RESET if fell else None
        if reason is not None:
            lost[reason] += 1
        if grown:
            found.counts[point.time_us // HOUR_US * HOUR_US, point.dimension] += grown
    moved = {k: s for k, s in known.states.items() if _has_moved(s, before.get(k))}
    await _write(connection, moved | {key: known.states[key] for key in known.stale}, since)
    return found


def _first(point: Point, known: _Known, now_us: int) -> tuple[int, Loss | None]:
    """How much of the first value of a stream is counted, and why not all of it."""
    if known.room <= 0:
        return 0, Loss.COUNTER_LIMIT
    stream, series, start_us = _key(point)
    if start_us == point.time_us:
        return _first_at_its_start(
            point, known.formers.get((stream, series)), known.since.get(stream)
        )
    outside = not max(known.oldest_us, now_us - OLD_US) <= start_us <= now_us + OLD_US
    if (not start_us or outside) and (stream, start_us) not in known.runs:
        return 0, Loss.COUNTER_BASELINE if point.value else None
    return point.value, None


def _first_at_its_start(
    point: Point, former: int | None, since_us: int | None
) -> tuple[int, Loss | None]:
    """The same for a start that is equal to the time: whoever scrapes others says so that it is unknown.

    One who scrapes and begins anew goes on where the series stood, or where its target began again. A series
    that is new from a sender who counted before began just now, if it has not counted too much for that.
    """
    if former is not None:
        return point.value - former if point.value >= former else point.value, None
    if since_us is not None and since_us < point.time_us and point.value <= TICK:
        return point.value, None
    return 0, Loss.COUNTER_BASELINE if point.value else None


def _has_moved(state: State, before: State | None) -> bool:
    """Whether a state must be written; its time alone tells nothing about a counter that stands still."""
    return before is None or state != before._replace(time_us=state.time_us)


def _key(point: Point) -> _Key:
    return uuid.UUID(bytes=point.stream), uuid.UUID(bytes=point.series), point.start_us


async def _known(connection: AsyncConnection, points: Sequence[tuple[_Key, Point]]) -> _Known:
    keys = sorted({key for key, _ in points})
    found = await connection.execute(
        "SELECT stream, series, start_us, value, time_us, beside, shared,"
        # What stands still is written now and then, so that it does not expire.
        " seen_at < clock_timestamp() - interval '1 hour'"
        " FROM footfall.counter_series WHERE (stream, series, start_us) IN"
        " (SELECT * FROM unnest(%s::uuid[], %s::uuid[], %s::bigint[]))"
        " ORDER BY stream, series, start_us FOR UPDATE",
        list(map(list, zip(*keys, strict=True))),
    )
    known = _Known({}, set())
    for *key, value, time_us, beside, shared, is_stale in await found.fetchall():
        known.states[key[0], key[1], key[2]] = State(value, time_us, tuple(beside), shared)
        if is_stale:
            known.stale.add((key[0], key[1], key[2]))
    new = {key for key in keys if key not in known.states}
    if new:
        await _get_acquainted(connection, known, {stream for stream, _, _ in new})
    at_start = {key[:2] for key, p in points if key in new and p.start_us == p.time_us}
    if at_start:
        await _meet(connection, known, sorted(at_start))
        first = {key: p for key, p in sorted(points, key=lambda e: -e[1].time_us) if key in new}
        for (stream, _, start_us), point in first.items():
            if 0 < start_us < point.time_us:
                known.since[stream] = min(start_us, known.since.get(stream, start_us))
    return known


async def _get_acquainted(
    connection: AsyncConnection, known: _Known, streams: Iterable[uuid.UUID]
) -> None:
    """Looks up what decides on streams that are new."""
    # After an hour a run is known with all its counters: what is new in it then began at zero.
    found = await connection.execute(
        "SELECT DISTINCT stream, start_us FROM footfall.counter_series WHERE stream = ANY(%s)"
        " AND first_at < clock_timestamp() - interval '1 hour'",
        [sorted(streams)],
    )
    known.runs.update(await found.fetchall())
    # As many as the statistics say: to count them takes a tenth of a second when there are most.
    found = await connection.execute(
        "SELECT since_us, (SELECT greatest(reltuples, pg_stat_get_live_tuples(oid))::bigint FROM pg_class"
        " WHERE oid = 'footfall.counter_series'::regclass) FROM footfall.counter_epoch"
    )
    [(known.oldest_us, number)] = await found.fetchall()
    known.room = max(MOST_STREAMS - number, 0)


async def _meet(
    connection: AsyncConnection, known: _Known, series: Sequence[tuple[uuid.UUID, uuid.UUID]]
) -> None:
    """Looks up what is known of streams that begin at their time, from their senders' earlier exports."""
    streams, names = map(list, zip(*series, strict=True))
    found = await connection.execute(
        "SELECT stream, min(since_us) FROM footfall.counter_series"
        " WHERE stream = ANY(%s) AND since_us IS NOT NULL GROUP BY 1",
        [streams],
    )
    known.since.update(await found.fetchall())
    found = await connection.execute(
        "SELECT DISTINCT ON (stream, series) stream, series, value FROM footfall.counter_series"
        " WHERE (stream, series) IN (SELECT * FROM unnest(%s::uuid[], %s::uuid[]))"
        " ORDER BY stream, series, time_us DESC",
        [streams, names],
    )
    known.formers.update({(each[0], each[1]): each[2] for each in await found.fetchall()})


async def _write(
    connection: AsyncConnection, states: Mapping[_Key, State], since: Mapping[_Key, int]
) -> None:
    """Writes states; of new ones also since when they count, where that was known from the first value on."""
    if not states:
        return
    keys = sorted(states)
    ordered = [states[key] for key in keys]
    await connection.execute(
        "INSERT INTO footfall.counter_series AS s"
        " (stream, series, start_us, value, time_us, since_us, beside, shared)"
        " SELECT stream, series, start_us, value, time_us, since_us, beside::bigint[], shared"
        " FROM unnest(%s::uuid[], %s::uuid[], %s::bigint[], %s::bigint[], %s::bigint[], %s::bigint[],"
        " %s::text[], %s::boolean[])"
        " AS k (stream, series, start_us, value, time_us, since_us, beside, shared)"
        " ORDER BY stream, series, start_us ON CONFLICT (stream, series, start_us) DO UPDATE"
        " SET value = excluded.value, time_us = excluded.time_us,"
        " beside = excluded.beside, shared = excluded.shared, seen_at = clock_timestamp()",
        [
            *map(list, zip(*keys, strict=True)),
            [state.value for state in ordered],
            [state.time_us for state in ordered],
            [since.get(key) for key in keys],
            ["{" + ",".join(map(str, state.beside)) + "}" for state in ordered],
            [state.shared for state in ordered],
        ],
    )
