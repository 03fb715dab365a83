"""Patterns of personal data, replaced wherever a free string survives the allowlist (A2, D3).

A pattern is the last line, not the first: what is not declared is gone before, and an enum cannot hold
a name. In doubt a pattern takes too much. Boundaries are those of ASCII words, since many languages
write without spaces. Every repetition is bounded, possessive or anchored where its run begins, so a
hostile string costs no more than a long one.
"""

import ipaddress
import re
from collections.abc import Callable

_Replacement = str | Callable[[re.Match[str]], str]

_GAP = r"[ \u00a0\u2009\u202f./()\u2010-\u2015-]"
"""What stands between the digits of a phone number: any space, dash, dot, slash or parenthesis."""
_YEAR, _DAY = r"(?:19|20)\d\d", r"(?:0?[1-9]|[12]\d|3[01])"
_DATE = rf"(?:{_YEAR}[./-]{_DAY}[./-]{_DAY}|{_DAY}[./-]{_DAY}[./-]{_YEAR})(?!\d|[./-]\d\d)"
_FOLDED = dict.fromkeys((0xAD, 0x200B, 0x2060, 0xFEFF)) | {
    code: code - 0xFEE0 for code in range(0xFF01, 0xFF5F)
}
"""Invisible characters go and full-width ones become ASCII: both would hide what a reader sees."""
_SUSPECT = re.compile(r"[\d@=:?#]|[\w.~+/-]{12}")
"""Every match below has one of these; most text has none, and is left alone quickly."""
_PASSES = 4
"""A replacement can complete another pattern; twice is nearly always enough."""


def luhn(digits: str) -> bool:
    """Whether a string of digits passes the Luhn check (ISO/IEC 7812-1)."""
    total = 0
    for position, digit in enumerate(reversed(digits)):
        value = int(digit) * (1 + position % 2)
        total += value - 9 * (value > 9)
    return total % 10 == 0


def _url(match: re.Match[str]) -> str:
    found = re.search(r"://|\w\.[A-Za-z]{2,}(?::\d+)?[/?#]", match.group())
    return "[url]" if found else match.group()


def _random(match: re.Match[str]) -> str:
    """A token mixes letters and digits at length, unlike `Team-Blue-2-and-further-words`."""
    found = re.search(r"(?=[A-Za-z]{0,15}\d)(?=\d{0,15}[A-Za-z])[A-Za-z0-9]{16}", match.group())
    return "[key]" if found else match.group()


def _card(match: re.Match[str]) -> str:
    return "[card]" if luhn(re.sub(r"\D", "", match.group())) else match.group()


def _ip(match: re.Match[str]) -> str:
    text = match.group()
    for address in (text, text.rstrip(":."), text.lstrip(":"), text.strip(":.")):
        if _is_address(address):
            return text.replace(address, "[ip]") if re.search(r"\d", address) else text
    return text


def _is_address(text: str) -> bool:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True


def _phone(match: re.Match[str]) -> str:
    """A date, and a list of versions or small numbers, are no phone number."""
    text = match.group()
    if match["date"]:
        return text
    digits = sum(map(str.isdigit, text))
    dense = re.search(r"\d{3}|(?:\d\d\D{0,2}){4}", text)
    return "[phone]" if dense and digits >= (7 if text[0] == "+" else 9) else text


_PATTERNS: tuple[tuple[re.Pattern[str], _Replacement], ...] = (
    (re.compile(r"(?<!\S)[^\s?#@]*+[?#@]\S+"), _url),
    (
        re.compile(r"[\w.!#$%&'*+/=?^`{|}~-]{1,64}(?:@|%40)[\w-]{1,63}(?:\.[\w-]{1,63}){1,8}"),
        "[email]",
    ),
    (
        re.compile(r"(?<![\w-])eyJ[\w-]{5,}+\.[\w-]{5,}+(?:\.[\w-]*+)?", re.ASCII),
        "[jwt]",
    ),
    (
        re.compile(
            r"(?<![A-Za-z0-9])(?:(?:sk|pk|rk|gh[oprsu]|github_pat|glpat|xox[abeprs])[_-]"
            r"[\w-]{16,}+|(?:AKIA|ASIA)[A-Z0-9]{16}|AIza[\w-]{30,}+)"
            r"|(?<!\w)[A-Fa-f0-9]{32,}+(?!\w)"  # hex keys and digests
            r"|(?<!\w)(?i:bearer|basic|bot)\s{1,4}(?=[\w.~+/=-]*?(?:\d|[a-z][A-Z]))[\w.~+/=-]{12,}+"
            r"|(?<![\w-])[\w-]{23,28}\.[\w-]{6,7}\.[\w-]{27,}+",  # Discord bot tokens
            re.ASCII,
        ),
        "[key]",
    ),
    (re.compile(r"(?<![\w-])[\w-]{30,}+", re.ASCII), _random),
    (re.compile(r"<[@#][!&]?\d{1,20}>|(?<![A-Za-z0-9_])@\w[\w.]{1,31}"), "[mention]"),
    (re.compile(r"[\w.]{2,32}#\d{4}(?!\d)"), "[name]"),  # Discord's discriminators
    (re.compile(rf"(?<!\d)(?!{_DATE})\d(?:{_GAP}?(?!{_DATE})\d){{12,18}}(?!\d)"), _card),
    (re.compile(r"(?<!\d)\d{17,}+"), "[id]"),  # Discord's ids have 17 to 20 digits
    (re.compile(r"(?<!\w)(?:[0-9A-F]{2}[:-]){5}[0-9A-F]{2}(?!\w)", re.ASCII | re.I), "[id]"),  # MAC
    (re.compile(r"(?<![\w.])(?:\d{1,3}\.){3}\d{1,3}(?!\w|\.\d)", re.ASCII), _ip),
    (re.compile(r"(?<!\w)(?:[0-9A-F]{0,4}:){2,7}[0-9A-F.]{0,15}", re.ASCII | re.I), _ip),
    (
        re.compile(
            rf"(?<![A-Za-z0-9_.])(?:\(?(?P<date>{_DATE})"
            rf"|\+?\(?\d(?:{_GAP}{{0,2}}(?!{_DATE})\d)*)"  # not possessive: a group's is broken in 3.11.2
        ),
        _phone,
    ),
    (
        re.compile(
            r"(?<![A-Za-z])(?i:password|passwd|pwd|secret|token|api[_-]?key)[\"']?\s{0,2}[=:]"
            r"\s{0,2}\S+"
        ),
        "[key]",
    ),
)


def redact(text: str) -> str:
    """`text` with every recognised piece of personal data replaced by its kind, e.g. `[email]`.

    Recognised: e-mail, IPv4 and IPv6 addresses, hardware addresses, phone numbers (any nine digits or
    more that are no date), payment cards (Luhn), JWTs, API keys, passwords and tokens, Discord names,
    ids and mentions, URLs with a query, a fragment or user information.
    """
    if not text.isascii():
        text = text.translate(_FOLDED)
    for _ in range(_PASSES):
        if not _SUSPECT.search(text):
            break
        before = text
        for pattern, replacement in _PATTERNS:
            text = pattern.sub(replacement, text)
        if text == before:
            break
    return text
