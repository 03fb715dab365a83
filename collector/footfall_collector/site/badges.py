"""Badges: a title and a figure beside each other, as SVG that needs no font and no other file."""

from html import escape

_WIDE, _NARROW = frozenset("MWmw@%&"), frozenset("iIljtfr.,:;'|!()[] ")
_HEIGHT, _PAD = 20, 8
LONGEST = 40
"""Characters of a title; what is longer is cut."""


def badge(title: str, figure: str, until: str) -> str:
    """A badge; whatever a title looks like, it is text.

    Args:
        title: What was used.
        figure: How often in a week.
        until: The last day of that, for who points at it.
    """
    title = title if len(title) <= LONGEST else f"{title[: LONGEST - 1]}…"
    left, right = width(title), width(figure)
    whole = left + right
    words = escape(f"{title}: {figure} (to {until})")
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{whole}" height="{_HEIGHT}"'
        f' viewBox="0 0 {whole} {_HEIGHT}" role="img" aria-label="{words}"><title>{words}</title>'
        f'<rect width="{whole}" height="{_HEIGHT}" rx="4" fill="#0b6e69"/>'
        f'<path d="M4 0H{left}V{_HEIGHT}H4a4 4 0 0 1-4-4V4a4 4 0 0 1 4-4Z" fill="#3b4252"/>'
        '<g fill="#fff" font-family="Verdana,DejaVu Sans,Geneva,sans-serif" font-size="11">'
        f"{_text(title, _PAD, left)}{_text(figure, left + _PAD, right)}</g></svg>\n"
    )


def width(text: str) -> int:
    """How wide a part of a badge is, in pixels: letters by their kind, as no font is asked."""
    return round(sum(map(_advance, text)) + 2 * _PAD)


def _advance(letter: str) -> float:
    if letter in _WIDE:
        return 10.0
    if letter in _NARROW:
        return 4.6
    return 6.9 if letter.isascii() else 9.0


def _text(text: str, x: int, room: int) -> str:
    fitted = f'textLength="{room - 2 * _PAD}" lengthAdjust="spacingAndGlyphs"'
    return f'<text x="{x}" y="14" {fitted}>{escape(text)}</text>'
