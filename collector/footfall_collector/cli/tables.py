"""Reports as tables for a terminal, or for a pipe, in which every name stays whole.

What every row leaves empty is no column. Where that is too wide, neither is what the event's name or the
error's type says already, and there are no borders; where that is too wide as well, each row is a block of
lines, as psql's expanded format has it.
"""

import datetime as dt
from collections.abc import Sequence
from decimal import Decimal
from typing import Any

from rich.box import HEAVY_HEAD, SIMPLE_HEAD, Box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from footfall_exporters.postgres import REPORTS, Report

_ENDLESS = 10_000
"""Columns, more than any terminal has."""
_LATE = {"groups": " A day's groups are counted six hours after its end."}
_HEADERS = {"p50_ms": "p50 ms", "p95_ms": "p95 ms", "p99_ms": "p99 ms", "error_type": "error type"}
_BY_EVENT, _BY_ERROR = frozenset({"surface", "feature"}), frozenset({"status"})
"""What an event has in the catalog, and its name usually says; what the type of an error says."""


def print_report(report: Report, days: int, console: Console | None = None) -> None:
    """Prints a report; numbers are aligned to the right, a missing value is a dash."""
    console = console or Console()
    period = "today" if days == 1 else f"the last {days} days"
    title = f"{REPORTS[report.name]}, {period} (UTC)"
    if not report.rows:
        console.print(f"{title}: nothing yet.{_LATE.get(report.name, '')}")
        return
    filled = [n for n, _ in enumerate(report.columns) if any(r[n] is not None for r in report.rows)]
    fewer, fewest = (
        [n for n in filled if report.columns[n] not in implied]
        for implied in (_BY_EVENT, _BY_EVENT | _BY_ERROR)
    )
    for columns, box in (
        (filled, HEAVY_HEAD),
        (fewer, HEAVY_HEAD),
        (fewer, SIMPLE_HEAD),
        (fewest, SIMPLE_HEAD),
    ):
        table = _table(report, columns, title, box)
        if _fits(console, table):
            console.print(table)
            return
    console.print(Text(title, "table.title"))
    for row in report.rows:
        console.print()
        console.print(_block(report, row, fewer))


def _table(report: Report, columns: Sequence[int], title: str, box: Box) -> Table:
    padding = (0, 1) if box is HEAVY_HEAD else (0, 2, 0, 0)
    edges = box is HEAVY_HEAD
    table = Table(
        title=title, title_justify="left", box=box, padding=padding, show_edge=edges, pad_edge=edges
    )
    for n in columns:
        numeric = any(isinstance(row[n], int | float) for row in report.rows)
        table.add_column(_header(report.columns[n]), justify="right" if numeric else "left")
    for row in report.rows:
        table.add_row(*(Text(_cell(report.columns[n], row[n])) for n in columns))
    return table


def _block(report: Report, row: Sequence[Any], columns: Sequence[int]) -> Table:
    """One row: its first column above, the others below it; what is too long goes on in the next line."""
    first, *others = columns
    wide = max(len(_header(report.columns[n])) for n in others)
    block = Table.grid(padding=(0, 2, 0, 0))
    block.add_column(overflow="fold")
    block.add_row(Text(_cell(report.columns[first], row[first]), "bold"))
    for n in others:
        name, value = _header(report.columns[n]), _cell(report.columns[n], row[n])
        block.add_row(Text(f"  {name:{wide}}  {value}"))
    return block


def _fits(console: Console, table: Table) -> bool:
    """Whether no line of it has to be cut or wrapped."""
    endless = console.options.update(width=_ENDLESS)
    return console.measure(table, options=endless).maximum <= console.width


def _header(column: str) -> str:
    return _HEADERS.get(column, column)


def print_rows(
    columns: Sequence[str], rows: Sequence[Sequence[Any]], console: Console | None = None
) -> None:
    """Prints what a statement gave: as a table where that fits into a line, else row by row."""
    console = console or Console()
    texts = [["" if value is None else _plain(value) for value in row] for row in rows]
    table = Table()
    for index, column in enumerate(columns):
        numeric = any(isinstance(row[index], int | float | Decimal) for row in rows)
        table.add_column(column, justify="right" if numeric else "left", overflow="fold")
    for row in texts:
        table.add_row(*map(Text, row))
    if _fits(console, table):
        console.print(table)
    else:
        _print_apart(columns, texts, console)
    console.print(f"{len(rows):,} row{'' if len(rows) == 1 else 's'}")


def _print_apart(columns: Sequence[str], rows: Sequence[Sequence[str]], console: Console) -> None:
    for row in rows:
        console.rule(style="dim")
        grid = Table.grid(padding=(0, 2))
        grid.add_column(no_wrap=True)
        grid.add_column(overflow="fold")
        for column, value in zip(columns, row, strict=True):
            grid.add_row(Text(column), Text(value))
        console.print(grid)


def _plain(value: Any) -> str:
    return f"{value:%Y-%m-%d %H:%M:%S}" if isinstance(value, dt.datetime) else str(value)


def _cell(column: str, value: Any) -> str:
    if value is None:
        return "-"
    if column == "share":
        return f"{value:.1%}"
    if isinstance(value, dt.date):
        return value.isoformat()
    return f"{value:,}" if isinstance(value, int) else str(value)
