"""What runs in the demo: a collector with a fresh Postgres, and the product that reports to it."""

import asyncio
import datetime as dt
import logging
import os
from collections.abc import AsyncIterator, Iterator
from concurrent.futures import Future
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import uvicorn
import yaml
from starlette.types import ASGIApp

import footfall
from footfall_collector.config.config import Config
from footfall_collector.config.schema import (
    GrpcConfig,
    HttpConfig,
    OperatorConfig,
    ServiceConfig,
)
from footfall_collector.process.app import Running, running
from footfall_collector.receivers.sockets import open_socket
from footfall_examples.sahasrahbot import planted, providers
from footfall_examples.sahasrahbot.app import create_app
from footfall_examples.sahasrahbot.bot import create_bot
from footfall_examples.sahasrahbot.drive import Product
from footfall_examples.sahasrahbot.offline_discord import SHARDS, Discord
from footfall_examples.sahasrahbot.offline_racetime import Racetime
from footfall_examples.sahasrahbot.past import Past
from footfall_examples.sahasrahbot.races import RaceBot
from footfall_examples.sahasrahbot.threads import in_a_thread
from footfall_exporters.contracts import Settings
from footfall_exporters.embedded import EmbeddedPostgres
from footfall_exporters.postgres import PostgresConfig, prepare
from footfall_processors import Catalog, load_catalog

CATALOG: Final = Path(__file__).with_name("events.yaml")
SETTINGS: Final = "footfall.yaml"
LOG: Final = "demo.log"
_FREE: Final = "127.0.0.1:0"


@dataclass(frozen=True, slots=True)
class Stage:
    """Everything that runs.

    Attributes:
        collector: Its addresses and its database.
        past: What was before today.
        product: What is measured.
    """

    collector: Running
    past: Past
    product: Product


@asynccontextmanager
async def standing(directory: Path) -> AsyncIterator[Stage]:
    """Runs everything on free ports of this machine as long as the context lasts.

    Args:
        directory: Empty; takes the database, the log and a configuration with which
            `footfall report` finds them again.

    Raises:
        EmbeddedPostgresError, StartError, psycopg.Error: it cannot start.
    """
    postgres = PostgresConfig(data_directory=str(directory / "postgres"))
    config = Config(
        load_catalog(CATALOG),
        grpc=GrpcConfig(endpoint=_FREE),
        http=HttpConfig(endpoint=_FREE),
        postgres=postgres,
        service=ServiceConfig(operator=OperatorConfig(endpoint=_FREE)),
    )
    _write_settings(directory, postgres)
    _isolate_environment()
    async with AsyncExitStack() as stack:
        stack.enter_context(_logging(directory / LOG))
        dsn = stack.enter_context(EmbeddedPostgres(directory / "postgres"))
        await asyncio.to_thread(prepare, dsn, Settings(config.catalog))
        past = await _past(dsn, config.catalog)
        collector = await stack.enter_async_context(running(config))
        await stack.enter_async_context(_telemetry(f"http://{collector.grpc}"))
        yield Stage(collector, past, await stack.enter_async_context(serving()))


async def _past(dsn: str, catalog: Catalog) -> Past:
    _, environment = planted.of_kind(planted.load(), planted.CONTROL)
    past = Past(catalog, environment, dt.datetime.now(dt.UTC).date())
    await past.store(dsn)
    return past


def _write_settings(directory: Path, postgres: PostgresConfig) -> None:
    """A configuration that names this database whatever FOOTFALL_DSN says."""
    settings = {
        "processors": {"footfall": {"catalog": str(CATALOG)}},
        "exporters": {"postgres": {"dsn": "", "data_directory": postgres.data_directory}},
    }
    (directory / SETTINGS).write_text(yaml.safe_dump(settings), encoding="utf-8")


def _isolate_environment() -> None:
    """Whatever the shell has set, this process and its children send to the demo's collector."""
    for name in list(os.environ):
        if name.startswith(("OTEL_", "TELEMETRY_", "DO_NOT_TRACK")):
            del os.environ[name]
    os.environ |= {
        "TELEMETRY_ENABLED": "true",
        "no_grpc_proxy": "127.0.0.1",
        "no_proxy": "127.0.0.1",
    }


@contextmanager
def _logging(file: Path) -> Iterator[None]:
    """Sends every log to a file, Footfall's own in all detail: it is searched for personal data, too.

    The bots' own log is left out: that it calls people by name is the product's affair.
    """
    root, ours, bots = map(logging.getLogger, ("", "footfall", "sahasrahbot"))
    before, levels = root.handlers[:], (ours.level, bots.level)
    handler = logging.FileHandler(file)
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(name)s: %(message)s"))
    root.handlers[:] = [handler]
    ours.setLevel(logging.DEBUG)
    bots.setLevel(logging.CRITICAL + 1)
    try:
        yield
    finally:
        ours.setLevel(levels[0])
        bots.setLevel(levels[1])
        root.handlers[:] = before
        handler.close()


@asynccontextmanager
async def _telemetry(endpoint: str) -> AsyncIterator[None]:
    """The product's SDK, as any product configures it."""
    version, environment = planted.of_kind(planted.load(), planted.CONTROL)
    footfall.configure(
        catalog=CATALOG,
        endpoint=endpoint,
        protocol="grpc",  # whatever FOOTFALL_PROTOCOL says in this shell
        service_version=version,
        environment=environment,
        errors={providers.PresetError: "invalid_preset", TimeoutError: "provider_timeout"},
    )
    try:
        yield
    finally:
        await asyncio.to_thread(footfall.shutdown)


class _Server(uvicorn.Server):
    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Signals belong to the demo as a whole."""
        yield


@asynccontextmanager
async def serving() -> AsyncIterator[Product]:
    """Runs the product: the web API, and each bot in a thread of its own."""
    values, racetime = planted.load(), Racetime()
    shards = [Discord(create_bot(), values, number) for number in range(SHARDS)]
    async with AsyncExitStack() as stack:
        url = await stack.enter_async_context(_serving(create_app()))
        site = await stack.enter_async_context(_serving(racetime.app))
        host = site.removeprefix("http://")
        for each in shards:
            await stack.enter_async_context(in_a_thread(each.serve))
        await stack.enter_async_context(in_a_thread(lambda ready: _race(host, ready)))
        yield Product(url, shards, racetime, site)


async def _race(host: str, ready: Future[None]) -> None:
    """Runs the racetime.gg bot, as its `run()` does, until it is cancelled."""
    bot = RaceBot(host, every=0.2)
    ready.set_result(None)
    await asyncio.gather(bot.reauthorize(), bot.refresh_races())


@asynccontextmanager
async def _serving(app: ASGIApp) -> AsyncIterator[str]:
    """Serves an ASGI application and yields its address."""
    listener = open_socket(_FREE, "the product")
    config = uvicorn.Config(app, log_config=None, access_log=False, lifespan="off")
    server = _Server(config)
    serving = asyncio.create_task(server.serve(sockets=[listener]))
    try:
        yield "http://{}:{}".format(*listener.getsockname()[:2])
    finally:
        server.should_exit = True
        await serving
        listener.close()
