"""Requests that were refused, by day, and for alerts by the hour: what is kept, and what of that is a loss.

A service is kept when something of it is stored already, so that nobody makes rows by inventing names.
"""

import datetime as dt
from collections.abc import Mapping
from typing import NamedTuple

from footfall_exporters.postgres.connecting import REFUSED, connect

COME_AGAIN = ("admission", "rate", "unavailable", "internal", "gone")
"""Reasons that are answered so that the sender sends the request again: no loss, if it does."""
BY_STORE = "store"
"""The reason of what Postgres refuses, whose events the ledger counts."""
HOURS = dt.timedelta(days=30)
"""For how long hours are kept."""
_ADD = """
    WITH said AS (
        SELECT * FROM unnest(%s::int[], %s::text[], %s::text[], %s::text[], %s::text[], %s::bigint[])
             AS said (day, signal, reason, key, service, requests)
    ), hours AS (
        INSERT INTO footfall.refused_hours AS r (hour, signal, reason, has_key, requests)
        SELECT date_trunc('hour', clock_timestamp(), 'UTC'), signal, reason, key <> '', sum(requests)
        FROM said GROUP BY 1, 2, 3, 4 ORDER BY 1, 2, 3, 4
        ON CONFLICT (hour, signal, reason, has_key) DO UPDATE
        SET requests = r.requests + excluded.requests
    )
    INSERT INTO footfall.refused_daily AS r (day, signal, reason, key, service, requests)
    SELECT date '1970-01-01' + day, signal, reason, key,
           CASE WHEN EXISTS (SELECT FROM footfall.feature_dims d WHERE d.service = said.service)
                THEN service ELSE '' END, sum(requests)
    FROM said GROUP BY 1, 2, 3, 4, 5 ORDER BY 1, 2, 3, 4, 5
    ON CONFLICT (day, signal, reason, key, service) DO UPDATE
    SET requests = r.requests + excluded.requests
"""


class Refused(NamedTuple):
    """Requests of one kind.

    Attributes:
        day: Since the Unix epoch, UTC.
        signal: `traces`, `metrics`, `logs`, or `unknown`.
        reason: Why they were refused.
        key: The name of the sender's key; empty when none is known.
        service: That they spoke for; empty when it is not known.
    """

    day: int
    signal: str
    reason: str
    key: str
    service: str


async def add(dsn: str, tally: Mapping[Refused, int]) -> None:
    """Adds how many requests of each kind were refused.

    Args:
        dsn: Of a database whose schema is current, as its owner.
        tally: Not empty.

    Raises:
        psycopg.Error: Postgres does not answer, or refuses; nothing was added.
    """
    columns = [*map(list, zip(*tally, strict=True)), list(tally.values())]
    async with await connect(dsn, REFUSED) as connection:
        await connection.execute(_ADD, columns)
