"""The state of everything, on one screen of 80 columns."""

import datetime as dt
from collections.abc import Iterator, Sequence
from typing import Literal

from rich.console import Console, Group, RenderableType
from rich.table import Table
from rich.text import Text

from footfall_collector.cli.tables import percent, period_of, sparkline, told
from footfall_exporters.postgres.reports.overview import TOP, Overview
from footfall_processors.window import COMMITS

FIRST = 34
"""Columns that names have at least, so that the tables look like one."""
LINES = 40
"""More are more than a screen: then there are fewer rows of each part."""
_NAMED = 3
"""Events that are named of those that nobody used."""
_Column = tuple[str, Literal["left", "right"]]
"""A heading, and the side to which it keeps."""
_UNITS = ((86_400, "day"), (3600, "hour"), (60, "minute"), (1, "second"))


def print_overview(found: Overview, console: Console | None = None) -> None:
    """Prints it: what is used most, what fails, what is slow, and what is to be known beside."""
    console = console or Console()
    draws = console.encoding.startswith("utf")
    pages = (_page(found, rows, draws=draws) for rows in range(TOP, 0, -1))
    fits = (page for page in pages if len(console.render_lines(page)) < LINES)
    console.print(next(fits, _page(found, 1, draws=draws)))


def _page(found: Overview, rows: int, *, draws: bool) -> Group:
    """All of it, with so many rows of each part."""
    page: list[RenderableType] = [
        Text(f"The state of everything, {period_of(*found.period)} (UTC)", "bold"),
        Text(told(found.complete), "dim"),
    ]
    for table in (_used(found, rows, draws=draws), *_tables(found, rows)):
        page += [Text(), table]
    return Group(*page, Text(), _beside(found))


def _used(found: Overview, rows: int, *, draws: bool) -> RenderableType:
    trend: list[_Column] = [("trend", "left")] if draws else []
    table = _table(("Used most", "left"), ("uses", "right"), *trend)
    for each in found.used[:rows]:
        drawn = [Text(sparkline(each.trend), "cyan")] if draws else []
        table.add_row(Text(each.event), f"{each.uses:,}", *drawn)
    nothing = Text("Nothing was used. Is TELEMETRY_ENABLED=true where it runs?")
    return table if found.used else nothing


def _tables(found: Overview, rows: int) -> Iterator[Table]:
    failed = _table(
        ("Failed most", "left"), ("error", "left"), ("times", "right"), ("of all", "right")
    )
    for row in found.failed.records()[:rows]:
        why, share = Text(row["error_type"] or "-"), percent(row["share"])
        failed.add_row(Text(row["event"]), why, f"{row['count']:,}", share)
    since = f" since {found.slow.since:%Y-%m-%d %H:%M}" if found.slow.since else ""
    slow = _table((f"Slowest{since}", "left"), ("p50 ms", "right"), ("p95 ms", "right"))
    for row in found.slow.records()[:rows]:
        slow.add_row(Text(row["event"]), f"{row['p50_ms']:,}", f"{row['p95_ms']:,}")
    lost = _table(("Lost", "left"), ("where", "left"), ("times", "right"))
    for row in found.lost.records()[:rows]:
        lost.add_row(Text(row["reason"]), row["signal"], f"{row['count']:,}")
    yield from (table for table in (failed, slow, lost) if table.row_count)


def _table(*columns: _Column) -> Table:
    table = Table(box=None, padding=(0, 2, 0, 0), header_style="bold", pad_edge=False)
    for number, (name, side) in enumerate(columns):
        wide = FIRST if number == 0 else None
        table.add_column(name, justify=side, overflow="fold", min_width=wide)
    return table


def _beside(found: Overview) -> Table:
    lines = Table.grid(padding=(0, 2, 0, 0))
    lines.add_column(style="bold", no_wrap=True)
    lines.add_column(overflow="fold")
    if not found.failed.rows:
        lines.add_row("Failed", "nothing")
    if not found.lost.rows:
        lines.add_row("Lost", "nothing")
    lines.add_row("Not used", Text(_unused(found.unused, found.declared)))
    lines.add_row("Last stored", age(found.fresh.committed_at, found.fresh.now))
    return lines


def age(committed_at: dt.datetime | None, now: dt.datetime) -> str:
    """How long ago something was stored."""
    if committed_at is None:
        return f"nothing, within {COMMITS.days} days"
    seconds = max(0, int((now - committed_at).total_seconds()))
    size, name = next((unit for unit in _UNITS if seconds >= unit[0]), _UNITS[-1])
    number = seconds // size
    return f"{number} {name}{'' if number == 1 else 's'} ago"


def _unused(unused: Sequence[str], declared: int) -> str:
    if not declared:
        return "unknown: no catalog has been declared"
    if not unused:
        return f"none of {declared:,} declared events"
    named = ", ".join(unused[:_NAMED])
    more = ", ..." if len(unused) > _NAMED else ""
    return f"{len(unused):,} of {declared:,} declared events: {named}{more}"
