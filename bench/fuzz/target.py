"""The collector as bench/fuzz sees it: an input in, the kind of answer out, or an error."""

import asyncio
import json
import logging
import math
import re
import time
from pathlib import Path
from typing import Any, NamedTuple

import yaml
from google.protobuf import json_format
from google.protobuf.message import Message
from google.rpc import code_pb2
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import (
    ExportLogsServiceResponse,
)
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import (
    ExportMetricsServiceResponse,
)
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceResponse,
)

from footfall_collector import signals
from footfall_collector.config.schema import HttpConfig
from footfall_collector.decoding import metrics
from footfall_collector.decoding.decoder import Decoder
from footfall_collector.decoding.spans import Pipeline
from footfall_collector.decoding.wire import Groups, Take
from footfall_collector.receivers import http
from footfall_collector.receivers.intake import Intake
from footfall_collector.receivers.refusals import Refusal
from footfall_collector.telemetry.telemetry import Telemetry
from footfall_processors import Batch, Hash, Policy, Rows, load_catalog

CATALOG = Path(__file__).parents[2] / "tests" / "events.yaml"
NOW = 1_795_000_000 * 10**9
"""The clock stands still, so that an input replays; ns."""
HOUR_US, DAY_US = 3600 * 10**6, 86_400 * 10**6
MARKER = "walker.qzx@planted.example"
SLOWEST_S = 2.0
"""Of CPU time: an input takes a millisecond. What waits instead is ended by the watchdog (run.STUCK_S)."""
SIGNALS = ("traces", "metrics", "logs")
WAYS = ("protobuf", "json", "http protobuf", "http json")
RESPONSES: dict[str, Any] = {
    "traces": ExportTraceServiceResponse,
    "metrics": ExportMetricsServiceResponse,
    "logs": ExportLogsServiceResponse,
}


class Input(NamedTuple):
    """One request body and the way it takes."""

    kind: str
    signal: str
    way: str
    body: bytes

    def pack(self) -> bytes:
        """A line of JSON, and the body as it is."""
        return json.dumps(self[:3]).encode() + b"\n" + self.body

    @staticmethod
    def unpack(packed: bytes) -> "Input":
        """The reverse."""
        head, _, body = packed.partition(b"\n")
        return Input(*json.loads(head), body)


class Judge:
    """Says what a batch may hold, from the YAML of the catalog alone."""

    def __init__(self, path: Path) -> None:
        document = yaml.safe_load(path.read_text())
        self.attributes: dict[str, Any] = document["attributes"]
        self.events = {
            name: set(event.get("attributes", ())) for name, event in document["events"].items()
        }

    def batch(self, batch: Batch) -> None:
        """Raises AssertionError for a batch that must not be."""
        self.text(repr(batch))
        assert len(batch.digest) == 16
        assert all(type(number) is int and number > 0 for number in batch.losses.values())
        for rows in batch.rows:
            self._rows(rows)
        for (hour, dimension), number in batch.counts.items():
            assert hour % HOUR_US == 0, "a count is of an hour"
            assert self._in_window(hour + HOUR_US - 1) or self._in_window(hour)
            assert type(number) is int
            assert 0 <= number < 2**63, number
            self._dimension(dimension)
        for point in batch.points:
            assert len(point.stream) == len(point.series) == 16
            assert point.start_us >= 0
            assert self._in_window(point.time_us)
            assert type(point.value) is int
            assert 0 <= point.value < 2**63
            self._dimension(point.dimension)
        if batch.signal != "metrics":
            assert sum(batch.counts.values()) == sum(len(rows.times) for rows in batch.rows)

    def text(self, text: str) -> None:
        """Nothing planted may be in it."""
        at = text.find(MARKER)
        assert at < 0, f"planted, and found: {text[max(at - 300, 0) : at + 300]}"

    def _rows(self, rows: Rows) -> None:
        size = len(rows.times)
        assert size == len(rows.durations) == len(rows.shapes)
        assert all(self._in_window(each) for each in rows.times)
        assert all(d is None or (type(d) is int and 0 <= d <= 600_000) for d in rows.durations)
        (names,) = {shape.columns for shape in rows.shapes}
        assert len(names) == len(rows.values)
        for shape in set(rows.shapes):
            assert 0 < shape.sample_rate <= 1
            self._dimension(shape.dimension)
            declared = self.events.get(shape.dimension.event, set())
            assert declared.issuperset(names), f"{names} are not declared"
        for name, column in zip(names, rows.values, strict=True):
            assert len(column) == size
            for value in column:
                assert value is None or self._value(self.attributes[name], value), (name, value)

    def _dimension(self, dimension: Any) -> None:
        assert dimension.event in self.events or dimension.event.startswith("footfall.")
        for name, value in dimension.enums:
            own = self.attributes.get(name)
            assert value in (own["values"] if own else self.events), (name, value)

    @staticmethod
    def _in_window(time_us: int) -> bool:
        return NOW // 1000 - 7 * DAY_US <= time_us <= NOW // 1000 + 300 * 10**6

    @staticmethod
    def _value(declared: dict[str, Any], value: Any) -> bool:
        if "hash" in declared or declared["type"] == "uuid":
            return type(value) is bytes and len(value) == 16
        low, high = declared.get("min", -(2**63)), declared.get("max", 2**63 - 1)
        match declared["type"]:
            case "int":
                return type(value) is int and low <= value <= high
            case "float":
                return type(value) is float and math.isfinite(value) and low <= value <= high
            case "bool":
                return type(value) is bool
        longest = declared.get("max_length", 256)
        unsafe = re.search("[\0\ud800-\udfff]|[a-z]@[a-z]+[.][a-z]|[0-9]{17}", value)
        return type(value) is str and len(value) <= longest and not unsafe


class Target:
    """The collector without sockets and store.

    Args:
        path: The catalog.
    """

    def __init__(self, path: Path = CATALOG) -> None:
        self._path, self._judge = path, Judge(path)
        self._loop = asyncio.new_event_loop()
        self._lines: list[str] = []
        handler = logging.Handler()
        handler.emit = lambda record: self._lines.append(record.getMessage())  # type: ignore[method-assign]
        self._handler = handler
        logging.getLogger().addHandler(handler)
        self._telemetry = Telemetry("")
        self.renew()

    def renew(self) -> None:
        """Forgets what was remembered of earlier inputs."""
        today = NOW // 1000 // DAY_US
        salts = {(Hash.STATIC, 0): b"s" * 32} | {
            (Hash.DAILY, day): b"d" * 32 for day in range(today - 2, today + 2)
        }
        policy = Policy(load_catalog(self._path))
        pipeline = Pipeline(policy, salts, lambda: NOW)

        async def decode_traces(
            body: bytes, key: object, groups: Groups | None, take: Take
        ) -> Batch:
            return await pipeline.traces(body, groups=groups, take=take)

        async def decode_metrics(
            body: bytes, key: object, groups: Groups | None, take: Take
        ) -> Batch:
            return await metrics.decode(policy, body, NOW // 1000, groups=groups, key=b"k")

        async def decode_logs(body: bytes, key: object, groups: Groups | None, take: Take) -> Batch:
            return await pipeline.logs(body, groups=groups, take=take)

        decoders = {"traces": decode_traces, "metrics": decode_metrics, "logs": decode_logs}
        self._decoders = {s: Decoder(signals.SIGNALS[s], decoders[s]) for s in SIGNALS}
        self._intake = Intake(self._consume, telemetry=self._telemetry)
        self._application = http.application(
            HttpConfig(), self._intake, list(self._decoders.values())
        )

    def close(self) -> None:
        """Gives back the loop and the log."""
        logging.getLogger().removeHandler(self._handler)
        self._loop.close()

    def __call__(self, given: Input) -> str:
        """The kind of answer.

        Raises:
            AssertionError: it, or the batch, must not be.
            Exception: whatever else the collector let through.
        """
        self._lines.clear()
        started = time.process_time()
        running = self._post(given) if given.way.startswith("http") else self._export(given)
        answer, said = self._loop.run_until_complete(running)
        took = time.process_time() - started
        lines = "\n".join(self._lines)
        self._judge.text(said + lines)
        assert "internal error" not in said, f"internal error: {lines}"
        assert took < SLOWEST_S, f"took {took:.1f} s"
        return answer

    async def _consume(self, batch: Batch) -> None:
        self._judge.batch(batch)

    async def _export(self, given: Input) -> tuple[str, str]:
        decoder = self._decoders[given.signal]
        with self._telemetry.request(decoder.signal.name, "grpc") as seen:
            try:
                answer = await self._intake.export(
                    decoder, given.body, seen, json=given.way == "json"
                )
            except Refusal as refusal:
                answer = refusal.answer
                seen.refused(answer.reason, answer.http)
                return _KINDS[answer.status.code], _said(answer.status)
        return ("partial" if answer.ListFields() else "accepted"), _said(answer)

    async def _post(self, given: Input) -> tuple[str, str]:
        """As an HTTP server calls the application: a body in gzip, in pieces."""
        half = len(given.body) // 2
        pieces = iter([(given.body[:half], True), (given.body[half:], False)])
        sent: list[Any] = []

        async def receive() -> dict[str, Any]:
            piece = next(pieces, None)
            if piece is None:
                return {"type": "http.disconnect"}
            return {"type": "http.request", "body": piece[0], "more_body": piece[1]}

        async def send(message: Any) -> None:
            sent.append(message)

        kind = b"application/json" if given.way == "http json" else b"application/x-protobuf"
        headers = [(b"content-type", kind), (b"content-encoding", b"gzip")]
        path = f"/v1/{given.signal}"
        await self._application(
            {
                "type": "http",
                "client": ("127.0.0.1", 1),
                "method": "POST",
                "path": path,
                "raw_path": path.encode(),
                "root_path": "",
                "query_string": b"",
                "headers": headers,
                "http_version": "1.1",
                "scheme": "http",
            },
            receive,
            send,
        )
        body = b"".join(message.get("body", b"") for message in sent)
        return _STATUSES[sent[0]["status"]], repr(body) + repr(sent[0]["headers"])


_KINDS = {
    code_pb2.INVALID_ARGUMENT: "invalid",
    code_pb2.RESOURCE_EXHAUSTED: "too large",
    code_pb2.UNAVAILABLE: "unavailable",
}
_STATUSES = {200: "accepted", 400: "invalid", 413: "too large", 503: "unavailable"}


def _said(message: Message) -> str:
    return repr(message.SerializeToString()) + json_format.MessageToJson(message)
