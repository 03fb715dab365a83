"""What a team reads every day or week: what was used, changed, died, expires (R-number A10)."""

import datetime as dt
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final, Literal

from psycopg import Connection

from footfall_exporters.postgres.reports import ask
from footfall_exporters.postgres.reports.asked import Asked, Period
from footfall_exporters.postgres.reports.building import DAY
from footfall_exporters.postgres.reports.overview import overview, uses
from footfall_processors.notice import Notice, Section
from footfall_processors.statement import Item, Paragraph

Every = Literal["daily", "weekly"]
LENGTH: Final[Mapping[Every, int]] = {"daily": 1, "weekly": 7}
"""In days (UTC), up to yesterday."""
TOP: Final = 10
_NAMED: Final = ("growing", "new", "fading", "unused")
_BY: Final = ("product", "event", "owner", "expires", "verdict")
Row = dict[str, Any]


def digest(connection: Connection, every: Every, now: dt.datetime) -> Notice:
    """The digest of yesterday, or of the seven days up to yesterday (UTC).

    Args:
        connection: Of any role that may read `reporting`.
        every: How often it is read.
        now: UTC.

    Raises:
        NotThere, OtherViews, psycopg.Error: the database cannot be asked.
    """
    until = now.replace(hour=0, minute=0, second=0, microsecond=0)
    length = LENGTH[every] * DAY
    period, former = Period(until - length, until), Period(until - 2 * length, until - length)
    last = (until - DAY).date()
    when = f"{last}" if every == "daily" else f"{period.since.date()} to {last}"
    features = ask(connection, "features", Asked(by=_BY)).records()
    state = overview(connection, period)
    before = {each.event: each.uses for each in uses(connection, former)}
    counted = [
        Item(each.event, f"{each.uses:,} ({_against(each.uses, before.get(each.event, 0))})")
        for each in state.used[:TOP]
    ]
    failed = [
        Item(f"{row['event']} {row['error_type'] or 'without a type'}", f"{row['count']:,}")
        for row in state.failed.records()
    ]
    lost = [
        Item(f"{row['signal']} {row['reason']}", f"{row['count']:,}")
        for row in state.lost.records()
    ]
    sections = [
        _section("What was used", "Uses, and against the time before.", counted),
        _section(
            "What changed", "Of what explains the change most.", [*_moved(connection, period)]
        ),
        _section("What failed", "Failures by kind.", failed),
        _section("What grows, fades or is unused", "In 28 days.", [*_verdicts(features)]),
        _section("What expires", "Events that are refused from then on.", [*_expiring(features)]),
        _section("What was lost", "Events by reason.", lost),
    ]
    return Notice(f"Features, {when} (UTC)", sections)


def _section(heading: str, text: str, items: Sequence[Item]) -> Section:
    return Section(heading, [Paragraph(text, tuple(items)) if items else Paragraph("Nothing.")])


def _against(number: int, before: int) -> str:
    if not before:
        return "none before"
    if number == before:
        return "as before"
    return f"{number / before - 1:+.0%}"


def _moved(connection: Connection, period: Period) -> Iterator[Item]:
    for row in ask(connection, "changes", Asked(period, limit=TOP)).records():
        if row["what"] not in ("all", "all else"):
            figures = f"{row['before']:,} before, {row['now']:,} now"
            yield Item(row["what"], f"{row['of']}, {figures}")


def _verdicts(features: Sequence[Row]) -> Iterator[Item]:
    """The unused last: of each what it was, and who answers for it."""
    for verdict in _NAMED:
        for row in features:
            if row["verdict"] == verdict:
                uses = f"{row['uses']:,} uses, {row['uses_before']:,} before"
                last = row["last_used"]
                if verdict == "unused":
                    uses = f"last used {last:%Y-%m-%d}" if last else "never used"
                yield Item(row["event"], f"{verdict}: {uses}{_owned(row)}")


def _expiring(features: Sequence[Row]) -> Iterator[Item]:
    for row in sorted(features, key=lambda row: (row["expires"] or dt.date.max, row["event"])):
        if row["verdict"] in ("expiring", "expired"):
            yield Item(row["event"], f"{row['verdict']}: last day {row['expires']}{_owned(row)}")


def _owned(row: Row) -> str:
    return f" ({row['owner']})" if row["owner"] else ""
