"""Batches → OTLP requests: rows as spans, other occurrences as delta sums, counters as cumulative sums.

What is sent for a batch are always the same bytes: ids derive from the batch, everything is sorted, and
protobuf is asked for its deterministic form. Another Footfall reads it back as what it was; its dimensions,
times, durations and, for a trusted relay, its pseudonyms are the same.

Source: opentelemetry/proto/trace/v1/trace.proto, metrics/v1/metrics.proto; OTLP metrics data model, "Sums".
"""

from collections.abc import Iterable, Iterator, Sequence
from itertools import groupby, islice
from struct import Struct
from typing import NamedTuple
from uuid import UUID

from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, InstrumentationScope, KeyValue
from opentelemetry.proto.metrics.v1.metrics_pb2 import (
    AggregationTemporality,
    NumberDataPoint,
    ResourceMetrics,
)
from opentelemetry.proto.resource.v1.resource_pb2 import Resource
from opentelemetry.proto.trace.v1.trace_pb2 import ScopeSpans, Span, Status

from footfall_processors import Batch, Catalog, Dimension, Shape, Value, names
from footfall_processors.batch import HOUR_US

MOST = 250
"""Spans or points in a request: some 60 kB, and a few milliseconds in which the receivers wait."""
SCOPE = "footfall"
SERIES = "footfall.series"
"""Attribute of a scope: tells series apart whose undeclared attributes are not sent on."""
_SCOPE = ScopeSpans(scope=InstrumentationScope(name=SCOPE)).SerializeToString()
_TIMES = Struct("<BQBQ").pack
"""Start and end of a span, each after its tag: fields 7 and 8, fixed64."""
_DELTA = AggregationTemporality.AGGREGATION_TEMPORALITY_DELTA
_CUMULATIVE = AggregationTemporality.AGGREGATION_TEMPORALITY_CUMULATIVE
_SECOND_NS = 10**9

_Service = tuple[str | None, str | None, str | None]


class _Sum(NamedTuple):
    """A metric's point before it is encoded; sorted by what comes first."""

    service: tuple[str, ...]
    instance: str
    series: str
    event: str
    attributes: tuple[tuple[str, str], ...]
    start_ns: int
    time_ns: int
    value: int


def trace_requests(batch: Batch, catalog: Catalog, pseudonyms: bool) -> Iterator[bytes]:
    """Encoded ExportTraceServiceRequests with a batch's rows, MOST spans at a time.

    Args:
        batch: Cleaned.
        catalog: Which of its values are hashes.
        pseudonyms: Whether these are sent.

    An encoded message is its encoded fields one after the other. What spans have in common is encoded once,
    by the official classes; building each span with them takes several times as long.
    """
    spans = _spans(batch, catalog, pseudonyms)
    while part := list(islice(spans, MOST)):
        by_service: dict[_Service, list[bytes]] = {}
        for service, span in part:
            by_service.setdefault(service, [_SCOPE]).append(_field(2, span))
        yield b"".join(
            _field(1, _field(1, _resource(service)) + _field(2, b"".join(scope)))
            for service, scope in by_service.items()
        )


def metric_requests(batch: Batch) -> Iterator[bytes]:
    """Encoded ExportMetricsServiceRequests with what a batch counts beyond its rows."""
    for temporality, sums in ((_DELTA, _deltas(batch)), (_CUMULATIVE, _cumulatives(batch))):
        ordered = iter(sorted(sums))
        while part := list(islice(ordered, MOST)):
            request = ExportMetricsServiceRequest()
            for (service, instance), group in groupby(part, key=lambda each: each[:2]):
                _add_metrics(request.resource_metrics.add(), service, instance, group, temporality)
            yield request.SerializeToString(deterministic=True)


def _spans(batch: Batch, catalog: Catalog, pseudonyms: bool) -> Iterator[tuple[_Service, bytes]]:
    """The rows as encoded spans, in their order."""
    position = 0
    parts: dict[Shape, _Parts] = {}
    for rows in batch.rows:
        columns = [
            (_Encoded(name, catalog.attributes[name].hash is not None), values)
            for name, values in zip(rows.shapes[0].columns, rows.values, strict=True)
            if pseudonyms or catalog.attributes[name].hash is None
        ]
        for at, shape in enumerate(rows.shapes):
            if shape not in parts:
                parts[shape] = _parts(shape)
            service, head, fixed, status = parts[shape]
            duration, end = rows.durations[at], rows.times[at] * 1000
            # An instant has no length; what took less than half a millisecond has one nanosecond.
            start = end - (0 if duration is None else max(duration * 10**6, 1))
            values = [encoded[values[at]] for encoded, values in columns]
            named = batch.event_id(position).bytes
            ids = b"\x0a\x10%b\x12\x08%b" % (named, named[:8])
            yield (
                service,
                b"".join((ids, head, _TIMES(0x39, start, 0x41, end), fixed, *values, status)),
            )
            position += 1


class _Parts(NamedTuple):
    """What the spans of a shape share, encoded, between the fields in which they differ."""

    service: _Service
    head: bytes
    fixed: bytes
    status: bytes


def _parts(shape: Shape) -> _Parts:
    dimension = shape.dimension
    fixed = _texts(_attributes(dimension))
    if shape.sample_rate < 1:
        rate = AnyValue(double_value=shape.sample_rate)
        fixed.append(KeyValue(key=names.SAMPLE_RATE, value=rate))
    code = Status.STATUS_CODE_OK if dimension.status == "ok" else Status.STATUS_CODE_ERROR
    return _Parts(
        (dimension.service, dimension.service_version, dimension.environment),
        Span(name=dimension.event, kind=Span.SPAN_KIND_INTERNAL).SerializeToString(),
        Span(attributes=fixed).SerializeToString(),
        Span(status=Status(code=code)).SerializeToString(),
    )


class _Encoded(dict[Value | None, bytes]):
    """An attribute's value → the attribute as a field of its span; None is left out."""

    def __init__(self, name: str, hashed: bool) -> None:
        super().__init__({None: b""})
        self._name, self._hashed = name, hashed

    def __missing__(self, value: Value) -> bytes:
        pair = KeyValue(key=self._name, value=_any(value, self._hashed))
        encoded = self[value] = Span(attributes=[pair]).SerializeToString()
        return encoded


def _attributes(dimension: Dimension) -> tuple[tuple[str, str], ...]:
    """A dimension without event and service, as attributes in a fixed order."""
    fixed = (
        (names.SURFACE, dimension.surface),
        (names.FEATURE, dimension.feature),
        (names.ACTION, dimension.action),
        (names.STATUS, dimension.status),
        (names.ERROR_TYPE, dimension.error_type),
    )
    return (*((key, value) for key, value in fixed if value is not None), *dimension.enums)


def _texts(attributes: Iterable[tuple[str, str]]) -> list[KeyValue]:
    return [KeyValue(key=key, value=AnyValue(string_value=value)) for key, value in attributes]


def _any(value: Value, hashed: bool) -> AnyValue:
    """A value as it is stored; of a hashed one the 16 bytes, a plain uuid as text."""
    match value:
        case bool():
            return AnyValue(bool_value=value)
        case int():
            return AnyValue(int_value=value)
        case float():
            return AnyValue(double_value=value)
        case str():
            return AnyValue(string_value=value)
        case bytes():
            return (
                AnyValue(bytes_value=value)
                if hashed
                else AnyValue(string_value=str(UUID(bytes=value)))
            )


def _resource(service: Sequence[str | None], instance: str = "") -> bytes:
    keys = (names.SERVICE_NAME, names.SERVICE_VERSION, names.ENVIRONMENT, names.SERVICE_INSTANCE)
    sent = zip(keys, (*service, instance), strict=True)
    resource = Resource(attributes=_texts((key, value) for key, value in sent if value))
    return resource.SerializeToString()


def _field(number: int, content: bytes) -> bytes:
    """A field that has a length (protobuf, "Encoding"); its number is at most 15."""
    size, length = len(content), bytearray()
    while size > 127:
        length.append(size & 127 | 128)
        size >>= 7
    length.append(size)
    return bytes((number << 3 | 2,)) + length + content


def _deltas(batch: Batch) -> Iterator[_Sum]:
    """Occurrences per hour, at a time within it that differs from batch to batch.

    Only the hour is known, and many backends keep one point of a series at a time.
    """
    moment = int.from_bytes(batch.digest[:8], "big") % _SECOND_NS
    for (hour_us, dimension), value in batch.beyond_rows().items():
        hour_ns = hour_us // HOUR_US * HOUR_US * 1000
        yield _sum(dimension, "", "", hour_ns, hour_ns + moment, value)


def _cumulatives(batch: Batch) -> Iterator[_Sum]:
    """Counters as they stand.

    The instance stands for the sender's run, an attribute of the scope for what tells series apart in it.
    """
    for point in batch.points:
        who = point.stream.hex(), point.series.hex()
        times = point.start_us * 1000, point.time_us * 1000
        yield _sum(point.dimension, *who, *times, point.value)


def _sum(
    dimension: Dimension, instance: str, series: str, start_ns: int, time_ns: int, value: int
) -> _Sum:
    who = (dimension.service, dimension.service_version, dimension.environment)
    service = tuple(part or "" for part in who)
    attributes = _attributes(dimension)
    return _Sum(service, instance, series, dimension.event, attributes, start_ns, time_ns, value)


def _add_metrics(
    group: ResourceMetrics,
    service: Sequence[str],
    instance: str,
    sums: Iterable[_Sum],
    temporality: AggregationTemporality.ValueType,
) -> None:
    """A metric for each event, with a point for each of its sums."""
    group.resource.ParseFromString(_resource(service, instance))
    for series, alike in groupby(sums, key=lambda each: each.series):
        scope = group.scope_metrics.add()
        scope.scope.name = SCOPE
        scope.scope.attributes.extend(_texts([(SERIES, series)] if series else []))
        for event, points in groupby(alike, key=lambda each: each.event):
            metric = scope.metrics.add(name=event, unit="1")
            metric.sum.is_monotonic, metric.sum.aggregation_temporality = True, temporality
            metric.sum.data_points.extend(map(_point, points))


def _point(each: _Sum) -> NumberDataPoint:
    return NumberDataPoint(
        attributes=_texts(each.attributes),
        start_time_unix_nano=each.start_ns,
        time_unix_nano=each.time_ns,
        as_int=each.value,
    )
