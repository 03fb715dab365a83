"""What the rules compare: counts and durations of the last hours, and of the same hours of former days.

What former hours had is read once an hour; each look reads the last hours alone.
"""

import datetime as dt
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final, NamedTuple

from psycopg import Connection

from footfall_exporters.postgres.queries import query
from footfall_exporters.postgres.reports.histograms import slot_at

HOUR, DAY, WEEK = dt.timedelta(hours=1), dt.timedelta(days=1), dt.timedelta(weeks=1)
TOGETHER: Final = 3
"""So many hours are looked at together, this one among them."""
DAYS, LATENCY_DAYS = 28, 7
"""How many days they are compared with; of durations, hours are kept for no more."""
PORTION: Final = 6
"""So many hours are read at a time of what was before, so that no question takes long."""


class Hour(NamedTuple):
    """What there was in an hour.

    Attributes:
        events: How many.
        ends: How many of them were the end of a use.
        failures: How many of these did not end well.
    """

    events: int
    ends: int
    failures: int


Hours = Mapping[str, Mapping[dt.datetime, Hour]]
"""By event."""


class Counts(NamedTuple):
    """What the rules compare.

    Attributes:
        now: The time of the look, by Postgres' clock, UTC.
        former: What each event had in the same hours of the last days.
        present: What each event has had in the last hours.
        products: Of which product each event is.
    """

    now: dt.datetime
    former: Hours
    present: Hours
    products: Mapping[str, str]

    @property
    def hour(self) -> dt.datetime:
        """The one that is not over."""
        return hour_of(self.now)


class Part(NamedTuple):
    """Of how many how many were so: failed, or took longer than is usual."""

    whole: int
    so: float

    @property
    def share(self) -> float:
        """The share of them."""
        return self.so / self.whole


class Slow(NamedTuple):
    """How long an event took.

    Attributes:
        p95_ms: As 95 % of its uses took at most, at these hours of the last days.
        hours: Of each of these hours how many took longer.
    """

    p95_ms: float
    hours: Sequence[Part]


class Durations(NamedTuple):
    """By event, what durations came to in the same hours of the last days, and what is slow now."""

    former: Mapping[str, Slow]
    present: Mapping[str, Sequence[Part]]


class Reading:
    """Reads them, from a store of which it has read what was before."""

    def __init__(self) -> None:
        self._hour: dt.datetime | None = None
        self._former: Hours = {}
        self._slow_hour: dt.datetime | None = None
        self._slow: Mapping[str, Slow] = {}

    def counts(self, connection: Connection, now: dt.datetime) -> Counts:
        """How often, up to now.

        Raises:
            psycopg.Error: Postgres refused.
        """
        last = hour_of(now)
        if self._hour != last:
            self._former, self._hour = _hours(connection, _before(last, DAYS)), last
        products: dict[str, str] = dict(connection.execute(query("alerts_products")).fetchall())
        return Counts(now, self._former, _hours(connection, _together(last)), products)

    def durations(self, connection: Connection, now: dt.datetime) -> Durations:
        """How long, up to now.

        Raises:
            psycopg.Error: Postgres refused.
        """
        last = hour_of(now)
        if self._slow_hour != last:
            self._slow, self._slow_hour = _slow(connection, _before(last, LATENCY_DAYS)), last
        usual = {event: slow.p95_ms for event, slow in self._slow.items()}
        return Durations(self._slow, _slower(connection, _together(last), usual))


def p95_ms(connection: Connection, now: dt.datetime, event: str) -> float:
    """As 95 % of an event's uses took at most in the last hours.

    Raises:
        psycopg.Error: Postgres refused.
    """
    asked = {"hours": _together(hour_of(now)), "events": [event]}
    row = connection.execute(query("alerts_slow"), asked).fetchone()
    return float(row[1]) if row else 0.0


def hour_of(moment: dt.datetime) -> dt.datetime:
    """The hour (UTC) that a moment is in, by its beginning."""
    return moment.astimezone(dt.UTC).replace(minute=0, second=0, microsecond=0)


def _together(last: dt.datetime) -> list[dt.datetime]:
    return [last - n * HOUR for n in range(TOGETHER)]


def _before(last: dt.datetime, days: int) -> list[dt.datetime]:
    return [hour - n * DAY for n in range(1, days + 1) for hour in _together(last)]


def _asked(
    connection: Connection,
    name: str,
    hours: Sequence[dt.datetime],
    more: Mapping[str, object] | None = None,
) -> Iterator[tuple[Any, ...]]:
    for n in range(0, len(hours), PORTION):
        asked = {"hours": hours[n : n + PORTION], **(more or {})}
        yield from connection.execute(query(name), asked).fetchall()


def _hours(connection: Connection, hours: Sequence[dt.datetime]) -> Hours:
    found: dict[str, dict[dt.datetime, Hour]] = {}
    for event, hour, *numbers in _asked(connection, "alerts_hours", hours):
        found.setdefault(event, {})[hour.astimezone(dt.UTC)] = Hour(*numbers)
    return found


def _slow(connection: Connection, hours: Sequence[dt.datetime]) -> Mapping[str, Slow]:
    every = {"hours": hours, "events": None}
    usual: dict[str, float] = dict(connection.execute(query("alerts_slow"), every).fetchall())
    slower = _slower(connection, hours, usual)
    return {event: Slow(usual[event], parts) for event, parts in slower.items()}


def _slower(
    connection: Connection, hours: Sequence[dt.datetime], usual: Mapping[str, float]
) -> Mapping[str, Sequence[Part]]:
    """Of each event and hour how many took longer than that."""
    found: dict[str, list[Part]] = {}
    slots = {"events": list(usual), "slots": [slot_at(ms) for ms in usual.values()]}
    for event, *numbers in _asked(connection, "alerts_durations", hours, slots):
        found.setdefault(event, []).append(Part(*numbers))
    return found
