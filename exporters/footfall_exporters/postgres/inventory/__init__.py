"""The inventory: what came of each declared event lately, and whether that is more or less than before.

It is made anew by housekeeping, of the days (UTC) that are over, and read by `reporting.features`.
"""

import asyncio
import datetime as dt
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from psycopg import AsyncConnection

from footfall_exporters.postgres.inventory import comparing
from footfall_exporters.postgres.inventory.comparing import FEW, LEAST_WEEKS, MOST_WEEKS, WEEK

DAYS = MOST_WEEKS * WEEK
"""What a use is counted over, and how new a feature is at most."""
_DAY = dt.timedelta(days=1)
_USED = """
    SELECT e.event, u.first_used, u.last_used
    FROM (SELECT DISTINCT event FROM footfall.catalog_events) AS e LEFT JOIN (
        SELECT d.event, min(c.first) AS first_used, max(c.last) AS last_used FROM (
            SELECT dim_id, min(hour) AS first, max(hour) AS last FROM footfall.feature_counts
            WHERE hour < %(until)s GROUP BY dim_id
        ) AS c JOIN footfall.feature_dims d ON d.id = c.dim_id GROUP BY d.event
    ) AS u USING (event) ORDER BY e.event
"""
_BY_DAY = """
    SELECT event, day, coalesce(sum(count) FILTER (WHERE action NOT IN ('invoke', 'start')), 0)::bigint,
           coalesce(sum(count) FILTER (WHERE ends), 0)::bigint,
           coalesce(sum(count) FILTER (WHERE ends AND status <> 'ok'), 0)::bigint
    FROM reporting.usage_by_day, LATERAL (SELECT action IN ('success', 'failure') AS ends) AS how
    WHERE day >= %(since)s::date AND day < %(until)s::date GROUP BY 1, 2
"""
_P95 = """
    SELECT d.event, (footfall.latency_quantiles(sum(l.histogram), '{0.95}'))[1]
    FROM footfall.latency_days l JOIN footfall.feature_dims d ON d.id = l.dim_id
    WHERE l.day >= %(since)s AND l.day < %(until)s AND NOT EXISTS (
        SELECT FROM footfall.latency_unfilled u WHERE u.day >= %(since)s AND u.day < %(until)s
    ) GROUP BY d.event
"""
_KEEP = """
    INSERT INTO footfall.inventory VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s)
"""


@dataclass(slots=True)
class _Event:
    """One event, as it was counted.

    Attributes:
        name: Its name.
        first: The hour of its first use, as far back as counts are kept.
        last: That of its last one.
        uses: By day.
        ends: Of its ends in the last `DAYS`: how many, and how many were failures.
        p95_ms: Of its durations then; None where it has none, or they are not rolled up yet.
    """

    name: str
    first: dt.datetime | None
    last: dt.datetime | None
    uses: dict[dt.date, int] = field(default_factory=dict)
    ends: tuple[int, int] = (0, 0)
    p95_ms: float | None = None

    def counted(self, until: dt.date, days: int) -> list[int]:
        """Its uses on so many days, up to one."""
        return [self.uses.get(until - n * _DAY, 0) for n in range(days - 1, -1, -1)]


async def take(connection: AsyncConnection, now: dt.datetime) -> int:
    """Takes the inventory of all that is declared.

    Args:
        connection: In autocommit mode.
        now: The days before its day are over.

    Returns:
        How many events there are.

    Raises:
        psycopg.Error: Postgres refused; the former inventory stays.
    """
    today = now.astimezone(dt.UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    async with connection.transaction():
        events = await _events(connection, today)
        last = today.date() - _DAY
        judged = await asyncio.to_thread(_judged, list(events.values()), last)  # requests go on
        await connection.execute("DELETE FROM footfall.inventory")
        async with connection.cursor() as cursor:
            rows = [_row(event, last, *judged[event.name]) for event in events.values()]
            await cursor.executemany(_KEEP, rows)
    return len(events)


async def _events(connection: AsyncConnection, today: dt.datetime) -> dict[str, _Event]:
    used = await connection.execute(_USED, {"until": today})
    events = {name: _Event(name, *span) for name, *span in await used.fetchall()}
    recent = today.date() - DAYS * _DAY
    period = {"since": today.date() - 2 * DAYS * _DAY, "until": today.date()}
    by_day = await connection.execute(_BY_DAY, period)
    for name, day, uses, ends, failures in await by_day.fetchall():
        if (event := events.get(name)) is None:
            continue  # withdrawn before catalogs were recorded
        event.uses[day] = uses
        if day >= recent:
            event.ends = event.ends[0] + ends, event.ends[1] + failures
    slow = await connection.execute(_P95, period | {"since": recent})
    for name, p95_ms in await slow.fetchall():
        if name in events:
            events[name].p95_ms = p95_ms
    return events


def _judged(
    events: Sequence[_Event], last: dt.date
) -> Mapping[str, tuple[int, str, comparing.Change | None]]:
    """Of each event how long a period was compared, the trend, and how its rates compare."""
    begun = min((event.first for event in events if event.first), default=None)
    judged: dict[str, tuple[int, str, comparing.Change | None]] = {}
    compared = []
    for event in events:
        days = WEEK * _weeks(event, last)
        counted = event.counted(last, 2 * days)
        if days >= LEAST_WEEKS * WEEK and sum(counted) >= FEW:
            compared.append((event.name, days, comparing.compare(counted)))
        else:
            judged[event.name] = DAYS, _young(event, begun, last), None
    certain = comparing.discoveries([change.p for *_, change in compared])
    for (name, days, change), is_certain in zip(compared, certain, strict=True):
        judged[name] = days, _trend(change, has_moved=is_certain), change
    return judged


def _weeks(event: _Event, last: dt.date) -> int:
    """How many weeks there are of an event for each of two periods."""
    if event.first is None:
        return 0
    known = (last - event.first.astimezone(dt.UTC).date()).days  # its first day is no whole one
    return min(known // (2 * WEEK), MOST_WEEKS)


def _trend(change: comparing.Change, *, has_moved: bool) -> str:
    if has_moved:
        return "growing" if change.low > 1 else "fading"
    if change.low >= 1 / comparing.STEADY and change.high <= comparing.STEADY:
        return "steady"
    return "too few to tell"


def _young(event: _Event, begun: dt.datetime | None, last: dt.date) -> str:
    """Of what cannot be compared: new, unless the store is as young."""
    if event.first is None or begun is None or event.first < begun + WEEK * _DAY:
        return "too few to tell"
    is_new = (last - event.first.astimezone(dt.UTC).date()).days < DAYS
    return "new" if is_new else "too few to tell"


def _row(
    event: _Event, last: dt.date, days: int, trend: str, change: comparing.Change | None
) -> tuple[object, ...]:
    counted = event.counted(last, 2 * days)
    low, high = (change.low, change.high) if change else (None, None)
    before, uses = sum(counted[:days]), sum(counted[days:])
    about = event.first, event.last, event.p95_ms
    return event.name, last, days, uses, before, low, high, *event.ends, *about, trend
