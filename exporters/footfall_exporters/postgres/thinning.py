"""Observations that are kept for less than others: by product and environment (docs/housekeeping.md).

A day is *thinned* of a dimension when the observations of that are deleted while the day stays. What they
came to (counts, durations, distinct groups) stays.
"""

import datetime as dt
from collections.abc import Sequence
from typing import Annotated

import msgspec
from psycopg import AsyncConnection, sql

from footfall_exporters.postgres import groups, latency, partitions
from footfall_processors import window

_RULED = """
    SELECT d.id, min(r.days) AS days FROM footfall.feature_dims d
    JOIN unnest(%(products)s::text[], %(environments)s::text[], %(days)s::integer[])
        AS r (product, environment, days)
      ON (r.environment IS NULL OR r.environment = d.environment)
     AND (r.product IS NULL OR EXISTS (
         SELECT FROM footfall.catalog_events c WHERE c.product = r.product AND c.event = d.event))
    GROUP BY d.id
"""
"""The shortest of the rules that a dimension is under."""
_USED = """
    SELECT DISTINCT (hour AT TIME ZONE 'UTC')::date AS day, dim_id FROM footfall.feature_counts
    WHERE hour >= (SELECT min(day) FROM unnest(%(stored)s::date[]) AS s (day))::timestamp AT TIME ZONE 'UTC'
"""
_DUE = f"""
    WITH used AS MATERIALIZED ({_USED})
    SELECT s.day, array_agg(k.id ORDER BY k.id) FROM unnest(%(stored)s::date[]) AS s (day)
    JOIN ({_RULED}) AS k ON s.day < %(today)s::date - k.days
    WHERE s.day NOT IN (SELECT day FROM footfall.dropped_days)
    AND ((s.day, k.id) IN (SELECT day, dim_id FROM used) OR s.day NOT IN (SELECT day FROM used))
    AND (s.day >= %(open)s::date
         OR NOT EXISTS (SELECT FROM footfall.thinned t WHERE t.day = s.day AND t.dim_id = k.id))
    GROUP BY s.day ORDER BY s.day
"""  # noqa: S608  # constants
"""Days and their dimensions. For an open day something may have come since it was thinned; a dropped one that
came back is dropped again as a whole. What was not used on a day is not due: the day is whole without it.
Of a day whose counts have gone nobody knows."""
_ROWS = "SELECT count(*) FROM {} WHERE dim_id = ANY(%s::integer[])"
_DELETE = """
    WITH gone AS (
        DELETE FROM {} WHERE dim_id = ANY(%s::integer[]) RETURNING time, dim_id, duration_ms
    ), lasting AS (
        INSERT INTO footfall.latency_thinned AS l (hour, dim_id, histogram)
        SELECT date_trunc('hour', time, 'UTC'), dim_id,
               sum(footfall.latency_histogram(footfall.latency_bucket(duration_ms), 1))
        FROM gone WHERE duration_ms IS NOT NULL GROUP BY 1, 2
        ON CONFLICT (hour, dim_id) DO UPDATE SET histogram = l.histogram + excluded.histogram
    ) SELECT count(*) FROM gone
"""
_NOTE = """
    INSERT INTO footfall.thinned (day, dim_id)
    SELECT %(day)s, dim_id FROM unnest(%(dims)s::integer[]) AS n (dim_id)
    WHERE %(number)s > 0 OR EXISTS (
        SELECT FROM footfall.feature_counts WHERE hour >= %(day)s::date::timestamp AT TIME ZONE 'UTC'
        AND hour < (%(day)s::date + 1)::timestamp AT TIME ZONE 'UTC')
    ON CONFLICT DO NOTHING
"""
_UNKNOWN = """
    SELECT p.product FROM unnest(%s::text[]) AS p (product) WHERE p.product IS NOT NULL
    AND NOT EXISTS (SELECT FROM footfall.catalog_events c WHERE c.product = p.product) ORDER BY 1
"""
_Name = Annotated[str, msgspec.Meta(min_length=1)]
"""Nothing stored has an empty one: such a rule would do nothing, and be shown as one that does."""


class Rule(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Whose observations are kept for less.

    Attributes:
        product: In whose catalog their events are; without one, those of every product.
        environment: In which they were made; without one, those of every environment.
        days: Before today (UTC) that they stay for.
    """

    product: _Name | None = None
    environment: _Name | None = None
    days: Annotated[int, msgspec.Meta(ge=1, le=3650)]

    def __post_init__(self) -> None:
        if self.product is None and self.environment is None:
            raise ValueError(
                "a rule names a product, an environment, or both; `retention_days` is for all others"
            )


async def thin(
    connection: AsyncConnection, rules: Sequence[Rule], today: dt.date
) -> dict[dt.date, int]:
    """Deletes the observations that rules keep no longer; how many, by day.

    Args:
        connection: In autocommit mode, as the owner. Whoever calls it keeps house (locks.py).
        rules: The shortest that an observation is under holds.
        today: UTC.

    Raises:
        psycopg.Error: Postgres refused; the days before are done.
    """
    rows: dict[dt.date, int] = {}
    for day, dims in await _due(connection, rules, today):
        await groups.settle(connection, day)
        if number := await _delete(connection, day, dims):
            rows[day] = number
            await connection.execute(sql.SQL("VACUUM {}").format(partitions.table(day)))
    return rows


async def expired(
    connection: AsyncConnection, rules: Sequence[Rule], today: dt.date
) -> dict[dt.date, int]:
    """What `thin` would delete; the arguments are the same."""
    rows: dict[dt.date, int] = {}
    for day, dims in await _due(connection, rules, today):
        query = sql.SQL(_ROWS).format(partitions.table(day))
        found = await (await connection.execute(query, [dims])).fetchone()
        if found and found[0]:
            rows[day] = found[0]
    return rows


async def unknown(connection: AsyncConnection, rules: Sequence[Rule]) -> list[str]:
    """The products of rules that no catalog of this store has ever declared: rules that do nothing."""
    found = await connection.execute(_UNKNOWN, [[rule.product for rule in rules]])
    return [product for (product,) in await found.fetchall()]


async def _due(
    connection: AsyncConnection, rules: Sequence[Rule], today: dt.date
) -> list[tuple[dt.date, list[int]]]:
    if not rules:
        return []
    parameters = {
        "products": [rule.product for rule in rules],
        "environments": [rule.environment for rule in rules],
        "days": [rule.days for rule in rules],
        "stored": list(await partitions.existing(connection)),
        "today": today,
        "open": today - window.REACH,
    }
    return await (await connection.execute(_DUE, parameters)).fetchall()


async def _delete(connection: AsyncConnection, day: dt.date, dims: Sequence[int]) -> int:
    """Deletes observations of a day, and keeps what their durations come to; how many.

    All is seen as it was at one moment: what is deleted was followed before; what is stored meanwhile stays.
    """
    async with connection.transaction():
        await connection.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
        await connection.execute(latency.LOCK)  # which is no look yet
        while (await latency.advance(connection))[1]:
            pass
        statement = sql.SQL(_DELETE).format(partitions.table(day))
        [(number,)] = await (await connection.execute(statement, [dims])).fetchall()
        await connection.execute(_NOTE, {"day": day, "dims": dims, "number": number})
    return int(number)
