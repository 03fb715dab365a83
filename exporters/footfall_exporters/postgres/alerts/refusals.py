"""Whether more requests are refused within an hour than on other days (docs/losses.md, "Whole requests").

Whoever reaches the port can have requests be refused, so this is asked of the busiest hour of a day: however
often a neighbour comes and goes, that is one alert a day; what was so on `BUSY` days is usual, and has to
double to be told again. Senders that show a key are looked at by themselves: nobody else hides what they do.
"""

import datetime as dt
from collections.abc import Iterable, Iterator
from typing import Final, NamedTuple

from psycopg import Connection

from footfall_exporters.postgres.alerts.facts import Advice
from footfall_exporters.postgres.alerts.finding import About, Finding
from footfall_exporters.postgres.queries import query
from footfall_exporters.postgres.refused import BY_STORE, COME_AGAIN

DAYS: Final = 28
"""How many days are looked at, before the last one."""
BUSY: Final = 4
"""On so many of them it was at least what is usual."""
TIMES: Final = 2
"""By which factor it must be more than that."""
ELSEWHERE: Final = (BY_STORE, "unavailable", "gone")
"""Reasons not looked at: counted in events; Postgres was away; the sender left, and comes again."""


class Busiest(NamedTuple):
    """How many requests were refused in the busiest hour of a day.

    Attributes:
        signal: `traces`, `metrics`, `logs`, or `unknown`.
        reason: Why.
        has_key: Whether their senders showed a key.
        days_ago: Which day; 0: the 24 hours up to now.
        number: How many.
    """

    signal: str
    reason: str
    has_key: bool
    days_ago: int
    number: int


def busiest(connection: Connection, now: dt.datetime) -> list[Busiest]:
    """Of each reason and day.

    Raises:
        psycopg.Error: Postgres refused.
    """
    asked = {"now": now, "days": DAYS + 1, "but": list(ELSEWHERE)}
    return [Busiest(*row) for row in connection.execute(query("alerts_refused"), asked).fetchall()]


def refused_requests(found: Iterable[Busiest], least: int, advice: Advice) -> Iterator[Finding]:
    """Reasons for which so many were refused within an hour, and more than on other days."""
    days: dict[tuple[str, str, bool], dict[int, int]] = {}
    for each in found:
        days.setdefault((each.signal, each.reason, each.has_key), {})[each.days_ago] = each.number
    for about, numbers in sorted(days.items()):
        now, usual = numbers.get(0, 0), _usual(numbers)
        if now >= max(least, TIMES * usual):
            yield _finding(*about, now, usual, advice)


def _usual(numbers: dict[int, int]) -> int:
    """As many as on the busiest days but for some; 0 where there were fewer days with any."""
    former = sorted((n for days_ago, n in numbers.items() if days_ago), reverse=True)
    return former[BUSY - 1] if len(former) >= BUSY else 0


def _finding(
    signal: str, reason: str, has_key: bool, now: int, usual: int, advice: Advice
) -> Finding:
    done = "were told to come again" if reason in COME_AGAIN else "were refused"
    whose = "of senders with a key" if has_key else "of senders that showed no key of ours"
    what = (
        f"{signal}: {now:,} requests {done} ({reason}) within one hour of the last day, {whose};"
        f" on most other days {f'up to {usual:,}' if usual else 'none'}"
    )
    subject = f"{signal} refused_{reason}{' with a key' if has_key else ''}"
    first = advice(signal, f"refused_{reason}") or ""
    first += "; footfall doctor names the keys" if has_key else ""
    return Finding(About("refused_requests", "", subject), what, first=first)
