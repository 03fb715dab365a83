"""OTLP's messages in JSON: what of them is read, under both names that ProtoJSON permits.

A field is written lowerCamelCase, as OTLP wants it; parsers of ProtoJSON take its original name as well, and
so does the OpenTelemetry Collector. Null stands for a field that is left out. msgspec's lax mode is
ProtoJSON's: numbers may come as strings, whole numbers in any form. What a `Decoder` of these refuses may
still be right (an enum by its name, an original name), or wrong in one place only: `patient.py` tells.

Source: protobuf, "ProtoJSON Format"; fields as in opentelemetry/proto/*.proto.
"""

import re
from functools import cache
from types import GenericAlias
from typing import Annotated, Any, NamedTuple

import msgspec
from google.protobuf.internal.enum_type_wrapper import EnumTypeWrapper
from msgspec import Meta, defstruct, field
from opentelemetry.proto.logs.v1.logs_pb2 import SeverityNumber
from opentelemetry.proto.metrics.v1.metrics_pb2 import AggregationTemporality
from opentelemetry.proto.trace.v1.trace_pb2 import Status as _Status

from footfall_collector.signals import LOGS, METRICS, TRACES

FIELDS: dict[Any, dict[str, Any]] = {}
"""Message → its fields: original name and type; an enum's type is the enum."""


class Name(str):
    """The type of a text that stands for what it names, whatever letters of it cannot be read."""


class Id(str):
    """The type of an id in hex; an odd one costs nothing."""


class Written:
    """The type of what is left as it is written, a span's kind; an odd one costs nothing."""


class Many(NamedTuple):
    """The type of a repeated field."""

    of: Any


def camel(name: str) -> str:
    """The name that ProtoJSON gives a field."""
    return re.sub("_(.)", lambda match: match[1].upper(), name)


@cache
def names(name: str) -> tuple[str, ...]:
    """All names of a field."""
    return tuple(dict.fromkeys((camel(name), name)))


def _message(title: str, *, only: bool = False, **fields: Any) -> Any:
    """A message's class; a field under its original name is refused, to be read with patience.

    Args:
        title: Its name.
        only: Whether every other field is refused as well. What is refused by name takes a slot of each
            object, and so many are made of some that these took a third of the time to read a request.
        fields: Original name → type.
    """
    own: list[Any] = []
    for name, kind in fields.items():
        # Raw beside None in one type would take nothing but null.
        plain = msgspec.Raw if kind is Written else _plain(kind) | None
        own.append((name, plain, field(default=None, name=camel(name))))
    for name in fields:
        if name != camel(name) and not only:
            own.append((f"original_{name}", None, field(default=None, name=name)))
    made = defstruct(title, own, frozen=True, gc=False, forbid_unknown_fields=only)
    FIELDS[made] = fields
    return made


def _plain(kind: Any) -> Any:
    if isinstance(kind, EnumTypeWrapper):
        return int
    if isinstance(kind, Many):
        return GenericAlias(list, (kind.of,))
    return str if kind in (Name, Id) else kind


Present = _message("Present")
"""A message of which nothing is read but that it is there."""
AnyValue = _message(
    "AnyValue",
    only=True,
    string_value=str,
    bool_value=bool,
    int_value=Annotated[int, Meta(ge=-(2**63), le=2**63 - 1)],
    double_value=float,
    array_value=Written,
    kvlist_value=Written,
    bytes_value=Written,
)
KeyValue = _message("KeyValue", key=str, value=AnyValue)
ArrayValue = _message("ArrayValue", values=Many(AnyValue))
KeyValueList = _message("KeyValueList", values=Many(KeyValue))
Resource = _message("Resource", attributes=Many(KeyValue))
Scope = _message("Scope", name=Name, version=Name, attributes=Many(KeyValue))
Status = _message("Status", code=_Status.StatusCode)
Span = _message(
    "Span",
    trace_id=Id,
    span_id=Id,
    kind=Written,
    name=Name,
    start_time_unix_nano=int,
    end_time_unix_nano=int,
    attributes=Many(KeyValue),
    status=Status,
)
LogRecord = _message(
    "LogRecord",
    time_unix_nano=int,
    observed_time_unix_nano=int,
    severity_number=SeverityNumber,
    event_name=Name,
    span_id=Id,
    attributes=Many(KeyValue),
)
Point = _message(
    "Point",
    labels=Many(Present),
    attributes=Many(KeyValue),
    start_time_unix_nano=int,
    time_unix_nano=int,
    as_double=float,
    as_int=int,
    flags=int,
)
Points = _message(
    "Points",
    data_points=Many(Point),
    aggregation_temporality=AggregationTemporality,
    is_monotonic=bool,
)
"""A sum, or a gauge, which has only the first; also as they were until 2021."""
Metric = _message(
    "Metric",
    name=Name,
    unit=Name,
    int_gauge=Points,
    gauge=Points,
    int_sum=Points,
    sum=Points,
    int_histogram=Points,
    histogram=Present,
    exponential_histogram=Present,
    summary=Present,
)
PARTS: dict[str, tuple[str, str, str, Any]] = {
    TRACES.name: (*TRACES.fields, Span),
    METRICS.name: (*METRICS.fields, Metric),
    LOGS.name: (*LOGS.fields, LogRecord),
}
"""Signal → the fields that hold resources, scopes and items, and what an item is."""
EARLIER = {
    "scope_spans": "instrumentation_library_spans",
    "scope_metrics": "instrumentation_library_metrics",
    "scope_logs": "instrumentation_library_logs",
    "log_records": "logs",
}
"""What fields were called until OTLP 0.15, whose comments say: read where the newer one is not there."""


def decoder(signal: str) -> msgspec.json.Decoder[Any]:
    """Reads whole requests of a signal as `groups` of a `resource` and `scopes` of `items`.

    What a scope says of itself matters for metrics only.
    """
    groups, scopes, items, item = PARTS[signal]
    said = [("scope", Scope | None, None)] if signal == METRICS.name else []
    scope = defstruct("Items", [*_part("items", items, item), *said])
    others = [
        (f"earlier_{name}", None, field(default=None, name=name)) for name in names(EARLIER[scopes])
    ]
    group = defstruct(
        "Group", [*_part("scopes", scopes, scope), ("resource", Resource | None, None), *others]
    )
    return msgspec.json.Decoder(defstruct("Request", _part("groups", groups, group)), strict=False)


def _part(own: str, name: str, kind: Any) -> list[tuple[str, Any, Any]]:
    """A repeated field, by a name of ours."""
    found: list[Any] = [(own, list[kind] | None, field(default=None, name=camel(name)))]
    if name != camel(name):
        found.append((f"original_{own}", None, field(default=None, name=name)))
    return found
