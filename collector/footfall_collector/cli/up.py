"""The command `footfall up`: runs the collector, in one process or several."""

import asyncio
from concurrent.futures import Future
from typing import TYPE_CHECKING

import click

from footfall_collector.cli.options import catalog_option, config_option, read_config
from footfall_collector.errors import failing_plainly

if TYPE_CHECKING:
    from footfall_collector.config.config import Config


@click.command()
@config_option
@catalog_option
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
    click.echo("Stopped: every request in flight was answered.", err=True)


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
