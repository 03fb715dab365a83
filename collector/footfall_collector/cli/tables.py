"""Reports as tables for a terminal."""

import datetime as dt
from collections.abc import Sequence
from decimal import Decimal
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from footfall_exporters.postgres import REPORTS, Report

_ENDLESS = 10_000
"""Columns, more than any terminal has."""
_LATE = {"groups": " A day's groups are counted six hours after its end."}
_HEADERS = {"p50_ms": "p50 ms", "p95_ms": "p95 ms", "p99_ms": "p99 ms", "error_type": "error type"}


def print_report(report: Report, days: int, console: Console | None = None) -> None:
    """Prints a report; numbers are aligned to the right, a missing value is a dash."""
    console = console or Console()
    period = "today" if days == 1 else f"the last {days} days"
    table = Table(title=f"{REPORTS[report.name]}, {period} (UTC)", title_justify="left")
    for index, column in enumerate(report.columns):
        numeric = any(isinstance(row[index], int | float) for row in report.rows)
        table.add_column(_HEADERS.get(column, column), justify="right" if numeric else "left")
    for row in report.rows:
        table.add_row(*(_cell(c, v) for c, v in zip(report.columns, row, strict=True)))
    if report.rows:
        console.print(table)
    else:
        console.print(
            f"{REPORTS[report.name]}, {period} (UTC): nothing yet.{_LATE.get(report.name, '')}"
        )


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
    if (
        console.measure(table, options=console.options.update(width=_ENDLESS)).maximum
        <= console.width
    ):
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
