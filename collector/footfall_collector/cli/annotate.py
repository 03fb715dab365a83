"""The command `footfall annotate`: what happened, to stand beside the figures."""

import datetime as dt
import json
from collections.abc import Iterator
from contextlib import closing, contextmanager

import click
from psycopg import Connection

from footfall_collector.cli.options import (
    OneLine,
    Wrong,
    asked_rightly,
    config_option,
    json_option,
    read_made_store,
)
from footfall_collector.errors import failing_plainly
from footfall_exporters import postgres
from footfall_exporters.postgres import annotations
from footfall_exporters.postgres.annotations import Annotation, Written, WrongAnnotation
from footfall_exporters.postgres.reports.asked import moment
from footfall_exporters.postgres.reports.state import of_this_version


@click.command(cls=OneLine)
@click.argument("text", required=False)
@click.option("--at", metavar="TIME", help="When: 30m or 7d ago, or a date; now without.")
@click.option("--product", metavar="NAME", default="", help="To which product; to all without.")
@click.option("--version", metavar="NAME", default="", help="With which version.")
@click.option("--list", "listed", is_flag=True, help="Print what has been said.")
@click.option("--remove", metavar="ID", type=click.IntRange(1), help="Take one back.")
@json_option
@config_option
def annotate(
    text: str | None,
    at: str | None,
    product: str,
    version: str,
    listed: bool,
    remove: int | None,
    as_json: bool,
    config: str | None,
) -> None:
    """Say what happened, such as a release or an outage: charts and reports show it at its time.

    TEXT is for everybody who sees the figures: name nobody. When each version of a service was first seen is
    known without it.
    """
    if [text is not None, listed, remove is not None].count(True) != 1:
        raise Wrong("give a TEXT, or --list, or --remove ID")
    if text is None and (at is not None or product or version):
        raise Wrong("--at, --product and --version are for a TEXT")
    if text is not None:
        _add(Annotation(_moment(at), text, product, version), as_json, config)
    elif remove is not None:
        _remove(remove, config)
    else:
        _list(as_json, config)


def _moment(at: str | None) -> dt.datetime:
    now = dt.datetime.now(dt.UTC)
    with asked_rightly():
        return now if at is None else moment("--at", at, now)


def _add(said: Annotation, as_json: bool, config: str | None) -> None:
    with _store(config) as connection:
        try:
            written = annotations.add(connection, said)
        except WrongAnnotation as error:
            raise Wrong(str(error)) from None
    click.echo(_json(written) if as_json else _line(written))
    if written.text != said.text.strip():
        click.echo("what looked personal in it was left out", err=True)


def _remove(number: int, config: str | None) -> None:
    with _store(config) as connection:
        if not annotations.remove(connection, number):
            raise click.ClickException(f"there is no annotation {number}; see --list")


def _list(as_json: bool, config: str | None) -> None:
    with _store(config) as connection:
        found = annotations.every(connection)
    for each in found:
        click.echo(_json(each) if as_json else _line(each))
    if not found:
        click.echo("nothing has been said yet", err=True)


@contextmanager
def _store(config: str | None) -> Iterator[Connection]:
    store = read_made_store(config)
    with (
        failing_plainly(),
        postgres.database(store) as dsn,
        closing(postgres.connect_sync(dsn, annotations.ANNOTATING)) as connection,
        of_this_version(),
    ):
        yield connection


def _line(each: Written) -> str:
    about = " ".join(filter(None, [each.product, each.version]))
    at = f"{each.at.astimezone(dt.UTC):%Y-%m-%d %H:%M}"
    return f"{each.id:>4}  {at}  {each.text}{f'  ({about})' if about else ''}"


def _json(each: Written) -> str:
    at = f"{each.at.astimezone(dt.UTC):%Y-%m-%dT%H:%M:%SZ}"
    return json.dumps(each._asdict() | {"at": at})
