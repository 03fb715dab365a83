"""A store looked at once a second: what has changed since the last look, and when it did."""

import datetime as dt
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import psycopg
from psycopg import Connection

from footfall_exporters.postgres import WATCHING, connect_sync
from footfall_exporters.postgres.today import Look, Single, Thing, Today, Total
from footfall_processors import OperatorError

EVERY = 1.0
"""Seconds between two looks."""


@dataclass(frozen=True, slots=True)
class Change:
    """Something that happened since the last look.

    Attributes:
        at: When it was seen, by Postgres' clock.
        thing: What.
        more: How many times.
        number: How many times today (UTC).
    """

    at: dt.datetime
    thing: Thing
    more: int
    number: int


class Watch:
    """Looks at a store, which may come and go.

    Args:
        dsn: Its connection string.
        singles: Whether to look at each observation as well.

    Attributes:
        totals: Of today (UTC), at the last look that came about.
        seen: When each last changed while it was watched.
        away: Why the last look did not come about; empty when it did.
        singles: What was stored since the last look, where each is looked at.
    """

    def __init__(self, dsn: str, *, singles: bool = False) -> None:
        self._dsn, self._today = dsn, Today(singles=singles)
        self.singles: Sequence[Single] = ()
        self._connection: Connection | None = None
        self._day: dt.date | None = None
        self.totals: Mapping[Thing, Total] = {}
        self.seen: dict[Thing, dt.datetime] = {}
        self.away = ""

    def look(self) -> Sequence[Change]:
        """What has changed; of the first look, and of a day's first one, all that there is.

        Raises:
            OperatorError, psycopg.Error: the store cannot be looked at.
        """
        if self._connection is None or self._connection.closed:
            self._connection = connect_sync(self._dsn, WATCHING)
        try:
            self.singles = ()
            return self._compare(self._today.look(self._connection))
        except psycopg.Error:
            self.close()
            raise

    def look_if_there(self) -> Sequence[Change]:
        """The same; a store that does not answer is `away`, and is asked again at the next look."""
        try:
            changes = self.look()
        except (OperatorError, psycopg.Error) as error:
            self.away = type(error).__name__  # a message may quote the connection string
            return []
        self.away = ""
        return changes

    def close(self) -> None:
        """Closes the connection, if there is one."""
        if self._connection is not None:
            self._connection.close()

    def _compare(self, look: Look) -> Sequence[Change]:
        is_first = self._day is None
        if look.at.date() != self._day:
            self._day, self.totals = look.at.date(), {}
            self.seen.clear()
        changes = []
        for thing, total in look.totals.items():
            before = self.totals.get(thing, Total(0)).number
            if total.number > before:
                changes.append(Change(look.at, thing, total.number - before, total.number))
                if not is_first:
                    self.seen[thing] = look.at
        self.totals, self.singles = look.totals, look.singles
        return changes


class Show(Protocol):
    """What shows a watch to somebody."""

    def show(self, watch: Watch, changes: Sequence[Change]) -> None:
        """Called after each look, whether something has changed or not."""


def follow(watch: Watch, show: Show, stop: threading.Event) -> None:
    """Looks and shows, until told to stop: then the store may go."""
    try:
        while not stop.is_set():
            changes = watch.look_if_there()
            if not (watch.away and stop.is_set()):
                show.show(watch, changes)
            stop.wait(EVERY)
    finally:
        watch.close()
