"""What spans and sums have in common: the resource, a dimension as attributes, how many in a request."""

from collections.abc import Iterable

from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue
from opentelemetry.proto.resource.v1.resource_pb2 import Resource

from footfall_processors import Dimension, names

MOST = 250
"""Spans or points in a request: some 60 kB, and a few milliseconds in which the receivers wait."""
SCOPE = "footfall"
Pairs = tuple[tuple[str, str], ...]
"""Attributes, in a fixed order."""


def sender(dimension: Dimension, origin: str, instance: str = "") -> Pairs:
    """A resource's attributes: who sent it, and through whose hands it came.

    Args:
        dimension: Of what is sent.
        origin: The marker of the store or gateway that sends it on; empty without one.
        instance: Of the service, as far as backends need to know.
    """
    hops = (dimension.relayed_from, origin)
    named = (
        (names.SERVICE_NAME, dimension.service),
        (names.SERVICE_VERSION, dimension.service_version),
        (names.ENVIRONMENT, dimension.environment),
        (names.SERVICE_INSTANCE, instance),
        (names.DISTRO, dimension.telemetry_distro),
        (names.ORIGIN, ",".join(hop for hop in hops if hop)),
    )
    return tuple((key, value) for key, value in named if value)


def attributes(dimension: Dimension) -> Pairs:
    """A dimension without event and sender."""
    fixed = (
        (names.SURFACE, dimension.surface),
        (names.FEATURE, dimension.feature),
        (names.ACTION, dimension.action),
        (names.STATUS, dimension.status),
        (names.ERROR_TYPE, dimension.error_type),
    )
    return (*((key, value) for key, value in fixed if value is not None), *dimension.enums)


def texts(pairs: Iterable[tuple[str, str]]) -> list[KeyValue]:
    """Attributes as protobuf has them."""
    return [KeyValue(key=key, value=AnyValue(string_value=value)) for key, value in pairs]


def resource(who: Pairs) -> bytes:
    """An encoded Resource."""
    return Resource(attributes=texts(who)).SerializeToString()


def spans_of(body: bytes) -> int:
    """How many spans an encoded ExportTraceServiceRequest has."""
    groups = ExportTraceServiceRequest.FromString(body).resource_spans
    return sum(len(scope.spans) for group in groups for scope in group.scope_spans)


def occurrences_of(body: bytes) -> int:
    """How many occurrences the sums of an encoded ExportMetricsServiceRequest tell of."""
    groups = ExportMetricsServiceRequest.FromString(body).resource_metrics
    metrics = (m for group in groups for scope in group.scope_metrics for m in scope.metrics)
    return sum(point.as_int for metric in metrics for point in metric.sum.data_points)
