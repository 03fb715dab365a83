"""Patterns of personal data, replaced wherever a free string survives the allowlist.

A pattern is the last line, not the first: what is not declared is gone before, and an enum cannot hold
a name. In doubt a pattern takes too much. Text is looked at in one spelling (`folding`), with encodings
taken off; boundaries are those of ASCII words, since many languages write without spaces. Every repetition
is bounded, possessive or anchored where its run begins, so a hostile string costs no more than a long one.
"""

import re
from collections.abc import Callable
from typing import Final, NamedTuple

from footfall_processors import addresses, credentials, encoded, numbers, paths
from footfall_processors.folding import ROUNDS, decoded, fold

_Replacement = str | Callable[[re.Match[str]], str]

_SUSPECT = re.compile(
    r"[\d@=:?#%&\\]|[\w.~+/-]{12}|[a-z][A-Z]|[/\\](?:home|[Uu]sers|media)[/\\]|~\w"
    r"|(?i:[\[({<][ \t]?(?:at?|ät)\b| -?(?:at|ät)-? .{1,63} -?(?:dot|punkt|punto|ponto)-? "
    rf"|[ (\[{{<-](?:{addresses.AT_SIGNS})[ )\]}}>-]"
    r"|[ _-]at[ _-]{1,2}[\w-]{1,63}[._-]\w|--BEGIN )"
)
"""Every match below has one of these; most text has none, and is left alone quickly."""
_IS_URL: Final = re.compile(r"://|\w\.[A-Za-z]{2,}(?::\d+)?[/?#]|^/[^?#]*\?[^=]{1,64}=")
_PASSES: Final = 4
"""A replacement can complete another pattern; twice is nearly always enough."""


def _url(match: re.Match[str]) -> str:
    found = _IS_URL.search(match.group())
    return "[url]" if found else match.group()


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
_LINES: Final = r"\d[)\]]?[ \t]{0,2}[\n\r<]"
"""A number at the end of a line."""
_OPAQUE: Final = (
    _kind("[=%]40", addresses.QUOTED, "[email]"),
    _kind("[?#@]", r"(?<!\S)[^\s?#@]*+[?#@]\S+", _url),
    _kind("[=:]", credentials.NAMED, "[key]"),
    _kind("--BEGIN", credentials.PEM, "[key]"),
    _kind("(?i:discord)", r"(?i:discord(?:app)?\.(?:gg|com/invite)/)[\w-]+", "[url]"),
)
"""Kinds that go on to the next space: they are looked for before an encoding is taken off."""
_KINDS: Final = (
    _kind("@", addresses.EMAIL, addresses.email),
    _kind("@", addresses.BARE, addresses.email),
    _kind(addresses.DODGING, addresses.DODGED, "[email]"),
    _kind(addresses.SPEAKING, addresses.SPOKEN, "[email]"),
    _kind(addresses.SAYING, addresses.SAID, "[email]"),
    _kind(addresses.NAMING, addresses.NAMED, "[email]"),
    _kind("eyJ", credentials.JWT, "[jwt]"),
    _kind("[_-]|A[KS]IA|AIza|ya29|SG", credentials.PREFIXED, "[key]"),
    _kind(r"\w{8}", credentials.HEX, "[key]"),
    _kind(r"(?i:bearer|basic|bot|token)[\s:=]", credentials.SCHEME, "[key]"),
    _kind(r"\w\.\w{6}", credentials.DISCORD, "[key]"),
    _kind("[A-Za-z0-9+/]{40}", credentials.FORTY, credentials.forty),
    _kind(r"[A-Za-z]{2}\d\d", numbers.IBAN, numbers.iban),
    _kind(r"[\w-]{30}", credentials.RUN, credentials.run),
    _kind(rf"/home/|/run/media/|[/\\](?:{paths.FOLDERS})|\$[/\\]|~\w", paths.HOME, paths.home),
    _kind("[@#]", re.compile(r"<[@#][!&]?\d{1,20}>|(?<![A-Za-z0-9_])@\w[\w.-]{1,31}"), "[mention]"),
    _kind(r"#\d{4}", re.compile(r"[\w.]{2,32}#\d{4}(?!\d)"), "[name]"),  # Discord's discriminators
    _kind(_DIGITS, addresses.IPV4, addresses.ipv4),
    _kind(_DIGITS, numbers.CARD, numbers.card),
    _kind(r"\[card\]", numbers.AFTER_CARD, "[card]"),
    _kind(_DIGITS, numbers.FOURS, numbers.card),
    _kind(_LINES, numbers.WRAPPED_CARD, numbers.card),
    _kind(_DIGITS, r"(?<!\d)\d{17,}+", "[id]"),  # Discord's ids have 17 to 20 digits
    _kind("[0-9A-Fa-f][:. _-][0-9A-Fa-f]{2}", addresses.HARDWARE, "[id]"),
    _kind("[0-9A-Fa-f]{12}", addresses.NAMED_HARDWARE, r"\g<name>[id]"),
    _kind(":", addresses.IPV6, addresses.ipv6),
    _kind(r"(?i:[-_][0-9A-F]{1,4}[-_]|ipv6|ip6\.)", addresses.WRITTEN_IPV6, "[ip]"),
    _kind(_DIGITS, numbers.SPLIT, numbers.split),
    _kind(_LINES, numbers.WRAPPED, numbers.wrapped),
    _kind(_DIGITS, numbers.PHONE, numbers.phone),
)


def redact(text: str) -> str:
    """`text` with every recognised piece of personal data replaced by its kind, e.g. `[email]`.

    Recognised: e-mail, IPv4 and IPv6 addresses, hardware addresses, phone numbers (any nine digits or
    more that are no date and no version), payment cards (Luhn), accounts (IBAN), JWTs, API keys, passwords
    and tokens, names in paths of home folders, Discord names, ids, mentions and invitations, URLs with a
    query, a fragment or user information; and texts with such in base64, base32 or hexadecimal digits
    (`[encoded]`). How well is measured by bench/redaction.

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
