"""Figures as a page is to write them."""

import datetime as dt
from decimal import ROUND_HALF_UP, Decimal

DASH, MINUS, THIN = "\N{EN DASH}", "\N{MINUS SIGN}", "\N{NARROW NO-BREAK SPACE}"


def whole(number):
    return f"{number:,}".replace("-", MINUS)


def rounded(value, places):
    """As JavaScript's `toFixed` writes it: a tie is rounded up."""
    step = Decimal(1).scaleb(-places)
    return str(Decimal(abs(value)).quantize(step, ROUND_HALF_UP))


def sign(value):
    return "+" if value > 0 else MINUS if value < 0 else ""


def percent(share, signed=False, places=None):
    if share is None:
        return DASH
    value = share * 100
    if places is None:
        places = 2 if value and abs(value) < 0.1 else 1 if abs(value) < 10 else 0
    text = f"{rounded(value, places)}{THIN}%"
    return sign(value) + text if signed else text


def points(share):
    return f"{sign(share)}{rounded(share * 100, 1)} points"


def duration(ms):
    if ms is None:
        return DASH
    if ms < 999.5:
        return f"{rounded(ms, 0)} ms"
    return f"{rounded(ms / 1000, 2 if ms < 9950 else 1)} s"


def day(date):
    year = "" if date.year == dt.datetime.now(dt.UTC).year else f" {date.year}"
    return f"{date.day} {date:%b}{year}"
