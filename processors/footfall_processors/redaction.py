"""Patterns of personal data, replaced wherever a free string survives the allowlist (A2, D3).

A pattern is the last line, not the first: what is not declared is gone before, and an enum cannot hold
a name. Every repetition is bounded or cannot overlap with its
neighbour, so a hostile string costs no more than a long one.
"""

import ipaddress
import re
from collections.abc import Callable

_Replacement = str | Callable[[re.Match[str]], str]


def luhn(digits: str) -> bool:
    """Whether a string of digits passes the Luhn check (ISO/IEC 7812-1)."""
    total = 0
    for position, digit in enumerate(reversed(digits)):
        value = int(digit) * (1 + position % 2)
        total += value - 9 * (value > 9)
    return total % 10 == 0


def _card(match: re.Match[str]) -> str:
    return "[card]" if luhn(re.sub(r"\D", "", match.group())) else match.group()


def _ip(match: re.Match[str]) -> str:
    text = match.group()
    address = text.rstrip(":.")
    try:
        ipaddress.ip_address(address)
    except ValueError:
        return text
    return "[ip]" + text[len(address) :]


def _phone(match: re.Match[str]) -> str:
    text = match.group()
    digits = sum(c.isdigit() for c in text)
    international = text.startswith(("+", "00", "("))
    return "[phone]" if (7 if international else 9) <= digits <= 16 else text


_PATTERNS: tuple[tuple[re.Pattern[str], _Replacement], ...] = (
    (re.compile(r"\b[A-Za-z][A-Za-z0-9+.-]{0,20}://[^\s?#@]{0,2048}[?#@]\S*"), "[url]"),
    (re.compile(r"[\w.!#$%&'*+/=?^`{|}~-]{1,64}@[\w-]{1,63}(?:\.[\w-]{1,63}){1,8}"), "[email]"),
    (re.compile(r"\beyJ[\w-]{5,}\.[\w-]{5,}(?:\.[\w-]*)?"), "[jwt]"),
    (
        re.compile(
            r"\b(?:sk|pk|rk|ghp|gho|ghs|ghu|github_pat|glpat|xox[abprs]|AKIA|ASIA|AIza)"
            r"[_-]?[A-Za-z0-9_-]{16,}"
            r"|\b[A-Fa-f0-9]{32,}\b"  # hex keys and digests
            r"|\b(?:Bearer|Basic|Bot)\s+[A-Za-z0-9._~+/=-]{12,}"
            r"|\b[\w-]{23,28}\.[\w-]{6,7}\.[\w-]{27,}"  # Discord bot tokens
        ),
        "[key]",
    ),
    (re.compile(r"<[@#][!&]?\d{1,20}>"), "[mention]"),
    (re.compile(r"(?<!\d)\d(?:[ -]?\d){12,18}(?!\d)"), _card),
    (re.compile(r"(?<!\d)\d{17,20}(?!\d)"), "[id]"),
    (re.compile(r"(?<![\w:.])[0-9A-Fa-f:.]{2,45}(?![\w])"), _ip),
    (re.compile(r"(?<![\w.])[+(]?\d{1,4}\)?(?:[ ./-]?\(?\d{1,4}\)?){2,7}(?!\w)"), _phone),
)


def redact(text: str) -> str:
    """`text` with every recognised piece of personal data replaced by its kind, e.g. `[email]`.

    Recognised: e-mail, IPv4 and IPv6 addresses, phone numbers, payment cards (Luhn), JWTs, API keys
    and tokens, Discord ids and mentions, URLs with a query, a fragment or user information.
    """
    for pattern, replacement in _PATTERNS:
        text = pattern.sub(replacement, text)
    return text
