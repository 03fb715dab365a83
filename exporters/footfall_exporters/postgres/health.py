"""What a store says of itself when it is looked at (`footfall doctor`): server, schema, contents.

All functions raise psycopg.Error when Postgres refuses.
"""

import datetime as dt
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from psycopg import Connection

from footfall_exporters.postgres import partitions
from footfall_exporters.postgres.queries import query
from footfall_exporters.postgres.subscriptions import Lag
from footfall_processors.window import REACH


@dataclass(frozen=True, slots=True)
class Sizes:
    """How large the tables are.

    Attributes:
        observations: Bytes.
        others: Bytes of everything else.
        days: How many have observations, or room for them.
    """

    observations: int
    others: int
    days: int


@dataclass(frozen=True, slots=True)
class Days:
    """The partitions of observations.

    Attributes:
        missing: Days that have none, of those that were asked for.
        held: The names of those that are being dropped, and cannot be: somebody reads them.
    """

    missing: Sequence[dt.date]
    held: Sequence[str]


@dataclass(frozen=True, slots=True)
class Heard:
    """When something came last, as seconds ago.

    Attributes:
        request: Of any signal; None when there is none as far as the ledger goes back.
        event: The hour of the last event of an application; None when there is none.
        signals: The last request by signal.
        minute: How many requests came within the last minute.
    """

    request: float | None
    event: float | None
    signals: Mapping[str, float]
    minute: int


@dataclass(frozen=True, slots=True)
class Lost:
    """What was not stored, or not passed on, since yesterday.

    Attributes:
        signal: OTLP's, or `sdk`, or `subscriber`.
        reason: See docs/losses.md.
        number: How many times.
    """

    signal: str
    reason: str
    number: int


@dataclass(frozen=True, slots=True)
class Turned:
    """Requests that were turned away since yesterday.

    Attributes:
        reason: See docs/losses.md.
        requests: How many.
        senders: The names of their keys, or of their services.
    """

    reason: str
    requests: int
    senders: Sequence[str]


@dataclass(frozen=True, slots=True)
class Completeness:
    """An event as it is stored and as its senders tallied it, by occurrences.

    Attributes:
        event: Its name.
        stored: Of senders that keep a tally.
        emitted: What they say that they were told.
        untallied: Of other senders.
        surplus: What single senders have stored beyond their tally.
    """

    event: str
    stored: int
    emitted: int
    untallied: int
    surplus: int


@dataclass(frozen=True, slots=True)
class Run:
    """How a task of housekeeping went when it ran last.

    Attributes:
        task: Its name.
        age: Seconds since.
        outcome: In a few words.
        failing: Whether it failed.
        overdue: Whether it should have run again.
    """

    task: str
    age: float
    outcome: str
    failing: bool
    overdue: bool


def settings(connection: Connection, *names: str) -> dict[str, str]:
    """Of these settings those that may be seen, as they are for this connection."""
    found = connection.execute(
        "SELECT name, setting FROM pg_settings WHERE name = ANY(%s)", [list(names)]
    )
    return dict(found.fetchall())


def settable(connection: Connection, names: Collection[str]) -> set[str]:
    """Of these settings those that the role may set."""
    found = connection.execute(
        "SELECT n FROM unnest(%s::text[]) AS s (n) WHERE has_parameter_privilege(n, 'SET')",
        [list(names)],
    )
    return {name for (name,) in found.fetchall()}


def clock(connection: Connection) -> float:
    """The server's time, in seconds since the Unix epoch."""
    row = connection.execute("SELECT extract(epoch FROM clock_timestamp())::float8").fetchone()
    return float(row[0]) if row else 0.0


def owns_schema(connection: Connection) -> bool:
    """Whether the role has the rights of the owner of schema `footfall`."""
    row = connection.execute(
        "SELECT pg_has_role(current_user, nspowner, 'USAGE') FROM pg_namespace WHERE nspname = 'footfall'"
    ).fetchone()
    return row == (True,)


def roles(connection: Connection, names: Collection[str]) -> dict[str, bool]:
    """Of these roles those that are there, and whether the connection may become them."""
    member = "SET" if connection.info.server_version >= 160_000 else "MEMBER"
    found = connection.execute(
        "SELECT rolname, pg_has_role(session_user, oid, %s) FROM pg_roles WHERE rolname = ANY(%s)",
        [member, list(names)],
    )
    return dict(found.fetchall())


def sizes(connection: Connection) -> Sizes:
    """Of all tables, with their indexes."""
    row = connection.execute(query("sizes")).fetchone()
    return Sizes(*row or (0, 0, 0))


def bloated(connection: Connection, dead: int) -> list[str]:
    """Tables with more dead rows than live ones, and more than so many."""
    found = connection.execute(
        "SELECT relname FROM pg_stat_user_tables WHERE schemaname = 'footfall'"
        " AND n_dead_tup > greatest(%s, n_live_tup) ORDER BY 1",
        [dead],
    )
    return [name for (name,) in found.fetchall()]


def days(connection: Connection, wanted: Sequence[dt.date]) -> Days:
    """Which of some days (UTC) have a partition."""
    found = connection.execute(
        "SELECT c.relname, i.inhdetachpending FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid"
        " WHERE i.inhparent = 'footfall.feature_events'::regclass"
    ).fetchall()
    there = {name for name, _ in found}
    missing = [day for day in wanted if f"{partitions.PREFIX}{day:%Y%m%d}" not in there]
    return Days(missing, sorted(name for name, pending in found if pending))


def heard(connection: Connection) -> Heard:
    """What came last."""
    last = connection.execute(query("heard"), {"reach": REACH}).fetchone()
    request, event, minute = last or (None, None, 0)
    signals = connection.execute(
        "SELECT signal, extract(epoch FROM clock_timestamp() - max(received_at))::float8"
        " FROM footfall.ingest_batches GROUP BY 1 ORDER BY 1"
    )
    return Heard(request, event, dict(signals.fetchall()), minute)


def lost(connection: Connection) -> list[Lost]:
    """The most first."""
    return [Lost(*row) for row in connection.execute(query("losses")).fetchall()]


def turned(connection: Connection) -> list[Turned]:
    """The most first."""
    return [Turned(*row) for row in connection.execute(query("refused")).fetchall()]


def completeness(connection: Connection) -> list[Completeness]:
    """By event."""
    found = connection.execute(
        "SELECT event, stored, emitted, untallied, surplus FROM reporting.completeness ORDER BY event"
    )
    return [Completeness(*row) for row in found.fetchall()]


def runs(connection: Connection) -> list[Run]:
    """Of each task that ever ran, by name."""
    return [Run(*row) for row in connection.execute(query("housekeeping")).fetchall()]


def lags(connection: Connection) -> list[Lag]:
    """Of every subscriber that has ever followed this store, by name."""
    return [Lag(*row) for row in connection.execute(query("lags")).fetchall()]
