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
from footfall_exporters.postgres.thinning import Rule

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
@click.option("--product", metavar="NAME", help="Only observations of this product's events.")
@click.option("--environment", metavar="NAME", help="Only observations made in this environment.")
@click.option("--dry-run", is_flag=True, help="Only say what would be dropped.")
@json_option
@config_option
def purge(
    days: int | None,
    product: str | None,
    environment: str | None,
    dry_run: bool,
    as_json: bool,
    config: str | None,
) -> None:
    """Drop stored observations and ratings older than the retention, now.

    With --product or --environment, delete those observations alone: without --days, what is older than the
    rule for them says.
    """
    store = read_store(config)
    only = product is not None or environment is not None
    kept = days
    if kept is None:
        kept = _days_of(store, product, environment) if only else store.retention_days
    rule = Rule(product=product, environment=environment, days=kept) if only else None
    with failing_plainly(), postgres.database(store) as dsn:
        result = _until_told_to_stop(
            postgres.purge(dsn, kept, dry_run=dry_run, rules=store.retention, only=rule)
        )
    if as_json:
        click.echo(json.dumps({"dry_run": dry_run, **_record(result)}))
    else:
        _say(result, "would be {}" if dry_run else "{}", in_part=only)
    if result.held:
        raise click.ClickException(f"not dropped, because readers hold them: {_held(result.held)}")


def _days_of(store: postgres.PostgresConfig, product: str | None, environment: str | None) -> int:
    """For how long the configuration keeps it."""
    for rule in store.retention:
        if (rule.product, rule.environment) == (product, environment):
            return rule.days
    return store.retention_days


def _record(result: postgres.Purged) -> dict[str, Any]:
    return {
        "first_kept": str(result.first_kept),
        "rows": {str(day): number for day, number in result.rows.items()},
        "thinned": {str(day): number for day, number in result.thinned.items()},
        "ratings": result.ratings,
        "held": {str(day): [str(h) for h in by] for day, by in result.held.items()},
    }


def _say(result: postgres.Purged, verb: str, *, in_part: bool) -> None:
    for day, number in sorted([*result.rows.items(), *result.thinned.items()]):
        part = " of more" if day in result.thinned else ""
        click.echo(f"{day}  {number:>12,} observation{'s' * (number != 1)}{part}")
    if not in_part:
        dropped = f"{_all(result.rows)} {verb.format('dropped')}"
        click.echo(f"{dropped}; kept from {result.first_kept} on")
    if in_part or result.thinned:
        deleted = f"{_all(result.thinned)} {verb.format('deleted')}"
        kept = f"; kept from {result.first_kept} on" if in_part else " by the rules of `retention`"
        click.echo(deleted + kept)
    if result.ratings:
        click.echo(f"{count(result.ratings, 'rating')} {verb.format('dropped')}")


def _all(rows: Mapping[dt.date, int]) -> str:
    return f"{count(sum(rows.values()), 'observation')} of {count(len(rows), 'day')}"


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
