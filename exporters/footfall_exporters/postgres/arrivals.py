"""What arrives, commit after commit, for whoever looks on (`GET /api/live`): never a pseudonym.

Whoever stores does nothing for it, and waits for nothing: as for `footfall tail`, the commits since the last
look are read, whose position says where to go on.
"""

import datetime as dt
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import NamedTuple

import psycopg
from psycopg import Connection, IsolationLevel

from footfall_exporters.postgres.connecting import LIVE, connect_sync
from footfall_exporters.postgres.queries import query
from footfall_exporters.postgres.today import (
    MOST,
    Single,
    Thing,
    read_lost,
    read_refused,
    read_singles,
)

RESUMED = 100
"""Commits that are read again at most for somebody who was away."""


class Sum(NamedTuple):
    """How many of one kind.

    Attributes:
        event: Its name.
        action: Of the event.
        surface: Where it happened.
        feature: What was used.
        environment: In which; empty where that is not known.
        product: In whose catalog the event is; empty where no catalog was read.
        number: Of them.
    """

    event: str
    action: str
    surface: str
    feature: str
    environment: str
    product: str
    number: int


@dataclass(frozen=True, slots=True)
class Arrivals:
    """What has come since a position.

    Attributes:
        at: When it was looked at, by Postgres' clock.
        position: Of the last commit.
        singles: Observations, `MOST` at most.
        summed: All observations, where these are not all; else nothing.
        counted: What is no observation: it came as a count.
        missed: What was refused, and what of stored requests was lost.
        is_whole: Whether it goes back as far as it was asked for.
    """

    at: dt.datetime
    position: int
    singles: Sequence[Single] = ()
    summed: Sequence[Sum] = ()
    counted: Sequence[Sum] = ()
    missed: Mapping[Thing, int] = field(default_factory=dict)
    is_whole: bool = True


class Looker:
    """Looks at a store again and again.

    Args:
        dsn: Of the owner: readers see no commits. The session changes nothing.

    Attributes:
        position: Of the last commit that was seen; None before the first look.
    """

    def __init__(self, dsn: str) -> None:
        self._dsn = dsn
        self._connection: Connection | None = None
        self._midnight: dt.datetime | None = None
        self._refused: dict[Thing, int] = {}
        self.position: int | None = None

    def look(self) -> Arrivals:
        """What has come since the last look; of the first one, how far it is.

        Raises:
            OperatorError, psycopg.Error: the store cannot be looked at; the next look begins where this did.
        """
        try:
            connection = self._connected()
            with connection.transaction():
                return self._compare(connection)
        except psycopg.Error:
            self.close()
            raise

    def again(self, position: int, until: int) -> Arrivals:
        """The observations and counts of the last commits after a position, for somebody who knows that.

        Args:
            position: The last commit that they know.
            until: The last one that they will hear of otherwise.

        Raises:
            OperatorError, psycopg.Error: as of `look`.
        """
        first = max(position, until - RESUMED)
        try:
            connection = self._connected()
            with connection.transaction():
                now, _ = _clock(connection)
                return _between(connection, now, first, until, is_whole=first == position)
        except psycopg.Error:
            self.close()
            raise

    def close(self) -> None:
        """Closes the connection, if there is one."""
        if self._connection is not None:
            with suppress(psycopg.Error):
                self._connection.close()
            self._connection = None

    def _connected(self) -> Connection:
        if self._connection is None or self._connection.closed:
            self._connection = connect_sync(self._dsn, LIVE)
            self._connection.isolation_level = IsolationLevel.REPEATABLE_READ
            self._connection.read_only = True
        return self._connection

    def _compare(self, connection: Connection) -> Arrivals:
        now, position = _clock(connection)
        midnight = now.astimezone(dt.UTC).replace(hour=0, minute=0, second=0, microsecond=0)
        totals = read_refused(connection, midnight)
        refused = {thing: total.number for thing, total in totals.items()}
        before, found = self.position, Arrivals(now, position)
        if (
            before is not None and position >= before
        ):  # else it is the first look, or it was restored
            known = self._refused if midnight == self._midnight else {}
            missed = _more(refused, known) | _lost(connection, before, position)
            found = replace(_between(connection, now, before, position), missed=missed)
        self._midnight, self._refused, self.position = midnight, refused, position
        return found


def _more(now: Mapping[Thing, int], before: Mapping[Thing, int]) -> dict[Thing, int]:
    more = {thing: number - before.get(thing, 0) for thing, number in now.items()}
    return {thing: number for thing, number in more.items() if number > 0}


def _lost(connection: Connection, position: int, until: int) -> dict[Thing, int]:
    if position == until:
        return {}
    return dict(read_lost(connection, "then_lost", position=position, until=until))


def _clock(connection: Connection) -> tuple[dt.datetime, int]:
    row = connection.execute("SELECT now(), position FROM footfall.commit_clock").fetchone()
    return row or (dt.datetime.now(dt.UTC), 0)


def _between(
    connection: Connection, now: dt.datetime, position: int, until: int, *, is_whole: bool = True
) -> Arrivals:
    if position == until:
        return Arrivals(now, until, is_whole=is_whole)
    singles = read_singles(connection, position, until)
    summed = _sums(connection, "then_summed", position, until) if len(singles) == MOST else ()
    counted = _sums(connection, "then_counted", position, until)
    return Arrivals(now, until, singles, summed, counted, is_whole=is_whole)


def _sums(connection: Connection, name: str, position: int, until: int) -> Sequence[Sum]:
    between = {"position": position, "until": until}
    return [Sum(*row) for row in connection.execute(query(name), between).fetchall()]
