"""One attribute value made fit for storage: typed, clamped, redacted, safe for Postgres.

Everything that Postgres would refuse in a COPY (NUL bytes, lone surrogates, integers beyond 64 bits,
floats that break aggregates) ends here, so that one sender's value can never fail another's request.
"""

import math
import uuid
from typing import Any

from footfall_processors.catalog import Attribute, Type
from footfall_processors.redaction import redact

INT_MIN, INT_MAX = -(2**63), 2**63 - 1
FLOAT_MAX, FLOAT_MIN = 1e100, 1e-100
"""Beyond these, sums and quotients of stored floats overflow or underflow, which fails a whole query."""
LONGEST = 16_384
"""Characters; a longer string is not cut but dropped: a cut could split what a pattern must see."""

MARGIN = 512
"""Characters beyond `max_length` that are looked at: a pattern recognises what it must within them."""

Value = str | int | float | bool | bytes
_UNSAFE = {0: "\ufffd"} | dict.fromkeys(range(0xD800, 0xE000), "\ufffd")


def hashable(value: Any) -> bool:
    """Whether a raw value of a hashed attribute may be hashed: text of bounded length, or an int.

    Ints may have 64 bits: ids come signed and unsigned, and an endless one cannot be written as text.
    """
    if isinstance(value, str):
        return 0 < len(value) <= LONGEST
    return isinstance(value, int) and not isinstance(value, bool) and INT_MIN <= value < 2**64


def clean(attribute: Attribute, value: Any) -> Value | None:
    """A raw value as it may be stored; None when it is not of the declared type.

    Args:
        attribute: A declared attribute that is not hashed.
        value: What the sender sent: str, int, float, bool, bytes, list, dict or None.

    Returns:
        int within [min, max] and 64 bits; float within [min, max] and ±FLOAT_MAX; bool; redacted
        str of at most `max_length` characters; the 16 bytes of a uuid; an enum's value.
    """
    match attribute.type:
        case Type.INT:
            return _clean_int(attribute, value)
        case Type.FLOAT:
            return _clean_float(attribute, value)
        case Type.BOOL:
            return value if isinstance(value, bool) else None
        case Type.ENUM:
            return value if isinstance(value, str) and value in attribute.values else None
        case Type.UUID:
            return _clean_uuid(value)
        case Type.STRING:
            return _clean_text(attribute, value)


def safe_text(text: str) -> str:
    """`text` without what Postgres refuses in `text`: NUL and lone surrogates become U+FFFD."""
    return text.translate(_UNSAFE)


def _clean_int(attribute: Attribute, value: Any) -> int | None:
    if isinstance(value, float) and math.isfinite(value):
        value = round(value)
    if not isinstance(value, int) or isinstance(value, bool):
        return None
    low = INT_MIN if attribute.min is None else int(attribute.min)
    high = INT_MAX if attribute.max is None else int(attribute.max)
    return min(max(value, low), high)


def _clean_float(attribute: Attribute, value: Any) -> float | None:
    if not isinstance(value, int | float) or isinstance(value, bool):
        return None
    number = float(min(max(value, INT_MIN), INT_MAX)) if isinstance(value, int) else value
    if not math.isfinite(number):
        return None
    if abs(number) < FLOAT_MIN:
        number = 0.0
    low = -FLOAT_MAX if attribute.min is None else float(attribute.min)
    high = FLOAT_MAX if attribute.max is None else float(attribute.max)
    return min(max(number, low), high)


def _clean_uuid(value: Any) -> bytes | None:
    try:
        return uuid.UUID(value).bytes if isinstance(value, str) else None
    except ValueError:
        return None


def is_text(value: Any) -> bool:
    """Whether `clean` keeps something of a value for an attribute of type string; cheaper than asking it."""
    return isinstance(value, str) and len(value) <= LONGEST


def looked_at(attribute: Attribute, value: str) -> int:
    """How many characters of a text `clean` searches: what it costs."""
    return min(len(value), attribute.max_length + MARGIN)


def _clean_text(attribute: Attribute, value: Any) -> str | None:
    if not is_text(value):
        return None
    cut = looked_at(attribute, value)
    text = redact(safe_text(value[:cut]))
    # What crosses the cut may go unrecognised; it begins within the margin, which goes with it.
    return (text if cut == len(value) else text[:-MARGIN])[: attribute.max_length]
