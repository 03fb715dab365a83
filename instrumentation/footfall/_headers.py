"""Headers that go with each export, such as a key. What is wrong with one is said without repeating it."""

import re
from collections.abc import Iterable, Mapping
from typing import Any, Final
from urllib.parse import unquote

from footfall._values import bare

_NAMES: Final = {
    "grpc": re.compile(r"(?!grpc-)[0-9a-z_.-]+(?<!-bin)"),  # gRPC over HTTP2, "Custom-Metadata"
    "http/protobuf": re.compile(r"[0-9a-z!#$%&'*+.^_`|~-]+"),  # RFC 9110, 5.6.2
}
_VALUE: Final = re.compile(r"[\x20-\x7e]+")
_TAKEN: Final = frozenset(
    ("connection", "content-encoding", "content-length", "content-type", "host", "te",
     "transfer-encoding")
)  # fmt: skip
"""What the protocol itself sets."""


def parse_headers(name: str, given: Any, protocol: str, notes: list[str]) -> dict[str, str]:
    """Headers by their names in lower case.

    Args:
        name: What they come from.
        given: A mapping, or text as OTEL_EXPORTER_OTLP_HEADERS has it: `name=value,...`, URL-encoded.
        protocol: `grpc` or `http/protobuf`.
        notes: Takes what is said about those that are left out.

    Raises:
        ValueError: it is neither.
    """
    if not isinstance(given, str | Mapping):
        raise ValueError("must be a mapping of names to values")
    pairs = _listed(given) if isinstance(given, str) else given.items()
    headers, bad = {}, 0
    for key, value in pairs:
        if _is_good(key, value, protocol):
            headers[key.strip().lower()] = value.strip()
        else:
            bad += 1
    if bad:
        some = "a header that is" if bad == 1 else f"{bad} headers that are"
        notes.append(
            f"{name} holds {some} no `name=value` in ASCII, or not for the sender to set; left out"
        )
    return headers


def _listed(text: str) -> Iterable[tuple[str, str]]:
    """The parts of a list, as the W3C's baggage has it; what it leaves unencoded is taken as it is."""
    for part in filter(None, (part.strip() for part in bare(text).split(","))):
        key, _, value = bare(part).partition("=")
        yield unquote(key), unquote(bare(value))


def _is_good(key: object, value: object, protocol: str) -> bool:
    if not isinstance(key, str) or not isinstance(value, str):
        return False
    key = key.strip().lower()
    known = _NAMES[protocol].fullmatch(key) and key not in _TAKEN
    return bool(known and _VALUE.fullmatch(value.strip()))
