"""The command `footfall report`: the questions that most ask, answered from the store."""

import datetime as dt
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from typing import Any

import click
import msgspec
import psycopg
from psycopg import Connection
from rich.console import Console

from footfall_collector.cli.options import (
    OneLine,
    Wrong,
    asked_rightly,
    catalog_option,
    config_option,
    json_option,
    read_config,
    read_made_store,
)
from footfall_collector.cli.screen import print_overview
from footfall_collector.cli.tables import Beside, print_report, side_by_side, spoken
from footfall_collector.config.config import load_config
from footfall_collector.errors import failing_plainly
from footfall_exporters import postgres
from footfall_exporters.postgres.reports import ask, asked, kinds, zones
from footfall_exporters.postgres.reports.asked import Asked, Period, WrongQuestion
from footfall_exporters.postgres.reports.building import STEPS, steps_of
from footfall_exporters.postgres.reports.completeness import completeness
from footfall_exporters.postgres.reports.overview import overview
from footfall_exporters.postgres.reports.state import first_day, of_this_version
from footfall_exporters.postgres.reports.trends import trends
from footfall_processors import Catalog, DocumentError

DAYS = 7
"""Of a period that nobody names."""
_SENDERS = ("service", "version", "environment")
_OF_VIEWS = {
    "usage": _SENDERS,
    "events": _SENDERS,
    "groups": ("event", "feature", "product"),
    "depth": ("product",),
}
"""Columns that a view has in every store, beside those that it is counted by unasked."""
_OF_ONE = "--where, --by, --tz, --limit and --csv are of one report: name it"


@dataclass(frozen=True, slots=True)
class _Shown:
    """How an answer is printed."""

    as_json: bool
    as_csv: bool
    days: int | None


def _columns(context: click.Context, _: click.Parameter, typed: str) -> list[str]:
    """The columns that every store has, for the shell; enums are those of a catalog."""
    # Where the name is, while an option has no value yet.
    words: list[str] = [str(context.params.get("name")), *context.args]
    named = next((word for word in words if word in kinds.KINDS), "usage")
    kind = kinds.KINDS[named]
    every = dict.fromkeys([*kind.by, *_OF_VIEWS.get(kind.view, ()), *steps_of(kind)])
    return [name for name in every if name.startswith(typed)]


def _conditions(context: click.Context, parameter: click.Parameter, typed: str) -> list[str]:
    return [f"{n}=" for n in _columns(context, parameter, typed) if n not in STEPS]


class _Name(click.Choice[str]):
    """The name of a report."""

    def __init__(self) -> None:
        super().__init__(list(postgres.REPORTS))

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        if value in postgres.REPORTS:
            return str(value)
        raise Wrong(f"there is no such report; there are {', '.join(postgres.REPORTS)}")


@click.command(cls=OneLine)
@click.argument("name", type=_Name(), required=False, metavar="[NAME]")
@click.option(
    "--days",
    type=click.IntRange(1, 3650),
    metavar="N",
    help=f"The last N days, today included; {DAYS} unless a period is given.",
)
@click.option("--since", metavar="WHEN", help="From when on: 30m, 12h, 7d, or a date.")
@click.option("--until", metavar="WHEN", help="Up to when.")
@click.option(
    "--where",
    multiple=True,
    metavar="COLUMN=VALUE",
    shell_complete=_conditions,
    help="Only what has this value; of several for a column, one of them.",
)
@click.option(
    "--by",
    multiple=True,
    metavar="COLUMN",
    shell_complete=_columns,
    help="Count by this; also day, week, month.",
)
@click.option(
    "--tz",
    metavar="ZONE",
    help="Days, weeks and months of a time zone, such as Europe/Berlin; UTC without.",
)
@click.option(
    "--limit", type=click.IntRange(1, asked.MOST_ROWS), metavar="N", help="The first N rows."
)
@click.option("--csv", "as_csv", is_flag=True, help="Print CSV, for spreadsheets.")
@json_option
@config_option
@catalog_option
def report(
    name: str | None,
    days: int | None,
    since: str | None,
    until: str | None,
    where: Sequence[str],
    by: Sequence[str],
    tz: str | None,
    limit: int | None,
    as_csv: bool,
    as_json: bool,
    config: str | None,
    catalog: str | None,
) -> None:
    """Print what was used, what failed, how long it took, and whatever else is counted.

    Without a name: the state of everything, on one screen.
    """
    if as_csv and as_json:
        raise Wrong("--csv and --json are two forms: give one of them")
    if name is None and (where or by or tz or limit or as_csv):
        raise Wrong(_OF_ONE)
    with asked_rightly():
        zone = zones.zone_of(zones.UTC if tz is None else tz)
        period = _period(name, days, since, until, zone)
        question = Asked(period, asked.conditions(where), by, limit, zone=tz or zones.UTC)
    declared = _catalog(config, catalog) if name == "usage" else None
    store = read_made_store(config)
    shown = _Shown(as_json, as_csv, days if since or until or days else DAYS)
    with (
        failing_plainly(),
        postgres.database(store) as dsn,
        asked_rightly(),
        closing(postgres.connect_sync(dsn, postgres.READING)) as connection,
        of_this_version(),
    ):
        _answer(connection, name, question, declared, shown)


def _period(
    name: str | None, days: int | None, since: str | None, until: str | None, zone: dt.tzinfo
) -> Period | None:
    """The period that is asked for; None for a report of all that is kept.

    Raises:
        WrongQuestion: there is none like that.
    """
    now = dt.datetime.now(dt.UTC)
    if since is None and until is None:
        if days is None and name is not None and not kinds.KINDS[name].time:
            return None
        return asked.last_days(days or DAYS, now, zone)
    if days is not None:
        raise WrongQuestion(
            "period", "--days is a period of its own", "give it without --since and --until"
        )
    return asked.period(since, until, dt.timedelta(days=DAYS), now, zone)


def _answer(
    connection: Connection,
    name: str | None,
    question: Asked,
    declared: Catalog | None,
    shown: _Shown,
) -> None:
    try:
        if name is None:
            _print_overview(connection, question, shown)
            return
        found = ask(connection, name, question)
        chosen = question.where or question.by or question.limit or found.until
        if declared is not None and not chosen:
            found = with_unused(found, declared)
        if shown.as_json:
            days = {"days": shown.days} if shown.days and question.period else {}
            _print_json({"report": name, **days, **found.document()})
        elif shown.as_csv:
            click.echo(found.csv(), nl=False)
        else:
            _print(connection, question, found)
    except psycopg.errors.InsufficientPrivilege:
        raise click.ClickException(
            f"the role {connection.info.user} may not read the reports; run as the owner of the database:"
            f" GRANT footfall_reader TO {connection.info.user}"
        ) from None


def _print_overview(connection: Connection, question: Asked, shown: _Shown) -> None:
    assert question.period is not None  # noqa: S101  # without a name there is one
    found = overview(connection, question.period)
    if shown.as_json:
        _print_json({"report": "overview", **found.record()})
    else:
        print_overview(found)


def _print(connection: Connection, question: Asked, found: postgres.Report) -> None:
    console, kind = Console(), kinds.KINDS[found.name]
    found = side_by_side(found) if found.name == "releases" else found
    named = found.columns.index("event") if "event" in found.columns else None
    events = None if named is None else {row[named] for row in found.rows}
    beside = Beside(
        spoken(found),
        completeness(connection, events) if kind.tallied and found.rows else None,
        trends(connection, question, found) if console.encoding.startswith("utf") else [],
        bool(question.where),
        None if found.rows else first_day(connection),
    )
    print_report(found, beside, console)


def _print_json(document: object) -> None:
    click.echo(msgspec.json.encode(document))


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
