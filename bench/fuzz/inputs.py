"""What bench/fuzz throws: real requests, changes to them, and structures made by hypothesis."""

import copy
import gzip
import json
import math
import random
import struct
from typing import Any

from google.protobuf import json_format
from google.protobuf.message import Message
from hypothesis import strategies as st
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import (
    ExportLogsServiceRequest,
)
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import (
    ExportMetricsServiceRequest,
)
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
)

from fuzz.target import MARKER, NOW, SIGNALS, WAYS, Input

REQUESTS: dict[str, Any] = {
    "traces": ExportTraceServiceRequest,
    "metrics": ExportMetricsServiceRequest,
    "logs": ExportLogsServiceRequest,
}


class Corpus:
    """Requests built with the official classes, the marker in all places that may leak.

    Args:
        rng: Decides on everything.
        each: How many of a signal.
    """

    def __init__(self, rng: random.Random, each: int = 60) -> None:
        self._rng = rng
        self.protobuf = {s: [self._request(s) for _ in range(each)] for s in SIGNALS}
        self.json = {
            signal: [self._as_json(REQUESTS[signal].FromString(body)) for body in bodies]
            for signal, bodies in self.protobuf.items()
        }

    @staticmethod
    def _as_json(message: Message) -> str:
        return json_format.MessageToJson(message, indent=None, use_integers_for_enums=True)

    def _request(self, signal: str) -> bytes:
        request, rng = REQUESTS[signal](), self._rng
        groups = getattr(request, f"resource_{'spans' if signal == 'traces' else signal}")
        for _ in range(rng.choice((1, 1, 1, 2))):
            group = groups.add(schema_url=MARKER)
            for key, text in (("service.name", "shop"), ("host.name", MARKER), (MARKER, "x")):
                group.resource.attributes.add(key=key).value.string_value = text
            if rng.random() < 0.3:
                group.resource.attributes.add(
                    key="service.version"
                ).value.string_value = rng.choice(["1.2.3", MARKER])
            for _ in range(rng.choice((1, 1, 1, 2))):
                scopes = getattr(group, f"scope_{'spans' if signal == 'traces' else signal}")
                scope = scopes.add(schema_url=MARKER)
                scope.scope.name, scope.scope.version = MARKER, MARKER
                for _ in range(rng.choice((1, 1, 2, 4))):
                    getattr(self, f"_{signal}")(scope)
        return bytes(request.SerializeToString())

    def _time(self) -> int:
        ages = (0, 1, 10**9, 3600 * 10**9, 26 * 3600 * 10**9, 8 * 86_400 * 10**9, -3600 * 10**9)
        return NOW - self._rng.choice(ages)

    def _name(self) -> str:
        names = ("shop.order", "shop.survey", "shop.survey", "shop.visit", "shop.ping", "shop.gone")
        return self._rng.choice([*names, MARKER])

    def _traces(self, scope: Any) -> None:
        rng, end = self._rng, self._time()
        span = scope.spans.add(name=self._name(), kind=1, trace_state=MARKER)
        span.trace_id, span.span_id = rng.randbytes(16), rng.randbytes(8)
        span.start_time_unix_nano = end - rng.choice((0, 10**6, 10**9, 10**13))
        span.end_time_unix_nano = end
        self._attributes(span)
        if rng.random() < 0.3:
            span.status.code, span.status.message = rng.choice((0, 1, 2)), MARKER
            event = span.events.add(name=MARKER)
            event.attributes.add(key=MARKER).value.string_value = MARKER
            span.links.add(trace_state=MARKER)

    def _logs(self, scope: Any) -> None:
        record = scope.log_records.add(time_unix_nano=self._time(), severity_text=MARKER)
        record.body.string_value = MARKER
        record.severity_number = self._rng.choice((0, 9, 17, 24))
        self._attributes(record)
        if self._rng.random() < 0.5:
            record.event_name = self._name()
        else:
            record.attributes.add(key="event.name").value.string_value = self._name()

    def _metrics(self, scope: Any) -> None:
        rng = self._rng
        metric = scope.metrics.add(name=self._name(), description=MARKER, unit=MARKER)
        kind = rng.choice(("sum", "sum", "sum", "gauge", "histogram", "summary"))
        data = getattr(metric, kind)
        if kind == "sum":
            data.is_monotonic = rng.random() < 0.9
            data.aggregation_temporality = rng.choice((0, 1, 2, 2))
        for _ in range(rng.choice((0, 1, 3))):
            point = data.data_points.add(time_unix_nano=self._time())
            point.start_time_unix_nano = point.time_unix_nano - rng.choice((0, 1, 10**12))
            self._attributes(point)
            if kind in ("sum", "gauge"):
                point.as_int = rng.choice((0, 1, 7, 10**12, 2**63 - 1))
                if rng.random() < 0.3:
                    point.as_double = rng.choice((0.5, 3.0, math.inf, math.nan, -1.0))
                point.exemplars.add().filtered_attributes.add(
                    key=MARKER
                ).value.string_value = MARKER

    def _attributes(self, holder: Any) -> None:
        rng = self._rng
        for _ in range(rng.randrange(5)):
            key = rng.choice(_KEYS)
            value = holder.attributes.add(key=key).value
            match rng.randrange(14):
                case 0:
                    value.int_value = rng.choice((0, 5, -1, 2**63 - 1))
                case 1:
                    value.double_value = rng.choice((0.5, math.nan, 1e308))
                case 2:
                    value.bool_value = True
                case 3:
                    value.bytes_value = MARKER.encode()
                case 4:
                    value.array_value.values.add().string_value = MARKER
                case 5:
                    pair = value.kvlist_value.values.add(key=MARKER)
                    pair.value.string_value = MARKER
                case _:
                    value.string_value = rng.choice(_TEXTS)


_KEYS = (
    "guild_id", "team_id", "org_id", "visitor", "provider", "mode", "attempts", "ratio", "ranked", "note",
    "seed", "duration_ms", "feature.action", "feature.status", "feature.sample_rate", "error.type",
    "user.email", "emitted_event", "note", "note", MARKER,
)  # fmt: skip
_TEXTS = (
    "smz3", "zurück", "success", "failure", "timeout", "out_of_stock", "guild-1", "plain words", MARKER,
    MARKER, f"mail {MARKER} now", "0d6bbde3-9f1d-4b58-9f0e-0c4a7c1c0e39", "9" * 19, "\0", "a" * 300,
)  # fmt: skip


# Changes


NUMBERS = (0, 1, 127, 128, 2**31 - 1, 2**31, 2**32, 2**63 - 1, 2**63, 2**64 - 1, 2**64, 2**70)
Field = tuple[int, int | bytes]
"""A tag, (number << 3 | wire type), and its value."""


def fields(message: bytes) -> list[Field] | None:
    """A message's fields; None when it is none."""
    found: list[Field] = []
    at = 0
    try:
        while at < len(message):
            tag, at = _read(message, at)
            match tag & 7:
                case 0:
                    value, at = _read(message, at)
                    found.append((tag, value))
                    continue
                case 1 | 5 as kind:
                    size = 8 if kind == 1 else 4
                case 2:
                    size, at = _read(message, at)
                case _:
                    return None
            if at + size > len(message):
                return None
            found.append((tag, message[at : at + size]))
            at += size
    except IndexError:
        return None
    return found


def _read(message: bytes, at: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = message[at]
        value |= (byte & 127) << shift
        at, shift = at + 1, shift + 7
        if byte < 128:
            return value, at


def varint(value: int, padding: int = 0) -> bytes:
    """A number as protobuf writes it, or with bytes too many."""
    encoded = bytearray()
    while value > 127:
        encoded.append(value & 127 | 128)
        value >>= 7
    encoded.append(value)
    for _ in range(padding):
        encoded[-1] |= 128
        encoded.append(0)
    return bytes(encoded)


def encode(found: list[Field]) -> bytes:
    """The reverse of `fields`, whatever types the values have by now."""
    parts = []
    for tag, value in found:
        parts.append(varint(tag))
        if isinstance(value, int):
            parts.append(varint(value))
        else:
            parts += (varint(len(value)), value) if tag & 7 == 2 else (value,)
    return b"".join(parts)


class Mutator:
    """Changes requests.

    Args:
        rng: Decides on everything.
        corpus: What is changed, and where parts are taken from.
    """

    def __init__(self, rng: random.Random, corpus: Corpus) -> None:
        self._rng, self._corpus = rng, corpus

    def input(self) -> Input:
        """One mutated request."""
        rng = self._rng
        signal, way = rng.choice(SIGNALS), rng.choices(WAYS, (5, 4, 1, 1))[0]
        body = self._json(signal) if way.endswith("json") else self._protobuf(signal)
        if way.startswith("http"):
            body = gzip.compress(body, 1)
            if rng.random() < 0.3:
                body = self._bytes(body)
        return Input("mutated", signal, way, body)

    def random(self) -> Input:
        """Bytes that mean nothing."""
        rng = self._rng
        body = rng.randbytes(rng.choice((0, 1, 5, 30, 200)))
        if rng.random() < 0.3:
            marks = (b'{"', b'":', b"[", b"]", b"}", b",", b"null", b"1e999", b'"spans"', b"\\u")
            body = b"".join(rng.choices(marks, k=rng.randrange(40)))
        return Input("random", rng.choice(SIGNALS), rng.choice(WAYS), body)

    def _protobuf(self, signal: str) -> bytes:
        rng = self._rng
        body = rng.choice(self._corpus.protobuf[signal])
        for _ in range(rng.choice((1, 1, 2, 4))):
            body = self._bytes(body) if rng.random() < 0.25 else self._part(body)
        return body

    def _bytes(self, body: bytes) -> bytes:
        """Flips bits, cuts, removes, doubles, inserts or splices."""
        rng = self._rng
        at, size = rng.randrange(len(body) + 1), rng.randrange(1, 40)
        match rng.randrange(7):
            case 0:
                changed = bytearray(body or b"\0")
                for _ in range(rng.choice((1, 3, 20))):
                    changed[rng.randrange(len(changed))] ^= 1 << rng.randrange(8)
                return bytes(changed)
            case 1:
                return body[:at]
            case 2:
                return body[:at] + body[at + size :]
            case 3:
                return body[: at + size] + body[at:]
            case 4:
                other = rng.choice(self._corpus.protobuf[rng.choice(SIGNALS)])
                return body[:at] + other[rng.randrange(len(other)) :]
            case 5:
                return body[:at] + varint(rng.choice(NUMBERS), rng.randrange(9)) + body[at:]
            case _:
                return body[:at] + MARKER.encode() + body[at:]

    def _part(self, message: bytes, depth: int = 0) -> bytes:
        """Changes one field of a message, or of a message in it; lengths around it stay right."""
        rng = self._rng
        found = fields(message)
        if not found:
            return self._bytes(message)
        at = rng.randrange(len(found))
        tag, value = found[at]
        if isinstance(value, bytes) and tag & 7 == 2 and value and rng.random() < 0.85:
            found[at] = tag, self._part(value, depth + 1)
            return encode(found)
        match rng.randrange(10):
            case 0:
                found.insert(at, found[at])
            case 1:
                del found[at]
            case 2:
                found[at] = rng.randrange(1, 2**7) << 3 | tag & 7, value
            case 3:
                found[at] = tag, rng.choice(NUMBERS)
            case 4:
                kind = rng.choice(
                    (b"\xff\xfe", b"\xed\xa0\x80", b"\0", MARKER.encode(), b"x" * 300)
                )
                found[at] = tag, kind
            case 5:
                found *= rng.choice((2, 3, 12))
            case 6:
                rng.shuffle(found)
            case 7:
                return (
                    encode(found[:at])
                    + varint(tag)
                    + varint(rng.choice(NUMBERS))
                    + encode(found[at:])
                )
            case 8:
                found[at] = tag, self._deep()
            case _:
                numbers = (math.nan, math.inf, -0.0, 5e-324, 1e308)
                found[at] = tag, struct.pack("<d", rng.choice(numbers))
        return encode(found)

    def _deep(self) -> bytes:
        """Lists in lists, or maps in maps; protobuf refuses more than a hundred."""
        nested = b""
        number = self._rng.choice((5, 6))
        for _ in range(self._rng.choice((3, 30, 60, 110))):
            inner = encode([(1 << 3 | 2, nested)])
            nested = encode([(number << 3 | 2, inner)])
        return nested

    def _json(self, signal: str) -> bytes:
        rng = self._rng
        document = json.loads(rng.choice(self._corpus.json[signal]))
        for _ in range(rng.choice((0, 1, 1, 3))):
            self._change(document)
        body = json.dumps(document).encode("utf-8", "surrogatepass")
        if DEEP.encode() in body:
            opening, closing = rng.choice(((b"[", b"]"), (b'{"arrayValue":{"values":[', b"]}}")))
            depth = rng.choices((1, 20, 900, 50_000), (40, 40, 19, 1))[0]
            body = body.replace(f'"{DEEP}"'.encode(), opening * depth + closing * depth, 1)
        if rng.random() < 0.2:  # a key twice
            key = rng.choice((b'"attributes"', b'"name"', b'"value"', b'"key"', b'"resource"'))
            body = body.replace(key, key + b":" + rng.choice(_RAW) + b"," + key, 1)
        return self._bytes(body) if rng.random() < 0.2 else body

    def _change(self, value: Any) -> None:
        """Replaces, removes or doubles something in a document."""
        rng = self._rng
        while True:
            keys: list[Any] = list(value) if isinstance(value, dict) else list(range(len(value)))
            if not keys:
                return
            key = rng.choice(keys)
            if not isinstance(value[key], dict | list) or rng.random() < 0.15:
                break
            value = value[key]
        match rng.randrange(5):
            case 0:
                del value[key]
            case 1 if isinstance(value, list):
                value *= rng.choice((2, 3, 12))
            case 1 | 2:
                value[key] = DEEP
            case _:
                value[key] = copy.deepcopy(rng.choice(_ODD))


DEEP = "in place of what is nested deep"
_ODD: tuple[Any, ...] = (
    None, True, [], {}, "", MARKER, -1, 2**31, 2**63, 2**64, -(2**63) - 1, 1.5, math.nan, math.inf, 1e308,
    "NaN", "-Infinity", "9" * 400, "\ud800", "\0", [None], {"x": MARKER}, {"doubleValue": "Infinity"}, "1e3",
)  # fmt: skip
_RAW = (b"null", b"[]", b"{}", b"1", b'"x"', b"1e400", b"[[]]")


# Structures made by hypothesis


def structures() -> st.SearchStrategy[Input]:
    """Messages of nested fields, and JSON documents with OTLP's names."""
    numbers = st.integers(1, 16)
    leaf = st.one_of(
        st.integers(0, 2**64 - 1),
        st.sampled_from([NOW, NOW - 10**9]),
        st.text(max_size=8).map(str.encode),
        st.sampled_from([b"shop.order", b"note", b"guild_id", MARKER.encode()]),
    )

    def message(inner: Any) -> Any:
        pairs = st.lists(st.tuples(numbers, inner), max_size=5)
        return pairs.map(lambda found: encode([_field(*each) for each in found]))

    protobuf = message(st.recursive(leaf, message, max_leaves=25))
    names = st.sampled_from(_NAMES)
    scalar = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8)
    document = st.recursive(
        scalar | st.sampled_from([MARKER, str(NOW)]),
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(names, inner, max_size=5),
        max_leaves=25,
    )
    texts = document.map(lambda each: json.dumps(each).encode("utf-8", "replace"))
    kinds = st.tuples(st.just("protobuf"), protobuf) | st.tuples(st.just("json"), texts)
    return st.tuples(st.sampled_from(SIGNALS), kinds).map(
        lambda made: Input("hypothesis", made[0], *made[1])
    )


def _field(number: int, value: int | bytes) -> Field:
    if isinstance(value, bytes):
        return number << 3 | 2, value
    return (number << 3, value) if number % 2 else (number << 3 | 1, value.to_bytes(8, "little"))


_NAMES = (
    "resourceSpans", "scopeSpans", "spans", "resourceMetrics", "scopeMetrics", "metrics", "resourceLogs",
    "scopeLogs", "logRecords", "resource", "attributes", "key", "value", "stringValue", "intValue",
    "name", "endTimeUnixNano", "timeUnixNano", "sum", "dataPoints", "asInt", "isMonotonic", "status",
)  # fmt: skip
