"""The command `footfall report`: the questions that most ask, answered from the store."""

import datetime as dt
import json
from dataclasses import replace

import click
import psycopg

from footfall_collector.cli.options import (
    catalog_option,
    config_option,
    json_option,
    read_config,
    read_store,
)
from footfall_collector.cli.tables import print_report
from footfall_collector.config.config import load_config
from footfall_collector.errors import failing_plainly
from footfall_exporters import postgres
from footfall_processors import Catalog, DocumentError


@click.command()
@click.argument("name", type=click.Choice(list(postgres.REPORTS)))
@click.option("--days", type=click.IntRange(1, 3650), default=7, show_default=True)
@json_option
@config_option
@catalog_option
def report(name: str, days: int, as_json: bool, config: str | None, catalog: str | None) -> None:
    """Print what was used, what failed, how long it took, which groups were active, or how prompts are rated.

    Declared events that nobody used are in the report of usage, too.
    """
    declared = _catalog(config, catalog) if name == "usage" else None
    with failing_plainly(), postgres.database(read_store(config)) as dsn:
        try:
            with postgres.connect_sync(dsn, postgres.READING) as connection:
                result = postgres.report(connection, name, days)
        except (psycopg.errors.UndefinedTable, psycopg.errors.InvalidSchemaName):
            raise click.ClickException(
                "this database holds nothing of Footfall yet; run `footfall up` (or `footfall migrate`)"
            ) from None
    if declared is not None:
        result = with_unused(result, declared)
    if as_json:
        click.echo(
            json.dumps({"report": name, "days": days, "rows": result.records()}, default=str)
        )
    else:
        print_report(result, days)


def _catalog(config: str | None, catalog: str | None) -> Catalog | None:
    """The catalog; None where none can be read and none was asked for: the store alone can be reported."""
    if catalog is not None:
        return read_config(config, catalog).catalog
    try:
        return load_config(config).catalog
    except DocumentError:
        return None


def with_unused(usage: postgres.Report, catalog: Catalog) -> postgres.Report:
    """The report of usage with a row, of count 0, for each event that is in force and was not used."""
    today, event = dt.datetime.now(dt.UTC).date(), usage.columns.index("event")
    used = {row[event] for row in usage.rows}
    unused = [
        {"surface": found.surface, "feature": found.feature, "event": name, "count": 0}
        for name, found in sorted(catalog.events.items())
        if name not in used
        and found.surface != "footfall"
        and (found.expires is None or found.expires >= today)
    ]
    rows = [tuple(map(row.get, usage.columns)) for row in unused]
    return replace(usage, rows=[*usage.rows, *rows])
