"""What the demo prints: where it runs, tables, totals, and where to look next."""

import os
import shutil
import sys
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path
from typing import Final

import discord
from rich.console import Console
from rich.table import Table

from footfall_collector.cli.screen import print_overview
from footfall_collector.cli.tables import Beside, print_report, spoken
from footfall_examples.sahasrahbot import plain_otel
from footfall_examples.sahasrahbot.compare import Comparison
from footfall_examples.sahasrahbot.past import DAYS
from footfall_examples.sahasrahbot.stage import SETTINGS, Stage
from footfall_examples.sahasrahbot.steps import Act, Chat, Request, Step
from footfall_exporters.postgres import Report
from footfall_exporters.postgres.reports.overview import Overview

WIDTH: Final = 100
"""Columns where there is no terminal to ask."""
IMPLIED: Final = ("surface", "feature", "status")
"""Columns that the event's name and the error type tell already."""


def make_console() -> Console:
    """A console that remembers what was printed."""
    width = None if sys.stdout.isatty() else WIDTH
    return Console(record=True, highlight=False, width=width)


def print_stage(console: Console, stage: Stage, directory: Path) -> None:
    """What runs, and where."""
    console.print("[bold]SahasrahBot[/], a community bot with a web API, and Footfall beside it\n")
    product = stage.product
    _rows(
        console,
        ("web API", f"FastAPI at {product.url}"),
        ("Discord", f"discord.py {discord.__version__}, {len(product.discord)} shards, offline"),
        ("racetime", f"racetime-bot {version('racetime-bot')} in rooms at {product.site}"),
        ("collector", f"OTLP/gRPC {stage.collector.grpc}, OTLP/HTTP {stage.collector.http}"),
        ("Postgres", f"a fresh one in {shown(directory)}"),
        ("before", f"{DAYS} days, made up: {stage.past.books.total():,} uses"),
        ("page", f"http://{stage.collector.operator}"),
    )


def print_driven(console: Console, steps: Sequence[Step], seconds: float) -> None:
    """What was done to it."""
    number = Counter(type(step.ask) for step in steps)
    console.print(
        f"\nIn {seconds:.1f} s: {number[Request]:,} web requests, {number[Act]:,} commands and buttons in"
        f" Discord, {number[Chat]:,} commands in race rooms, and {plain_otel.COMMANDS} spans of a"
        " program that knows OpenTelemetry but not Footfall."
    )


def print_reports(console: Console, reports: Mapping[str, Report]) -> None:
    """All reports, without the columns that others imply; the surfaces are shown once."""
    for name, report in reports.items():
        console.print()
        implied = IMPLIED[1:] if name == "usage" else IMPLIED
        print_report(_without(report, implied), Beside(spoken(report)), console)


def print_state(console: Console, found: Overview) -> None:
    """What `footfall report` says of all of it."""
    console.print()
    print_overview(found, console)


def _without(report: Report, names: Sequence[str]) -> Report:
    kept = [index for index, name in enumerate(report.columns) if name not in names]
    return replace(
        report,
        columns=tuple(report.columns[index] for index in kept),
        rows=[tuple(row[index] for index in kept) for row in report.rows],
    )


def print_comparison(console: Console, comparisons: Sequence[Comparison]) -> bool:
    """Both totals of each kind, then every number that differs; True when none does."""
    console.print("\n[bold]Is it exact?[/]")
    for one in comparisons:
        driven, reported = one.totals
        sign = "≠" if one.differences else "="
        _rows(console, (one.what, f"driven {driven:>7,} {sign} reported {reported:>7,}"))
    wrong = [difference for one in comparisons for difference in one.differences]
    if wrong:
        table = Table("what differs", title_justify="left")
        table.add_column("driven", justify="right")
        table.add_column("reported", justify="right")
        for key, driven, reported in wrong:
            table.add_row(key, f"{driven:,}", f"{reported:,}")
        console.print(table)
    return not wrong


def print_search(console: Console, lines: Sequence[str], dropped: Mapping[str, int]) -> None:
    """What the search found, and what the collector had dropped."""
    console.print("\n[bold]Is anything personal in it?[/]")
    losses = ", ".join(f"{n:,} {reason}" for reason, n in dropped.items())
    for line in (*lines, f"dropped on the way: {losses or 'nothing'}"):
        console.print(f"  {line}", soft_wrap=True)


def print_next(console: Console, directory: Path, catalog: Path) -> None:
    """Where to look next."""
    command = "footfall" if shutil.which("footfall") else shown(Path(sys.argv[0]))
    search = f"{shown(Path(sys.executable))} -m footfall_examples.sahasrahbot.search"
    console.print("\n[bold]Where to look next[/]")
    _rows(
        console,
        ("reports", f"{command} report -c {shown(directory / SETTINGS)}"),
        ("search", f"{search} {shown(directory)}"),
        ("catalog", shown(catalog)),
        ("Grafana", "docker compose up (README.md says how), then http://127.0.0.1:3000"),
    )


def _rows(console: Console, *rows: tuple[str, str]) -> None:
    for name, text in rows:
        console.print(f"  {name:<10} {text}", soft_wrap=True)


def shown(path: Path) -> str:
    """A path as short as it can be typed here."""
    relative = os.path.relpath(path)
    return str(path) if relative.startswith(os.pardir) else relative
