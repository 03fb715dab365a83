"""The commands that work on the store: `footfall migrate` and `purge`."""

import asyncio
import datetime as dt
import json
import signal
from collections.abc import Coroutine, Mapping, Sequence
from typing import Any, TypeVar

import click

from footfall_collector.cli.options import (
    catalog_option,
    config_option,
    json_option,
    read_config,
    read_store,
)
from footfall_collector.doctor.checks import count
from footfall_collector.errors import failing_plainly
from footfall_exporters import postgres

T = TypeVar("T")


@click.command()
@config_option
@catalog_option
def migrate(config: str | None, catalog: str | None) -> None:
    """Bring the database to the current schema and add the catalog's columns."""
    loaded, store = read_config(config, catalog), read_store(config)
    with failing_plainly(), postgres.database(store) as dsn:
        before, after = postgres.migrate(dsn)
        with postgres.connect_sync(dsn, postgres.SCHEMA) as connection:
            added = postgres.apply_catalog(connection, loaded.catalog, event_time=store.event_time)
            postgres.grant_writer(connection)
    click.echo(f"schema: {before or 'empty'} -> {after}" if before != after else f"schema: {after}")
    click.echo(f"columns added: {', '.join(added) or 'none'}")


@click.command()
@click.option("--days", type=click.IntRange(0, 3650), help="Keep so many days before today.")
@click.option("--dry-run", is_flag=True, help="Only say what would be dropped.")
@json_option
@config_option
def purge(days: int | None, dry_run: bool, as_json: bool, config: str | None) -> None:
    """Drop stored observations and ratings older than the retention, now."""
    store = read_store(config)
    kept = store.retention_days if days is None else days
    with failing_plainly(), postgres.database(store) as dsn:
        result = _until_told_to_stop(postgres.purge(dsn, kept, dry_run=dry_run))
    if as_json:
        rows = {str(day): count for day, count in result.rows.items()}
        record = {"dry_run": dry_run, "first_kept": str(result.first_kept), "rows": rows}
        record["ratings"] = result.ratings
        record["held"] = {str(day): [str(h) for h in by] for day, by in result.held.items()}
        click.echo(json.dumps(record))
    else:
        for day, number in result.rows.items():
            click.echo(f"{day}  {number:>12,} observation{'s' * (number != 1)}")
        verb = "would be dropped" if dry_run else "dropped"
        total = count(sum(result.rows.values()), "observation")
        days_of = count(len(result.rows), "day")
        click.echo(f"{total} of {days_of} {verb}; kept from {result.first_kept} on")
        if result.ratings:
            click.echo(f"{count(result.ratings, 'rating')} {verb}")
    if result.held:
        raise click.ClickException(f"not dropped, because readers hold them: {_held(result.held)}")


def _held(days: Mapping[dt.date, Sequence[postgres.Holder]]) -> str:
    by = {day: ", ".join(map(str, holders)) for day, holders in days.items()}
    named = (f"{day} by {who or 'a transaction that began before'}" for day, who in by.items())
    return f"{'; '.join(named)}. End them, or run this again later; the collector tries it again as well"


def _until_told_to_stop(work: Coroutine[Any, Any, T]) -> T:
    """Runs to its end, or until SIGINT or SIGTERM: what the server still does for it is cancelled then."""

    async def run() -> T:
        if (task := asyncio.current_task()) is not None:
            asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)
        return await work

    try:
        return asyncio.run(run())
    except asyncio.CancelledError:
        raise click.Abort from None
