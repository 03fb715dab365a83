"""Keyed hashing of identifiers, with static and rotating salts (docs/design.md, "Salts").

HMAC-SHA256 over the attribute's name and the value's text, cut to 128 bits. A rotating salt belongs to
a period of UTC time; the event's own time picks the period. When a salt has been destroyed, the values
of its period can no longer be hashed, and are dropped.
"""

import datetime as dt
import hmac
import math
import re
import unicodedata
from collections.abc import Mapping
from itertools import pairwise

from footfall_processors.catalog import Hash
from footfall_processors.errors import OperatorError

MINIMUM_SALT = 32
"""Bytes; a shorter TELEMETRY_HASH_SALT is refused."""
MINIMUM_STRENGTH = 80.0
"""Bits that a static salt has at least, as `strength` estimates them; 32 random digits have about 118."""
_USUAL = re.compile(
    "change[ _-]?(?:me|this|it)?|pass(?:word|phrase|wd)?|secret|example|default|placeholder|insert|replace"
    "|your|here|todo|test(?:ing)?|salt|hash|key|telemetry|footfall|admin|root|please|dummy|sample|random"
    "|production|staging|development|123456(?:789)?0?|qwertz?u?i?o?p?|qwerty(?:uiop)?|asdfghjkl?|[yz]xcvbnm"
    "|qazwsx(?:edc)?(?:rfv)?(?:tgb)?(?:yhn)?(?:ujm)?|1q2w3e4r(?:5t)?(?:6[yz])?(?:7u)?(?:8i)?(?:9o)?(?:0p)?"
)
_WORDS = re.compile(r"[A-Za-z]{1,12}(?:[^A-Za-z0-9]+[A-Za-z]{1,12})+[^A-Za-z]*")
"""A sentence, or words by dice."""
_BITS_OF_A_WORD = 13
"""Of one that is drawn from some 7,000; in a sentence it has fewer."""
_REPEATED = 5
"""Characters on end that were there before say nothing new."""
STATIC_PERIOD = 0
_MAKE_ONE = "make one with `openssl rand -hex 32`."

Period = tuple[Hash, int]
Salts = Mapping[Period, bytes]


class SaltError(OperatorError, ValueError):
    """TELEMETRY_HASH_SALT cannot be used."""


class WeakSalt(SaltError):
    """Somebody might guess it."""


def static_salts(salt: str | None) -> dict[Period, bytes]:
    """The operator's salt as the one salt of Hash.STATIC; empty when none is set.

    Raises:
        SaltError: it is shorter than 32 bytes.
        WeakSalt: it is long, but repeats itself, counts up, or says what everybody writes there.
    """
    if not salt:
        return {}
    key = salt.encode("utf-8", "surrogateescape")
    if len(key) < MINIMUM_SALT:
        raise SaltError(f"TELEMETRY_HASH_SALT must be at least {MINIMUM_SALT} bytes", _MAKE_ONE)
    if strength(salt) < MINIMUM_STRENGTH:
        raise WeakSalt("TELEMETRY_HASH_SALT is easy to guess", _MAKE_ONE)
    return {(Hash.STATIC, STATIC_PERIOD): key}


def period(kind: Hash, time_us: int) -> Period:
    """The period that an event's time (µs since the Unix epoch, UTC) falls into.

    Numbered by days since 1970-01-01, ISO weeks since 1969-12-29, or months since year 0.
    """
    days = time_us // 86_400_000_000
    match kind:
        case Hash.DAILY:
            return kind, days
        case Hash.WEEKLY:
            return kind, (days + 3) // 7
        case Hash.MONTHLY:
            day = dt.date(1970, 1, 1) + dt.timedelta(days=days)
            return kind, day.year * 12 + day.month - 1
        case Hash.STATIC:
            return kind, STATIC_PERIOD


def keyed_hash(salt: bytes, name: str, value: object, product: str = "") -> bytes:
    """The 16 bytes that are kept of a value: they go into a `uuid` column.

    The attribute's name and the product are part of the message, so that equal values under two names, or in
    two products, cannot be joined. Equal numbers and texts (`42` and `"42"`) give equal hashes, whatever the
    sender's type.

    Args:
        salt: The key.
        name: Of the attribute.
        value: str or int.
        product: To which it is bound; empty where products share the attribute (`Catalog.bound`).
    """
    bound = f"\x00{product}\x00" if product else ""  # no attribute's name begins with NUL
    message = f"{bound}{name}\x00{_text(value)}".encode("utf-8", "replace")
    return hmac.digest(salt, message, "sha256")[:16]


MARK = b"footfall"
"""Before a pseudonym on its way to another Footfall: 16 bytes alone may be anything."""


def marked(pseudonym: bytes) -> bytes:
    """A pseudonym as it is passed on."""
    return MARK + pseudonym


def unmarked(value: object) -> bytes | None:
    """The pseudonym that was passed on; None for any other value."""
    if isinstance(value, bytes) and len(value) == len(MARK) + 16 and value.startswith(MARK):
        return value[len(MARK) :]
    return None


def _text(value: object) -> str:
    return unicodedata.normalize("NFC", str(value))


def strength(salt: str) -> float:
    """How many bits a salt has at most, of what is no repetition, no sequence and no usual word.

    Words are taken for drawn by dice, which nobody can tell from a sentence.
    """
    if _WORDS.fullmatch(salt):
        return float(
            _BITS_OF_A_WORD * len({word.lower() for word in re.findall("[A-Za-z]+", salt)})
        )
    text = _once(_USUAL.sub("", _unit(salt).lower()))
    steps = [ord(after) - ord(before) for before, after in pairwise(text)]
    new = len(text) - sum(abs(step) <= 1 and step == earlier for earlier, step in pairwise(steps))
    return new * math.log2(max(len(set(text)), 1))


def _once(text: str) -> str:
    """A text without what was there before."""
    kept, at = "", 0
    while at < len(text):
        size = 1
        while at + size < len(text) and text[at : at + size + 1] in text[:at]:
            size += 1
        if size < _REPEATED or text[at : at + size] not in text[:at]:
            size, kept = 1, kept + text[at]
        at += size
    return kept


def _unit(text: str) -> str:
    """What is repeated, where a text is a repetition of its beginning."""
    sizes = range(1, len(text) // 2 + 1)
    return text[: next((size for size in sizes if text.startswith(text[size:])), len(text))]
