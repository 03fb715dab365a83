"""What a trace request means: a plain walk over the official classes, one span after the other.

Nothing is remembered and nothing is shared; the rules themselves (`Policy.classify`, `Policy.judge`,
`clean`, `keyed_hash`) are called for every attribute. `Pipeline.traces` must give the same.
"""

import datetime as dt
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from google.protobuf.message import DecodeError
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import KeyValue
from opentelemetry.proto.trace.v1.trace_pb2 import Status

from footfall_processors import Loss, Policy, Service, clean, hashable, keyed_hash, period
from footfall_processors.atoms import Origin
from footfall_processors.names import DURATION

HOUR_US = 3600 * 10**6
DAY_US = 24 * HOUR_US
SERVER = 2
FAILED = {Status.STATUS_CODE_OK: False, Status.STATUS_CODE_ERROR: True}


class Span(NamedTuple):
    """What of a span is looked at; a log record has no kind."""

    name: str
    start: int
    end: int
    failed: bool | None
    kind: int | None
    attributes: list[tuple[str, Any]]


@dataclass
class Result:
    """Rows as (time, duration, shape, values), counts by (hour, dimension), losses by reason."""

    rows: Counter = field(default_factory=Counter)
    counts: Counter = field(default_factory=Counter)
    losses: Counter = field(default_factory=Counter)


def evaluate(policy: Policy, salts, resources, now_us: int) -> Result:
    """Judges what `official` or `tolerant` read: (resource, spans; None for a broken one) pairs."""
    result = Result()
    for resource, spans in resources:
        service, refused = policy.service(resource)
        result.losses.update(refused)
        for span in spans:
            if span is None:
                result.losses[Loss.MALFORMED] += 1
            else:
                _add(result, policy, salts, service, span, now_us)
    result.losses = +result.losses
    return result


def _add(result: Result, policy: Policy, salts, service: Service, span: Span, now_us: int) -> None:
    atoms = [policy.classify(key, value) for key, value in span.attributes]
    today = dt.datetime.fromtimestamp(now_us / 10**6, dt.UTC).date()
    origin = {None: Origin.OTHER, SERVER: Origin.SERVER}.get(span.kind, Origin.SPAN)
    verdict = policy.judge(service, span.name, span.failed, atoms, today, origin)
    start, end = span.start or span.end, span.end or span.start
    time = end // 1000
    refused = verdict.refused
    if refused is None and not now_us - 7 * DAY_US <= time <= now_us + 300 * 10**6:
        refused = Loss.OUT_OF_WINDOW
    if refused is None and end < start:
        refused = Loss.MALFORMED
    if refused is not None:
        result.losses[refused] += 1
        return
    values = []
    for name, position in zip(verdict.shape.columns, verdict.positions, strict=True):
        raw = span.attributes[position][1] if position >= 0 else None
        values.append(
            _value(result, policy, salts, verdict.shape.dimension.event, name, raw, time)
            if position >= 0
            else None
        )
    duration = round_half_up(end - start, 10**6) if end > start else None
    if verdict.duration_at >= 0:
        duration = span.attributes[verdict.duration_at][1]
    limits = policy.catalog.attributes.get(DURATION)
    if duration is not None:
        said = clean(limits, duration) if limits is not None else duration
        duration = None if said is None else min(max(said, 0), 2**31 - 1)
    result.rows[time, duration, verdict.shape, tuple(values)] += 1
    result.counts[time // HOUR_US * HOUR_US, verdict.shape.dimension] += 1
    result.losses.update(dict(verdict.losses))


def round_half_up(number: int, unit: int) -> int:
    return (2 * number + unit) // (2 * unit)


def _value(result: Result, policy: Policy, salts, event: str, name: str, raw: Any, time_us: int):
    attribute = policy.catalog.attributes[name]
    if not attribute.hash:
        return clean(attribute, raw)
    assert hashable(raw)
    salt = salts.get(period(attribute.hash, time_us))
    if salt is None:
        result.losses[Loss.SALT_MISSING] += 1
        return None
    catalog = policy.catalog
    return keyed_hash(salt, name, raw, catalog.bound(catalog.owners.get(event, ""), name))


# Reading: by the official classes


def official(body: bytes):
    """The resources of a request with all their spans.

    Raises:
        DecodeError: the official classes refuse it.
    """
    request = ExportTraceServiceRequest.FromString(body)
    for group in request.resource_spans:
        spans = [span(each) for scope in group.scope_spans for each in scope.spans]
        yield dictionary(group.resource.attributes), spans


def span(message) -> Span:
    failed = FAILED.get(message.status.code)
    pairs = [pair(kv) for kv in message.attributes]
    start, end = message.start_time_unix_nano, message.end_time_unix_nano
    return Span(message.name, start, end, failed, message.kind, pairs)


def pair(message) -> tuple[str, Any]:
    return message.key, plain(message.value)


def dictionary(pairs) -> dict[str, Any]:
    return dict(map(pair, pairs))


def plain(value) -> Any:
    match value.WhichOneof("value"):
        case None:
            return None
        case "array_value":
            return [plain(item) for item in value.array_value.values]
        case "kvlist_value":
            return dictionary(value.kvlist_value.values)
        case kind:
            return getattr(value, kind)


# Reading: part by part, so that one broken part does not spoil the others


def tolerant(body: bytes):
    """The resources of a request of which the official classes refuse some part.

    Raises:
        DecodeError: it is no request at all.
    """
    for group in _all(body, 1, 2):
        spans = [each for scope in _all(group, 2, 2) for each in _all(scope, 2, 2)]
        yield _tolerant_resource(b"".join(_all(group, 1, 2))), list(map(_tolerant_span, spans))


def _tolerant_resource(encoded: bytes) -> dict[str, Any]:
    try:
        pairs = [(_parsed(KeyValue, each), each) for each in _all(encoded, 1, 2)]
    except DecodeError:
        return {}
    return dict(pair(kv) if kv is not None else (_key(each), None) for kv, each in pairs)


def _tolerant_span(encoded: bytes) -> Span | None:
    try:
        name, start, end, kind = (
            _last(encoded, n, of, default)
            for n, of, default in ((5, 2, b""), (7, 1, 0), (8, 1, 0), (6, 0, 0))
        )
        failed = _failed(b"".join(_all(encoded, 15, 2)))
        pairs = [(_parsed(KeyValue, each), each) for each in _all(encoded, 9, 2)]
    except DecodeError:
        return None
    return Span(
        name=name.decode("utf-8", "replace"),
        start=start,
        end=end,
        kind=kind,
        failed=failed,
        attributes=[pair(kv) if kv is not None else (_key(each), None) for kv, each in pairs],
    )


def _failed(encoded: bytes) -> bool | None:
    """What the code of a Status says, whatever bytes its message is."""
    try:
        return FAILED.get(_last(encoded, 3, 0, 0) & 0xFFFFFFFF)
    except DecodeError:
        return None


def _key(encoded: bytes) -> str:
    """The key of a KeyValue that the official class refuses: its value may be at fault."""
    try:
        return _last(encoded, 1, 2, b"").decode("utf-8", "replace")
    except DecodeError:
        return ""


def _parsed(kind, encoded: bytes):
    try:
        return kind.FromString(encoded)
    except DecodeError:
        return None


def _all(message: bytes, number: int, kind: int) -> list[Any]:
    return [value for n, k, value in fields(message) if (n, k) == (number, kind)]


def _last(message: bytes, number: int, kind: int, default: Any) -> Any:
    return [default, *_all(message, number, kind)][-1]


def fields(message: bytes) -> Iterator[tuple[int, int, Any]]:
    """The (number, wire type, value) triples of an encoded message (protobuf, "Encoding")."""
    at = 0
    while at < len(message):
        number, kind, value, at = _field(message, at)
        if kind == 4:
            raise DecodeError("a group ends that did not begin")
        yield number, kind, value


def _field(message: bytes, at: int) -> tuple[int, int, Any, int]:
    tag, at = _varint(message, at, 5)
    number, kind = tag >> 3, tag & 7
    if number == 0 or tag >= 2**32:
        raise DecodeError("not a field number")
    value: Any = None
    if kind == 0:
        value, at = _varint(message, at, 10)
    elif kind == 3:
        inner, of = 0, 0
        while inner != 4:
            of, inner, _, at = _field(message, at)
        if of != number:
            raise DecodeError("a group ends as another one")
    elif kind != 4:
        size = {1: 8, 5: 4}.get(kind)
        if kind == 2:
            size, at = _varint(message, at, 5)
        if size is None or at + size > len(message):
            raise DecodeError("cut short, or of no known wire type")
        value, at = message[at : at + size], at + size
        value = int.from_bytes(value, "little") if kind in (1, 5) else value
    return number, kind, value, at


def _varint(message: bytes, at: int, longest: int) -> tuple[int, int]:
    value = 0
    for shift in range(longest):
        if at >= len(message):
            raise DecodeError("cut short")
        value |= (message[at] & 0x7F) << 7 * shift
        at += 1
        if message[at - 1] < 0x80:
            return value, at
    raise DecodeError("too long a number")
