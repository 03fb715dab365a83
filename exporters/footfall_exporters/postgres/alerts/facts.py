"""Rules of what was counted, not estimated: what is lost, overdue, behind, about to end (R-number A10)."""

import datetime as dt
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Final

from psycopg import Connection

from footfall_exporters.postgres import health
from footfall_exporters.postgres.alerts.counts import HOUR, hour_of
from footfall_exporters.postgres.alerts.finding import About, Finding
from footfall_exporters.postgres.queries import query
from footfall_exporters.postgres.today import DROPPED
from footfall_processors import Loss

Losses = Mapping[tuple[str, str], int]
"""How many within an hour, by signal and reason; of applications, since the hour before this one began."""
Advice = Callable[[str, str], str | None]
"""What to do about losses of a signal and reason; None: they are expected."""
_EXPIRED: Final = Loss.EXPIRED_EVENT.value
_NAMED: Final = 3


def lost(connection: Connection, now: dt.datetime) -> Losses:
    """What was lost in the last hour.

    Raises:
        psycopg.Error: Postgres refused.
    """
    found = Counter[tuple[str, str]]()
    for reason, signal, number in connection.execute(query("today_lost"), {"midnight": now - HOUR}):
        found[signal, reason] += number
    since = {"midnight": hour_of(now) - HOUR}
    for reason, _, number in connection.execute(query("today_dropped"), since):
        found[DROPPED, reason] += number
    return found


def losses(found: Losses, least: int, advice: Advice) -> Iterator[Finding]:
    """Reasons for which so many were lost, but for those that the rules of privacy are for."""
    for (signal, reason), number in sorted(found.items()):
        first = advice(signal, reason)
        if number >= least and reason != _EXPIRED and first is not None:
            what = f"{signal}: {number:,} lost in the last hour ({reason})"
            yield Finding(About("losses", "", f"{signal} {reason}"), what, first=first)


def expired(connection: Connection) -> list[str]:
    """The events of the catalog whose last day is over, each with its owner.

    Raises:
        psycopg.Error: Postgres refused.
    """
    return [event for (event,) in connection.execute(query("alerts_expired")).fetchall()]


def expired_events(
    found: Losses, least: int, names: Callable[[], Sequence[str]]
) -> Iterator[Finding]:
    """Whether so many came that the catalog has let expire; which these may be."""
    number = sum(n for (_, reason), n in found.items() if reason == _EXPIRED)
    if number >= least:
        every = names()
        over = f" (over in the catalog: {_some(every)})" if every else ""
        what = f"{number:,} in the last hour of events whose last day is over{over}; none is stored"
        yield Finding(About("expired_events"), what)


def _some(names: Sequence[str]) -> str:
    more = len(names) - _NAMED
    return ", ".join(names[:_NAMED]) + (f" and {more} more" if more > 0 else "")


def housekeeping_overdue(connection: Connection) -> Iterator[Finding]:
    """Tasks that should have run, or fail.

    Raises:
        psycopg.Error: Postgres refused.
    """
    for run in health.runs(connection):
        if run.overdue or run.failing:
            yield overdue(run.task, run.outcome, run.age, is_overdue=run.overdue)


def overdue(task: str, outcome: str, age: float, *, is_overdue: bool) -> Finding:
    """A task, how it ended so many seconds ago, and whether it should have run since."""
    state = "is overdue" if is_overdue else "fails"
    what = f"the task {task} {state}: {outcome}, {_minutes(age)} ago"
    return Finding(About("housekeeping_overdue", "", task), what)


def subscriber_behind(connection: Connection, minutes: float) -> Iterator[Finding]:
    """Subscribers that have not taken what was stored so long ago.

    Raises:
        psycopg.Error: Postgres refused.
    """
    for lag in health.lags(connection):
        if lag.behind and lag.age >= 60 * minutes:
            yield behind(lag.name, lag.behind, lag.age)


def behind(name: str, commits: int, age: float) -> Finding:
    """A subscriber, what it has to take, and how many seconds ago the oldest of it was stored."""
    many = f"{commits:,} commit{'s' * (commits != 1)}"
    what = f"{name} has {many} to take, the oldest stored {_minutes(age)} ago"
    return Finding(About("subscriber_behind", "", name), what)


def certificate_ending(connection: Connection, now: dt.datetime, days: float) -> Iterator[Finding]:
    """Listeners of collectors that run whose certificate ends within so many days.

    Raises:
        psycopg.Error: Postgres refused.
    """
    for listener, ends in connection.execute(query("alerts_certificates"), {"now": now}).fetchall():
        if ends - now <= dt.timedelta(days=days):
            yield ending(listener, ends)


def ending(listener: str, ends: dt.datetime) -> Finding:
    """A listener, and when its certificate ends."""
    what = f"the certificate of {listener} ends on {ends.astimezone(dt.UTC):%Y-%m-%d %H:%M} UTC"
    return Finding(About("certificate_ending", "", listener), what)


def _minutes(seconds: float) -> str:
    minutes = round(max(seconds, 0) / 60)
    return f"{minutes:,} minute{'s' * (minutes != 1)}"
