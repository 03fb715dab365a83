"""The demo's processes: a collector with a fresh Postgres, and the product that reports to it."""

import asyncio
import logging
import os
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import uvicorn
import yaml

import footfall
from footfall_collector.app import Running, running
from footfall_collector.config import Config
from footfall_collector.receivers.listen import open_socket
from footfall_examples.sahasrahbot import planted, providers
from footfall_examples.sahasrahbot.app import create_app
from footfall_examples.sahasrahbot.bot import Bot
from footfall_exporters.postgres import PostgresConfig
from footfall_processors import load_catalog

CATALOG: Final = Path(__file__).with_name("events.yaml")
SETTINGS: Final = "footfall.yaml"
LOG: Final = "demo.log"
_FREE: Final = "127.0.0.1:0"


@dataclass(frozen=True, slots=True)
class Stage:
    """Everything that runs.

    Attributes:
        collector: Its addresses and its database.
        url: Of the web API.
        bot: Takes commands.
    """

    collector: Running
    url: str
    bot: Bot


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
    config = Config(load_catalog(CATALOG), grpc=_FREE, http=_FREE, postgres=postgres)
    _write_settings(directory, postgres)
    _isolate_environment()
    async with AsyncExitStack() as stack:
        stack.enter_context(_logging(directory / LOG))
        collector = await stack.enter_async_context(running(config))
        await stack.enter_async_context(_telemetry(f"http://{collector.grpc}"))
        url = await stack.enter_async_context(serving_web())
        yield Stage(collector, url, await stack.enter_async_context(serving_bot()))


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
        if name.startswith(("OTEL_", "TELEMETRY_")):
            del os.environ[name]
    os.environ |= {"TELEMETRY_ENABLED": "true", "no_grpc_proxy": "127.0.0.1"}


@contextmanager
def _logging(file: Path) -> Iterator[None]:
    """Sends every log to a file, Footfall's own in all detail: it is searched for personal data, too."""
    root, ours, handler = (
        logging.getLogger(),
        logging.getLogger("footfall"),
        logging.FileHandler(file),
    )
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(name)s: %(message)s"))
    before, level = root.handlers[:], ours.level
    root.handlers[:] = [handler]
    ours.setLevel(logging.DEBUG)
    try:
        yield
    finally:
        root.handlers[:] = before
        ours.setLevel(level)
        handler.close()


@asynccontextmanager
async def _telemetry(endpoint: str) -> AsyncIterator[None]:
    """The product's SDK, as any product configures it."""
    version, environment = planted.of_kind(planted.load(), planted.CONTROL)
    footfall.configure(
        catalog=CATALOG,
        endpoint=endpoint,
        service_version=version,
        environment=environment,
        errors={providers.PresetError: "invalid_preset"},
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
async def serving_web() -> AsyncIterator[str]:
    """Serves the web API and yields its address."""
    listener = open_socket(_FREE, "the web API")
    config = uvicorn.Config(create_app(), log_config=None, access_log=False, lifespan="off")
    server = _Server(config)
    serving = asyncio.create_task(server.serve(sockets=[listener]))
    try:
        yield "http://{}:{}".format(*listener.getsockname()[:2])
    finally:
        server.should_exit = True
        await serving
        listener.close()


@asynccontextmanager
async def serving_bot() -> AsyncIterator[Bot]:
    """Runs the bot."""
    bot = Bot()
    serving = asyncio.create_task(bot.serve())
    try:
        yield bot
    finally:
        serving.cancel()
        with suppress(asyncio.CancelledError):
            await serving
