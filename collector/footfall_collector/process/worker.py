"""One collector process, alone or as a worker: signals, reloading, stopping.

`python -m footfall_collector.process.worker` is how a parent starts a worker (workers.py); not for users.
"""

import asyncio
import ctypes
import gc
import logging
import os
import resource
import signal
import sys
import time
from collections.abc import Callable
from concurrent.futures import Future
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import click
import msgspec

from footfall_collector.config.config import Config, load_config
from footfall_collector.config.reader import logs_json
from footfall_collector.process.garbage import collect_seldom
from footfall_collector.process.presence import note_reload
from footfall_collector.process.signals import STOPS, end_at_once
from footfall_collector.telemetry import logging as diagnostics
from footfall_exporters.faults import log_fault
from footfall_processors import DocumentError

if TYPE_CHECKING:  # they import gRPC, which must not come before `diagnostics.configure`
    from footfall_collector.process.app import Running, Worker

log = logging.getLogger("footfall.collector")
_M_MMAP_THRESHOLD, _M_ARENA_MAX = -3, -8  # malloc.h
_LARGE = 2**20
"""Bytes of what gets memory of its own, which goes back to the system when it is freed."""


def prepare_process(config: Config) -> None:
    """Logs, no core dumps, one heap, as many open files as allowed; before gRPC is imported."""
    diagnostics.configure(config.service.telemetry.logs)
    diagnostics.catch_all()
    diagnostics.no_core_dumps()
    one_heap()
    with suppress(ValueError, OSError):
        _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))


def one_heap() -> None:
    """Keeps glibc from giving every thread a heap of its own: 15 MB for nothing, as one thread works.

    And from keeping bodies in that heap: it would raise its threshold to 32 MiB with the first large one.
    """
    with suppress(AttributeError):  # another C library
        mallopt = ctypes.CDLL(None).mallopt
        mallopt(_M_ARENA_MAX, 1)
        mallopt(_M_MMAP_THRESHOLD, _LARGE)


async def work(
    load: Callable[[], Config],
    config: Config,
    ready: Callable[["Running"], None],
    worker: "Worker | None" = None,
    stopping: Callable[[], None] | None = None,
    reloads: Path | None = None,
) -> None:
    """Runs a collector until SIGINT, SIGTERM, or, for a worker, until its parent is gone.

    Where there is no use in going on (`Running.lost`), it stops as on SIGTERM, and raises that error.

    Args:
        load: Reads the configuration again, on SIGHUP.
        config: The one to start with.
        ready: Called once everything is up.
        worker: Which of several processes this is.
        stopping: Called when it begins to stop.
        reloads: The collector's lock, beside which it is noted how a reload went.
    """
    from footfall_collector.process.app import running

    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    loop.set_exception_handler(diagnostics.on_loop_error)
    hang_up = asyncio.Event()
    loop.add_signal_handler(signal.SIGHUP, hang_up.set)
    if worker is not None:
        loop.add_reader(sys.stdin, stop.set)
    end_at_once()
    async with running(config, worker) as collector:
        for number in STOPS:
            loop.add_signal_handler(number, stop.set)
        gc.freeze()  # what has been made so far stays
        collector.lost.add_done_callback(lambda _: _wake(loop, stop))
        ready(collector)
        noting = partial(note_reload, reloads, worker.number if worker else 0) if reloads else None
        reloading = asyncio.create_task(_reloading(hang_up, load, collector, noting))
        await stop.wait()
        if stopping is not None:
            stopping()
        reloading.cancel()
        with suppress(asyncio.CancelledError):
            await reloading
    if collector.lost.done():
        collector.lost.result()


def _wake(loop: asyncio.AbstractEventLoop, event: asyncio.Event) -> None:
    """Sets an event of a loop, from any thread; a loop that is closed has nobody who waits."""
    with suppress(RuntimeError):
        loop.call_soon_threadsafe(event.set)


async def _reloading(
    hang_up: asyncio.Event,
    load: Callable[[], Config],
    collector: "Running",
    noting: Callable[..., None] | None,
) -> None:
    """Reads the configuration again at every SIGHUP; when it is wrong, the former one stays in force."""
    while True:
        await hang_up.wait()
        hang_up.clear()
        begun, taken = time.monotonic_ns(), False
        try:
            taken = await collector.reload(await _read_again(load))
        except (
            Exception
        ) as error:  # a fault of ours must not end it: the next signal may revoke a key
            log_fault(log, "reloading failed", error)
        if noting is not None:
            noting(begun, taken=taken)


async def _read_again(load: Callable[[], Config]) -> Config | None:
    try:
        return await asyncio.to_thread(load)
    except DocumentError as error:
        for mistake in error.mistakes:
            log.error("not reloaded: %s", mistake)
        return None


def main() -> None:
    """A worker: its order comes as one line of JSON on standard input; the argument is where `ready` goes."""
    from footfall_collector.errors import failing_plainly, to_log
    from footfall_collector.process.supervisor import LOST, READY, Order

    collect_seldom()
    order = msgspec.json.decode(sys.stdin.buffer.readline(), type=Order)

    def load() -> Config:
        return order.apply(load_config(order.config, catalog=order.catalog))

    lost: Future[None] = Future()

    def ready(running: "Running") -> None:
        nonlocal lost
        lost = running.lost
        with open(int(sys.argv[1]), "wb") as parent:
            parent.write(READY)

    try:
        with failing_plainly():
            config = load()
            prepare_process(config)
            from footfall_collector.process.app import Worker
            from footfall_collector.telemetry.multiprocess import Shared

            worker = Worker(order.number, Shared(Path(order.metrics), order.number))
            reloads = Path(order.reloads) if order.reloads else None
            asyncio.run(work(load, config, ready, worker, reloads=reloads))
    except click.ClickException as error:
        if logs_json(order.config, os.environ):
            to_log(error)
        else:
            error.show()
        sys.exit(LOST if lost.done() else error.exit_code)


if __name__ == "__main__":
    main()
