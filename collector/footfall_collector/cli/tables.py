"""Reports as tables for a terminal."""

import datetime as dt
from typing import Any

from rich.console import Console
from rich.table import Table

from footfall_exporters.postgres import REPORTS, Report

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


def _cell(column: str, value: Any) -> str:
    if value is None:
        return "-"
    if column == "share":
        return f"{value:.1%}"
    if isinstance(value, dt.date):
        return value.isoformat()
    return f"{value:,}" if isinstance(value, int) else str(value)
