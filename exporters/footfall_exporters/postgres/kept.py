"""What is kept for how long, where everybody who may read reports can see it: `reporting.retention`."""

import datetime as dt
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from psycopg import AsyncConnection

from footfall_exporters.postgres import latency
from footfall_exporters.postgres.thinning import Rule
from footfall_processors import window

_INSERT = "INSERT INTO footfall.kept (what, product, environment, kept) VALUES (%s, %s, %s, %s)"


class Kept(NamedTuple):
    """For how long something is kept.

    Attributes:
        what: It is.
        kept: How long.
        product: Of whose events it is true; None of all others as well.
        environment: In which they were made; None of all others as well.
    """

    what: str
    kept: dt.timedelta
    product: str | None = None
    environment: str | None = None


def terms(days: int, rollup_days: int, rules: Sequence[Rule]) -> Iterator[Kept]:
    """What is kept for how long.

    Args:
        days: Of observations that no rule names.
        rollup_days: Of what they come to.
        rules: Of others.
    """
    whole, rollups = dt.timedelta(days=days), dt.timedelta(days=rollup_days)
    yield Kept("observations", whole)
    for rule in rules:
        yield Kept("observations", dt.timedelta(days=rule.days), rule.product, rule.environment)
    yield Kept("ratings", whole)
    yield Kept("sessions", whole)
    for what in (
        "counts",
        "durations by day",
        "groups",
        "losses",
        "published figures",
        "totals of sessions",
    ):
        yield Kept(what, rollups)
    yield Kept("durations by hour", min(rollups, latency.HOURS))
    yield Kept("commits", window.COMMITS)
    yield Kept("digests of requests", window.LEDGER)
    yield Kept("counters that are idle", window.COUNTERS)
    yield Kept("ids of spans", window.SPANS)


async def note(
    connection: AsyncConnection, days: int, rollup_days: int, rules: Sequence[Rule]
) -> None:
    """Shows it to whoever asks; the arguments are those of `terms`.

    Args:
        connection: In autocommit mode, as the owner.
        days: See there.
        rollup_days: See there.
        rules: See there.

    Raises:
        psycopg.Error: Postgres refused.
    """
    rows = [
        (each.what, each.product, each.environment, each.kept)
        for each in terms(days, rollup_days, rules)
    ]
    async with connection.transaction(), connection.cursor() as cursor:
        await cursor.execute("DELETE FROM footfall.kept")
        await cursor.executemany(_INSERT, rows)
