"""OTLP/JSON → the encoded spans, log records and metrics that everything else reads.

Only what the collector looks at is carried over: bodies, events, links, exemplars and all that
nobody reads are checked to be JSON and skipped. What is in a list, a map or bytes can be no declared
value; such a value stays a list, a map or bytes, and is empty. Nothing is remembered beyond a request.

A request is read at once by msgspec; one in which something is unusual or wrong is read again, part by part
(`patient.py`), so that an odd value costs itself, an odd record itself, and neither the request. One that is
nested too deep for msgspec is read without what is so deep (`shallow.py`).

Source: OTLP specification, "JSON Protobuf Encoding"; protobuf, "ProtoJSON Format".
"""

from typing import Any

from google.protobuf.message import DecodeError

from footfall_collector.decoding import wire
from footfall_collector.decoding.otlp_json import encode, messages, patient, shallow
from footfall_collector.decoding.turns import Work

SLICE = 2000
"""Spans, records or metrics encoded at a stretch; between slices the event loop runs."""
OBJECT, VALUE, MOST = 100, 72, 96 * 2**20
"""Bytes that an object takes in memory, and beside that every value of several; and what those of a request
may take: about 35,000 spans. An object is written in two bytes, so that the size alone bounds too little."""
WEIGHED = 2**20
"""Bytes of a body that is weighed before it is read; of others only those that give up their turn are."""
_BOM = b"\xef\xbb\xbf"
"""May be ignored (RFC 8259, section 8.1)."""
_DECODERS = {signal: messages.decoder(signal) for signal in messages.PARTS}


async def groups(signal: str, body: bytes, take: wire.Take = wire.take_nothing) -> wire.Groups:
    """What a request in JSON says, as `wire.groups`, of metrics `wire.scopes`, gives it for protobuf.

    Args:
        signal: `traces`, `metrics` or `logs`.
        body: Decompressed.
        take: Is told how many bytes it will have in memory, where that is much or for long; may raise.

    Raises:
        google.protobuf.message.DecodeError: it is not one; nothing of it is kept.
        wire.TooLarge: it has too many parts; nothing of it is kept.
    """
    body = body.removeprefix(_BOM)
    if not body.strip():  # as an empty request in protobuf
        return []
    async with Work() as work:
        try:
            return await _groups(signal, body, take, work)
        except RecursionError:
            take(len(body) + (0 if len(body) > WEIGHED else _weight(body)))
            return await _shallow(signal, body, work)


async def _groups(signal: str, body: bytes, take: wire.Take, work: Work) -> wire.Groups:
    weighed = len(body) > WEIGHED
    if weighed:
        take(_weight(body))
    try:
        found = _DECODERS[signal].decode(body).groups or ()
    except ValueError:
        if not weighed:
            take(_weight(body))
        return await _patiently(signal, body, work)
    if not weighed and sum(len(s.items or ()) for g in found for s in g.scopes or ()) > SLICE:
        take(_weight(body))
    wire.check_numbers(
        len(found),
        (len(group.scopes or ()) for group in found),
        (len(scope.items or ()) for group in found for scope in group.scopes or ()),
    )
    encoder = encode.ENCODERS[signal]()
    return [
        part
        for group in found
        for part in wire.parted(
            signal,
            encoder.resource(group.resource),
            [
                (encoder.scope(getattr(scope, "scope", None)), await _items(scope, encoder, work))
                for scope in group.scopes or ()
            ],
        )
    ]


def _weight(body: bytes) -> int:
    """Bytes that a body takes once it is read.

    Raises:
        wire.TooLarge: too many.
    """
    found = OBJECT * body.count(b"{") + VALUE * body.count(b",")
    if found > MOST:
        raise wire.TooLarge(MOST, "bytes of JSON objects and values")
    return found


async def _patiently(signal: str, body: bytes, work: Work) -> wire.Groups:
    try:
        return await patient.groups(signal, body, work)
    except ValueError:  # their texts quote what was sent
        raise DecodeError("not OTLP/JSON") from None


async def _shallow(signal: str, body: bytes, work: Work) -> wire.Groups:
    """A request without what is nested too deep."""
    try:
        return await _groups(signal, await shallow.emptied(body, work), wire.take_nothing, work)
    except (ValueError, RecursionError):
        raise DecodeError("not OTLP/JSON") from None


async def _items(scope: Any, encoder: encode.Encoder, work: Work) -> list[bytes]:
    """All that a scope has."""
    items: list[bytes] = []
    for start in range(0, len(scope.items or ()), SLICE):
        items += map(encoder, scope.items[start : start + SLICE])
        await work.pause()
    return items
