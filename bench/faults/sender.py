"""A sender that gives up nothing: every request goes again, with the same bytes, until it is answered.

It behaves as an OpenTelemetry SDK does, but sooner and without end, and imports nothing of Footfall. Some
threads send over gRPC, some over HTTP, each over connections of its own, spans with a unique id each and
now and then a cumulative counter. Everything is written down in the journal, one line each:

    sent REQUEST traces SPANS            before it goes out for the first time
    sent REQUEST metrics COUNTER VALUE
    held REQUEST WHY                     an attempt came to nothing; it goes again
    acknowledged REQUEST REJECTED        taken; so many items of it were refused (partial success)
    refused REQUEST WHY                  refused for good

REQUEST is 24 hexadecimal digits: the first 12 bytes of the ids of its spans.

It sends until its standard input ends, then until everything is answered.
"""

import argparse
import gzip
import random
import secrets
import struct
import sys
import threading
import time
import urllib.error
import urllib.request
import uuid
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack
from itertools import cycle
from pathlib import Path
from typing import Any

import grpc
from google.rpc import error_details_pb2, status_pb2
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import (
    ExportMetricsServiceRequest,
    ExportMetricsServiceResponse,
)
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)
from opentelemetry.proto.metrics.v1.metrics_pb2 import AGGREGATION_TEMPORALITY_CUMULATIVE
from opentelemetry.proto.resource.v1.resource_pb2 import Resource

PACKAGE = "opentelemetry.proto.collector"
METHODS = {
    "traces": f"/{PACKAGE}.trace.v1.TraceService/Export",
    "metrics": f"/{PACKAGE}.metrics.v1.MetricsService/Export",
}
RETRYABLE = {
    grpc.StatusCode.CANCELLED,
    grpc.StatusCode.DEADLINE_EXCEEDED,
    grpc.StatusCode.ABORTED,
    grpc.StatusCode.OUT_OF_RANGE,
    grpc.StatusCode.UNAVAILABLE,
    grpc.StatusCode.DATA_LOSS,
}
RETRYABLE_HTTP = {429, 502, 503, 504}
FIRST_WAIT, LONGEST_WAIT = 0.05, 1.0
"""Seconds between attempts when the answer does not say; an SDK's are 1 to 64."""
CHANNEL = [
    ("grpc.use_local_subchannel_pool", 1),  # else all channels share one connection
    ("grpc.initial_reconnect_backoff_ms", 100),
    ("grpc.min_reconnect_backoff_ms", 100),
    ("grpc.max_reconnect_backoff_ms", 500),
]
METRICS_EVERY = 4
"""Of so many requests one is a counter's."""


class Held(Exception):
    """An attempt came to nothing; `wait` is what the answer said, in seconds."""

    def __init__(self, why: str, wait: float | None = None) -> None:
        super().__init__(f"{why} hint" if wait is not None else why)
        self.wait = wait


class Refused(Exception):
    """The request is refused for good."""


Send = Callable[[str, bytes], bytes]
"""Signal, request → the response; raises Held and Refused."""


def over_grpc(address: str, timeout: float, stack: ExitStack) -> Send:
    """Sends over a connection of its own."""
    channel = stack.enter_context(grpc.insecure_channel(address, options=CHANNEL))
    methods: dict[str, grpc.UnaryUnaryMultiCallable[bytes, bytes]] = {
        signal: channel.unary_unary(path) for signal, path in METHODS.items()
    }

    def send(signal: str, body: bytes) -> bytes:
        try:
            return methods[signal](body, timeout=timeout)
        except grpc.RpcError as error:
            code = error.code()
            wait = retry_info(error.trailing_metadata() or ())
            if code in RETRYABLE or (code is grpc.StatusCode.RESOURCE_EXHAUSTED and wait):
                raise Held(code.name, wait) from None
            raise Refused(code.name) from None

    return send


def retry_info(trailers: Iterable[Any]) -> float | None:
    """What google.rpc.RetryInfo in the status says, in seconds."""
    for name, value in trailers:
        if name == "grpc-status-details-bin":
            hint = error_details_pb2.RetryInfo()
            for detail in status_pb2.Status.FromString(value).details:
                if detail.Unpack(hint):
                    return float(hint.retry_delay.ToMilliseconds()) / 1000
    return None


def over_http(address: str, timeout: float, *, compress: bool) -> Send:
    """Sends over a new connection each time."""
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    headers = {"content-type": "application/x-protobuf"}
    if compress:
        headers["content-encoding"] = "gzip"

    def send(signal: str, body: bytes) -> bytes:
        data = gzip.compress(body, 1) if compress else body
        request = urllib.request.Request(f"http://{address}/v1/{signal}", data, headers)
        try:
            with opener.open(request, timeout=timeout) as response:
                answer: bytes = response.read()
        except urllib.error.HTTPError as error:
            with error:
                wait = error.headers.get("retry-after")
            if error.code in RETRYABLE_HTTP:
                raise Held(str(error.code), float(wait) if wait else None) from None
            raise Refused(str(error.code)) from None
        except Exception as error:  # whatever it is: there was no answer
            raise Held(type(error).__name__) from None
        return answer

    return send


class Journal:
    """What was sent, and what was answered."""

    def __init__(self, path: Path) -> None:
        self._file = path.open("w", buffering=1)
        self._lock = threading.Lock()

    def write(self, *words: object) -> None:
        """Adds a line; it is in the kernel's hands when this returns."""
        with self._lock:
            self._file.write(" ".join(map(str, words)) + "\n")


class Worker:
    """One thread: makes requests, one after another, and sends each until it is answered.

    Args:
        number: Which one.
        run: 4 bytes that stand for this run.
        sends: Its ways to a collector; an attempt that fails is followed by one on the next way.
        journal: Where everything is written down.
        options: Of the command line.
    """

    def __init__(
        self,
        number: int,
        run: bytes,
        sends: list[Send],
        journal: Journal,
        options: argparse.Namespace,
    ) -> None:
        self._name, self._run = f"{run.hex()}-{number}", run + number.to_bytes(2, "big")
        self._sends, self._journal, self._options = cycle(sends), journal, options
        self._random = random.Random(number)
        self._send = next(self._sends)
        self._requests = self._counted = 0
        self._began = self._now()

    def work(self, over: threading.Event) -> None:
        """Sends until it is over, and what the counter says at last."""
        pace = 1 / self._options.rate
        due = time.monotonic() + self._random.random() * pace
        while not over.wait(max(0.0, due - time.monotonic())):
            due = max(due + pace, time.monotonic())
            self._export("metrics" if self._requests % METRICS_EVERY == 0 else "traces")
        self._export("metrics")

    def _export(self, signal: str) -> None:
        self._requests += 1
        identity = self._run + self._requests.to_bytes(6, "big")
        if signal == "traces":
            body, said = self._traces(identity), [self._options.spans]
        else:
            self._counted += self._random.randrange(1, 100)
            body, said = self._metrics(), [self._name, self._counted]
        self._journal.write("sent", identity.hex(), signal, *said)
        try:
            answer = self._until_answered(identity, signal, body)
        except Refused as error:
            self._journal.write("refused", identity.hex(), error)
        else:
            self._journal.write("acknowledged", identity.hex(), _rejected(signal, answer))

    def _now(self) -> int:
        """By the clock that the bench sets, ns since the Unix epoch."""
        return time.time_ns() + int(self._options.clock.read_text()) * 10**9

    def _until_answered(self, identity: bytes, signal: str, body: bytes) -> bytes:
        for backoff in _backoffs():
            try:
                return self._send(signal, body)
            except Held as held:
                self._journal.write("held", identity.hex(), held)
                self._send = next(self._sends)
                time.sleep(
                    backoff * self._random.uniform(0.5, 1) if held.wait is None else held.wait
                )
        raise AssertionError("backoffs never end")

    def _traces(self, identity: bytes) -> bytes:
        request = ExportTraceServiceRequest()
        resource = request.resource_spans.add()
        self._describe(resource.resource)
        spans = resource.scope_spans.add().spans
        now = self._now()
        for index in range(self._options.spans):
            span = spans.add(name="faults.seen", end_time_unix_nano=now)
            span.start_time_unix_nano = now - self._random.randrange(10**9)
            for key, value in (
                ("sent_id", str(uuid.UUID(bytes=identity + struct.pack(">I", index)))),
                ("guild_id", str(10**17 + self._random.randrange(1000))),
                ("provider", self._random.choice(("alttpr", "smz3"))),
                ("user.name", f"player{self._random.randrange(100_000)}"),
            ):
                span.attributes.add(key=key).value.string_value = value
        return request.SerializeToString()

    def _metrics(self) -> bytes:
        request = ExportMetricsServiceRequest()
        resource = request.resource_metrics.add()
        self._describe(resource.resource)
        metric = resource.scope_metrics.add().metrics.add(name="faults.counted")
        metric.sum.is_monotonic = True
        metric.sum.aggregation_temporality = AGGREGATION_TEMPORALITY_CUMULATIVE
        metric.sum.data_points.add(
            as_int=self._counted,
            start_time_unix_nano=self._began,
            time_unix_nano=self._now(),
        )
        return request.SerializeToString()

    def _describe(self, resource: Resource) -> None:
        for key, value in (("service.name", "faults"), ("service.instance.id", self._name)):
            resource.attributes.add(key=key).value.string_value = value


def _backoffs() -> Iterator[float]:
    wait = FIRST_WAIT
    while True:
        yield wait
        wait = min(2 * wait, LONGEST_WAIT)


def _rejected(signal: str, answer: bytes) -> int:
    if signal == "traces":
        return ExportTraceServiceResponse.FromString(answer).partial_success.rejected_spans
    return ExportMetricsServiceResponse.FromString(answer).partial_success.rejected_data_points


def ways(number: int, options: argparse.Namespace, stack: ExitStack) -> list[Send]:
    """A worker's ways: even ones over gRPC, odd ones over HTTP; they begin at different collectors."""
    addresses = options.grpc if number % 2 == 0 else options.http
    first = number // 2 % len(addresses)
    addresses = addresses[first:] + addresses[:first]
    if number % 2 == 0:
        return [over_grpc(address, options.timeout, stack) for address in addresses]
    return [over_http(address, options.timeout, compress=number % 4 == 1) for address in addresses]


def main() -> None:
    """Sends as the command line says."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--grpc", nargs="+", required=True, help="host:port of each collector")
    parser.add_argument("--http", nargs="+", required=True)
    parser.add_argument("--journal", type=Path, required=True)
    parser.add_argument("--clock", type=Path, required=True, help="seconds that it is ahead")
    parser.add_argument("--workers", type=int, default=16)
    parser.add_argument("--rate", type=float, default=30, help="requests a second and worker")
    parser.add_argument("--spans", type=int, default=10, help="per request")
    parser.add_argument("--timeout", type=float, default=10, help="seconds an attempt may take")
    options = parser.parse_args()
    over, journal, run = threading.Event(), Journal(options.journal), secrets.token_bytes(4)
    with ExitStack() as stack:
        workers = [
            Worker(number, run, ways(number, options, stack), journal, options)
            for number in range(options.workers)
        ]
        threads = [threading.Thread(target=worker.work, args=(over,)) for worker in workers]
        for thread in threads:
            thread.start()
        sys.stdin.read()
        over.set()
        for thread in threads:
            thread.join()


if __name__ == "__main__":
    main()
