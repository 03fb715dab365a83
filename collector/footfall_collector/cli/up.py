"""The command `footfall up`: runs the collector, in one process or several."""

import asyncio
import logging
import os
import shlex
from collections.abc import Callable
from concurrent.futures import Future
from contextlib import nullcontext
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from footfall_collector.cli.options import catalog_option, config_option, read_config
from footfall_collector.errors import ending_in_the_log, failing_plainly

if TYPE_CHECKING:
    from footfall_collector.cli.beside import Beside
    from footfall_collector.config.config import Config
    from footfall_collector.config.schema import TlsConfig
    from footfall_collector.process.app import Running

log = logging.getLogger("footfall.collector")


@click.command()
@config_option
@catalog_option
@click.option("--workers", type=click.IntRange(1, 256), help="Processes that share the ports.")
@click.option(
    "--live", is_flag=True, help="Show what is stored and what is refused, as it comes in."
)
@click.option(
    "--dev", is_flag=True, help="Turn the HTTP API on, for this machine, and believe `x-sd-viewer`."
)
def up(config: str | None, catalog: str | None, workers: int | None, live: bool, dev: bool) -> None:
    """Run the collector until Ctrl-C, with a Postgres of its own unless a DSN is set."""
    from footfall_collector.process.signals import end_at_once

    end_at_once()
    from footfall_collector.config.environment import DEVELOPMENT
    from footfall_collector.config.reader import logs_json
    from footfall_collector.config.schema import LogsConfig
    from footfall_collector.telemetry import logging as diagnostics

    if dev:
        os.environ[DEVELOPMENT] = "1"
    asked = _Asked(config, catalog, workers, live)
    if logs_json(config, os.environ):
        diagnostics.configure(LogsConfig(encoding="json"))
        with ending_in_the_log():
            _run(asked, _log, _log)
    else:
        _run(asked, click.echo, partial(click.echo, err=True))


def _log(line: str) -> None:
    log.info("%s", " ".join(line.split()))


@dataclass(frozen=True, slots=True)
class _Asked:
    """What the command was given."""

    config: str | None
    catalog: str | None
    workers: int | None
    live: bool

    @property
    def again(self) -> str:
        """The same options, for another command."""
        named = {"--config": self.config, "--catalog": self.catalog}
        return "".join(f" {name} {shlex.quote(value)}" for name, value in named.items() if value)


def _run(asked: _Asked, say: Callable[[str], Any], say_beside: Callable[[str], Any]) -> None:
    """Runs until it is stopped.

    Args:
        asked: The options.
        say: Takes a line for whoever started it.
        say_beside: The same, away from standard output.
    """
    from footfall_collector.config.config import load_config
    from footfall_collector.process.presence import Presence, place_of
    from footfall_collector.process.worker import prepare_process, work

    loaded = read_config(asked.config, asked.catalog)
    number = asked.workers or loaded.service.workers
    # What the exporter `logs` writes to standard output must be all that is there.
    is_taken = any(name.partition("/")[0] == "logs" for name in loaded.subscribers)
    live = _live(loaded, number, err=is_taken) if asked.live else None
    prepare_process(loaded)
    place = place_of(asked.config, loaded.catalog_files)
    here = Presence(place, number)

    def greet(*addresses: str | None) -> None:
        here.begin()
        _greet(loaded, asked, say_beside if is_taken else say, *addresses)

    def ready(on: "Running") -> None:
        greet(on.grpc, on.http, on.operator)
        if live is not None:
            live.begin(on.dsn)

    with failing_plainly(), live or nullcontext():
        if number > 1:
            _supervise(loaded, number, asked, greet, place)
        else:
            load = partial(load_config, asked.config, catalog=asked.catalog)
            stopping = live.stop if live else None
            asyncio.run(work(load, loaded, ready, stopping=stopping, reloads=place))
    say_beside("Stopped: every request in flight was answered.")


def _live(loaded: "Config", workers: int, *, err: bool) -> "Beside":
    """What shows what comes in; not where there is no single process with a store."""
    from footfall_collector.cli.beside import Beside

    if loaded.postgres is None:
        raise click.UsageError("--live shows a store, and this collector is a gateway: it has none")
    if workers > 1:
        raise click.UsageError(
            f"--live is for a single process, whose log goes above the table; with {workers} workers"
            " run `footfall tail` in another terminal"
        )
    return Beside(err=err)


def _supervise(
    loaded: "Config",
    number: int,
    asked: _Asked,
    greet: Callable[..., None],
    place: Path,
) -> None:
    from footfall_collector.process.supervisor import Supervisor, orders

    lost: Future[None] = Future()
    with orders(loaded, number, asked.config, asked.catalog, lost, place) as all_orders:
        first, operator = all_orders[0], loaded.service.operator
        ready = partial(greet, first.grpc, first.http, operator.endpoint if operator else None)
        asyncio.run(Supervisor(all_orders, lost).run(ready))


def _greet(
    config: "Config",
    asked: _Asked,
    say: Callable[[str], Any],
    grpc: str | None,
    http: str | None,
    operator: str | None,
) -> None:
    say(f"Footfall collects {', '.join(config.catalog.products)} into {_target(config)}.")
    for name, address, of in (
        ("OTLP/gRPC", grpc, config.grpc),
        ("OTLP/HTTP", http, config.http),
        ("operator ", operator, config.service.operator),
    ):
        if address and of:
            say(f"  {name}  {_scheme(of.tls)}://{address}")
    if operator and config.service.operator:
        say(f"  the page   {_scheme(config.service.operator.tls)}://{operator}/")
    if config.postgres is not None:
        say(f"Next: `footfall report usage{asked.again}` in another terminal. Ctrl-C stops.")


def _scheme(tls: "TlsConfig | None") -> str:
    return "http" if tls is None else "https"


def _target(config: "Config") -> str:
    if config.postgres is None:
        return ", ".join(config.subscribers)
    return "the Postgres of your DSN" if config.postgres.dsn else "an embedded Postgres"
