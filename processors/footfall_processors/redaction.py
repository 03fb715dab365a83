"""Patterns of personal data, replaced wherever a free string survives the allowlist (A2, D3).

A pattern is the last line, not the first: what is not declared is gone before, and an enum cannot hold
a name. In doubt a pattern takes too much. Text is looked at in one spelling (`folding`), with encodings
taken off; boundaries are those of ASCII words, since many languages write without spaces. Every repetition
is bounded, possessive or anchored where its run begins, so a hostile string costs no more than a long one.
"""

import re
from collections.abc import Callable
from typing import Final, NamedTuple

from footfall_processors import addresses, encoded, numbers
from footfall_processors.folding import ROUNDS, decoded, fold

_Replacement = str | Callable[[re.Match[str]], str]

_SUSPECT = re.compile(
    r"[\d@=:?#%&\\]|[\w.~+/-]{12}|[a-z][A-Z]|(?i:[\[({<][ \t]?at\b| at .{1,63} dot )"
)
"""Every match below has one of these; most text has none, and is left alone quickly."""
_PASSES: Final = 4
"""A replacement can complete another pattern; twice is nearly always enough."""


def _url(match: re.Match[str]) -> str:
    found = re.search(r"://|\w\.[A-Za-z]{2,}(?::\d+)?[/?#]", match.group())
    return "[url]" if found else match.group()


def _random(match: re.Match[str]) -> str:
    """A token mixes letters and digits at length, unlike `Team-Blue-2-and-further-words`."""
    found = re.search(r"(?=[A-Za-z]{0,15}\d)(?=\d{0,15}[A-Za-z])[A-Za-z0-9]{16}", match.group())
    return "[key]" if found else match.group()


class _Kind(NamedTuple):
    """One kind of personal data.

    Attributes:
        needed: Without a match of this cheap pattern there is nothing to look for.
        pattern: What it looks like.
        replacement: What takes its place.
    """

    needed: re.Pattern[str]
    pattern: re.Pattern[str]
    replacement: _Replacement


def _kind(
    needed: str | re.Pattern[str], pattern: str | re.Pattern[str], replacement: _Replacement
) -> _Kind:
    """A pattern given as text is one of ASCII."""
    compiled = re.compile(pattern, re.ASCII) if isinstance(pattern, str) else pattern
    return _Kind(re.compile(needed), compiled, replacement)


_DIGITS: Final = r"\d(?:\D{0,8}\d){3}"
"""Fewer are no address, and no number of anybody."""
_OPAQUE: Final = (
    _kind("[=%]40", addresses.QUOTED, "[email]"),
    _kind("[?#@]", r"(?<!\S)[^\s?#@]*+[?#@]\S+", _url),
    _kind(
        "[=:]",
        r"(?<![A-Za-z])(?i:password|passwd|pwd|secret|token|api[_-]?key)[\"']?\s{0,2}[=:]\s{0,2}\S+",
        "[key]",
    ),
)
"""Kinds that go on to the next space: they are looked for before an encoding is taken off."""
_KINDS: Final = (
    _kind("@", addresses.EMAIL, addresses.email),
    _kind("@", addresses.BARE, addresses.email),
    _kind(addresses.DODGING, addresses.DODGED, "[email]"),
    _kind(addresses.SPEAKING, addresses.SPOKEN, "[email]"),
    _kind("eyJ", r"(?<![\w-])eyJ[\w-]{5,}+\.[\w-]{5,}+(?:\.[\w-]*+)?", "[jwt]"),
    _kind(
        "[_-]|A[KS]IA|AIza",
        r"(?<![A-Za-z0-9])(?:(?:sk|pk|rk|gh[oprsu]|github_pat|glpat|xox[abeprs])[_-]"
        r"[\w-]{16,}+|(?:AKIA|ASIA)[A-Z0-9]{16}|AIza[\w-]{30,}+)",
        "[key]",
    ),
    _kind(r"\w{8}", r"(?<!\w)[A-Fa-f0-9]{32,}+(?!\w)", "[key]"),  # hex keys and digests
    _kind(
        r"(?i:bearer|basic|bot)\s",
        r"(?<!\w)(?i:bearer|basic|bot)\s{1,4}(?=[\w.~+/=-]*?(?:\d|[a-z][A-Z]))[\w.~+/=-]{12,}+",
        "[key]",
    ),
    _kind(
        r"\w\.\w{6}", r"(?<![\w-])[\w-]{23,28}\.[\w-]{6,7}\.[\w-]{27,}+", "[key]"
    ),  # Discord's bots
    _kind(r"[\w-]{30}", r"(?<![\w-])[\w-]{30,}+", _random),
    _kind("[@#]", re.compile(r"<[@#][!&]?\d{1,20}>|(?<![A-Za-z0-9_])@\w[\w.]{1,31}"), "[mention]"),
    _kind(r"#\d{4}", re.compile(r"[\w.]{2,32}#\d{4}(?!\d)"), "[name]"),  # Discord's discriminators
    _kind(_DIGITS, addresses.IPV4, addresses.ipv4),
    _kind(_DIGITS, numbers.CARD, numbers.card),
    _kind(_DIGITS, r"(?<!\d)\d{17,}+", "[id]"),  # Discord's ids have 17 to 20 digits
    _kind("[0-9A-Fa-f]{2}[:. -][0-9A-Fa-f]{2}", addresses.HARDWARE, "[id]"),
    _kind(":", addresses.IPV6, addresses.ipv6),
    _kind(_DIGITS, numbers.SPLIT, numbers.split),
    _kind(_DIGITS, numbers.PHONE, numbers.phone),
)


def redact(text: str) -> str:
    """`text` with every recognised piece of personal data replaced by its kind, e.g. `[email]`.

    Recognised: e-mail, IPv4 and IPv6 addresses, hardware addresses, phone numbers (any nine digits or
    more that are no date and no version), payment cards (Luhn), JWTs, API keys, passwords and tokens, Discord
    names, ids and mentions, URLs with a query, a fragment or user information; and texts with such in base64
    or hexadecimal digits (`[encoded]`). How well is measured by bench/redaction.py.

    Returns:
        The text as it is when nothing was found; else in the spelling in which it was looked at.
    """
    folded = fold(text)
    if not _SUSPECT.search(folded):
        return text
    found = _redacted(folded, ROUNDS)
    return text if found == folded else found


def _redacted(text: str, rounds: int) -> str:
    """A folded text without what is recognised in it, or under so many layers of encoding."""
    text = _matched(text, _OPAQUE)
    plain = fold(decoded(text)) if rounds else text
    if plain != text and (found := _redacted(plain, rounds - 1)) != plain:
        text = found
    text = _matched(text, _OPAQUE + _KINDS)
    return encoded.TOKEN.sub(lambda match: _opened(match, rounds), text) if rounds else text


def _matched(text: str, kinds: tuple[_Kind, ...]) -> str:
    for _ in range(_PASSES):
        before = text
        for kind in kinds:
            if kind.needed.search(text):
                text = kind.pattern.sub(kind.replacement, text)
        if text == before:
            break
    return text


def _opened(token: re.Match[str], rounds: int) -> str:
    def personal(text: str) -> bool:
        plain = fold(text)
        return bool(_SUSPECT.search(plain)) and _redacted(plain, rounds - 1) != plain

    return "[encoded]" if encoded.hides(token.group(), personal) else token.group()
