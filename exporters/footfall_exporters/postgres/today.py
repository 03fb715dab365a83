"""What came in since midnight (UTC), looked at again and again (`footfall tail`): numbers, never a value.

A look costs a few rows for each event: the counts of the day's hours, and the ledger's rows of the requests
that were stored since the last look. Whoever stores does nothing for it, and waits for nothing.
"""

import datetime as dt
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import NamedTuple

from psycopg import Connection, IsolationLevel

from footfall_exporters.postgres.queries import query

MOST = 200
"""Single observations of a look; of more it is said how many there were."""
DROPPED = "sdk"
"""The signal of what applications dropped, as in `reporting.losses`."""


class Kind(StrEnum):
    """What became of it."""

    STORED = "stored"
    REFUSED = "refused"
    LOST = "lost"


class Thing(NamedTuple):
    """What is counted; what it has not, or is not known, is empty.

    Attributes:
        kind: Stored events, refused requests, or what was lost of others.
        name: The event, or the reason (docs/losses.md).
        action: Of an event.
        signal: OTLP's, `sdk` or `unknown`, of what was refused or lost.
        key: The name of the sender's key.
        service: Whose it was.
    """

    kind: Kind
    name: str
    action: str = ""
    signal: str = ""
    key: str = ""
    service: str = ""


class Total(NamedTuple):
    """How many today.

    Attributes:
        number: Events or requests.
        hour: Of the last event; None where it is not known.
    """

    number: int
    hour: dt.datetime | None = None


class Single(NamedTuple):
    """One observation, as it was stored: without pseudonyms, or when it was.

    Attributes:
        position: Of the commit that stored it.
        at: When it was stored.
        event: Its name.
        action: Of the event.
        duration_ms: How long it took; None where that was not measured.
        said: Whatever else is known of it that many others have as well, by column.
        surface: Where it happened.
        feature: What was used.
        product: In whose catalog the event is; empty where no catalog was read.
    """

    position: int
    at: dt.datetime
    event: str
    action: str
    duration_ms: int | None
    said: Mapping[str, str]
    surface: str = ""
    feature: str = ""
    product: str = ""


@dataclass(frozen=True, slots=True)
class Look:
    """What there was at one time.

    Attributes:
        at: When, by Postgres' clock.
        totals: Of the day (UTC) of that time.
        singles: Observations since the last look, where they are asked for; `MOST` at most.
    """

    at: dt.datetime
    totals: Mapping[Thing, Total]
    singles: Sequence[Single] = ()


class Today:
    """Looks at a store; a new day begins at 0.

    Args:
        singles: Whether to read each observation as well, from the second look on.
    """

    def __init__(self, *, singles: bool = False) -> None:
        self._with_singles = singles
        self._midnight: dt.datetime | None = None
        self._position = 0
        self._stored: dict[Thing, Total] = {}
        self._lost = Counter[Thing]()

    def look(self, connection: Connection) -> Look:
        """What there is now, seen at one instant.

        What was lost of a request that was sent again shows from the next start on.

        Args:
            connection: In autocommit mode.

        Raises:
            psycopg.Error: Postgres refused, or was never migrated.
        """
        connection.isolation_level = IsolationLevel.REPEATABLE_READ
        with connection.transaction():
            found = connection.execute("SELECT position, now() FROM footfall.commit_clock")
            position, now = found.fetchone() or (0, dt.datetime.now(dt.UTC))
            midnight = now.astimezone(dt.UTC).replace(hour=0, minute=0, second=0, microsecond=0)
            if midnight != self._midnight or position < self._position:  # or it was restored
                self._lost = read_lost(connection, "today_lost", midnight=midnight)
                self._stored = _read_stored(connection, midnight)
            elif position > self._position:
                since = {"position": self._position, "until": position}
                self._lost += read_lost(connection, "then_lost", **since)
                self._stored = _read_stored(connection, midnight)
            refused = read_refused(connection, midnight)
            singles = self._singles(connection, position)
        self._midnight, self._position = midnight, position
        lost = {thing: Total(number) for thing, number in self._lost.items()}
        return Look(now, self._stored | refused | lost, singles)

    def _singles(self, connection: Connection, position: int) -> Sequence[Single]:
        if not self._with_singles or self._midnight is None or position <= self._position:
            return ()
        return read_singles(connection, self._position, position)


def read_singles(connection: Connection, position: int, until: int) -> Sequence[Single]:
    """The first observations that the commits after a position stored, `MOST` at most.

    Args:
        connection: Of the owner.
        position: After which.
        until: The last commit that counts.
    """
    between = {"position": position, "until": until, "most": MOST}
    return [Single(*row) for row in connection.execute(query("then_stored"), between).fetchall()]


def read_lost(connection: Connection, name: str, **since: object) -> Counter[Thing]:
    """What was not stored of requests, by one of the statements `today_lost` and `then_lost`."""
    rows = connection.execute(query(name), since).fetchall()
    return Counter({Thing(Kind.LOST, r, signal=s): number for r, s, number in rows})


def _read_stored(connection: Connection, midnight: dt.datetime) -> dict[Thing, Total]:
    """What is in the counts: events, and what applications say that they dropped."""
    since = {"midnight": midnight}
    stored = connection.execute(query("today_stored"), since).fetchall()
    dropped = connection.execute(query("today_dropped"), since).fetchall()
    return {Thing(Kind.STORED, e, action=a): Total(n, hour) for e, a, n, hour in stored} | {
        Thing(Kind.LOST, r, signal=DROPPED, service=s): Total(n) for r, s, n in dropped
    }


def read_refused(connection: Connection, midnight: dt.datetime) -> dict[Thing, Total]:
    """Which requests were refused since a midnight (UTC)."""
    rows = connection.execute(query("today_refused"), {"midnight": midnight}).fetchall()
    return {
        Thing(Kind.REFUSED, reason, "", signal, key, service): Total(number)
        for reason, signal, key, service, number in rows
    }
