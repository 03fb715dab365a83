"""A request in JSON, part by part: what is odd in it costs itself.

Slow, and only for requests that `messages.decoder` refuses. An attribute that is wrong is left without what
is wrong (`reading.py`), and counted where everything is counted. A span, record or point that is wrong in a
field that is read becomes `encode.BROKEN`, as bytes that are no protobuf are.

Source: RFC 8259, section 8.2 (lone surrogates).
"""

from collections.abc import Sequence
from typing import Any

from msgspec import Raw

from footfall_collector.decoding import halves, wire
from footfall_collector.decoding.otlp_json import encode
from footfall_collector.decoding.otlp_json.messages import EARLIER, PARTS, Resource, Scope, names
from footfall_collector.decoding.otlp_json.reading import elements, is_null, opened, or_none
from footfall_collector.decoding.turns import Work

SLICE_BYTES = 2**15
"""Of spans, records or metrics that are read at a stretch; between slices the event loop runs (10 ms)."""
MOST_SURROGATES = 500_000
"""Escapes of surrogates in such a request; to look at each takes a microsecond."""
_WRONG = Raw(b"0")


async def groups(signal: str, body: bytes, work: Work) -> wire.Groups:
    """As `otlp_json.groups`.

    Raises:
        ValueError: it is no JSON object, or its parts are no list.
        RecursionError: it is nested too deep for msgspec.
        wire.TooLarge: it has too many parts.
    """
    group_field, scope_field, item_field, item = PARTS[signal]
    scope_names = names(scope_field) + names(EARLIER[scope_field])
    item_names = names(item_field) + names(EARLIER.get(item_field, ""))
    (found,) = opened(_readable(body), names(group_field))
    resources = [_part(each, ("resource",), scope_names) for each in elements(found)]
    parts = [
        (resource, [_part(each, ("scope",), item_names) for each in scopes])
        for resource, scopes in resources
    ]
    wire.check_numbers(
        len(parts),
        (len(scopes) for _, scopes in parts),
        (len(items) for _, scopes in parts for _, items in scopes),
    )
    encoder = encode.ENCODERS[signal]()
    return [
        part
        for resource, scopes in parts
        for part in wire.parted(
            signal,
            encoder.resource(_optional(Resource, resource)),
            [
                (encoder.scope(_optional(Scope, said)), await _items(item, items, encoder, work))
                for said, items in scopes
            ],
        )
    ]


async def _items(
    kind: Any, items: Sequence[Raw], encoder: encode.Encoder, work: Work
) -> list[bytes]:
    """Encoded spans, log records or metrics."""
    encoded: list[bytes] = []
    read = 0
    for each in items:
        encoded.append(encoder(or_none(kind, each)))
        read += len(memoryview(each)) + SLICE_BYTES // 100  # the smallest takes time as well
        if read > SLICE_BYTES:
            read = 0
            await work.pause()
    return encoded


def _optional(kind: Any, raw: Raw | None) -> Any:
    """A resource or a scope; one that cannot be read has no attributes, as in protobuf."""
    return None if raw is None else or_none(kind, raw)


def _readable(body: bytes) -> bytes:
    """`body` with a byte that is no UTF-8 for each lone surrogate, which msgspec refuses wherever it is.

    Raises:
        wire.TooLarge: it has more than `MOST_SURROGATES`.
    """
    found = halves.number(body)
    if found > MOST_SURROGATES:
        raise wire.TooLarge(MOST_SURROGATES, "escaped surrogates")
    return halves.replaced(body, b"\xff") if found else body


def _part(raw: Raw, head: tuple[str, ...], parts: tuple[str, ...]) -> tuple[Raw | None, list[Raw]]:
    """A resource or scope, and what is in it: something that is wrong, where it is no such part."""
    if is_null(raw):
        return None, []
    try:
        said, found = opened(raw, head, parts)
        return said, elements(found)
    except ValueError:
        return None, [_WRONG]
