"""How likely so few or so many are where nothing has changed: an exact test for counts as they are.

Of all that came, in the hour that is looked at and in as many as it is compared with, each could as well have
come in any: so the number in that hour is binomial (Przyborowski and Wilenski 1940). Hours vary by more than
chance has them vary; as in a quasi-Poisson model (McCullagh and Nelder 1989, section 6.2) as much evidence
is that of fewer events. Bursts and outages of former weeks are cut to three robust standard deviations from
their median (Huber 1964), as bursts are in the inventory (inventory/comparing.py).
"""

import math
from collections.abc import Iterable, Sequence
from statistics import median
from typing import Final

_CUT: Final = 3.0
_ROBUST: Final = 1.4826
"""The standard deviation of a normal distribution, by the median of its deviations."""
_FREEDOM: Final = 12
"""Degrees of freedom from which on the dispersion can be told."""
_UNSURE: Final = 2.0
"""The dispersion that is assumed before, at least."""
_SMALL: Final = 1e-9


def cut(values: Sequence[float]) -> list[float]:
    """Values that should be alike, without bursts and without what an outage left."""
    middle = median(values)
    spread = _ROBUST * median(abs(value - middle) for value in values)
    reach = _CUT * max(1.0, math.sqrt(middle), spread)
    return [min(max(value, middle - reach), middle + reach) for value in values]


def dispersion(alike: Iterable[Sequence[float]]) -> float:
    """By how much more counts vary than chance has them vary; 1 at least.

    Args:
        alike: Groups of counts that would be alike, were it not for chance.
    """
    squares, freedom = 0.0, 0
    for values in alike:
        mean = sum(values) / len(values)
        if mean:
            squares += sum((value - mean) ** 2 for value in values) / mean
            freedom += len(values) - 1
    if freedom < _FREEDOM:
        return max(_UNSURE, squares / freedom if freedom else _UNSURE)
    return max(1.0, squares / freedom)


def without_bad(numbers: Sequence[tuple[int, float]]) -> list[tuple[int, float]]:
    """Of each time, of how many how many were so; without what single bad times have beyond chance."""
    found = list(numbers)
    for _ in range(3):  # the first cut still fits what it cuts
        share = _share(found)
        most = _CUT * max(1.0, _ROBUST * median(map(abs, _residuals(found, share))))
        found = [
            (whole, min(part, whole * share + most * math.sqrt(whole * share)))
            for whole, part in found
        ]
    return found


def unevenness(numbers: Sequence[tuple[int, float]]) -> float:
    """By how much more shares vary than chance has them vary; 1 at least.

    Args:
        numbers: Of each time that should be like the others, of how many how many were so.
    """
    share = _share(numbers)
    if not share or len(numbers) <= _FREEDOM // 2:
        return _UNSURE
    return max(1.0, sum(r * r for r in _residuals(numbers, share)) / (len(numbers) - 1))


def _share(numbers: Sequence[tuple[int, float]]) -> float:
    return sum(part for _, part in numbers) / sum(whole for whole, _ in numbers)


def _residuals(numbers: Sequence[tuple[int, float]], share: float) -> list[float]:
    """Pearson's."""
    return [
        (part - whole * share) / math.sqrt(whole * share) if share else 0.0
        for whole, part in numbers
    ]


def of_so_few(number: float, share: float, former: float, scale: float) -> float:
    """The probability of so few, or fewer, where nothing has changed.

    Args:
        number: How many there were.
        share: Of what they are compared with, the part that would be expected.
        former: How many there were in that.
        scale: The dispersion.
    """
    return _tail(number / scale, former / scale, share / (1 + share))


def of_so_many(number: float, share: float, former: float, scale: float) -> float:
    """The probability of so many, or more; the arguments are those of `of_so_few`."""
    return _tail(former / scale, number / scale, 1 / (1 + share))


def _tail(few: float, others: float, chance: float) -> float:
    """The probability that so few of all are what each is with this chance; the binomial distribution's."""
    size = few + others
    log_term = (
        math.lgamma(size + 1) - math.lgamma(few + 1) - math.lgamma(others + 1)
        + few * math.log(chance) + others * math.log1p(-chance)
    )  # fmt: skip
    term = whole = math.exp(log_term)
    while few > 0 and term > _SMALL * whole:
        term *= few / (size - few + 1) * (1 - chance) / chance
        few -= 1
        whole += term
    return min(1.0, whole)
