"""What `footfall doctor` asks the store about its promises: statistics, and who holds locks."""

from collections.abc import Iterator

from psycopg import Connection

from footfall_collector.doctor.checks import Check, ok, problem, span, warning
from footfall_exporters.postgres import confinement, locks, statistics
from footfall_exporters.postgres.views import READER


def private_checks(connection: Connection) -> Iterator[Check]:
    """Whether something private is kept where it should not be, or within whose reach others are."""
    yield _statistics(connection)
    yield from _locks(connection)
    yield from _reader(connection)


def _statistics(connection: Connection) -> Check:
    names = statistics.found(connection)
    if not names:
        return ok("statistics", "none of salts, keys, hashes and texts")
    found = f"Postgres keeps, or may keep, values of {', '.join(names)} among its statistics"
    advice = (
        "run `footfall migrate`; drop your index, statistics or view of the column, where they stay"
    )
    return problem("statistics", found, advice)


def _locks(connection: Connection) -> Iterator[Check]:
    held = locks.held_long(connection)
    for lock, seconds, holder in held:
        found = f"{lock}: kept from others for {span(seconds)} by {holder}"
        yield warning(
            "locks", found, "see what that session does (pg_stat_activity); end it if it is stuck"
        )
    if not held:
        yield ok("locks", f"none kept from others for {span(locks.LONG_S)}")


def _reader(connection: Connection) -> Iterator[Check]:
    """Only what everybody may on this server: not a fault of ours, and worth to know."""
    reached = confinement.reached(connection)
    if reached is not None:
        besides = f", and may {', '.join(reached)}, as everybody may here" if reached else ""
        yield ok("reader", f"{READER} reads the views of reporting{besides}")
