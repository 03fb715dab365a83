"""A metrics request → a `Batch`: declared monotonic sums, exact whatever their temporality.

A delta counts as it stands (the ledger recognises a repeated request). A cumulative sum becomes a `Point`
of its stream, whose increment the store works out: streams are told apart by all that the data model names,
resource, scope, metric and every attribute, and only their increments are added up by what is declared.
Nothing of that is kept but a keyed hash. Points stay bytes until it is known that their metric is declared
and that they are not too many; histograms and summaries are never looked at.

Source: OTLP metrics data model, "Sums", "Single-Writer", "Temporality", "Resets and Gaps"; ADR 4;
opentelemetry/proto/metrics/v1/metrics.proto.
"""

import datetime as dt
import hmac
import math
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from google.protobuf.message import DecodeError
from opentelemetry.proto.metrics.v1.metrics_pb2 import AggregationTemporality, DataPointFlags

from footfall_collector import otlp, wire
from footfall_collector.pipeline import FUTURE_US, PAST_US, digest
from footfall_collector.wire import (
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
from footfall_exporters.contracts import Unavailable
from footfall_processors import (
    Atom,
    Batch,
    Delta,
    Dimension,
    Loss,
    Point,
    Policy,
    Service,
    Verdict,
)
from footfall_processors.batch import HOUR_US
from footfall_processors.names import SERVICE_INSTANCE

MOST = 10**12
"""The largest value that is believed: one beyond it would make sums overflow, and queries fail."""
MOST_READ = 100_000
"""Metrics, points of declared ones and their attributes in a request: about a second, all at a stretch."""
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
_DELTA = AggregationTemporality.AGGREGATION_TEMPORALITY_DELTA


@dataclass(frozen=True, slots=True)
class _Sender:
    """What the metrics of one scope have in common.

    Attributes:
        service: As it is stored.
        has_instance: Whether the resource tells it apart from its replicas.
        resource: What identifies the resource, whole.
        scope: What identifies the scope.
    """

    service: Service
    has_instance: bool
    resource: bytes
    scope: bytes


@dataclass(slots=True)
class _Sums:
    """A batch under construction.

    Attributes:
        read: Metrics and data points that were looked at, and their attributes.
        identified: See `Batch`.
    """

    counts: Counter[tuple[int, Dimension]] = field(default_factory=Counter)
    points: list[Point] = field(default_factory=list)
    deltas: dict[tuple[bytes, Dimension], Delta] = field(default_factory=dict)
    losses: Counter[Loss] = field(default_factory=Counter)
    read: int = 0
    identified: bool = True

    def reading(self, number: int) -> None:
        """Raises `TooLarge` when so many more are too many."""
        self.read += number
        if self.read > MOST_READ:
            raise wire.TooLarge(MOST_READ, "metrics, data points and attributes of such")


def decode(
    policy: Policy,
    body: bytes,
    now_us: int,
    sender: bytes = b"",
    groups: wire.Groups | None = None,
    key: bytes | None = None,
) -> Batch:
    """An encoded ExportMetricsServiceRequest as a batch.

    Args:
        policy: The compiled catalog.
        body: Decompressed.
        now_us: The collector's clock, µs since the Unix epoch.
        sender: As for `pipeline.digest`.
        groups: What the body says, when it is not protobuf.
        key: The store's, by which streams are named; None while it is not known.

    Raises:
        google.protobuf.message.DecodeError: it is not one; nothing of it is kept.
        wire.TooLarge: it has too many parts; nothing of it is kept.
        Unavailable: it has cumulative counters, and the key is not known yet.
    """
    return _Decoder(policy, now_us, key).batch(body, sender, groups)


class _Decoder:
    """Decodes one request; what it remembers ends with it."""

    def __init__(self, policy: Policy, now_us: int, key: bytes | None) -> None:
        self._policy, self._now_us, self._key = policy, now_us, key
        self._today = dt.datetime.fromtimestamp(now_us / 1e6, dt.UTC).date()
        self._sums = _Sums()
        self._atoms: dict[bytes, Atom] = {}
        self._verdicts: dict[tuple[Service, str, tuple[Atom, ...]], Verdict] = {}
        self._streams: dict[tuple[bytes, int], bytes] = {}

    def batch(self, body: bytes, sender: bytes, groups: wire.Groups | None) -> Batch:
        sums = self._sums
        for resource, scope, metrics in wire.scopes(body) if groups is None else groups:
            attributes = otlp.resource_attributes(resource)
            service, bad = self._policy.service(attributes)
            sums.losses[Loss.RESOURCE_VALUE] += bad
            sums.reading(len(metrics))
            named = bool(attributes.get(SERVICE_INSTANCE))
            whole = _joined(sorted(otlp.resource_pairs(resource)))
            who = _Sender(service, named, whole, _scope_identity(scope))
            for encoded in metrics:
                self._add_metric(who, encoded)
        return Batch(
            digest=digest("/v1/metrics", sender, body),
            signal="metrics",
            counts=sums.counts,
            points=tuple(sums.points),
            deltas=tuple(sums.deltas.values()),
            losses=+sums.losses,
            identified=sums.identified,
        )

    def _add_metric(self, who: _Sender, encoded: bytes) -> None:
        wire.check_tags(encoded, 1)
        losses = self._sums.losses
        try:
            metric = _Metric.FromString(encoded)
        except DecodeError:
            losses[Loss.MALFORMED] += 1
            return
        name = metric.name.decode("utf-8", "replace")
        points = _points(metric)
        refused = self._policy.judge(who.service, name, False, (), self._today).refused
        if refused in (Loss.UNDECLARED_EVENT, Loss.EXPIRED_EVENT):  # whatever its points are
            losses[refused] += len(points)
            return
        self._sums.reading(len(points))
        kind = _joined((metric.name, metric.unit))
        for each in points:
            point = self._point(each)
            refused = Loss.MALFORMED if point is None else self._add(who, metric, name, kind, point)
            if refused is not None:
                losses[refused] += 1

    def _point(self, encoded: bytes) -> Any:
        """A data point, None when it cannot be parsed, or has far too many attributes."""
        try:
            wire.check_tags(encoded, 1, 5, 7)
            point = _Point.FromString(encoded)
        except DecodeError:
            return None
        self._sums.reading(len(point.attributes) + len(point.labels) + len(point.exemplars))
        return point

    def _add(self, who: _Sender, metric: Any, name: str, kind: bytes, point: Any) -> Loss | None:
        """Adds a point; why it is refused, if it is."""
        attributes = [*point.attributes, *map(_LABEL.__add__, point.labels)]
        verdict = self._verdict(who.service, name, attributes)
        if verdict.shape is None:
            return verdict.refused or Loss.MALFORMED
        number, refused = _value(metric, point, self._now_us)
        if refused is not None:
            return refused
        for reason, lost in verdict.losses:
            self._sums.losses[reason] += lost
        dimension = verdict.shape.dimension
        if metric.sum.temporality == _DELTA:
            self._add_delta(dimension, who, point, number)
        else:
            series = _joined((who.scope, kind, *sorted(attributes)))
            self._sums.points.append(self._state(dimension, who, series, point, int(number)))
        return None

    def _add_delta(
        self, dimension: Dimension, who: _Sender, point: Any, number: int | float
    ) -> None:
        """Adds a delta, or of its occurrences those that were within the window of acceptance."""
        sums, whole = self._sums, int(number)
        hours: Counter[int] = Counter()
        for moment_us, times in _moments(point, whole):
            if _accepted(moment_us, self._now_us):
                hours[moment_us // HOUR_US * HOUR_US] += times
            else:
                sums.losses[Loss.OUT_OF_WINDOW] += 1
        if not hours:
            return
        sums.losses[Loss.FRACTION] += number - whole >= 10**-DECIMALS
        sums.identified &= who.has_instance and point.start > 0
        for hour, times in hours.items():
            sums.counts[hour, dimension] += times
        if self._key is not None:
            stream = self._stream(who.resource, 0)
            start, end = point.start // 1000, point.time // 1000
            if earlier := sums.deltas.get((stream, dimension)):
                start, end = min(start, earlier.start_us), max(end, earlier.time_us)
                hours += earlier.hours
            sums.deltas[stream, dimension] = Delta(stream, dimension, start, end, hours)

    def _state(
        self, dimension: Dimension, who: _Sender, series: bytes, point: Any, value: int
    ) -> Point:
        start_us, time_us = point.start // 1000, point.time // 1000
        if start_us == time_us and point.start != point.time:
            time_us += 1  # only equal to the nanosecond do they say that the start is unknown
        stream = self._stream(who.resource, point.start)
        return Point(
            stream=stream,
            series=self._mac(stream + series),
            dimension=dimension,
            start_us=start_us,
            time_us=time_us,
            value=value,
        )

    def _stream(self, resource: bytes, start_ns: int) -> bytes:
        """Stands for one run of one sender."""
        known = self._streams.get((resource, start_ns))
        if known is None:
            known = self._mac(b"%d:" % start_ns + resource)
            self._streams[resource, start_ns] = known
        return known

    def _mac(self, identity: bytes) -> bytes:
        if self._key is None:
            raise Unavailable("the collector has not reached its store yet", 5.0)
        return hmac.digest(self._key, identity, "sha256")[:16]

    def _verdict(self, service: Service, name: str, attributes: Iterable[bytes]) -> Verdict:
        atoms = tuple(map(self._atom, attributes))
        verdict = self._verdicts.get((service, name, atoms))
        if verdict is None:
            verdict = self._policy.judge(service, name, False, atoms, self._today)
            self._verdicts[service, name, atoms] = verdict
        return verdict

    def _atom(self, encoded: bytes) -> Atom:
        atom = self._atoms.get(encoded)
        if atom is None:
            atom = self._atoms[encoded] = self._policy.classify(*otlp.key_value(encoded))
        return atom


def _points(metric: Any) -> Sequence[bytes]:
    """A metric's encoded points; empty ones of earlier kinds, of any other one that stands for them all."""
    kind = metric.WhichOneof("data")
    if kind in _EARLIER:
        return [b""] * len(getattr(metric, kind).data_points)
    if kind not in ("sum", "gauge"):
        return [b""]
    return getattr(metric, kind).data_points[:]  # type: ignore[no-any-return]


def _value(metric: Any, point: Any, now_us: int) -> tuple[int | float, Loss | None]:
    """How often a point says that something happened, or why it is refused.

    A start after the time is no fault of the counter's: the sender's clock was set back.
    """
    kind = metric.WhichOneof("data")
    if kind in _EARLIER:
        return 0, Loss.DEPRECATED_ENCODING
    if kind != "sum" or not metric.sum.is_monotonic:
        return 0, Loss.UNSUPPORTED_METRIC
    number = point.as_int if point.WhichOneof("data") == "as_int" else point.as_double
    unrecorded = point.flags & DataPointFlags.DATA_POINT_FLAGS_NO_RECORDED_VALUE_MASK
    if unrecorded or not math.isfinite(number) or not 0 <= number <= MOST:
        return 0, Loss.MALFORMED
    if not metric.sum.temporality:
        return 0, Loss.MALFORMED
    if metric.sum.temporality != _DELTA and not _accepted(point.time // 1000, now_us):
        return 0, Loss.OUT_OF_WINDOW  # of a delta see `_add_delta`
    return number if isinstance(number, int) else round(number, DECIMALS), None


def _accepted(moment_us: int, now_us: int) -> bool:
    return now_us - PAST_US <= moment_us <= now_us + FUTURE_US


def _moments(point: Any, value: int) -> list[tuple[int, int]]:
    """When so many occurrences of a delta were, µs since the Unix epoch, and how many.

    Exemplars that account for all of them say it: a Footfall that passes on what came late sends such. Else
    it is the point's time.
    """
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


def _scope_identity(encoded: bytes) -> bytes:
    """What identifies a scope, however its attributes are ordered."""
    try:
        scope = _Scope.FromString(encoded)
    except DecodeError:
        return encoded
    return _joined((scope.name, scope.version, *sorted(scope.attributes)))


def _joined(parts: Iterable[bytes]) -> bytes:
    """Parts as one; no others give the same."""
    return b"".join(b"%d:%b" % (len(part), part) for part in parts)
