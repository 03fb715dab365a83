"""Metrics as they come over the wire, as far as they are looked at: sums, their points, what a point says.

Source: opentelemetry/proto/metrics/v1/metrics.proto, field numbers as there; OTLP metrics data model, "Sums".
"""

import math
from collections.abc import Iterable, Sequence
from typing import Any

from google.protobuf.message import DecodeError
from opentelemetry.proto.metrics.v1.metrics_pb2 import AggregationTemporality

from footfall_collector.decoding import otlp, wire
from footfall_collector.decoding.wire import (
    BOOL,
    BYTES,
    DOUBLE,
    FIXED64,
    INT32,
    MANY,
    MESSAGE,
    ONE,
    SFIXED64,
    UINT32,
)
from footfall_processors import Loss
from footfall_processors.window import accepted

MOST = 10**12
"""The largest value that is believed: one beyond it would make sums overflow, and queries fail."""
DECIMALS = 6
"""Digits after the point that a count in floating point is believed to have: 0.1 ten times is 1."""
_EARLIER = ("int_gauge", "int_sum", "int_histogram")
"""Until 2021, with points of another form."""
_DATA = (
    *("gauge", "sum", "histogram", "exponential", "summary", *_EARLIER),
    *("as_double", "as_int"),
)
_SCHEMA: wire.Schema = {
    "Metric": [
        ("name", 1, BYTES, ONE, None),
        ("unit", 3, BYTES, ONE, None),
        ("gauge", 5, MESSAGE, ONE, ".footfall.Points"),
        ("sum", 7, MESSAGE, ONE, ".footfall.Points"),
        ("histogram", 9, BYTES, ONE, None),
        ("exponential", 10, BYTES, ONE, None),
        ("summary", 11, BYTES, ONE, None),
        ("int_gauge", 4, MESSAGE, ONE, ".footfall.Points"),
        ("int_sum", 6, MESSAGE, ONE, ".footfall.Points"),
        ("int_histogram", 8, MESSAGE, ONE, ".footfall.Points"),
        ("metadata", 12, BYTES, ONE, None),
    ],
    "Points": [
        ("data_points", 1, BYTES, MANY, None),
        ("temporality", 2, INT32, ONE, None),
        ("is_monotonic", 3, BOOL, ONE, None),
    ],
    # Attributes stay bytes: one that cannot be read costs itself, not its point (`otlp.key_value`).
    "Point": [
        ("labels", 1, BYTES, MANY, None),  # texts until 2021, which nobody can declare
        ("start", 2, FIXED64, ONE, None),
        ("time", 3, FIXED64, ONE, None),
        ("as_double", 4, DOUBLE, ONE, None),
        ("as_int", 6, SFIXED64, ONE, None),
        ("attributes", 7, BYTES, MANY, None),
        ("flags", 8, UINT32, ONE, None),
        ("exemplars", 5, BYTES, MANY, None),
    ],
    "Exemplar": [
        ("time", 2, FIXED64, ONE, None),
        ("as_int", 6, SFIXED64, ONE, None),
    ],
    "Scope": [
        ("name", 1, BYTES, ONE, None),
        ("version", 2, BYTES, ONE, None),
        ("attributes", 3, BYTES, MANY, None),
    ],
}
_Metric, _Point, _Exemplar, _Scope = wire.classes(
    _SCHEMA, "Metric", "Point", "Exemplar", "Scope", oneof=_DATA
)
_LABEL = b"\xff"
"""Before a label, so that it is the attribute that it is not: no tag begins so."""
DELTA = AggregationTemporality.AGGREGATION_TEMPORALITY_DELTA
CUMULATIVE = AggregationTemporality.AGGREGATION_TEMPORALITY_CUMULATIVE


def metric(encoded: bytes) -> Any:
    """A metric, None when it cannot be parsed.

    Raises:
        wire.TooLarge: it may have too many points.
    """
    wire.check_tags(encoded, 1)
    try:
        return _Metric.FromString(encoded)
    except DecodeError:
        return None


def point(encoded: bytes) -> Any:
    """A data point, None when it cannot be parsed, or has far too many attributes."""
    try:
        wire.check_tags(encoded, 1, 5, 7)
        return _Point.FromString(encoded)
    except DecodeError:
        return None


def attributes(found: Any) -> list[bytes]:
    """A point's attributes, encoded."""
    return [*found.attributes, *map(_LABEL.__add__, found.labels)]


def points(metric: Any) -> Sequence[bytes]:
    """A metric's encoded points; empty ones of earlier kinds, of any other one that stands for them all."""
    kind = metric.WhichOneof("data")
    if kind in _EARLIER:
        return [b""] * len(getattr(metric, kind).data_points)
    if kind not in ("sum", "gauge"):
        return [b""]
    return getattr(metric, kind).data_points[:]  # type: ignore[no-any-return]


def value(metric: Any, point: Any, now_us: int, past_us: int) -> tuple[int | float, Loss | None]:
    """How often a point says that something happened, or why it is refused.

    A start after the time is no fault of the counter's: the sender's clock was set back.
    """
    kind = metric.WhichOneof("data")
    if kind in _EARLIER:
        return 0, Loss.DEPRECATED_ENCODING
    if kind != "sum" or not metric.sum.is_monotonic:
        return 0, Loss.UNSUPPORTED_METRIC
    said = point.WhichOneof("data")
    if said is None or metric.sum.temporality not in (DELTA, CUMULATIVE):
        return 0, Loss.MALFORMED  # a counter that says nothing has not fallen to 0
    number = getattr(point, said)
    if not math.isfinite(number) or not 0 <= number <= MOST:
        return 0, Loss.MALFORMED
    if metric.sum.temporality == CUMULATIVE and not accepted(point.time // 1000, now_us, past_us):
        return 0, Loss.OUT_OF_WINDOW  # of a delta see `moments`
    return number if isinstance(number, int) else round(number, DECIMALS), None


def moments(point: Any, value: int, *, relayed: bool) -> list[tuple[int, int]]:
    """When so many occurrences of a delta were, µs since the Unix epoch, and how many.

    Exemplars that account for all of them say it where the point was relayed: a Footfall that passes on
    what came late sends such. Else it is the point's time; others' exemplars are no part of the sum.
    """
    if not relayed:
        return [(point.time // 1000, value)]
    told = [(e.time // 1000, e.as_int) for e in map(_exemplar, point.exemplars) if e.as_int > 0]
    if told and sum(number for _, number in told) == value:
        return told
    return [(point.time // 1000, value)]


def _exemplar(encoded: bytes) -> Any:
    """An exemplar's time and number; what else it has is not looked at, and one that is none has neither."""
    try:
        return _Exemplar.FromString(encoded)
    except DecodeError:
        return _Exemplar()


def scope_identity(encoded: bytes, identities: otlp.Identities) -> bytes:
    """What identifies a scope, however its attributes are ordered."""
    try:
        scope = _Scope.FromString(encoded)
    except DecodeError:
        return encoded
    return joined(
        (scope.name, scope.version, *sorted(identities[each] for each in scope.attributes))
    )


def joined(parts: Iterable[bytes]) -> bytes:
    """Parts as one; no others give the same."""
    return b"".join(b"%d:%b" % (len(part), part) for part in parts)
