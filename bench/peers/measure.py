"""One measurement of bench/peers: load from another process, and what it costs the one that takes it."""

import os
import time
from concurrent import futures
from contextlib import suppress
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import grpc
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceResponse

from ingest import EXPORT, SPANS, Collector, build

REST = 0.5
"""Seconds without load before a process's CPU time is read: some work on after they acknowledged."""


@lru_cache(1)
def requests_of(seed: int, number: int) -> list[bytes]:
    """A round's requests: built once, then sent to every peer."""
    return build(seed, number)


def load(address: str, seed: int, number: int, concurrency: int) -> tuple[float, float]:
    """What the load generator's process runs: `deliver` of a round's requests."""
    return deliver(address, requests_of(seed, number), concurrency)


def deliver(address: str, requests: list[bytes], concurrency: int) -> tuple[float, float]:
    """Wall seconds until every request is acknowledged, and the 99th percentile of one's seconds."""
    with (
        grpc.insecure_channel(address) as channel,
        futures.ThreadPoolExecutor(concurrency) as pool,
    ):
        export: grpc.UnaryUnaryMultiCallable[bytes, bytes] = channel.unary_unary(EXPORT)
        grpc.channel_ready_future(channel).result(timeout=10)

        def one(body: bytes) -> float:
            started = time.perf_counter()
            answer = ExportTraceServiceResponse.FromString(export(body, timeout=60))
            if answer.partial_success.rejected_spans:
                raise RuntimeError(f"{address} refused spans")
            return time.perf_counter() - started

        started = time.perf_counter()
        latencies = sorted(pool.map(one, requests))
        return time.perf_counter() - started, latencies[int(0.99 * (len(latencies) - 1))]


def family(pid: int) -> dict[int, list[str]]:
    """/proc/PID/stat, from the state on, of a process and all its descendants."""
    everyone: dict[int, list[str]] = {}
    for path in Path("/proc").glob("[0-9]*/stat"):
        with suppress(FileNotFoundError, ProcessLookupError):  # it ended meanwhile
            everyone[int(path.parent.name)] = path.read_text().rpartition(")")[2].split()
    found = {pid: everyone[pid]}
    while more := {
        each: fields
        for each, fields in everyone.items()
        if each not in found and int(fields[1]) in found
    }:
        found |= more
    return found


def cpu_seconds(pid: int) -> float:
    """User and system time of a process and its descendants, those that have ended included."""
    ticks = sum(int(field) for fields in family(pid).values() for field in fields[11:15])
    return ticks / os.sysconf("SC_CLK_TCK")


def memory_mb(pid: int) -> float:
    """The memory of a process and its descendants now, shared pages counted once (PSS)."""
    kilobytes = 0
    for each in family(pid):
        with suppress(FileNotFoundError, ProcessLookupError):  # it ended meanwhile
            for line in Path(f"/proc/{each}/smaps_rollup").read_text().splitlines():
                if line.startswith("Pss:"):
                    kilobytes += int(line.split()[1])
    return kilobytes / 1024


@dataclass
class Figures:
    """One peer, one round."""

    cpu: float
    """Microseconds a span."""
    database_cpu: float
    """The same for Postgres and its processes; 0 when there is none."""
    rate: float
    """Spans a second."""
    p99: float
    """Milliseconds."""


def measure_once(
    generator: futures.Executor, collector: Collector, database: int | None, work: tuple[int, ...]
) -> Figures:
    """Loads one peer while the others rest."""
    pids = [collector.process.pid, database or 0]
    before = [cpu_seconds(pid) if pid else 0.0 for pid in pids]
    seconds, p99 = generator.submit(load, collector.address, *work).result()
    time.sleep(REST)
    after = [cpu_seconds(pid) if pid else 0.0 for pid in pids]
    spans = work[1] * SPANS
    own, other = ((b - a) / spans * 1e6 for a, b in zip(before, after, strict=True))
    return Figures(own, other, spans / seconds, p99 * 1e3)
