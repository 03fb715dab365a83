"""What is asked of a report: a period, conditions, columns to count by; and what cannot be asked."""

import datetime as dt
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from footfall_processors import OperatorError

MOST_ROWS = 100_000
"""The greatest limit that can be asked for."""
USUAL = dt.timedelta(days=7)
"""How long a period is where nothing else is said."""
YEARS = range(2, 9999)
"""In which a period begins and ends: before the first year, and after the last, there is nothing."""
_UNITS = {"m": "minutes", "h": "hours", "d": "days", "w": "weeks"}
_HOUR, _DAY = dt.timedelta(hours=1), dt.timedelta(days=1)


class WrongQuestion(OperatorError):
    """A report cannot be asked so.

    Args:
        word: What is wrong with it: `period`, `where`, `by`, `limit`, `tz`.
        found: What is wrong.
        advice: What would be right.
    """

    def __init__(self, word: str, found: str, advice: str) -> None:
        super().__init__(found, advice)
        self.word = word

    def __reduce__(self) -> tuple[type["WrongQuestion"], tuple[str, str, str]]:
        return type(self), (self.word, self.found, self.advice)


class Period(NamedTuple):
    """A period of time, UTC.

    Attributes:
        since: Its beginning.
        until: Its end, which is not in it; None: it goes on.
    """

    since: dt.datetime
    until: dt.datetime | None

    def whole(self, step: dt.timedelta) -> "Period":
        """The hours or days that it touches."""
        return Period(_floor(self.since, step), self.until and _ceiling(self.until, step))


@dataclass(frozen=True, slots=True)
class Asked:
    """What is asked.

    Attributes:
        period: None for a report of all that is kept.
        where: By column the values of which one has to be there; an empty one stands for none.
        by: Columns to count by; the report's own where there are none.
        limit: How many rows at most.
        step: Of time, to count by as well: `hour`, `day`, `week` or `month`.
        bound: How many rows at most where there is no limit, in the order that they have without one.
        zone: Of whose days, weeks and months time is told.
    """

    period: Period | None = None
    where: Mapping[str, Sequence[str]] = field(default_factory=dict)
    by: Sequence[str] = ()
    limit: int | None = None
    step: str = ""
    bound: int | None = None
    zone: str = "UTC"

    @property
    def most(self) -> int | None:
        """How many rows at most, whoever says so."""
        return self.bound if self.limit is None else self.limit

    def counts_by(self, name: str) -> bool:
        """Whether a column is asked to be counted by."""
        return name == self.step or name in self.by


def moment(name: str, value: str, now: dt.datetime, zone: dt.tzinfo = dt.UTC) -> dt.datetime:
    """How long ago (`30m`, `12h`, `7d`, `2w`), or a date with or without a time, in `zone` unless it has one.

    Args:
        name: What it is called.
        value: As it is written.
        now: UTC.
        zone: Of whoever wrote it.

    Raises:
        WrongQuestion: it is neither.
    """
    try:
        if match := re.fullmatch(r"([0-9]{1,5})([mhdw])", value):
            return now - dt.timedelta(**{_UNITS[match[2]]: int(match[1])})
        found = dt.datetime.fromisoformat(value)
        found = (found if found.tzinfo else found.replace(tzinfo=zone)).astimezone(dt.UTC)
        if found.year in YEARS:
            return found
        raise OverflowError
    except (ValueError, OverflowError):
        right = "give 30m, 12h, 7d or 2w (ago), or a date of ISO 8601 such as 2026-11-22 or 2026-11-22T14:30Z"
        raise WrongQuestion("period", f"`{name}` is no time", right) from None


def last_days(days: int, now: dt.datetime, zone: dt.tzinfo = dt.UTC) -> Period:
    """The last days of a zone, today included; senders' clocks may be ahead, so it has no end."""
    first = now.astimezone(zone).date() - (days - 1) * _DAY
    return Period(dt.datetime.combine(first, dt.time(), zone).astimezone(dt.UTC), None)


def period(
    since: str | None,
    until: str | None,
    usual: dt.timedelta,
    now: dt.datetime,
    zone: dt.tzinfo = dt.UTC,
) -> Period:
    """A period as it is written.

    Args:
        since: When it begins; the usual time before its end without.
        until: When it ends; it goes on without.
        usual: How long it is.
        now: UTC.
        zone: Of whoever wrote it.

    Raises:
        WrongQuestion: it is none, or ends before it begins.
    """
    end = moment("until", until, now, zone) if until is not None else None
    begin = moment("since", since, now, zone) if since is not None else (end or now) - usual
    if end is not None and begin >= end:
        raise WrongQuestion("period", "`since` must be before `until`", "a period has a length")
    if begin > now:
        raise WrongQuestion("period", "the period has not begun", "give a `since` that is past")
    return Period(begin, end)


def conditions(pairs: Iterable[str]) -> dict[str, list[str]]:
    """Conditions as they are written, `service=shop`: one of the values of each column must be there.

    Raises:
        WrongQuestion: one is written otherwise.
    """
    found: dict[str, list[str]] = {}
    for pair in pairs:
        name, equals, value = pair.partition("=")
        if not name or not equals or not _is_text(pair):
            raise WrongQuestion(
                "where", "a condition is COLUMN=VALUE", "such as service=shop, or service= for none"
            )
        found.setdefault(name.strip(), []).append(value)
    return found


def _is_text(value: str) -> bool:
    """Whether Postgres can have it."""
    try:
        value.encode()
    except UnicodeEncodeError:
        return False
    return "\0" not in value


def _floor(at: dt.datetime, step: dt.timedelta) -> dt.datetime:
    hour = at.replace(minute=0, second=0, microsecond=0)
    return hour if step == _HOUR else hour.replace(hour=0)


def _ceiling(at: dt.datetime, step: dt.timedelta) -> dt.datetime:
    begun = _floor(at, step)
    return at if begun == at else begun + step
