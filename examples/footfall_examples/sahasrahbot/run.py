"""The demo from start to end: drive the product, read the reports, compare, search."""

import asyncio
import datetime as dt
import signal
import time
from contextlib import AbstractContextManager, AsyncExitStack
from pathlib import Path
from typing import Final

import psycopg
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

import footfall
from footfall_examples.sahasrahbot import plan, planted, show
from footfall_examples.sahasrahbot.compare import compare, compare_past
from footfall_examples.sahasrahbot.drive import Tally, WrongAnswer, drive, run_plain_program
from footfall_examples.sahasrahbot.past import DAYS
from footfall_examples.sahasrahbot.search import describe, search
from footfall_examples.sahasrahbot.stage import CATALOG, LOG, Stage, standing
from footfall_exporters.postgres import Report, report
from footfall_exporters.postgres.reports import ask
from footfall_exporters.postgres.reports.asked import Asked, Period, last_days
from footfall_exporters.postgres.reports.overview import Overview, overview

OUTPUT: Final = "output.txt"
SHOWN: Final = ("usage", "errors", "latency", "groups")
PATIENCE: Final = 30.0
"""Seconds that the last flush may take."""


async def run(directory: Path, stay: bool) -> bool:
    """Runs the demo in an empty directory.

    Args:
        directory: Takes database, log, configuration and a copy of what was printed.
        stay: Whether to stay up, when all is shown, until SIGINT or SIGTERM.

    Returns:
        Whether every number was right and nothing personal was found.

    Raises:
        WrongAnswer: the product did not do what was planned.
        EmbeddedPostgresError, StartError, psycopg.Error: it cannot start.
    """
    console = show.make_console()
    async with AsyncExitStack() as stack:
        with _busy("Starting Postgres, the collector, the web API and the bots ..."):
            stage = await stack.enter_async_context(standing(directory))
        show.print_stage(console, stage, directory)
        today = dt.datetime.now(dt.UTC).date()
        tally = await _drive(console, stage, directory / LOG)
        days = (dt.datetime.now(dt.UTC).date() - today).days + 1
        reports, dropped, state = await asyncio.to_thread(_read, stage.collector.dsn, days)
        before = await asyncio.to_thread(_read_past, stage.collector.dsn, today)
        show.print_reports(console, reports)
        show.print_state(console, state)
        comparisons = compare(tally, reports) + compare_past(stage.past, before)
        exact = show.print_comparison(console, comparisons)
        clean = await _search(console, directory, dropped)
        show.print_next(console, directory, CATALOG)
        if stay:
            await _stay(console)
    return exact and clean


async def _drive(console: Console, stage: Stage, log: Path) -> Tally:
    """Drives the plan and the plain program, and waits until all of it is stored."""
    tally, steps, start = Tally(), plan.make(planted.load()), time.monotonic()
    with _progress() as progress:
        task = progress.add_task("Driving it", total=len(steps))
        await asyncio.gather(
            drive(steps, stage.product, tally, lambda: progress.advance(task)),
            run_plain_program(f"http://{stage.collector.grpc}", log),
        )
    tally.add_uses(plan.plain_uses())
    if not await asyncio.to_thread(footfall.flush, PATIENCE):
        raise WrongAnswer(f"the collector did not take everything in time; see {log}")
    show.print_driven(console, steps, time.monotonic() - start)
    return tally


def _read(dsn: str, days: int) -> tuple[dict[str, Report], dict[str, int], Overview]:
    """What it compares, what the collector dropped by reason, the state of all; puts it on disk, too."""
    with psycopg.connect(dsn, autocommit=True) as connection:
        reports = {name: report(connection, name, days) for name in SHOWN}
        state = overview(connection, last_days(days, dt.datetime.now(dt.UTC)))
        dropped = connection.execute(
            "SELECT reason, sum(count)::bigint FROM reporting.losses GROUP BY reason ORDER BY 2 DESC"
        ).fetchall()
        connection.execute("CHECKPOINT")
    return reports, dict(dropped), state


def _read_past(dsn: str, today: dt.date) -> dict[str, Report]:
    """By day, what was before the day on which it began."""
    first = dt.datetime.combine(today, dt.time(), dt.UTC)
    past = Period(first - dt.timedelta(days=DAYS), first)
    with psycopg.connect(dsn, autocommit=True) as connection:
        by_day = Asked(past, by=("event", "action"), step="day")
        return {
            "usage": ask(connection, "usage", by_day),
            "groups": ask(connection, "groups", Asked(past)),
        }


async def _search(console: Console, directory: Path, dropped: dict[str, int]) -> bool:
    """Searches everything that was written, what was printed included."""
    (directory / OUTPUT).write_text(console.export_text(clear=False), encoding="utf-8")
    values = planted.load()
    with _busy("Searching the database, the log and this output ..."):
        result = await asyncio.to_thread(search, [directory], values)
    show.print_search(console, describe(result, values), dropped)
    return result.good


async def _stay(console: Console) -> None:
    stop = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    console.print("\nEverything is still up. Ctrl-C stops it; the data stays.")
    await stop.wait()


def _busy(what: str) -> AbstractContextManager[object]:
    """Says what takes a while; in a terminal only, and gone when it is done."""
    return Console().status(what)


def _progress() -> Progress:
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
    silent = not Console().is_terminal
    return Progress(*columns, TimeElapsedColumn(), transient=True, disable=silent)
