"""The section `digest`: to whom the digest is sent, and when (R-number A10)."""

import datetime as dt
from collections.abc import Mapping
from typing import Annotated, Final, Literal

import msgspec

from footfall_exporters import notify
from footfall_exporters.postgres.reports.asked import WrongQuestion
from footfall_exporters.postgres.reports.zones import zone_of
from footfall_processors.document import Document, Keys

DAYS: Final[Mapping[str, int]] = {"daily": 1, "weekly": 7}
TargetName = Annotated[str, msgspec.Meta(pattern=r"^[a-z][a-z0-9_-]{0,39}$")]


class DigestConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """When the digest is sent, and to whom.

    Attributes:
        every: `daily`, or `weekly`: on Mondays.
        hour: Of the day, there.
        time_zone: Where: a name such as `Europe/Berlin`.
        targets: By names of one's own, which are shown, URLs of apprise, which are secrets.
    """

    every: Literal["daily", "weekly"] = "weekly"
    hour: Annotated[int, msgspec.Meta(ge=0, le=23)] = 7
    time_zone: str = "UTC"
    targets: Annotated[dict[TargetName, str], msgspec.Meta(min_length=1)]

    def last_due(self, now: dt.datetime) -> dt.datetime:
        """When it was due last, UTC, up to now."""
        return max(at for at in self._around(now) if at <= now)

    def next_due(self, now: dt.datetime) -> dt.datetime:
        """When it is due next, UTC."""
        return min(at for at in self._around(now) if at > now)

    @property
    def period(self) -> dt.timedelta:
        """How often it is sent."""
        return dt.timedelta(days=DAYS[self.every])

    def _around(self, now: dt.datetime) -> list[dt.datetime]:
        """Some times at which it is due, before and after; an hour that a day skips or has twice is one."""
        zone = zone_of(self.time_zone)
        today = now.astimezone(zone).date()
        first = today - dt.timedelta(days=today.weekday() if self.every == "weekly" else 0)
        days = (first + n * self.period for n in range(-2, 3))
        at = dt.time(self.hour)
        return [dt.datetime.combine(day, at, zone).astimezone(dt.UTC) for day in days]


def check(document: Document, config: DigestConfig) -> None:
    """Adds what is wrong with it to the document's mistakes; a target's URL is never quoted."""
    try:
        zone_of(config.time_zone)
    except WrongQuestion as error:
        document.wrong(("digest", "time_zone"), str(error))
    check_targets(document, ("digest", "targets"), config.targets)


def check_targets(document: Document, path: Keys, targets: Mapping[str, str]) -> None:
    """Adds a mistake for each target that is none; its URL is never quoted.

    Args:
        document: The configuration.
        path: Where they are.
        targets: URLs by name.
    """
    for name, url in targets.items():
        _check_target(document, (*path, name), url)


def _check_target(document: Document, path: Keys, url: str) -> None:
    try:
        found = notify.target(url)
    except ImportError as error:
        document.wrong(path, f"needs {error.name}: pip install 'footfall[digest]'")
        return
    if found is None:
        right = "is no URL that apprise knows, such as mailtos://user:password@example.org"
        document.wrong(path, right)
