"""Spans written by hand, at a moment that stands still, and the salts that there are then."""

import datetime as dt

from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue
from opentelemetry.proto.trace.v1.trace_pb2 import Span

from footfall_processors import Hash

NOW = dt.datetime(2026, 11, 18, 0, 30, tzinfo=dt.UTC)  # a Wednesday, half an hour into the day
NOW_US = int(NOW.timestamp()) * 10**6
SECOND, MINUTE, HOUR, DAY = 10**9, 60 * 10**9, 3600 * 10**9, 86_400 * 10**9

TODAY = (NOW.date() - dt.date(1970, 1, 1)).days
WEEK = (NOW.date() - dt.date(1969, 12, 29)).days // 7
# The day before yesterday and last month have no salt; the static one is there.
SALTS = {
    (Hash.STATIC, 0): b"static" * 6,
    (Hash.DAILY, TODAY): b"today!" * 6,
    (Hash.DAILY, TODAY - 1): b"yester" * 6,
    (Hash.WEEKLY, WEEK): b"weekly" * 6,
    (Hash.WEEKLY, WEEK - 1): b"before" * 6,
    (Hash.MONTHLY, 2026 * 12 + 10): b"month!" * 6,
}


def key_value(key, **kind):
    return KeyValue(key=key, value=AnyValue(**kind))


def one_span(name="shop.order", *attributes, end=NOW_US * 1000, length=83_000_000, **fields):
    return Span(
        name=name,
        start_time_unix_nano=end - length,
        end_time_unix_nano=end,
        attributes=attributes,
        **fields,
    )


def body_of(*spans, service="shop"):
    """A request of one scope; spans may be encoded already."""
    encoded = [s if isinstance(s, bytes) else s.SerializeToString() for s in spans]
    scope = b"".join(length_prefixed(2, each) for each in encoded)
    pair = key_value("service.name", string_value=service).SerializeToString()
    group = length_prefixed(1, length_prefixed(1, pair)) + length_prefixed(2, scope)
    return length_prefixed(1, group)


def length_prefixed(number, content):
    size, prefix = len(content), bytearray([number << 3 | 2])
    while size > 0x7F:
        prefix.append(size & 0x7F | 0x80)
        size >>= 7
    return bytes([*prefix, size]) + content
