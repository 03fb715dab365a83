"""What was published, read as whoever may see nothing else (publishing.py makes it)."""

import datetime as dt
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from typing import NamedTuple

from footfall_exporters.postgres.connecting import READING, connect_sync
from footfall_exporters.postgres.reports.state import of_this_version, views_of
from footfall_exporters.postgres.roles import become_public

_USE = replace(READING, name="footfall publish")
_DAYS = "SELECT day, product, k FROM reporting.published_days ORDER BY product, day"
_FIGURES = """
    SELECT day, product, event, title, surface, feature, count FROM reporting.published
    ORDER BY product, day, event NULLS LAST
"""


class Day(NamedTuple):
    """A day (UTC) that was published of a product; k groups or actors are at least behind its figures."""

    day: dt.date
    product: str
    k: int


class Figure(NamedTuple):
    """How often one event was used on a day; several together where `event`, with what follows, is None."""

    day: dt.date
    product: str
    event: str | None
    title: str | None
    surface: str | None
    feature: str | None
    uses: int


@dataclass(frozen=True, slots=True)
class Published:
    """All that may leave the team, as it was at one moment."""

    days: Sequence[Day]
    figures: Sequence[Figure]


def published(dsn: str) -> Published:
    """All that may leave the team.

    Args:
        dsn: Of the owner, or of any role that may read it.

    Raises:
        NotThere: the database holds nothing of Footfall.
        OtherViews: it is of a version that published nothing.
        Unsuitable, psycopg.Error: see `connect_sync`.
    """
    with closing(connect_sync(dsn, _USE)) as connection:
        views_of(connection)
        become_public(connection)  # where it may: what follows needs no other right
        with of_this_version(), connection.transaction():
            connection.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY")
            days = [Day(*row) for row in connection.execute(_DAYS).fetchall()]
            return Published(
                days, [Figure(*row) for row in connection.execute(_FIGURES).fetchall()]
            )
