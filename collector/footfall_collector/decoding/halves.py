"""Halves of surrogate pairs in JSON: a page that cuts a text within an emoji sends one alone.

RFC 8259, section 8.2, allows it, JavaScript writes it, and msgspec refuses the whole document.
"""

import re
from typing import Final

MOST: Final = 10_000
"""Escapes of surrogates that are mended; a document with more is left as it is."""
_ESCAPES: Final = re.compile(
    rb"((?:[^\\]++|\\[^u]|\\u(?![dD][89a-fA-F])|\\u[dD][89abAB]..\\u[dD][c-fC-F]..)*+)(\\u[dD][89a-fA-F]..)?",
    re.DOTALL,
)
"""What is no escape of a lone surrogate, as far as it goes, and such an escape."""


def number(body: bytes) -> int:
    """How many escapes of surrogates there are, whole pairs among them."""
    return body.count(b"\\ud") + body.count(b"\\uD")


def replaced(body: bytes, sign: bytes) -> bytes:
    """A document with a sign for each half; to look at an escape takes up to a microsecond."""
    return _ESCAPES.sub(lambda found: found[1] + sign if found[2] else found[1], body)


def mended(body: bytes) -> bytes:
    """A document with U+FFFD for each half, as browsers send it wherever it is no escape."""
    return replaced(body, rb"\ufffd") if 0 < number(body) <= MOST else body
