"""A byte search for any part, of some length, of any planted value in any of the forms in which bytes hide.

A piece of 11 bytes holds a word of 8 that begins at a multiple of 4. So content is read as 64-bit words, at
two offsets, and each is looked up in the set of all that are part of a form: fast enough for a database.
"""

import base64
import re
import struct
import sys
import zlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import islice, repeat
from urllib.parse import quote, unquote_to_bytes

from e2e.leaks.planting import HIGH, Planted

WORD, STEP = 8, 4
LEAST = 12
"""Characters of a text that are no chance."""
MOST_INFLATED = 2**26


@dataclass(frozen=True, slots=True)
class Hit:
    """Something that was found.

    Attributes:
        planted: What; None for a number in binary, which looks the same for all of them.
        form: In which form.
        around: The bytes there.
    """

    planted: Planted | None
    form: str
    around: bytes

    def __str__(self) -> str:
        what = self.planted.where if self.planted else "a number"
        return f"{what}, {self.form}: {self.around!r}"


class Search:
    """Looks for these values."""

    def __init__(self, values: Iterable[Planted]) -> None:
        self._forms: list[tuple[Form, Planted]] = []
        self._words: dict[int, int] = {}  # → the number of a form that has it
        for value in values:
            for form in (form for core in value.cores for form in forms(core)):
                self._words.update(zip(form.words(), repeat(len(self._forms)), strict=False))
                self._forms.append((form, value))

    def find(self, content: bytes) -> list[Hit]:
        """What is in the content, and in what can be made of it."""
        return [hit for name, view in views(content) for hit in self._find(name, view)]

    def _find(self, name: str, content: bytes) -> Iterator[Hit]:
        seen: set[int] = set()
        for start in range(0, WORD, STEP):
            seen |= self._words.keys() & _words(content[start:] + bytes(WORD))
        there: set[int] = set()
        for word in seen:
            number = self._words[word]
            form, planted = self._forms[number]
            if number in there or (at := _place(content, form, word)) is None:
                continue
            there.add(number)
            yield Hit(planted, f"{form.name}, {name}", content[max(0, at - 100) : at + 100])
        for binary in _NUMBERS:
            if (at := content.find(binary)) >= 0:
                yield Hit(None, f"binary, {name}", content[max(0, at - 60) : at + 60])


@dataclass(frozen=True, slots=True)
class Form:
    """A way to write a text.

    Attributes:
        name: What it is called.
        content: The bytes.
        size: How many bytes of it, at most, stand for one of the text.
    """

    name: str
    content: bytes
    size: int = 1

    @property
    def least(self) -> int:
        """How many of its bytes are no chance."""
        return min(LEAST * self.size, len(self.content))

    def words(self) -> Iterator[int]:
        """Its words: enough of them that any long piece has one, wherever in a file it stands."""
        for start in range(STEP if self.size > 1 else WORD):
            yield from _words(self.content[start:])


def forms(text: str) -> Iterator[Form]:
    """The forms of a text, without what depends on its neighbours."""
    raw = text.encode()
    yield Form("plain", raw)
    yield Form("UTF-16", text.encode("utf-16-le"), 2)
    yield Form("hex", raw.hex().encode(), 2)
    yield Form("HEX", raw.hex().upper().encode(), 2)
    for before in range(3):
        # Whole characters that stand for `raw` alone when so many bytes precede it.
        encoded = base64.b64encode(bytes(before) + raw)
        own = encoded[-(-8 * before // 6) : 8 * (before + len(raw)) // 6]
        yield Form("base64", own, 2)
        if (other := own.translate(bytes.maketrans(b"+/", b"-_"))) != own:
            yield Form("base64url", other, 2)


def views(content: bytes) -> Iterator[tuple[str, bytes]]:
    """The content as it is, what is compressed in it, and it without JSON's and URLs' escapes."""
    content = _EMPTY.sub(bytes(64), content)
    yield "as it is", content
    for stream in _streams(content):
        yield "compressed", stream
    if len(_ESCAPES.findall(content)) > 4:
        yield "JSON-escaped", _ESCAPES.sub(lambda found: bytes([int(found[1], 16)]), content)
    if len(_PERCENT.findall(content)) > 4:
        yield "percent-encoded", unquote_to_bytes(content)


def escaped(text: str) -> dict[str, bytes]:
    """A text as JSON and URLs may have it, with every character escaped."""
    return {
        "JSON-escaped": "".join(f"\\u{ord(c):04x}" for c in text).encode(),
        "percent-encoded": "".join(f"%{ord(c):02X}" for c in text).encode() + quote("ü").encode(),
    }


def _streams(content: bytes) -> Iterator[bytes]:
    """What gzip and zlib have compressed, wherever in the content."""
    for found in _MAGIC.finditer(content):
        inflater = zlib.decompressobj(wbits=47)
        try:
            stream = inflater.decompress(
                content[found.start() : found.start() + 2**22], MOST_INFLATED
            )
        except zlib.error:
            continue
        if len(stream) >= WORD:
            yield stream


def _words(content: bytes) -> memoryview:
    return memoryview(content[: len(content) // WORD * WORD]).cast("Q")


def _place(content: bytes, form: "Form", word: int) -> int | None:
    """Where the content has the form, or enough of it around this word of it."""
    if (at := content.find(form.content)) >= 0:
        return at
    text = word.to_bytes(WORD, sys.byteorder)
    own = form.content.find(text)
    for match in islice(re.finditer(re.escape(text), content), 50):
        if _common(content, match.start(), form.content, own) >= form.least:
            return match.start()
    return None


def _common(content: bytes, at: int, form: bytes, own: int) -> int:
    """How long content and form are the same around a word that both have."""
    before = _same(content[max(0, at - own) : at][::-1], form[:own][::-1])
    return before + _same(content[at : at + len(form) - own], form[own:])


def _same(one: bytes, other: bytes) -> int:
    """How many bytes are the same from the beginning."""
    pairs = enumerate(zip(one, other, strict=False))
    return next((n for n, (a, b) in pairs if a != b), min(len(one), len(other)))


_EMPTY = re.compile(rb"\0{64,}")
"""Runs of zero bytes, of which a database is full."""
_MAGIC = re.compile(rb"\x1f\x8b\x08|\x78[\x01\x5e\x9c\xda]")
_ESCAPES = re.compile(rb"\\u00([0-9a-fA-F]{2})")
_PERCENT = re.compile(rb"%[0-9a-fA-F]{2}")
_NUMBERS = [
    HIGH.to_bytes(6, "little"),
    HIGH.to_bytes(6, "big"),
    struct.pack(">d", float(HIGH << 16))[:6],
    struct.pack("<d", float(HIGH << 16))[-6:],
]
"""All planted numbers have these bytes, as integers and as floats."""
