"""Counts by day, added up from those by hour (docs/design.md, "Rollups"; ADR 43).

`hours` has the same count hour by hour, twenty decimal digits each, so that `sum()` adds all hours at once.

A day is added up anew whenever it may have changed, so that adding it up once more changes nothing. Until
then whoever asks reads its hours: those of days of commits that are not followed yet, and of days that are
known to be stale.
"""

import datetime as dt
from collections.abc import Iterable
from typing import Final

from psycopg import AsyncConnection

PORTION: Final = 10
"""Stale days that are added up at a time, in a transaction."""
_EVERY = """
    SELECT generate_series(date_trunc('day', min(hour) AT TIME ZONE 'UTC'), max(hour) AT TIME ZONE 'UTC',
                           interval '1 day')::date AS day
    FROM footfall.feature_counts
"""
_LOST = """
    SELECT FROM footfall.latency_state s, footfall.commit_clock k WHERE s.position < k.position
    AND NOT EXISTS (SELECT FROM footfall.commits c WHERE c.position = s.position + 1)
"""
"""Whether commits are gone that nobody has followed."""
_OF_COMMITS = "FROM footfall.commits c, footfall.latency_state s, {} WHERE c.position > s.position"
STALE: Final = f"""
    SELECT day FROM footfall.feature_counts_stale
    UNION
    SELECT (to_timestamp(hour) AT TIME ZONE 'UTC')::date
    {_OF_COMMITS.format("unnest(c.count_hours) AS h (hour)")}
    UNION
    SELECT time::date {
    _OF_COMMITS.format(
        "generate_series(date_trunc('day', c.first_time AT TIME ZONE 'UTC'),"
        " c.last_time AT TIME ZONE 'UTC', interval '1 day') AS g (time)"
    )
}
    UNION
    SELECT day FROM ({_EVERY}) AS every WHERE EXISTS ({_LOST})
"""  # noqa: S608  # constants
"""The days of which the sums may be wrong."""
_OF_HOURS = """
    SELECT dim_id, sum(count)::bigint AS count, sum(footfall.in_hour(hour, count)) AS hours
    FROM footfall.feature_counts
    WHERE hour >= d.day::timestamp AT TIME ZONE 'UTC' AND hour < (d.day + 1)::timestamp AT TIME ZONE 'UTC'
    GROUP BY dim_id
"""
COUNTED: Final = f"""
    SELECT day, dim_id, count, hours FROM footfall.feature_counts_days
    WHERE day <> ALL (ARRAY(SELECT day FROM stale))
    UNION ALL
    SELECT d.day, h.dim_id, h.count, h.hours FROM stale d CROSS JOIN LATERAL ({_OF_HOURS}) AS h
"""  # noqa: S608  # constants
"""The counts of all days, where `stale` is what `STALE` finds: right at every moment."""
_RENEW = f"""
    INSERT INTO footfall.feature_counts_days AS c (day, dim_id, count, hours)
    SELECT d.day, h.dim_id, h.count, h.hours
    FROM unnest(%s::date[]) AS d (day) CROSS JOIN LATERAL ({_OF_HOURS}) AS h
    ORDER BY 1, 2
    ON CONFLICT (day, dim_id) DO UPDATE SET count = excluded.count, hours = excluded.hours
    WHERE c.hours <> excluded.hours
"""  # noqa: S608  # constants
_ALL_STALE = f"""
    INSERT INTO footfall.feature_counts_stale
    SELECT day FROM ({_EVERY}) AS every WHERE day IS NOT NULL ON CONFLICT DO NOTHING
"""  # noqa: S608  # a constant
_NEXT = """
    DELETE FROM footfall.feature_counts_stale WHERE day IN (
        SELECT day FROM footfall.feature_counts_stale ORDER BY day DESC LIMIT %s
    ) RETURNING day
"""


async def renew(connection: AsyncConnection, days: Iterable[dt.date]) -> None:
    """Adds days up anew.

    Args:
        connection: In a transaction that has locked what latency.py locks.
        days: Of which hours may have changed.

    Raises:
        psycopg.Error: Postgres refused.
    """
    if wanted := sorted(set(days)):
        await connection.execute(_RENEW, [wanted], prepare=False)


async def distrust(connection: AsyncConnection) -> None:
    """Has every day added up anew, as it is not known which have changed."""
    await connection.execute(_ALL_STALE)


async def renew_stale(connection: AsyncConnection) -> bool:
    """Adds up some of the stale days, the newest first; whether there were any.

    Args:
        connection: As for `renew`.

    Raises:
        psycopg.Error: Postgres refused.
    """
    days = [day for (day,) in await (await connection.execute(_NEXT, [PORTION])).fetchall()]
    await renew(connection, days)
    return bool(days)
