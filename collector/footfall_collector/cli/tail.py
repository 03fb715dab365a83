"""The command `footfall tail`: shows what comes in, until Ctrl-C."""

import logging
import select
import signal
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Final, NoReturn

import click
import psycopg
from rich.console import Console

from footfall_collector.cli import print_no_more
from footfall_collector.cli.live import Lines, Screen, Singles
from footfall_collector.cli.options import OneLine, config_option, json_option, read_store
from footfall_collector.cli.watching import Change, Show, Watch, follow
from footfall_collector.errors import failing_plainly
from footfall_exporters.embedded import EmbeddedPostgres, default_directory
from footfall_exporters.postgres import PostgresConfig

_ENDS: Final = (signal.SIGINT, signal.SIGTERM)


@click.command(cls=OneLine)
@config_option
@json_option
@click.option("--events", is_flag=True, help="A line for each observation that is stored.")
def tail(config: str | None, as_json: bool, events: bool) -> None:
    """Show what is stored, refused and lost today (UTC), as it comes in, until Ctrl-C.

    A table in a terminal, a line for each change elsewhere: counts by event and reason, never a value.
    With --events each observation, as it is stored from now on, without pseudonyms.
    """
    store = read_store(config)
    for number in _ENDS:
        signal.signal(number, _end)
    with failing_plainly():
        watch = Watch(store.dsn or _served(store), singles=events)
        first = _first_look(watch)
        with suppress(KeyboardInterrupt, BrokenPipeError), _shown(as_json, events) as show:
            show.show(watch, first)
            follow(watch, _WhileRead(show), threading.Event())
        for number in _ENDS:  # Python would have the next one kill it while it ends
            signal.signal(number, signal.SIG_IGN)
        try:
            sys.stdout.flush()
        except BrokenPipeError:  # whoever read it has seen enough
            print_no_more()


def _end(*_: Any) -> NoReturn:
    """Ends the command, once: `timeout` and whoever is impatient say it twice."""
    for number in _ENDS:
        signal.signal(number, _end_already)
    logging.disable()  # psycopg warns of a query that is broken off
    raise KeyboardInterrupt


def _end_already(*_: Any) -> None:
    """Not SIG_IGN, which Python complains of when the signal has come already."""


def _served(store: PostgresConfig) -> str:
    """The database that a collector serves: it is not started for this, as it would end with it."""
    directory = Path(store.data_directory) if store.data_directory else default_directory()
    dsn = EmbeddedPostgres(directory).joined()
    if dsn is None:
        raise click.ClickException(
            "no collector runs with a Postgres of its own; start one with `footfall up`, or set"
            " FOOTFALL_DSN"
        )
    return dsn


class _WhileRead:
    """Shows a watch for as long as somebody reads it, whether there is something to be shown or not."""

    def __init__(self, show: Show) -> None:
        self._show, self._poll = show, select.poll()
        with suppress(OSError):  # in a test, standard output has no number
            self._poll.register(sys.stdout.fileno(), select.POLLERR)

    def show(self, watch: Watch, changes: Sequence[Change]) -> None:
        """See `Show`.

        Raises:
            BrokenPipeError: nobody reads any more.
        """
        if any(how & (select.POLLERR | select.POLLNVAL) for _, how in self._poll.poll(0)):
            raise BrokenPipeError
        self._show.show(watch, changes)


@contextmanager
def _shown(as_json: bool, events: bool) -> Iterator[Show]:
    console = Console()
    if events:
        yield Singles(as_json=as_json)
    elif console.is_terminal and not as_json:
        with Screen(console).open() as screen:
            yield screen
    else:
        yield Lines(as_json=as_json)


def _first_look(watch: Watch) -> Sequence[Change]:
    """Says plainly why a store cannot be looked at; later, it may come and go."""
    try:
        return watch.look()
    except (psycopg.errors.UndefinedTable, psycopg.errors.InvalidSchemaName):
        raise click.ClickException(
            "this database holds nothing of Footfall yet; run `footfall up` (or `footfall migrate`)"
        ) from None
