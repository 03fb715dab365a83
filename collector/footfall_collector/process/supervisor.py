"""Several processes as one collector: this one holds the ports and watches, the others work.

    footfall up --workers 4
      └─ parent: embedded Postgres, the schema, the ports (bound, not listening), signals
           ├─ worker 0: receivers and the operator's listener
           └─ worker 1 …: receivers; the kernel spreads connections over them (SO_REUSEPORT)

A worker that ends unasked is started again. Workers read what they need, secrets included, from standard
input; when that ends, their parent is gone, and they stop as on SIGTERM.
"""

import asyncio
import logging
import os
import signal
import socket
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path

import msgspec
import psycopg

from footfall_collector.config.config import Config
from footfall_collector.errors import StartError
from footfall_collector.receivers.sockets import cannot_listen, open_socket, split
from footfall_collector.telemetry import multiprocess
from footfall_exporters.contracts import Settings
from footfall_exporters.embedded import Supervision
from footfall_exporters.postgres import PostgresConfig, database, prepare
from footfall_exporters.postgres.absence import told, waits
from footfall_exporters.postgres.store import STARTING_S
from footfall_processors import OperatorError

log = logging.getLogger("footfall.workers")
START_S = 60.0
"""Seconds in which a worker must be ready."""
STOP_S = 30.0
"""Seconds in which a worker must have finished its requests; then it is killed."""
FIRST_WAIT, LONGEST_WAIT = 0.5, 30.0
"""Seconds before a worker that ended is started again; doubled while it does not become ready."""
READY = b"ready\n"
LOST = 78
"""Exit status of a worker that would come to the same end again (sysexits.h, EX_CONFIG)."""


class Order(msgspec.Struct, frozen=True, kw_only=True):
    """What a worker is told.

    Attributes:
        number: From 0.
        config: Path of the configuration, as given.
        catalog: Path of the catalog that overrides the configured one.
        dsn: Of the database; None for a gateway.
        grpc: host:port with the port that all share.
        http: The same.
        metrics: The folder where all count.
        reloads: The collector's lock, beside which it is noted how a reload went.
    """

    number: int
    config: str | None
    catalog: str | None
    dsn: str | None
    grpc: str | None
    http: str | None
    metrics: str
    reloads: str | None = None

    def apply(self, config: Config) -> Config:
        """The worker's own configuration."""
        service = config.service
        if self.number:
            service = msgspec.structs.replace(service, operator=None)
        return replace(
            config,
            grpc=config.grpc and msgspec.structs.replace(config.grpc, endpoint=self.grpc),
            http=config.http and msgspec.structs.replace(config.http, endpoint=self.http),
            postgres=config.postgres and msgspec.structs.replace(config.postgres, dsn=self.dsn),
            service=service,
        )


class Supervisor:
    """Starts, watches, reloads and stops workers.

    Args:
        orders: One for each.
        lost: Gets the error after which there is no use in going on.
    """

    def __init__(self, orders: list[Order], lost: Future[None]) -> None:
        self._orders, self._lost = orders, lost
        self._processes: dict[int, asyncio.subprocess.Process] = {}
        self._stopping = asyncio.Event()

    async def run(self, ready: Callable[[], None]) -> None:
        """Runs until SIGINT or SIGTERM; SIGHUP goes on to every worker.

        Args:
            ready: Called once all workers are.

        Raises:
            StartError: a worker could not start at all, or cannot go on; its own message has been printed.
            EmbeddedPostgresError: the embedded Postgres was given up.
        """
        loop = asyncio.get_running_loop()
        lost = asyncio.wrap_future(self._lost)
        lost.add_done_callback(lambda _: self._stopping.set())
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, self._stopping.set)
        loop.add_signal_handler(signal.SIGHUP, self._reload)
        watching: list[asyncio.Task[None]] = []
        try:
            starting = asyncio.create_task(self._start_all(watching))
            stopping = asyncio.create_task(self._stopping.wait())
            await asyncio.wait({starting, stopping}, return_when=asyncio.FIRST_COMPLETED)
            if not self._stopping.is_set():
                await starting  # its error, if there is one
                ready()
            await self._stopping.wait()
        finally:
            for task in (starting, stopping, *watching):
                task.cancel()
            await asyncio.gather(*map(self._stop, self._processes.values()))
        if lost.done():
            lost.result()

    async def _start_all(self, watching: list[asyncio.Task[None]]) -> None:
        for order in self._orders:
            if not await self._start(order):
                found = f"worker {order.number} did not start"
                raise StartError(found, "its message is above")
            watching.append(asyncio.create_task(self._watch(order)))

    async def _start(self, order: Order) -> bool:
        """Starts a worker; whether it became ready."""
        # Standard output is for what the exporter `logs` writes, so a worker says elsewhere that it is ready.
        hears, says = os.pipe()
        try:
            process = await asyncio.create_subprocess_exec(
                *(sys.executable, "-m", "footfall_collector.process.worker", str(says)),
                stdin=asyncio.subprocess.PIPE,
                pass_fds=[says],
                start_new_session=True,  # Ctrl-C in a terminal is for the parent, which asks its workers
            )
        except OSError:
            os.close(hears)
            raise
        finally:
            os.close(says)
        self._processes[order.number] = process
        try:
            async with asyncio.timeout(START_S):
                return await _greet(process, order, hears)
        except TimeoutError:
            process.kill()
            return False

    async def _watch(self, order: Order) -> None:
        wait = FIRST_WAIT
        while True:
            status = await self._processes[order.number].wait()
            if status == LOST and not self._lost.done():
                found = f"worker {order.number} cannot go on"
                self._lost.set_exception(StartError(found, "its message is above"))
                return
            log.error("worker %d ended (%s); it is started again", order.number, _ending(status))
            await asyncio.sleep(wait)
            try:
                started = await self._start(order)
            except OSError as error:  # no process or file to be had just now
                log.error("worker %d cannot be started: %s", order.number, error.strerror)
                started = False
            wait = FIRST_WAIT if started else min(2 * wait, LONGEST_WAIT)

    def _reload(self) -> None:
        for process in self._processes.values():
            if process.returncode is None:
                process.send_signal(signal.SIGHUP)

    async def _stop(self, process: asyncio.subprocess.Process) -> None:
        if process.returncode is None:
            process.terminate()
            try:
                await asyncio.wait_for(process.wait(), STOP_S)
            except TimeoutError:
                log.error("a worker did not stop in %d s and is killed", STOP_S)
                process.kill()
                await process.wait()


async def _greet(process: asyncio.subprocess.Process, order: Order, hears: int) -> bool:
    """Tells a worker its order; whether it is ready then. Its standard input stays open."""
    reader = asyncio.StreamReader()
    loop = asyncio.get_running_loop()
    transport, _ = await loop.connect_read_pipe(
        lambda: asyncio.StreamReaderProtocol(reader), os.fdopen(hears, "rb")
    )
    try:
        if process.stdin is not None:
            process.stdin.write(msgspec.json.encode(order) + b"\n")
        return await reader.readline() == READY
    finally:
        transport.close()


@contextmanager
def orders(
    config: Config,
    number: int,
    path: str | None,
    catalog: str | None,
    lost: Future[None],
    reloads: Path | None = None,
) -> Iterator[list[Order]]:
    """What each of `number` workers is told; ports, database and metrics are there as long as the context.

    A database that is away is left to the workers, which wait for it.

    Args:
        config: Checked.
        number: Of workers.
        path: Of the configuration.
        catalog: Of the one that overrides the configured one.
        lost: Gets the error for which the embedded Postgres was given up.
        reloads: The collector's lock.

    Raises:
        OperatorError, psycopg.Error: they cannot be had.
    """
    with ExitStack() as stack:
        grpc = http = dsn = None
        if config.grpc is not None:
            grpc = stack.enter_context(_held(config.grpc.endpoint, "OTLP/gRPC"))
        if config.http is not None:
            http = stack.enter_context(_held(config.http.endpoint, "OTLP/HTTP"))
        metrics = stack.enter_context(multiprocess.directory())
        if config.postgres is not None:
            restarted = partial(multiprocess.note_restarts, metrics)
            dsn = stack.enter_context(database(config.postgres, Supervision(lost, restarted)))
            _prepare(dsn, config.settings, config.postgres)
        yield [
            Order(
                number=each,
                config=path and str(Path(path).absolute()),
                catalog=catalog and str(Path(catalog).absolute()),
                dsn=dsn,
                grpc=grpc,
                http=http,
                metrics=str(metrics),
                reloads=str(reloads) if reloads else None,
            )
            for each in range(number)
        ]


def _prepare(dsn: str, settings: Settings, store: PostgresConfig) -> None:
    """Prepares the database once for all workers, when it is there."""
    try:
        prepare(dsn, settings, STARTING_S, store.event_time)
    except (psycopg.Error, OperatorError) as error:
        if not waits(error):
            raise
        log.error("%s: the workers wait for it", told(error))


@contextmanager
def _held(endpoint: str, what: str) -> Iterator[str]:
    """host:port of a port that is kept for the workers: bound with SO_REUSEPORT, never listened on."""
    open_socket(endpoint, what).close()  # whoever has it already need not share it
    host, port = split(endpoint)
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family) as held:
        held.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        held.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        try:
            held.bind((host, port))
        except OSError as error:
            raise cannot_listen(endpoint, what, error) from None
        yield f"{endpoint.rpartition(':')[0]}:{held.getsockname()[1]}"


def _ending(status: int) -> str:
    return f"signal {-status}" if status < 0 else f"exit status {status}"
