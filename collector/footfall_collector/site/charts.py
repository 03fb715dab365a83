"""Bars for a page: SVG that is as wide as there is room, and has no text that would become too small."""

from collections.abc import Sequence
from html import escape

_WIDTH, _GAP, _HEIGHT = 10, 2, 100


def bars(
    counts: Sequence[int], said: Sequence[str], most: int, label: str = "", kind: str = "chart"
) -> str:
    """A bar for each count, as high as it is beside the most that there is room for.

    Args:
        counts: From the left.
        said: Of each bar what is shown where it is pointed at.
        most: What would be as high as the whole.
        label: What the whole says to those who do not see it; "" where a table beside it says the same.
        kind: The class by which a page styles it.
    """
    drawn = "".join(
        _bar(place, count / most, words)
        for place, (count, words) in enumerate(zip(counts, said, strict=True))
    )
    named = f'role="img" aria-label="{escape(label)}"' if label else 'aria-hidden="true"'
    size = f"0 0 {_WIDTH * len(counts)} {_HEIGHT}"
    return f'<svg class="{kind}" viewBox="{size}" preserveAspectRatio="none" {named}>{drawn}</svg>'


def ceiling(largest: int) -> int:
    """A round number that is not below, and not far above."""
    tens = int(10 ** (len(str(largest)) - 1))
    return next(n * tens for n in (1, 2, 3, 4, 5, 6, 8, 10) if n * tens >= largest)


def _bar(place: int, share: float, words: str) -> str:
    """What was used, if it was little, is seen as well."""
    height = round(max(share * _HEIGHT, 1.5 if share else 0), 2)
    x, y = place * _WIDTH + _GAP / 2, round(_HEIGHT - height, 2)
    title = f"<title>{escape(words)}</title>"
    over = f'<rect class="over" x="{place * _WIDTH}" y="0" width="{_WIDTH}" height="{_HEIGHT}"/>'
    bar = f'<rect class="bar" x="{x:g}" y="{y:g}" width="{_WIDTH - _GAP}" height="{height:g}" rx="1"/>'
    return f"<g>{title}{over}{bar}</g>"
