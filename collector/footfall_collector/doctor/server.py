"""What `footfall doctor` asks Postgres about itself: version, durability, log, clock, schema, roles."""

import asyncio
import time
from collections.abc import Iterator

import psycopg
from psycopg import Connection, sql

from footfall_collector.doctor.checks import Check, ok, problem, warning
from footfall_exporters.postgres import discretion, health
from footfall_exporters.postgres.connecting import ReadOnly
from footfall_exporters.postgres.migrate import HEAD, missing_right, version
from footfall_exporters.postgres.roles import WRITER
from footfall_exporters.postgres.session import Session
from footfall_exporters.postgres.views import READER

OLDEST, NEWEST = 15, 18
"""Versions of Postgres that are tested."""
_WRITING = ("synchronous_commit", "transaction_isolation", "client_encoding", "lock_timeout")
_STANDBYS = "synchronous_standby_names"
SKEW, WRONG = 2.0, 60.0
"""Seconds between two clocks from which on it is a warning, and a problem."""


def away(error: psycopg.Error) -> Check:
    """Why there is no answer. The message of libpq may quote the connection string: the kind is enough."""
    reasons = {
        "28": ("Postgres refuses this user or password", "correct the DSN (FOOTFALL_DSN)"),
        "3D": ("Postgres has no such database", "make it with `createdb`, or correct the DSN"),
        "42": (
            "Postgres refuses to show something",
            "use the user that owns the database, and run `footfall migrate`",
        ),
        "57": ("Postgres is starting or stopping, or too slow", "wait, then look at its log"),
    }
    text = str(error)
    if error.sqlstate is None and "password authentication failed" in text:
        found, advice = reasons["28"]
    elif error.sqlstate is None and "does not exist" in text:
        found, advice = reasons["3D"]
    else:
        other = (
            f"Postgres cannot be reached ({type(error).__name__})",
            "start it, or correct the DSN (FOOTFALL_DSN)",
        )
        found, advice = reasons.get((error.sqlstate or "")[:2], other)
    return problem("store", found, advice)


def server_checks(connection: Connection) -> Iterator[Check]:
    """The server: whether it is one that we know, loses nothing, and says nothing."""
    number = connection.info.server_version // 10_000
    found = f"Postgres {number} answers"
    if number < OLDEST:
        yield problem("store", found, f"update it to Postgres {OLDEST} to {NEWEST}")
    elif number > NEWEST:
        yield warning(
            "store", found, f"tested are {OLDEST} to {NEWEST}: see whether Footfall is newer"
        )
    else:
        yield ok("store", found)
    durable = health.settings(connection, "fsync", "full_page_writes")
    off = [name for name, value in durable.items() if value == "off"]
    if off:
        advice = "switch it on: what was acknowledged would be lost when the machine fails"
        yield problem("store", f"{' and '.join(off)} off", advice)
    else:
        yield ok("store", "fsync and full_page_writes are on")
    yield _discretion(connection)
    yield from _clocks(connection)


def writing_checks(dsn: str) -> Iterator[Check]:
    """What is in force in a transaction that stores, on a connection like the writer's."""

    async def look() -> dict[str, str]:
        session = Session(dsn)
        try:
            return await session.in_force([*_WRITING, _STANDBYS])
        finally:
            await session.close()

    try:
        found = asyncio.run(look())
    except ReadOnly as error:
        advice = "connect to the primary, or name several hosts in the DSN"
        yield problem("store", error.found, advice)
        return
    said = ", ".join(f"{name} {found[name]}" for name in _WRITING)
    yield ok("store", f"a transaction that stores has {said}")
    if found.get(_STANDBYS):
        waits = f"each COMMIT waits for the standbys {found[_STANDBYS]!r}"
        yield ok("store", f"{waits}; without them requests are not acknowledged")


def _discretion(connection: Connection) -> Check:
    """A role that may set these for itself does."""
    loud = discretion.talkative(connection)
    left = sorted(set(loud) - health.settable(connection, loud))
    if not left:
        return ok("store", "its log quotes no statement and no parameter of the collector's")
    run = [line for line in discretion.advice(connection.info.user) if any(n in line for n in left)]
    found = f"its log may quote parameters: {', '.join(left)}"
    return warning("store", found, "as a superuser, run:", *(f"{line};" for line in run))


def _clocks(connection: Connection) -> Iterator[Check]:
    before = time.time()
    theirs = health.clock(connection)
    took = time.time() - before
    apart = abs(theirs - (before + took / 2)) - took / 2
    found = f"this machine's and Postgres' are {max(apart, 0):.1f} s apart"
    advice = "let both machines set their clocks by NTP"
    if apart >= WRONG:
        yield problem("clocks", found, advice)
    elif apart >= SKEW:
        yield warning("clocks", found, advice)
    else:
        yield ok("clocks", found)


def schema_checks(connection: Connection) -> Iterator[Check]:
    """The schema and its roles; the first check is not ok where nothing else can be asked."""
    revision = version(connection)
    if revision is None:
        if refused := missing_right(connection):
            yield problem("schema", refused.found, refused.advice)
            return
        advice = "run `footfall up`, or `footfall migrate`"
        yield warning("schema", "the database holds nothing of Footfall yet", advice)
        return
    if revision < HEAD:
        advice = "run `footfall migrate`, or restart the collector"
        yield problem("schema", f"it is {revision}, and {HEAD} is needed", advice)
        return
    if revision > HEAD:
        advice = "update this Footfall: a newer one has migrated the database"
        yield problem("schema", f"it is {revision}, and this Footfall knows up to {HEAD}", advice)
        return
    yield ok("schema", f"current ({HEAD})")
    yield from _roles(connection)


def _roles(connection: Connection) -> Iterator[Check]:
    if not health.owns_schema(connection):
        advice = "use the user that ran the first `footfall up`, or give it the schemas"
        yield problem("roles", "the DSN's user does not own the schema", advice)
    there = health.roles(connection, [READER, WRITER])
    missing = sorted({READER, WRITER} - there.keys())
    if missing:
        lines = [f"CREATE ROLE {role} NOLOGIN;" for role in missing]
        advice = "as a user that may make roles, run this, then restart the collector:"
        yield warning("roles", f"{' and '.join(missing)} missing", advice, *lines)
    elif not there[WRITER]:
        user = sql.Identifier(connection.info.user).as_string(None)
        found = f"the ingest connection may not become {WRITER}"
        yield warning("roles", found, "as a superuser, run:", f"GRANT {WRITER} TO {user};")
    else:
        yield ok("roles", f"{READER} and {WRITER} are there")
