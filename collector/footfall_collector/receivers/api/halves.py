"""Halves of surrogate pairs in what is posted: a page that cuts a text within an emoji sends one alone.

RFC 8259, section 8.2, allows it, JavaScript writes it, and msgspec refuses the whole document. UTF-8 has no
such thing: it is read as U+FFFD, as browsers send it everywhere else.
"""

import re
from typing import Final

MOST: Final = 10_000
"""Escapes of surrogates that are looked at; a document with more is left as it is."""
_ESCAPE: Final = re.compile(
    rb"(\\u[dD][89abAB]..\\u[dD][c-fC-F]..|\\[^u]|\\u(?![dD][89a-fA-F]))|\\u[dD][89a-fA-F]..",
    re.DOTALL,
)
"""An escape that is no half, or a half."""


def mended(body: bytes) -> bytes:
    """A JSON document without halves of surrogate pairs; nearly always the same."""
    if not 0 < body.count(b"\\ud") + body.count(b"\\uD") <= MOST:
        return body
    return _ESCAPE.sub(lambda found: found[1] or rb"\ufffd", body)
