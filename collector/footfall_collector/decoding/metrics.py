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
from collections import Counter
from collections.abc import Collection, Iterable
from dataclasses import dataclass, field
from typing import Any

from opentelemetry.proto.metrics.v1.metrics_pb2 import DataPointFlags

from footfall_collector.decoding import otlp, sums, wire
from footfall_collector.decoding.found import digest, is_other
from footfall_collector.decoding.turns import Work
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
from footfall_processors.names import SDK, SERVICE_INSTANCE, SERVICE_NAME
from footfall_processors.window import accepted

_WHATEVER = (Loss.LOOP, Loss.UNDECLARED_EVENT, Loss.EXPIRED_EVENT)
"""Reasons for which a metric is refused, whatever its points are."""
NO_VALUE = DataPointFlags.DATA_POINT_FLAGS_NO_RECORDED_VALUE_MASK
SLICE = 500
"""Data points read at a stretch; between slices the event loop runs (about 10 ms)."""
MOST_READ = 100_000
"""Metrics, points of declared ones and their attributes in a request: about a second."""


@dataclass(frozen=True, slots=True)
class _Sender:
    """What the metrics of one scope have in common.

    Attributes:
        service: As it is stored.
        has_instance: Whether the resource tells it apart from its replicas.
        is_sdk: Whether it counts by itself, so that it knows its start; not one that scrapes others.
        resource: What identifies the resource, whole.
        scope: What identifies the scope.
    """

    service: Service
    has_instance: bool
    is_sdk: bool
    resource: bytes
    scope: bytes


@dataclass(slots=True)
class _Found:
    """A batch under construction.

    Attributes:
        rests: Of deltas the fractions that are not counted yet, by sender and dimension.
        read: Metrics and data points that were looked at, and their attributes.
        taken: Data points that were not refused.
        identified: See `Batch`.
        misnamed: See `Batch`.
    """

    counts: Counter[tuple[int, Dimension]] = field(default_factory=Counter)
    points: list[Point] = field(default_factory=list)
    deltas: dict[tuple[bytes, Dimension], Delta] = field(default_factory=dict)
    losses: Counter[Loss] = field(default_factory=Counter)
    rests: dict[tuple[bytes, Dimension], float] = field(default_factory=dict)
    read: int = 0
    taken: int = 0
    identified: bool = True
    misnamed: bool = False

    def reading(self, number: int) -> None:
        """Raises `TooLarge` when so many more are too many."""
        self.read += number
        if self.read > MOST_READ:
            raise wire.TooLarge(MOST_READ, "metrics, data points and attributes of such")


async def decode(
    policy: Policy,
    body: bytes,
    now_us: int,
    sender: bytes = b"",
    groups: wire.Groups | None = None,
    key: bytes | None = None,
    services: Collection[str] = (),
) -> Batch:
    """An encoded ExportMetricsServiceRequest as a batch.

    Args:
        policy: The compiled catalog.
        body: Decompressed.
        now_us: The collector's clock, µs since the Unix epoch.
        sender: As for `found.digest`.
        groups: What the body says, when it is not protobuf.
        key: The store's, by which streams are named; None while it is not known.
        services: The `service.name`s that the sender may send for; all without any.

    Raises:
        google.protobuf.message.DecodeError: it is not one; nothing of it is kept.
        wire.TooLarge: it has too many parts; nothing of it is kept.
        Unavailable: it has cumulative counters, and the key is not known yet.
    """
    async with Work() as work:
        return await _Decoder(policy, now_us, key, work).batch(body, sender, groups, services)


class _Decoder:
    """Decodes one request; what it remembers ends with it."""

    def __init__(self, policy: Policy, now_us: int, key: bytes | None, work: Work) -> None:
        self._work = work
        self._policy, self._now_us, self._key = policy, now_us, key
        self._today = dt.datetime.fromtimestamp(now_us / 1e6, dt.UTC).date()
        self._found = _Found()
        self._atoms: dict[bytes, Atom] = {}
        self._identities = otlp.Identities()
        self._settled: dict[bytes, bytes] = {}  # of points' attributes those encoded unusually
        self._verdicts: dict[tuple[Service, str, tuple[Atom, ...]], Verdict] = {}
        self._streams: dict[bytes, bytes] = {}

    async def batch(
        self, body: bytes, sender: bytes, groups: wire.Groups | None, services: Collection[str]
    ) -> Batch:
        found = self._found
        for resource, scope, metrics in wire.scopes(body) if groups is None else groups:
            attributes = otlp.resource_attributes(resource)
            said, bad = self._policy.service(attributes)
            service, lost = self._policy.admit(said, sender, self._now_us)
            found.losses.update(bad + lost)
            before = found.taken
            found.reading(len(metrics))
            known = bool(attributes.get(SERVICE_INSTANCE)), bool(attributes.get(SDK))
            pairs = sorted(self._identities[each] for each in otlp.resource_pairs(resource))
            within = sums.scope_identity(scope, self._identities)
            who = _Sender(service, *known, sums.joined(pairs), within)
            for encoded in metrics:
                await self._add_metric(who, encoded)
            misnamed = is_other(attributes.get(SERVICE_NAME), services)
            found.misnamed |= found.taken > before and misnamed
        fractions = sum(rest >= 10**-sums.DECIMALS for rest in found.rests.values())
        found.losses[Loss.FRACTION] += fractions
        return Batch(
            digest=digest("/v1/metrics", sender, body),
            signal="metrics",
            counts=found.counts,
            points=tuple(found.points),
            deltas=tuple(found.deltas.values()),
            losses=+found.losses,
            identified=found.identified,
            misnamed=found.misnamed,
        )

    async def _add_metric(self, who: _Sender, encoded: bytes) -> None:
        losses = self._found.losses
        metric = sums.metric(encoded)
        if metric is None:
            losses[Loss.MALFORMED] += 1
            return
        name = metric.name.decode("utf-8", "replace")
        points = sums.points(metric)
        refused = self._policy.judge(who.service, name, False, (), self._today).refused
        if refused in _WHATEVER:
            losses[refused] += len(points)
            return
        self._found.reading(len(points))
        kind = sums.joined((metric.name, metric.unit))
        for number, each in enumerate(points):
            if number % SLICE == SLICE - 1:
                await self._work.pause()
            refused = self._add(who, metric, name, kind, sums.point(each))
            if refused is not None:
                losses[refused] += 1

    def _add(self, who: _Sender, metric: Any, name: str, kind: bytes, point: Any) -> Loss | None:
        """Adds a point; why it is refused, if it is."""
        if point is None:
            return Loss.MALFORMED
        if point.flags & NO_VALUE:  # a series has ended: nothing was counted, and nothing is lost
            return None
        attributes = sums.attributes(point)
        self._found.reading(len(attributes) + len(point.exemplars))
        verdict = self._verdict(who.service, name, attributes)
        if verdict.shape is None:
            return verdict.refused or Loss.MALFORMED
        number, refused = sums.value(metric, point, self._now_us, self._policy.past_us)
        if refused is not None:
            return refused
        for reason, lost in verdict.losses:
            self._found.losses[reason] += lost
        dimension = verdict.shape.dimension
        if metric.sum.temporality == sums.DELTA:
            self._add_delta(dimension, who, point, number)
        else:
            identities = sorted(self._settled.get(each, each) for each in attributes)
            series = sums.joined((who.scope, kind, *identities))
            self._found.points.append(self._state(dimension, who, series, point, int(number)))
        self._found.taken += 1
        return None

    def _add_delta(
        self, dimension: Dimension, who: _Sender, point: Any, number: int | float
    ) -> None:
        """Adds a delta, or of its occurrences those that were within the window of acceptance."""
        found, stream = self._found, self._stream(who.resource) if self._key is not None else b""
        rest = round(number + found.rests.get((stream, dimension), 0), sums.DECIMALS)
        hours: Counter[int] = Counter()
        relayed = who.service.relayed_from is not None
        for moment_us, times in sums.moments(point, int(rest), relayed=relayed):
            if accepted(moment_us, self._now_us, self._policy.past_us):
                hours[moment_us // HOUR_US * HOUR_US] += times
            else:
                found.losses[Loss.OUT_OF_WINDOW] += 1
        if not hours:
            return
        found.rests[stream, dimension] = rest - int(rest)
        found.identified &= who.has_instance and point.start > 0
        for hour, times in hours.items():
            found.counts[hour, dimension] += times
        if stream:
            start, end = point.start // 1000, point.time // 1000
            if earlier := found.deltas.get((stream, dimension)):
                start, end = min(start, earlier.start_us), max(end, earlier.time_us)
                hours += earlier.hours
            found.deltas[stream, dimension] = Delta(stream, dimension, start, end, hours)

    def _state(
        self, dimension: Dimension, who: _Sender, series: bytes, point: Any, value: int
    ) -> Point:
        start_us, time_us = point.start // 1000, point.time // 1000
        # A start that is equal to the time says that it is unknown: equal to the nanosecond, and not
        # because an SDK's clock counts milliseconds (JavaScript's begins a stream at its first addition).
        if start_us == time_us and (who.is_sdk or point.start != point.time):
            time_us += 1
        stream = self._stream(who.resource)
        return Point(
            stream=stream,
            series=self._mac(stream + series),
            dimension=dimension,
            start_us=start_us,
            time_us=time_us,
            value=value,
        )

    def _stream(self, resource: bytes) -> bytes:
        """Stands for a sender."""
        known = self._streams.get(resource)
        if known is None:
            known = self._streams[resource] = self._mac(resource)
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
            key, value = otlp.key_value(encoded)
            atom = self._atoms[encoded] = self._policy.classify(key, value)
            identity = self._identities[encoded]
            if identity != encoded:
                self._settled[encoded] = identity
        return atom
