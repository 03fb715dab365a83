"""The time zone of whoever asks: in which days, weeks and months are counted.

Counts are kept by the hour of UTC, of which a day of a zone is made: 23, 24 or 25 of them, where its clocks
are whole hours ahead or behind. Where they are not, a day begins within an hour, and is refused. When clocks
change is looked up here (tzdata, by zoneinfo) and said in the statement: Postgres has a list of its own,
which may be older, and takes names such as CET for an offset without summer time (ADR 37).
"""

import datetime as dt
import zoneinfo
from collections.abc import Iterator, Sequence
from typing import Final, NamedTuple

from footfall_exporters.postgres.reports.asked import Period, WrongQuestion

UTC: Final = "UTC"
_DAY = dt.timedelta(days=1)
_HOUR = dt.timedelta(hours=1)
_AHEAD = 2 * _DAY
"""Senders' clocks may be ahead."""


class Clocks(NamedTuple):
    """How far clocks are ahead of UTC.

    Attributes:
        offset: By how much.
        until: Until when, UTC; None: to the end.
    """

    offset: dt.timedelta
    until: dt.datetime | None


def zone_of(name: str) -> dt.tzinfo:
    """The zone of a name, such as `Europe/Berlin`.

    Raises:
        WrongQuestion: there is none.
    """
    if name == UTC:  # also where the system has no tzdata
        return dt.UTC
    try:
        return zoneinfo.ZoneInfo(name)
    except (OSError, ValueError, zoneinfo.ZoneInfoNotFoundError):
        right = "give a name such as Europe/Berlin or America/New_York, or UTC"
        raise WrongQuestion("tz", "there is no such time zone", right) from None


def clocks(name: str, period: Period | None, now: dt.datetime) -> Sequence[Clocks]:
    """How far the clocks of a zone are ahead in a period, one after the other.

    Args:
        name: Of the zone.
        period: Of whole hours.
        now: UTC.

    Raises:
        WrongQuestion: its days begin within an hour, at some time of the period.
    """
    zone = zone_of(name)
    since, until = period or (now, None)
    changes = [*_changes(zone, since, until or now + _AHEAD)]
    offsets = [_offset(zone, at) for at in (since, *changes)]
    for offset in offsets:
        if offset % _HOUR:
            found = f"the clocks of {name} are {_written(offset)} from UTC, and counts are kept by its hours"
            raise WrongQuestion("tz", found, "ask in UTC, or in a zone that is whole hours from it")
    return [Clocks(*pair) for pair in zip(offsets, [*changes, None], strict=True)]


def _changes(zone: dt.tzinfo, since: dt.datetime, until: dt.datetime) -> Iterator[dt.datetime]:
    """The hours of a period with which clocks change."""
    at = since
    while at < until:
        after = min(at + _DAY, until)
        if _offset(zone, at) != _offset(zone, after):
            hours = (at + n * _HOUR for n in range(1, 25))
            yield next(hour for hour in hours if _offset(zone, hour) != _offset(zone, at))
        at = after


def _offset(zone: dt.tzinfo, at: dt.datetime) -> dt.timedelta:
    return at.astimezone(zone).utcoffset() or dt.timedelta()


def _written(offset: dt.timedelta) -> str:
    minutes = offset // dt.timedelta(minutes=1)
    return f"{'-' if minutes < 0 else '+'}{abs(minutes) // 60}:{abs(minutes) % 60:02}"
