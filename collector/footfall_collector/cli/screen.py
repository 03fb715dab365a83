"""The state of everything, on one screen of 80 columns."""

import datetime as dt
from collections.abc import Iterator, Sequence
from functools import partial
from typing import Literal

from rich.console import Console, Group, RenderableType
from rich.table import Table
from rich.text import Text

from footfall_collector.cli.tables import percent, period_of, sparkline, told
from footfall_exporters.postgres.reports.overview import TOP, Overview
from footfall_processors.window import COMMITS

FIRST = 34
"""Columns that names have at least, so that the tables look like one."""
WIDE = 80
"""Columns of a usual terminal; on fewer, names are as wide as there is room."""
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
    page = partial(_page, found, draws=console.encoding.startswith("utf"), first=_first(console))
    pages = (page(rows) for rows in range(TOP, 0, -1))
    fits = (each for each in pages if len(console.render_lines(each)) < LINES)
    console.print(next(fits, page(1)))


def _first(console: Console) -> int:
    """How wide names are at least: on few columns no wider than they need to be."""
    return FIRST if console.width >= WIDE else 0


def _page(found: Overview, rows: int, *, draws: bool, first: int) -> Group:
    """All of it, with so many rows of each part, whose names are so wide at least."""
    page: list[RenderableType] = [
        Text(f"The state of everything, {period_of(*found.period)} (UTC)", "bold"),
        Text(told(found.complete), "dim"),
    ]
    for table in (_used(found, rows, draws=draws, first=first), *_tables(found, rows, first)):
        page += [Text(), table]
    return Group(*page, Text(), _beside(found))


def _used(found: Overview, rows: int, *, draws: bool, first: int) -> RenderableType:
    trend: list[_Column] = [("trend", "left")] if draws else []
    table = _table(first, ("Used most", "left"), ("uses", "right"), *trend)
    for each in found.used[:rows]:
        drawn = [Text(sparkline(each.trend), "cyan")] if draws else []
        table.add_row(Text(each.event), f"{each.uses:,}", *drawn)
    nothing = Text("Nothing was used. Is TELEMETRY_ENABLED=true where it runs?")
    return table if found.used else nothing


def _tables(found: Overview, rows: int, first: int) -> Iterator[Table]:
    share: list[_Column] = [("times", "right"), ("of all", "right")]
    failed = _table(first, ("Failed most", "left"), ("error", "left"), *share)
    for row in found.failed.records()[:rows]:
        why, part = Text(row["error_type"] or "-"), percent(row["share"])
        failed.add_row(Text(row["event"]), why, f"{row['count']:,}", part)
    since = f" since {found.slow.since:%Y-%m-%d %H:%M}" if found.slow.since else ""
    slow = _table(first, (f"Slowest{since}", "left"), ("p50 ms", "right"), ("p95 ms", "right"))
    for row in found.slow.records()[:rows]:
        slow.add_row(Text(row["event"]), f"{row['p50_ms']:,}", f"{row['p95_ms']:,}")
    lost = _table(first, ("Lost", "left"), ("where", "left"), ("times", "right"))
    for row in found.lost.records()[:rows]:
        lost.add_row(Text(row["reason"]), row["signal"], f"{row['count']:,}")
    yield from (table for table in (failed, slow, lost) if table.row_count)


def _table(first: int, *columns: _Column) -> Table:
    """A table whose first column is so wide at least; names are wrapped, numbers and trends never."""
    table = Table(box=None, padding=(0, 2, 0, 0), header_style="bold", pad_edge=False)
    for number, (name, side) in enumerate(columns):
        wide, whole = (None, side == "right" or name == "trend") if number else (first, False)
        table.add_column(name, justify=side, overflow="fold", min_width=wide, no_wrap=whole)
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
