"""Whether events come in, and how many of them fail: from counts by the hour, never from single events."""

import asyncio
import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass

import psycopg

from footfall_exporters.contracts import Unavailable
from footfall_exporters.postgres.connecting import FEELING, connect
from footfall_exporters.postgres.queries import query
from footfall_processors import OperatorError

DAY_HOURS, LEAST_HOURS = 24, 3
"""An average is of so many hours, and of so many at least."""
PATIENCE_S = 5.0
_HOUR = dt.timedelta(hours=1)


@dataclass(frozen=True, slots=True)
class Pulse:
    """How a store is used now, by Postgres' clock.

    Attributes:
        at: When this was.
        last: When the last event was stored; None where none of the newest commits has one.
        rate: Events a minute within the last hour.
        average: The same within the day before this hour; None where too little is known.
        failed: The share of the last hour's events whose status is not `ok`.
    """

    at: dt.datetime
    last: dt.datetime | None
    rate: float
    average: float | None
    failed: float


async def feel(dsn: str) -> Pulse:
    """Takes a store's pulse.

    Raises:
        Unavailable: Postgres does not answer.
    """
    try:
        async with asyncio.timeout(PATIENCE_S), await connect(dsn, FEELING) as connection:
            found = await connection.execute(query("pulse_last"))
            now, last = await found.fetchone() or (dt.datetime.now(dt.UTC), None)
            since = _hour_of(now) - DAY_HOURS * _HOUR
            rows = await connection.execute(query("pulse_hours"), {"since": since})
            hours = {hour: (events, failed) for hour, events, failed in await rows.fetchall()}
    except (psycopg.Error, OperatorError, TimeoutError) as error:
        raise Unavailable(type(error).__name__) from None
    return reckon(now, last, hours)


def reckon(
    now: dt.datetime,
    last: dt.datetime | None,
    hours: Mapping[dt.datetime, tuple[int, int]],
) -> Pulse:
    """What follows from the counts of hours: the last hour is this one, and what it lacks of the one before.

    Args:
        now: By the same clock.
        last: See `Pulse`.
        hours: By hour the number of events, and of those that failed; what is not there is nothing.
    """
    this = _hour_of(now)
    share = 1 - (now - this) / _HOUR
    events, failed = (
        sum(counted[n] for hour, counted in hours.items() if hour >= this)
        + share * hours.get(this - _HOUR, (0, 0))[n]
        for n in (0, 1)
    )
    return Pulse(now, last, events / 60, _average(this, hours), failed / events if events else 0.0)


def _average(this: dt.datetime, hours: Mapping[dt.datetime, tuple[int, int]]) -> float | None:
    """Events a minute in the hours before this one, from the first on that has some."""
    day = {h: n for h, (n, _) in hours.items() if this - DAY_HOURS * _HOUR <= h < this and n}
    known = (this - min(day, default=this)) // _HOUR
    return sum(day.values()) / known / 60 if known >= LEAST_HOURS else None


def _hour_of(moment: dt.datetime) -> dt.datetime:
    return moment.astimezone(dt.UTC).replace(minute=0, second=0, microsecond=0)
