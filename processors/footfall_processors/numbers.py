"""Telephone and card numbers among digits: what is somebody's, and what a version, a date or a list."""

import re
from collections.abc import Sequence
from itertools import pairwise
from typing import Final

SIGN: Final = r"[ \t./()\[\]_-]"
"""What stands between the digits of a number, once text is folded."""
_YEAR, _MONTH, _DAY = r"(?:19|20)\d\d", r"(?:0?[1-9]|1[0-2])", r"(?:0?[1-9]|[12]\d|3[01])"
DATE: Final = (
    rf"(?:{_YEAR}[./_-]{_DAY}[./_-]{_DAY}|{_DAY}[./_-]{_DAY}[./_-]{_YEAR})(?!\d|[./-]\d\d)"
)
PHONE: Final = re.compile(
    rf"(?<![0-9])(?<![0-9]\.)(?:\(?(?P<date>{DATE})"
    rf"|\+?[(\[]?\d(?:{SIGN}{{0,8}}(?!{DATE})\d)*)"  # not possessive: a group's is broken in 3.11.2
)
CARD: Final = re.compile(rf"(?<!\d)(?!{DATE})\d(?:{SIGN}{{0,8}}(?!{DATE})\d){{12,18}}(?!\d)")
AFTER_CARD: Final = re.compile(rf"\[card\](?:[ \t./_-]{{1,8}}(?!{DATE})\d+)+")
"""What stands behind one may be the rest of another: a long row of digits is not known by where it began."""
FOURS: Final = re.compile(
    r"(?<!\d)(?<!\d[,;])(?<!\d[,;] )[3-6]\d{3}(?P<sign>[^\w.]{0,2}[^\w \t./()\[\]-][^\w.]{0,2})"
    r"(?:\d{4}(?P=sign)){2}\d{4}(?!\d|(?P=sign)\d)",
    re.ASCII,
)
"""A card with whatever between its fours: `4111, 1111, 1111, 1111`."""
_BREAK: Final = r"[ \t]{0,2}(?:\r?\n|<br ?/?>)[ \t]{0,2}"
WRAPPED_CARD: Final = re.compile(
    r"(?<!\d)(?<!\d[ \t\n-])(?<!\d\r\n)(?<!\d<br>)(?<!\d<br/>)[3-6]\d{3}"
    rf"(?:(?:[ \t-]|{_BREAK})\d{{4}}){{3}}(?!\d|(?:[ \t-]|{_BREAK})\d)",
    re.ASCII,
)
"""One whose fours go on in the next line."""
IBAN: Final = re.compile(
    rf"(?<![A-Z0-9])[A-Z]{{2}}\d\d(?:{SIGN}{{0,3}}[A-Z0-9]){{11,30}}", re.ASCII | re.I
)
SPLIT: Final = re.compile(
    r"(?<![0-9,.:])\+?\d{2,5}"
    rf"(?P<sign>[ \t]{{0,2}}(?:-{{1,2}}>|[^\w\s./()\[\]-]{{1,2}})[ \t]{{0,2}}|{_BREAK}|ー)"
    r"\d{3,8}(?:(?P=sign)\d{1,7}){0,4}(?!\d|[,.:]\d)"
)
"""Digits with one odd sign, or a line break, between them."""
WRAPPED: Final = re.compile(
    r"(?<![0-9])(?<![0-9]\.)(?:\+|(?=[(\[]?0\d))[(\[]?\d"
    rf"(?:{SIGN}{{0,3}}(?:{_BREAK}[(\[]?)?(?!{DATE})\d){{8,19}}(?!\d)"
)
"""Digits that go on in the next line, of a number that begins as telephone numbers do."""
LEAST, LEAST_ABROAD = 9, 7
"""Digits of a telephone number, and of one that begins with `+`."""
_STAMP: Final = re.compile(
    r"(?:19|20)\d\d(?:0[1-9]|1[0-2])(?:0[1-9]|[12]\d|3[01])(?:(?:[01]\d|2[0-3])[0-5]\d[0-5]\d\d{0,6}|\d{0,8})"
)
_FRACTION: Final = re.compile(r"(?:0|[1-9]\d?)\.\d{5,}")
_DOTTED: Final = re.compile(r"\d+(?:[._-]\d+){2,}")
_PAIRS: Final = re.compile(r"(?:\d\d\D?){4}")
_WIDE_PAIRS: Final = re.compile(r"(?:\d\d\D{0,8}){4}")
_UUID: Final = re.compile(
    r"(?<![0-9a-fA-F])(?:[0-9a-fA-F]{4,12}-){4}[0-9a-fA-F]{12}(?![0-9a-fA-F])"
)
_HEX_LETTERS: Final = frozenset("abcdefABCDEF")
_WORD: Final = re.compile(r"[A-Za-z0-9]{0,24}\Z")
_GAPS: Final = re.compile(rf"{SIGN}+")
_BROKEN: Final = re.compile(_BREAK)
_NEXT: Final = re.compile(rf"{_BREAK}[+-]?\d")


_IBAN_LENGTHS: Final = {
    entry[:2]: int(entry[2:])
    for line in (
        "AD24 AE23 AL28 AT20 AZ28 BA20 BE16 BG22 BH22 BI27 BR29 BY28 CH21 CR22 CY28 CZ24",
        "DE22 DJ27 DK18 DO28 EE20 EG29 ES24 FI18 FK18 FO18 FR27 GB22 GE22 GI23 GL18 GR27",
        "GT28 HN28 HR21 HU28 IE22 IL23 IQ23 IS26 IT27 JO30 KW30 KZ20 LB28 LC32 LI21 LT20",
        "LU20 LV21 LY25 MC27 MD24 ME22 MK19 MN20 MR27 MT31 MU30 NI28 NL18 NO15 OM23 PK24",
        "PL28 PS29 PT25 QA29 RO24 RS22 RU33 SA24 SC31 SD18 SE24 SI19 SK24 SM27 SO23 ST25",
        "SV28 TL23 TN24 TR26 UA29 VA22 VG24 XK20 YE30",
    )
    for entry in line.split()
}
"""Characters of an account's number, by country (SWIFT's IBAN registry)."""


def luhn(digits: str) -> bool:
    """Whether a string of digits passes the Luhn check (ISO/IEC 7812-1)."""
    total = 0
    for position, digit in enumerate(reversed(digits)):
        value = int(digit) * (1 + position % 2)
        total += value - 9 * (value > 9)
    return total % 10 == 0


def card(match: re.Match[str]) -> str:
    """`[card]`, or the text as it is."""
    groups = re.findall(r"\d+", match.group())
    digits = "".join(groups)
    spelled = len(groups) == len(digits)
    good = (spelled or all(len(group) > 1 for group in groups[:-1])) and not _is_stamp(groups)
    good = good and (spelled or not _is_a_row(groups))
    return "[card]" if good and luhn(digits) and not _is_of_uuid(match) else match.group()


def iban(match: re.Match[str]) -> str:
    """`[iban]` and what follows it, or the text as it is."""
    text = match.group()
    length = _IBAN_LENGTHS.get(text[:2].upper())
    places = [at for at, character in enumerate(text) if character.isalnum()][:length]
    number, end = "".join(text[at] for at in places), places[-1] + 1
    good = len(number) == length and not text[end : end + 1].isalnum() and _checks(number)
    return f"[iban]{text[end:]}" if good and not _begins_in_uuid(match) else text


def _begins_in_uuid(match: re.Match[str]) -> bool:
    around = _UUID.finditer(match.string, max(match.start() - 36, 0), match.end() + 36)
    return any(u.start() <= match.start() < u.end() for u in around)


def _checks(number: str) -> bool:
    """Whether the check digits are right (ISO 7064, MOD 97-10)."""
    return int("".join(str(int(c, 36)) for c in number[4:] + number[:4])) % 97 == 1


def phone(match: re.Match[str]) -> str:
    """`[phone]`, or the text as it is: of a date, a version, a list, a part of a hash."""
    text = match.group()
    if match["date"]:
        return text
    groups = re.findall(r"\d+", text)
    number = sum(map(len, groups))
    if number < (LEAST_ABROAD if text[0] == "+" else LEAST):
        return text
    if _is_within_a_word(match):
        return _between_words(match)
    if _is_counted(text, groups):
        return text
    pairs = _WIDE_PAIRS if text.lstrip("([")[0] in "+0" else _PAIRS
    spelled = number == len(groups)
    return "[phone]" if spelled or max(map(len, groups)) > 2 or pairs.search(text) else text


def split(match: re.Match[str]) -> str:
    """`[phone]` or `[card]` of digits with an odd sign between them, or the text as it is."""
    text = match.group()
    groups = re.findall(r"\d+", text)
    digits = "".join(groups)
    broken = _BROKEN.search(text) is not None
    if broken and (text[0] == "1" or _is_a_column(match, groups)):
        return text
    fours = 13 <= len(digits) <= 19 and {len(group) for group in groups[:-1]} == {4}
    if fours and luhn(digits) and not _is_a_row(groups):
        return "[card]"
    lengths, wide = [len(group) for group in groups], match["sign"] != match["sign"].strip(" \t")
    usual = text[0] in "+0" or (lengths == [3, 3, 4] and not wide)
    return "[phone]" if usual and len(digits) >= LEAST else text


def wrapped(match: re.Match[str]) -> str:
    """`[phone]` of digits in several lines, or the text as it is: a column of numbers."""
    text = match.group()
    lines = _BROKEN.split(text)
    good = len(lines) > 1 and not _is_within_a_word(match) and not _is_a_column(match, lines)
    return "[phone]" if good else text


def _is_a_column(match: re.Match[str], lines: Sequence[str]) -> bool:
    """Whether lines are numbers of their own: equally long, with zeros or signs before them, or going on."""
    if len({sum(map(str.isdigit, line)) for line in lines}) == 1 or any(
        line[0] in "0+" for line in lines[1:]
    ):
        return True
    return _NEXT.match(match.string, match.end()) is not None


def _is_within_a_word(match: re.Match[str]) -> bool:
    """Whether it is a part of a hash: digits before it in the same word, or no letter but A to F about it."""
    word = _word_before(match)
    after = match.string[match.end() : match.end() + 1]
    if any(map(str.isdigit, word)):
        return True
    if after and after in _HEX_LETTERS and after != "e" and _HEX_LETTERS.issuperset(word):
        return True
    return _is_of_uuid(match)


def _is_of_uuid(match: re.Match[str]) -> bool:
    around = _UUID.finditer(match.string, max(match.start() - 36, 0), match.end() + 36)
    return any(u.start() <= match.start() and match.end() <= u.end() for u in around)


def _between_words(match: re.Match[str]) -> str:
    """The text, looked at again without what belongs to words at its ends: of `4000000000000 0A` the `0`."""
    (start, end), text = match.span(), match.string
    gaps = [gap.span() for gap in _GAPS.finditer(text, start, end)]
    word = _word_before(match)
    if gaps and word and (any(map(str.isdigit, word)) or _HEX_LETTERS.issuperset(word)):
        start = gaps[0][1]
    if gaps and text[match.end() : match.end() + 1].isalpha():
        end = max(gaps[-1][0], start)
    parts: list[str] = []
    at = match.start()
    for found in PHONE.finditer(text, start, end) if gaps and not _is_of_uuid(match) else ():
        parts += text[at : found.start()], phone(found)
        at = found.end()
    return "".join([*parts, text[at : match.end()]])


def _word_before(match: re.Match[str]) -> str:
    """What the word before a match has, if it touches its first digit."""
    if not match.group()[0].isdigit():
        return ""
    found = _WORD.search(match.string, max(match.start() - 24, 0), match.start())
    return found.group() if found else ""


def _is_counted(text: str, groups: Sequence[str]) -> bool:
    """Whether it is a version, a fraction, a time of a build, or years."""
    if text.lstrip("([")[0] in "+0" and not _FRACTION.fullmatch(text):
        return False
    if all(len(group) == 4 and group[:2] in ("19", "20") for group in groups):
        return True
    if _is_stamp(groups) or _is_a_row(groups):
        return True
    return _is_version(text, groups) or _FRACTION.fullmatch(text) is not None


def _is_version(text: str, groups: Sequence[str]) -> bool:
    """Whether a later part has one digit (`10.0.19045`), or one of four has many (`17.12.35527.113`)."""
    if "." not in text or not _DOTTED.fullmatch(text):
        return False
    lengths = [len(group) for group in groups]
    return 1 in lengths[1:] or (len(groups) == 4 and lengths[:3] != [3, 3, 4] and max(lengths) > 4)


def _is_stamp(groups: Sequence[str]) -> bool:
    """Whether it is a day with a time or a number: `20261122-103045`."""
    return len(groups[0]) in (4, 8, 14) and _STAMP.fullmatch("".join(groups)) is not None


def _is_a_row(groups: Sequence[str]) -> bool:
    """Whether numbers go up or down by one step or one factor: `1 2 3 4 5`, `100 200 300`."""
    pairs = [(int(before), int(after)) for before, after in pairwise(groups)]
    steps = {after - before for before, after in pairs}
    if len(groups) > 4 and len(steps) == 1:
        return True
    hundreds = (
        len(groups) > 2 and len(steps) == 1 and all(step and step % 100 == 0 for step in steps)
    )
    return hundreds or (len(groups) > 3 and all(after in (2 * n, 10 * n) for n, after in pairs))
