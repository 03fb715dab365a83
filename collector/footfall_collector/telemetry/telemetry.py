"""The collector counting what it does: what happens → which metrics (instruments.py) change.

Counting costs a few additions a request, none a span.
"""

import asyncio
import os
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from types import TracebackType
from typing import NamedTuple

from prometheus_client import CollectorRegistry, Gauge, disable_created_metrics, generate_latest
from prometheus_client.multiprocess import MultiProcessCollector
from prometheus_client.openmetrics import exposition as openmetrics

from footfall_collector.signals import SIGNALS
from footfall_collector.telemetry import multiprocess
from footfall_collector.telemetry.complaints import Complaints
from footfall_collector.telemetry.instruments import Instruments, Outcome, Refused, Reloaded
from footfall_collector.telemetry.multiprocess import Shared
from footfall_collector.telemetry.refused import UNKNOWN, Tally
from footfall_exporters.background import beside
from footfall_exporters.postgres.spooling import SPOOL
from footfall_exporters.postgres.subscriptions import Lag
from footfall_processors import Batch, Hash, Loss

OTLP = "otlp"
"""The receiver that takes what no other one does."""
EVERY = 5.0
"""Seconds between two looks at what is not counted but looked up."""
METHODS = {name: f"{signal.service}/Export" for name, signal in SIGNALS.items()}
KINDS = {Outcome.SUCCESS: "accepted", Outcome.REFUSED: "refused", Outcome.FAILURE: "failed"}


class Telemetry:
    """What the rest of the collector tells about itself.

    Args:
        version: Footfall's.
        exporters: The configured exporters' ids.
        tasks: Names of housekeeping's tasks.
        shared: Where several workers count together; None for a process alone.

    Attributes:
        metrics: For gauges that are set directly.
        tally: Of refused requests, for the store.
    """

    def __init__(
        self,
        version: str,
        exporters: Sequence[str] = (),
        tasks: Sequence[str] = (),
        shared: Shared | None = None,
    ) -> None:
        if shared:
            multiprocess.join(shared)
        disable_created_metrics()  # type: ignore[no-untyped-call]  # a second series for each
        self.metrics, self._shared = Instruments(version, exporters, tasks), shared
        self.tally, self._complaints = Tally(), Complaints()
        self._watched: list[tuple[Gauge, Callable[[], float]]] = []
        self._started, self._cpu = time.monotonic(), 0.0

    def request(
        self, signal: str, transport: str, *, receiver: str = OTLP, route: str = ""
    ) -> "Request":
        """Counts one request, from before its first byte is read until it is answered.

        Args:
            signal: Its name; empty where it brings nothing that could be lost.
            transport: `grpc` or `http`.
            receiver: Which took it.
            route: Its path over HTTP, where that is not the signal's.
        """
        way = Way(signal, transport, receiver, route or f"/v1/{signal}")
        return Request(self.metrics, self.tally, self._complaints, way)

    def refused(self, reason: Refused, transport: str, signal: str = UNKNOWN) -> None:
        """A request that was refused before anybody looked at it: to a wrong place, by a wrong page."""
        self.metrics.of(self.metrics.refused, transport, reason).inc()
        self.metrics.of(self.metrics.requests, OTLP, transport, Outcome.REFUSED).inc()
        signal = signal if signal in SIGNALS else UNKNOWN
        self.tally.add(signal, reason)
        self._complaints.refused(reason, signal)

    def committed(
        self,
        seconds: float,
        batches: Sequence[Batch],
        losses: Mapping[tuple[str, Loss], int],
        exporter: str = "postgres",
    ) -> None:
        """One commit of the store: the batches that were not there before, what was lost of them only now."""
        for (signal, reason), number in losses.items():
            self.metrics.of(self.metrics.losses, signal, reason).inc(number)
        self.metrics.commit.observe(seconds)
        self.metrics.group_requests.observe(len(batches))
        self.metrics.group_rows.observe(sum(batch.size for batch in batches))
        self.sent(exporter, batches)
        for batch in batches:
            if batch.signal == SPOOL:  # no request of a sender's has counted these
                for loss, number in batch.losses.items():
                    self.metrics.of(self.metrics.losses, SPOOL, loss).inc(number)

    def sent(self, exporter: str, batches: Iterable[Batch]) -> None:
        """A backend has taken these."""
        for signal, number in _by_signal(batches).items():
            self.metrics.of(self.metrics.sent[signal], exporter).inc(number)

    def send_failed(self, exporter: str, batches: Iterable[Batch]) -> None:
        """An attempt to send these has failed; a later one may succeed."""
        for signal, number in _by_signal(batches).items():
            self.metrics.of(self.metrics.send_failed[signal], exporter).inc(number)

    def behind(self, lag: Lag) -> None:
        """How far a subscriber is behind; the same in every worker."""
        self.metrics.lag_commits.labels(lag.name).set(lag.behind)
        self.metrics.lag_seconds.labels(lag.name).set(lag.age)
        self.metrics.parked_batches.labels(lag.name).set(lag.parked)

    def lock_held(self, seconds: float) -> None:
        """How long somebody has kept a lock of the store from the others; the same in every worker."""
        self.metrics.lock_held.set(seconds)

    def salts(self, kinds: Mapping[Hash, int]) -> None:
        """How many salts are in force, by kind."""
        for kind, number in kinds.items():
            self.metrics.salts.labels(kind).set(number)

    def ran(self, task: str, *, ok: bool, next_run: float) -> None:
        """One run of a task of housekeeping.

        Args:
            task: Its name, one of those given at the start.
            ok: Whether it did what it should.
            next_run: When it is due again, seconds since the Unix epoch.
        """
        self.metrics.runs.labels(task, Outcome.SUCCESS if ok else Outcome.FAILURE).inc()
        self.metrics.next_run.labels(task).set(next_run)
        if ok:
            self.metrics.last_run.labels(task).set(time.time())

    def reloaded(self, what: Reloaded, *, ok: bool) -> None:
        """Something was read, at the start or again; when that failed, the former stays in force."""
        self.metrics.reload_ok.labels(what).set(ok)
        if ok:
            self.metrics.reloaded.labels(what).set(time.time())

    def catalog(self, digest: bytes) -> None:
        """The catalog in force, as a number: the first 48 bits of its digest, which a float can hold."""
        self.metrics.catalog_digest.set(int.from_bytes(digest[:6], "big"))

    def watch(self, gauge: Gauge, read: Callable[[], float]) -> None:
        """Sets `gauge` from `read` at every `refresh`."""
        self._watched.append((gauge, read))

    def refresh(self) -> None:
        """Sets what is not counted but looked up."""
        self.metrics.uptime.set(time.monotonic() - self._started)
        self.metrics.memory.set(_resident_bytes())
        cpu = time.process_time()
        self.metrics.cpu.inc(cpu - self._cpu)
        self._cpu = cpu
        for gauge, read in self._watched:
            gauge.set(read())

    @asynccontextmanager
    async def refreshing(self) -> AsyncIterator[None]:
        """Refreshes every few seconds: a scrape reaches one of several workers, and sees all."""

        async def loop() -> None:
            while True:
                self.refresh()
                await asyncio.sleep(EVERY)

        async with beside(loop()):
            yield

    def scrape(self, *, as_openmetrics: bool = False) -> bytes:
        """All metrics, of all workers, in Prometheus' text format 0.0.4 or in OpenMetrics 1.0."""
        self.refresh()
        registry = self.metrics.registry
        if self._shared:
            registry = CollectorRegistry()
            MultiProcessCollector(registry, str(self._shared.directory))  # type: ignore[no-untyped-call]
        if as_openmetrics:
            return bytes(openmetrics.generate_latest(registry))  # type: ignore[no-untyped-call]
        return generate_latest(registry)


class Way(NamedTuple):
    """How a request came: its signal, `grpc` or `http`, the receiver that took it, its path over HTTP."""

    signal: str
    transport: str
    receiver: str
    route: str


class Request:
    """One request while it is handled.

    Attributes:
        way: How it came.
        status: What it is answered with: an HTTP status, or the name of a gRPC status.
        reason: Why it is not taken; None when it is.
        key: The name of the sender's key; empty without one.
    """

    __slots__ = (
        *("_batch", "_begun", "_complaints", "_metrics", "_tally"),
        *("key", "reason", "status", "way"),
    )

    def __init__(
        self,
        metrics: Instruments,
        tally: Tally,
        complaints: Complaints,
        way: Way,
    ) -> None:
        self._metrics, self.way = metrics, way
        self._tally, self._complaints = tally, complaints
        self.key = ""
        self._batch: Batch | None = None
        self.status: int | str = "OK" if way.transport == "grpc" else 200
        self.reason: Refused | None = None

    def decoded(self, batch: Batch) -> None:
        """What the request holds; its items and losses are counted by how the request ends."""
        self._batch = batch

    def repeated(self, batch: Batch) -> None:
        """The store knew an equal request already."""
        identified = "true" if batch.identified else "false"
        self._metrics.of(self._metrics.repeated, self.way.signal, identified).inc()

    def refused(self, reason: Refused, status: int | str, key: str = "") -> None:
        """The request is not taken, and answered so."""
        self.reason, self.status = reason, status
        self.key = key or self.key

    def __enter__(self) -> "Request":
        """Starts the clock."""
        self._begun = time.perf_counter()
        return self

    def __exit__(
        self, _: type[BaseException] | None, error: BaseException | None, __: TracebackType | None
    ) -> None:
        """Counts; an error that comes through here is counted, and goes on."""
        if isinstance(error, asyncio.CancelledError):
            self.refused(Refused.GONE, "CANCELLED" if self.way.transport == "grpc" else 499)
        elif error is not None:
            self.refused(Refused.INTERNAL, "UNKNOWN" if self.way.transport == "grpc" else 500)
        self._count(time.perf_counter() - self._begun)

    def _count(self, seconds: float) -> None:
        metrics, of = self._metrics, self._metrics.of
        signal, transport, receiver, route = self.way
        outcome = Outcome.SUCCESS
        if self.reason is not None:
            outcome = Outcome.FAILURE if self.reason is Refused.INTERNAL else Outcome.REFUSED
            of(metrics.refused, transport, self.reason).inc()
            if signal:
                sender = self.key, service(self._batch)
                self._tally.add(signal, self.reason, *sender)
                self._complaints.refused(self.reason, signal, *sender)
        of(metrics.requests, receiver, transport, outcome).inc()
        if transport == "grpc":
            of(metrics.rpc, METHODS[signal], self.status).observe(seconds)
        else:
            of(metrics.http, route, self.status).observe(seconds)
        if self._batch is not None:
            self._count_items(self._batch, outcome)

    def _count_items(self, batch: Batch, outcome: Outcome) -> None:
        metrics, of = self._metrics, self._metrics.of
        _, transport, receiver, _ = self.way
        counter = metrics.items[KINDS[outcome], batch.signal]
        of(counter, receiver, transport).inc(items(batch))
        if outcome is Outcome.SUCCESS:
            if rejected := batch.rejected:
                of(metrics.items["refused", batch.signal], receiver, transport).inc(rejected)
            sender = service(batch) if batch.losses else ""
            for loss, number in batch.losses.items():
                of(metrics.losses, batch.signal, loss).inc(number)
                self._complaints.dropped(loss, number, batch.signal, self.key, sender)


def service(batch: Batch | None) -> str:
    """The one that a request speaks for; empty when there are several, or none is known."""
    if batch is None:
        return ""
    found = {dimension.service for _, dimension in batch.counts}
    found |= {point.dimension.service for point in batch.points}
    return (found.pop() or "") if len(found) == 1 else ""


def items(batch: Batch) -> int:
    """How many spans, metric points or log records of a request are worth storing.

    Points of delta counters that are alike are one: they have been added up.
    """
    counted = len(batch.counts) if batch.signal == "metrics" else 0
    return batch.size + len(batch.points) + counted


def _by_signal(batches: Iterable[Batch]) -> Counter[str]:
    found = Counter[str]()
    for batch in batches:
        if number := items(batch):
            found[batch.signal] += number
    return found


def _resident_bytes() -> int:
    """Resident memory (proc(5), statm)."""
    statm = Path("/proc/self/statm").read_text()  # the file of a process, in memory
    return int(statm.split()[1]) * os.sysconf("SC_PAGE_SIZE")
