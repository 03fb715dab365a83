"""One spelling for what is read alike, so that patterns need to know one only (Unicode 16, UAX 15 and 44).

Text is folded to be looked at; what is stored is the text as it came, unless something was found in it.
"""

import re
import unicodedata
from functools import cache
from typing import Final

_ODD: Final = re.compile(r"[^\t-\r -~]")
"""Whatever is not plain ASCII."""
_INVISIBLE: Final = (
    *range(0x09), *range(0x0E, 0x20), 0x7F, 0x034F, 0x115F, 0x1160, 0x17B4, 0x17B5, *range(0x180B, 0x1810),
    0x3164, 0xFFA0, *range(0xFE00, 0xFE10), *range(0xE0100, 0xE01F0), *range(0x0300, 0x0370),
    *range(0x20D0, 0x2100),
)  # fmt: skip
"""Controls, fillers, variation selectors and marks that are left after composition; beside all of Cf."""
_ALIKE: Final = {
    " ": (0x2028, 0x2029, 0x2800, 0xFFFD),
    "-": (0x2212, 0x02D7, 0x2043),
    ".": (
        0x3002,
        0xFF61,
        0xB7,
        0x0387,
        0x2022,
        0x2027,
        0x2219,
        0x22C5,
        0x30FB,
        0xFF65,
        0x2E31,
        0x06D4,
    ),
    "/": (0x2044, 0x2215, 0x29F8),
    ":": (0x2236, 0xA789, 0x05C3, 0x02D0),
    "_": (0x203F, 0x2040),
    "'": (0x2018, 0x2019, 0x02BC, 0x2032),
    "+": (0x2795, 0x02D6),
}
"""Signs that compatibility does not unite."""
_CATEGORIES: Final = {"Cf": "", "Zs": " ", "Pd": "-"}
ROUNDS: Final = 3
"""How often something may be encoded for it to be found."""
_PERCENT: Final = re.compile(r"%[0-9A-Fa-f]{2}")
_ESCAPE: Final = re.compile(
    r"%u([0-9A-Fa-f]{4})|\\(?:u\{([0-9A-Fa-f]{1,6})\}|u([0-9A-Fa-f]{4})|x([0-9A-Fa-f]{2})|U([0-9A-Fa-f]{8})|([0-7]{3}))"
)


def fold(text: str) -> str:
    """`text` in compatibility composition, without invisible characters, with ASCII's digits and signs."""
    if not _ODD.search(text):
        return text
    return unicodedata.normalize("NFKC", text).translate(_table())


def decoded(text: str) -> str:
    """`text` with one layer of percent encoding, entities of HTML and escapes of JSON and C taken off."""
    if "%" in text and _PERCENT.search(text):
        from urllib.parse import unquote

        text = unquote(text)
    if "&" in text:
        from html import unescape

        text = unescape(text)
    return _ESCAPE.sub(_character, text) if "\\" in text or "%u" in text else text


def _character(match: re.Match[str]) -> str:
    code = int(match[6], 8) if match[6] else int(next(filter(None, match.groups())), 16)
    return chr(code) if code < 0x110000 else match.group()


@cache
def _table() -> dict[int, str]:
    """What becomes of the characters that are not kept; made when the first is met."""
    table: dict[int, str] = {}
    for code in (*range(0x80, 0x20000), *range(0xE0000, 0xE0080)):
        character = chr(code)
        category = unicodedata.category(character)
        if category in _CATEGORIES:
            table[code] = _CATEGORIES[category]
        elif category == "Nd":
            table[code] = str(unicodedata.decimal(character))
    table |= dict.fromkeys(_INVISIBLE, "")
    return table | {code: sign for sign, codes in _ALIKE.items() for code in codes}
