"""The commands `footfall stats` and `footfall recent`: whether events arrive, and what they are like."""

import datetime as dt
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager

import click
import msgspec
from psycopg import Connection
from rich.console import Console
from rich.table import Table
from rich.text import Text

from footfall_collector.cli.options import (
    OneLine,
    asked_rightly,
    config_option,
    json_option,
    read_made_store,
)
from footfall_collector.cli.tables import print_apart
from footfall_collector.errors import failing_plainly
from footfall_exporters import postgres
from footfall_exporters.postgres.reports import asked, seen
from footfall_exporters.postgres.reports.seen import MOST_RECENT, Recent, Stats

_OF_EACH = frozenset({"created_at", "event", "action", "duration_ms"})
"""Columns that are said without their names."""
_COLUMNS = ("event (times in UTC)", "all", "7 days", "today", "this hour", "last")
_BETWEEN, _NARROWEST = 2, 12
"""Spaces between columns, and how wide names are at least."""
_NOTHING = "Nothing is stored yet. Is TELEMETRY_ENABLED=true where the application runs?"


@click.command(cls=OneLine)
@json_option
@config_option
def stats(as_json: bool, config: str | None) -> None:
    """Print how often each event came: in all, in 7 days, today, in this hour (UTC).

    What is declared and never came is there with 0.
    """
    with _asking(config) as connection:
        found = seen.stats(connection, dt.datetime.now(dt.UTC))
    if as_json:
        click.echo(msgspec.json.encode({"events": [each.record() for each in found]}))
    elif not found:
        click.echo(_NOTHING)
    else:
        _print(found, Console())


@click.command(cls=OneLine)
@click.option("--limit", type=click.IntRange(1, MOST_RECENT), default=20, show_default=True,
              metavar="N", help="So many at most.")  # fmt: skip
@click.option("--where", multiple=True, metavar="COLUMN=VALUE", help="Only what has this value.")
@json_option
@config_option
def recent(limit: int, where: Sequence[str], as_json: bool, config: str | None) -> None:
    """Print the newest observations that are stored, without pseudonyms.

    By when they were, of the last ten days; what is counted only, or sampled out, is none.
    """
    with asked_rightly():
        pairs = asked.conditions(where)
    with _asking(config) as connection:
        found = seen.recent(connection, pairs, limit, dt.datetime.now(dt.UTC))
    if as_json:
        rows = [dict(zip(found.columns, row, strict=True)) for row in found.rows]
        click.echo(msgspec.json.encode({"events": rows}))
    elif not found.rows:
        click.echo("No observation of the last ten days fits." if where else _NOTHING)
    else:
        click.echo("\n".join(_lines(found)))


@contextmanager
def _asking(config: str | None) -> Iterator[Connection]:
    store = read_made_store(config)
    with (
        failing_plainly(),
        postgres.database(store) as dsn,
        asked_rightly(),
        closing(postgres.connect_sync(dsn, postgres.READING)) as connection,
    ):
        yield connection


def _print(found: Sequence[Stats], console: Console) -> None:
    """A table, in which names go on in the next line; where numbers alone are too wide, each event apart."""
    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column(_COLUMNS[0], overflow="fold")
    for name in _COLUMNS[1:-1]:
        table.add_column(name, justify="right", no_wrap=True)
    table.add_column(_COLUMNS[-1], no_wrap=True)
    rows = [_cells(each) for each in found]
    for each, cells in zip(found, rows, strict=True):
        table.add_row(*map(Text, cells), style="" if each.count else "dim")
    numbers = sum(max(map(len, column)) for column in [*zip(_COLUMNS, *rows, strict=True)][1:])
    room = console.width - numbers - _BETWEEN * (len(_COLUMNS) - 1)
    if room >= min(_NARROWEST, max(len(each.event) for each in found)):
        console.print(table)
    else:
        print_apart(_COLUMNS, rows, console)


def _cells(each: Stats) -> Sequence[str]:
    last = f"{each.last_used:%Y-%m-%d %H:..}" if each.last_used else "never"
    numbers = (each.count, each.week, each.today, each.hour)
    return [each.event, *(f"{number:,}" for number in numbers), last]


def _lines(found: Recent) -> Iterator[str]:
    """A line for each observation; what all of them have is said once."""
    records = [
        {n: str(v) for n, v in zip(found.columns, row, strict=True) if _says_something(n, v)}
        for row in found.rows
    ]
    shared = {
        name: value
        for name, value in records[0].items()
        if name not in _OF_EACH and all(each.get(name) == value for each in records)
    }
    if len(records) > 1 and shared:
        yield f"all with {_named(shared)}"
    else:
        shared = {}
    for at, each in zip((row[0] for row in found.rows), records, strict=True):
        own = {n: v for n, v in each.items() if n not in _OF_EACH and n not in shared}
        took = f"{each['duration_ms']} ms" if "duration_ms" in each else ""
        words = (each["event"], each["action"], took, _named(own))
        yield f"{at:%Y-%m-%d %H:%M:%S}Z {' '.join(filter(None, words))}"


def _says_something(name: str, value: object) -> bool:
    return value is not None and (name, value) not in (("quantity", 1), ("sample_rate", 1.0))


def _named(values: dict[str, str]) -> str:
    return " ".join(f"{name}={value}" for name, value in values.items())
