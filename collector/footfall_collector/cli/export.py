"""The command `footfall export`: sends what was stored to an exporter again."""

import asyncio
import datetime as dt
import json
import os
import re
from dataclasses import asdict

import click
import psycopg
from rich.console import Console
from rich.progress import Progress
from rich.table import Table

from footfall_collector.cli.options import config_option, json_option, read_config
from footfall_collector.config.environment import ANALYTICS, analytics_are_off, is_analytics
from footfall_collector.config.reader import STORE, read
from footfall_collector.doctor.checks import count
from footfall_collector.errors import failing_plainly
from footfall_collector.subscribers.delivery import OutOfPatience
from footfall_collector.subscribers.replay import Exported, replay
from footfall_exporters.contracts import Settings, SubscriberConfig
from footfall_exporters.postgres import database
from footfall_processors import Catalog

_UNITS = {"m": "minutes", "h": "hours", "d": "days", "w": "weeks"}


def moment(value: str) -> dt.datetime:
    """How long ago (`30m`, `12h`, `7d`, `2w`), or a date with or without a time, UTC."""
    try:
        if match := re.fullmatch(r"([0-9]{1,5})([mhdw])", value):
            return dt.datetime.now(dt.UTC) - dt.timedelta(**{_UNITS[match[2]]: int(match[1])})
        found = dt.datetime.fromisoformat(value)
    except (ValueError, OverflowError):
        right = "give 30m, 12h, 7d or 2w ago, or a date such as 2026-11-22 or 2026-11-22T14:30"
        raise click.BadParameter(f"{value!r} is no time; {right}") from None
    return found if found.tzinfo else found.replace(tzinfo=dt.UTC)


@click.command()
@click.option("--to", "name", metavar="NAME", required=True, help="An exporter's id in the file.")
@click.option(
    "--since",
    type=moment,
    metavar="WHEN",
    required=True,
    help="From when on: 30m, 12h, 7d, or a date (UTC).",
)
@click.option("--until", type=moment, metavar="WHEN", help="Up to when; now unless given.")
@json_option
@config_option
def export(
    name: str, since: dt.datetime, until: dt.datetime | None, as_json: bool, config: str | None
) -> None:
    """Send what was stored in a period to an exporter, again or for the first time.

    The exporter's own progress stays as it is. What its backend has taken before, it knows by its ids.
    """
    loaded = read_config(config)
    if loaded.postgres is None:
        raise click.UsageError("this configuration has no store (postgres) to export from")
    exporter = _exporter(name, config)
    end = until or dt.datetime.now(dt.UTC)
    with failing_plainly(), database(loaded.postgres) as dsn:
        done = asyncio.run(_export(dsn, name, exporter, loaded.catalog, since, end))
    period = {"to": name, "since": since.isoformat(), "until": end.isoformat()}
    if as_json:
        click.echo(json.dumps(period | asdict(done)))
    else:
        _print(period, done)
    if done.parked:
        raise click.ClickException(
            f"{name} refused {count(done.parked, 'request')} for good; the table footfall.parked says why"
        )


def _exporter(name: str, config: str | None) -> SubscriberConfig:
    """An exporter of the configuration, whether or not a pipeline uses it."""
    reading = read(config, os.environ)
    if is_analytics(name) and analytics_are_off(reading.document, os.environ):
        raise click.UsageError(f"{ANALYTICS} is false: nothing is sent to analytics backends")
    exporters = reading.exporters
    known = sorted(exporters.keys() - {STORE})
    if name not in known:
        there = f"there are {', '.join(known)}" if known else "it has none but the store"
        raise click.UsageError(f"the configuration has no exporter {name} ({there})")
    found: SubscriberConfig = exporters[name]
    return found


async def _export(
    dsn: str,
    name: str,
    config: SubscriberConfig,
    catalog: Catalog,
    since: dt.datetime,
    until: dt.datetime,
) -> Exported:
    console = Console(stderr=True)
    with Progress(console=console, transient=True, disable=not console.is_terminal) as progress:
        task = progress.add_task(f"to {name}", total=None)

        def advanced(done: int, total: int) -> None:
            progress.update(task, completed=done, total=total)

        try:
            async with config.open(Settings(catalog)) as subscriber:
                return await replay(dsn, name, subscriber, catalog, since, until, advanced)
        except (OutOfPatience, ValueError) as error:
            raise click.ClickException(f"{error}; run the same command again later") from None
        except (psycopg.errors.UndefinedTable, psycopg.errors.InvalidSchemaName):
            raise click.ClickException(
                "this database holds nothing of Footfall yet; run `footfall up`"
            ) from None


def _print(period: dict[str, str], done: Exported) -> None:
    title = f"Sent to {period['to']}: {period['since'][:16]} to {period['until'][:16]} (UTC)"
    table = Table(title=title, title_justify="left")
    rows = {
        "commits": done.commits,
        "requests sent": done.sent,
        "requests parked": done.parked,
        "attempts that failed": done.retries,
        "commits partly deleted": done.incomplete,
    }
    for column in rows:
        table.add_column(column, justify="right")
    table.add_row(*(f"{number:,}" for number in rows.values()))
    Console().print(table)
