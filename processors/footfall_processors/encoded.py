"""Text that hides in base64, base32 or hexadecimal digits, down to the length of an address."""

import base64
import binascii
import re
from collections.abc import Callable, Iterator
from typing import Final

TOKEN: Final = re.compile(r"[A-Za-z0-9+/_-]{8,}+={0,2}")
"""The shortest: `a@b.io` in base64."""
_PIECE: Final = re.compile(r"[A-Za-z0-9]{8,}+={0,2}")
_HEX: Final = re.compile(r"(?<![0-9A-Fa-f])(?:[0-9A-Fa-f]{2}){6,}")
_BASE32: Final = re.compile(r"[A-Z2-7]{13,}")
LONGEST: Final = 1024
"""Characters of a token; a longer one is cut, since one that hides an address shows it sooner."""


def hides(token: str, personal: Callable[[str], bool]) -> bool:
    """Whether a token is a text in which something personal is found.

    Args:
        token: One of TOKEN.
        personal: Whether something is found in a text.
    """
    return any(personal(text) for text in _texts(token[:LONGEST]))


def _texts(token: str) -> Iterator[str]:
    """What a token may say, as a whole or in its pieces."""
    for digits in _HEX.findall(token):
        yield from _text(bytes.fromhex(digits))
    for letters in _BASE32.findall(token):
        letters = letters[: len(letters) - (len(letters) % 8 in (1, 3, 6))]
        yield from _text(base64.b32decode(letters + "=" * (-len(letters) % 8)))
    pieces = _PIECE.findall(token)
    for piece in (token, *(piece for piece in pieces if piece != token)):
        letters = piece.rstrip("=").replace("-", "+").replace("_", "/")
        try:
            data = base64.b64decode(letters[: len(letters) - (len(letters) % 4 == 1)] + "==")
        except binascii.Error:
            continue
        yield from _text(data)


def _text(data: bytes) -> Iterator[str]:
    """The bytes as text, if they are one: bytes that chance made are none."""
    try:
        text = data.decode()
    except UnicodeDecodeError:
        return
    if len(text) > 5 and text.replace("\n", "").replace("\t", "").isprintable():
        yield text
