"""The command `footfall`. Heavy modules are imported by the commands that need them."""

import asyncio
import importlib.metadata
import json
import logging
import signal
import sys
from concurrent.futures import Future
from itertools import groupby
from typing import TYPE_CHECKING, Any, TypeVar

import click

from footfall_collector.errors import WRONG_INPUT, failing_plainly, refuse

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Coroutine, Mapping, Sequence

    from footfall_collector.config.config import Config
    from footfall_exporters.postgres import Holder, PostgresConfig
    from footfall_processors import Mistake


T = TypeVar("T")


class _Commands(click.Group):
    """The commands below and those of other packages (entry points `footfall.commands`)."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        found = importlib.metadata.entry_points(group="footfall.commands")
        return sorted({*super().list_commands(ctx), *(entry.name for entry in found)})

    def get_command(self, ctx: click.Context, name: str) -> click.Command | None:
        for entry in importlib.metadata.entry_points(group="footfall.commands", name=name):
            try:
                command: click.Command = entry.load()
            except ImportError as error:
                raise click.ClickException(
                    f"`footfall {name}` needs {error.name}: pip install 'footfall[{name}]'"
                ) from None
            return command
        return super().get_command(ctx, name)


@click.group(cls=_Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="footfall")
def main() -> None:
    """Count which features are used, without knowing by whom."""
    logging.basicConfig(level=logging.WARNING, format="%(levelname)s %(name)s: %(message)s")


_config = click.option("--config", "-c", metavar="FILE", help="Collector configuration (YAML).")
_catalog = click.option(
    "--catalog", metavar="FILE", help="The catalog; overrides the configuration."
)
_json = click.option("--json", "as_json", is_flag=True, help="Print JSON, for scripts.")


@main.command()
@_config
@_catalog
@click.option("--workers", type=click.IntRange(1, 256), help="Processes that share the ports.")
def up(config: str | None, catalog: str | None, workers: int | None) -> None:
    """Run the collector until Ctrl-C, with a Postgres of its own unless a DSN is set."""
    from footfall_collector.process.signals import end_at_once

    end_at_once()
    from footfall_collector.config.config import load_config
    from footfall_collector.process.worker import prepare_process, work

    loaded = read_config(config, catalog)
    prepare_process(loaded)
    number = workers or loaded.service.workers
    with failing_plainly():
        if number > 1:
            _supervise(loaded, number, config, catalog)
        else:
            asyncio.run(
                work(
                    lambda: load_config(config, catalog=catalog),
                    loaded,
                    lambda running: _greet(loaded, running.grpc, running.http, running.operator),
                )
            )
    click.echo("Stopped: every request under way was answered.", err=True)


def _supervise(loaded: "Config", number: int, config: str | None, catalog: str | None) -> None:
    from footfall_collector.process.supervisor import Supervisor, orders

    lost: Future[None] = Future()
    with orders(loaded, number, config, catalog, lost) as all_orders:
        first, operator = all_orders[0], loaded.service.operator
        asyncio.run(
            Supervisor(all_orders, lost).run(
                lambda: _greet(
                    loaded, first.grpc, first.http, operator.endpoint if operator else None
                )
            )
        )


def _greet(config: "Config", grpc: str | None, http: str | None, operator: str | None) -> None:
    # What the exporter `logs` writes to standard output must be all that is there.
    err = any(name.partition("/")[0] == "logs" for name in config.subscribers)
    products = ", ".join(config.catalog.products)
    click.echo(f"Footfall collects {products} into {_target(config)}.", err=err)
    for name, address in (("OTLP/gRPC", grpc), ("OTLP/HTTP", http), ("operator ", operator)):
        if address:
            click.echo(f"  {name}  http://{address}", err=err)
    if config.postgres is not None:
        click.echo("Next: `footfall report usage` in another terminal. Ctrl-C stops.", err=err)


def _target(config: "Config") -> str:
    if config.postgres is None:
        return ", ".join(config.subscribers)
    return "the Postgres of your DSN" if config.postgres.dsn else "an embedded Postgres"


@main.command()
@click.argument("name", type=click.Choice(["usage", "errors", "latency", "groups"]))
@click.option("--days", type=click.IntRange(1, 3650), default=7, show_default=True)
@_json
@_config
def report(name: str, days: int, as_json: bool, config: str | None) -> None:
    """Print what was used, what failed, how long it took, or how many groups were active."""
    import psycopg

    from footfall_collector.cli.tables import print_report
    from footfall_exporters.postgres import READING, connect_sync, database
    from footfall_exporters.postgres import report as run

    postgres = read_store(config)
    with failing_plainly(), database(postgres) as dsn:
        try:
            with connect_sync(dsn, READING) as connection:
                result = run(connection, name, days)
        except (psycopg.errors.UndefinedTable, psycopg.errors.InvalidSchemaName):
            raise click.ClickException(
                "this database holds nothing of Footfall yet; run `footfall up` (or `footfall migrate`)"
            ) from None
    if as_json:
        click.echo(
            json.dumps({"report": name, "days": days, "rows": result.records()}, default=str)
        )
    else:
        print_report(result, days)


@main.command()
@_config
@_catalog
def migrate(config: str | None, catalog: str | None) -> None:
    """Bring the database to the current schema and add the catalog's columns."""
    from footfall_exporters.postgres import (
        SCHEMA,
        apply_catalog,
        connect_sync,
        database,
        grant_writer,
    )  # fmt: skip
    from footfall_exporters.postgres import migrate as run

    loaded, store = read_config(config, catalog), read_store(config)
    with failing_plainly(), database(store) as dsn:
        before, after = run(dsn)
        with connect_sync(dsn, SCHEMA) as connection:
            added = apply_catalog(connection, loaded.catalog, event_time=store.event_time)
            grant_writer(connection)
    click.echo(f"schema: {before or 'empty'} -> {after}" if before != after else f"schema: {after}")
    click.echo(f"columns added: {', '.join(added) or 'none'}")


@main.command()
@click.option("--days", type=click.IntRange(0, 3650), help="Keep so many days before today.")
@click.option("--dry-run", is_flag=True, help="Only say what would be dropped.")
@_json
@_config
def purge(days: int | None, dry_run: bool, as_json: bool, config: str | None) -> None:
    """Drop stored observations older than the retention, now."""
    from footfall_exporters.postgres import database
    from footfall_exporters.postgres import purge as run

    postgres = read_store(config)
    kept = postgres.retention_days if days is None else days
    with failing_plainly(), database(postgres) as dsn:
        result = _until_told_to_stop(run(dsn, kept, dry_run=dry_run))
    if as_json:
        rows = {str(day): count for day, count in result.rows.items()}
        record = {"dry_run": dry_run, "first_kept": str(result.first_kept), "rows": rows}
        record["held"] = {str(day): [str(h) for h in by] for day, by in result.held.items()}
        click.echo(json.dumps(record))
    else:
        for day, count in result.rows.items():
            click.echo(f"{day}  {count:>12,} observations")
        verb = "would be dropped" if dry_run else "dropped"
        total, number = sum(result.rows.values()), len(result.rows)
        click.echo(
            f"{total:,} observations of {number} days {verb}; kept from {result.first_kept} on"
        )
    if result.held:
        raise click.ClickException(f"not dropped, because readers hold them: {_held(result.held)}")


def _held(days: "Mapping[dt.date, Sequence[Holder]]") -> str:
    by = {day: ", ".join(map(str, holders)) for day, holders in days.items()}
    named = (f"{day} by {who or 'a transaction that began before'}" for day, who in by.items())
    return f"{'; '.join(named)}. End them, or run this again later; the collector tries it again as well"


def _until_told_to_stop(work: "Coroutine[Any, Any, T]") -> "T":
    """Runs to its end, or until SIGINT or SIGTERM: what the server still does for it is cancelled then."""

    async def run() -> T:
        if (task := asyncio.current_task()) is not None:
            asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)
        return await work

    try:
        return asyncio.run(run())
    except asyncio.CancelledError:
        raise click.Abort from None


@main.command()
@click.argument("file")
@click.option("--strict", is_flag=True, help="Fail on warnings as well.")
def validate(file: str, strict: bool) -> None:
    """Check a catalog (events.yaml) or a collector configuration.

    Every mistake is listed; and every warning, of what is valid and could tell who somebody is.
    """
    from footfall_collector.config.config import load_config
    from footfall_processors import DocumentError, load_catalog
    from footfall_processors.cautions import cautions
    from footfall_processors.document import load

    try:
        keys = set(load(file).data)
        if keys & {"receivers", "processors", "exporters", "service"}:
            config = load_config(file)
            catalog, what, catalogs = config.catalog, "configuration", config.catalog_files
        else:
            catalog, what, catalogs = load_catalog(file), "catalog", [file]
        warnings = cautions(catalogs)
    except DocumentError as error:
        refuse(error)
    events = sum(1 for event in catalog.events.values() if event.surface != "footfall")
    click.echo(f"{file}: a valid {what} with {events} events")
    _warn(warnings)
    if strict and warnings:
        sys.exit(WRONG_INPUT)


def _warn(warnings: "Sequence[Mistake]") -> None:
    """Each file once, its warnings below it."""
    for file, of_file in groupby(warnings, key=lambda warning: warning.file):
        listed = list(of_file)
        click.echo(f"{file}: {len(listed)} warning{'s' * (len(listed) > 1)}")
        for warning in listed:
            click.echo(f"  line {warning.line}, {warning.path}: {warning.message}")


def read_config(path: str | None, catalog: str | None = None) -> "Config":
    """The checked configuration; exits with status 2 and every mistake when there is one."""
    from footfall_collector.config.config import load_config
    from footfall_processors import DocumentError

    try:
        return load_config(path, catalog=catalog)
    except DocumentError as error:
        refuse(error)


def read_store(path: str | None) -> "PostgresConfig":
    """The configured store, for commands that need no catalog."""
    from footfall_collector.config.config import load_store
    from footfall_processors import DocumentError

    try:
        return load_store(path)
    except DocumentError as error:
        refuse(error)
