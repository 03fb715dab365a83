"""OTLP log records read as columns: an event is a record that names one.

A record becomes what a span without length becomes, so that all rules are those of `spans.py`. Its name
is the field `event_name`, or else the attribute `event.name`; ERROR and worse count as failed. Body,
severity text, ids and whatever else it has are never looked at.

Source: opentelemetry/proto/logs/v1/logs.proto, field numbers as there; OTLP logs data model, "Events".
"""

from collections.abc import Sequence
from typing import Any

from google.protobuf.message import DecodeError
from opentelemetry.proto.logs.v1.logs_pb2 import SeverityNumber
from opentelemetry.proto.trace.v1.trace_pb2 import Status

from footfall_collector.decoding import otlp, wire
from footfall_collector.decoding.attributes import collect
from footfall_collector.decoding.wire import BYTES, FIXED32, FIXED64, INT32, MANY, ONE
from footfall_processors.names import EVENT_NAME

_SCHEMA: wire.Schema = {
    "LogRecord": [
        ("time", 1, FIXED64, ONE, None),
        ("severity", 2, INT32, ONE, None),
        ("attributes", 6, BYTES, MANY, None),
        ("observed", 11, FIXED64, ONE, None),
        ("event_name", 12, BYTES, ONE, None),
        # Declared only because an unknown field would be copied aside for every record.
        ("severity_text", 3, BYTES, ONE, None),
        ("body", 5, BYTES, ONE, None),
        ("dropped", 7, INT32, ONE, None),
        ("flags", 8, FIXED32, ONE, None),
        ("trace_id", 9, BYTES, ONE, None),
        ("span_id", 10, BYTES, ONE, None),
    ]
}
(_LogRecord,) = wire.classes(_SCHEMA, "LogRecord")
_ERROR = SeverityNumber.SEVERITY_NUMBER_ERROR
_FAILED = Status(code=Status.STATUS_CODE_ERROR).SerializeToString()
_KEY = EVENT_NAME.encode()


def columns(records: Sequence[bytes]) -> wire.Columns:
    """Encoded log records as columns.

    Raises:
        TooLarge: they have more than `wire.MOST_ATTRIBUTES`.
    """
    names: list[bytes] = []
    times: list[int] = []
    statuses: list[bytes] = []
    attributes: list[list[bytes]] = []
    number = malformed = 0
    identified = True
    for encoded in records:
        wire.check_tags(encoded, 6)
        try:
            record = _LogRecord.FromString(encoded)
        except DecodeError:
            malformed += 1
            continue
        number += len(record.attributes)
        wire.check_attributes(number)
        name, rest = _name(record)
        names.append(name)
        times.append(record.time or record.observed)
        statuses.append(_FAILED if record.severity >= _ERROR else b"")
        attributes.append(rest)
        identified &= any(record.span_id)
    return wire.Columns(
        names, times, times, statuses, collect(attributes), (), malformed, identified
    )


def _name(record: Any) -> tuple[bytes, list[bytes]]:
    """The event's name, and the attributes that do not say it."""
    attributes: list[bytes] = record.attributes[:]
    if not record.event_name:
        for at, encoded in enumerate(attributes):
            if _KEY in encoded:
                key, value = otlp.key_value(encoded)
                if key == EVENT_NAME and isinstance(value, str):
                    del attributes[at]
                    return value.encode(), attributes
    return record.event_name, attributes
