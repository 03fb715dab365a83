"""Whether something is used more or less than before: a test of two rates for counts as they are.

Days differ by more than chance, weeks have a rhythm, there are bursts, and many features are looked at
together. So a quasi-Poisson model with a rate for each period and each day of the week (Wedderburn 1974;
McCullagh and Nelder, Generalized Linear Models, 1989, section 6.2), in which

- bursts count less: a day is cut to three robust standard deviations above its fit (Huber 1964),
- the dispersion is that of the days, and more where days resemble the ones before (Newey and West 1987, and
  the long-run variance of an autoregression, whichever is more),
- and of all that is looked at together the false discovery rate is held (Benjamini and Hochberg 1995).

docs/reporting.md says what it was tried on.
"""

import math
from collections.abc import Sequence
from statistics import NormalDist, median
from typing import Final, NamedTuple

WEEK: Final = 7
LEAST_WEEKS, MOST_WEEKS = 2, 4
"""How long each of two periods is."""
LEVEL: Final = 0.05
"""Of the products in which nothing changes, the share in which something is said to have, at most."""
FEW: Final = 50
"""Uses in both periods together from which on a rate can be told at all."""
STEADY: Final = 1.5
"""What the interval must lie within, and within its inverse, so that a rate is said to be steady."""
_CUT = 3.0
_ROBUST = 1.4826
"""The standard deviation of a normal distribution, by the median of its deviations."""
_LAGS = 6
_SPENT = 0.75
"""The share of the degrees of freedom that is left when the correlation of days is estimated as well."""
_NORMAL = NormalDist()
Counts = Sequence[float]


class Change(NamedTuple):
    """How two rates compare.

    Attributes:
        p: The probability of a difference as large, or larger, where there is none.
        low: The lower end of the 95 % interval of the second one by the first.
        high: Its upper end.
    """

    p: float
    low: float
    high: float


def compare(counts: Counts) -> Change:
    """Compares the second half of some weeks with the first.

    Args:
        counts: Uses by day, 4 weeks at least, an even number of them.
    """
    cut = _without_bursts(counts)
    residuals = _residuals(cut)
    freedom = len(cut) - WEEK - 1
    dispersion = max(1.0, sum(r * r for r in residuals) / freedom)
    persistence = _persistence(residuals)
    half = len(cut) // 2
    before, now = sum(cut[:half]) + 0.5, sum(cut[half:]) + 0.5
    error = math.sqrt(dispersion * persistence * (1 / before + 1 / now))
    freedom_left = max(3.0, _SPENT * freedom / persistence)
    log_ratio = math.log(now / before)
    reach = _quantile(freedom_left) * error
    return Change(
        2 * _NORMAL.cdf(-_as_normal(abs(log_ratio) / error, freedom_left)),
        math.exp(log_ratio - reach),
        math.exp(log_ratio + reach),
    )


def discoveries(probabilities: Sequence[float], level: float = LEVEL) -> list[bool]:
    """Which of some tests find something, when all are looked at together (Benjamini and Hochberg)."""
    ranked = sorted(probabilities)
    size = len(ranked)
    bound = max((p for n, p in enumerate(ranked, 1) if p <= level * n / size), default=-1.0)
    return [p <= bound for p in probabilities]


def _fitted(counts: Counts) -> list[float]:
    """What each day would have, were there but a rate of its period and one of its day of the week."""
    half, total = len(counts) // 2, sum(counts) or 1.0
    periods = sum(counts[:half]) / total, sum(counts[half:]) / total
    weeks = half // WEEK
    by_day = [sum(counts[day::WEEK]) / weeks for day in range(WEEK)]
    return [periods[n >= half] * by_day[n % WEEK] for n in range(len(counts))]


def _residuals(counts: Counts) -> list[float]:
    """Pearson's."""
    fitted = _fitted(counts)
    return [(y - m) / math.sqrt(m) if m else 0.0 for y, m in zip(counts, fitted, strict=True)]


def _without_bursts(counts: Counts) -> list[float]:
    cut = list(counts)
    for _ in range(3):  # the first cut still fits what it cuts
        residuals = _residuals(cut)
        most = _CUT * max(1.0, _ROBUST * median(map(abs, residuals)))
        cut = [
            min(y, m + most * math.sqrt(m)) if m else y
            for y, m in zip(cut, _fitted(cut), strict=True)
        ]
    return cut


def _persistence(residuals: Sequence[float]) -> float:
    """By how much more a sum of days varies than one of days that have nothing to do with each other."""
    size, square = len(residuals), sum(r * r for r in residuals)
    if not square:
        return 1.0

    def correlation(lag: int) -> float:
        pairs = zip(residuals[lag:], residuals, strict=False)
        return sum(a * b for a, b in pairs) / square

    # Of few days the correlations come out too small (Kendall 1954).
    weighed = sum((1 - k / (_LAGS + 1)) * (correlation(k) + 2 / size) for k in range(1, _LAGS + 1))
    first = correlation(1)
    first = min(max(first + 2 * (1 + 4 * first) / size, -0.5), 0.9)
    return max(1.0, 1 + 2 * weighed, (1 + first) / (1 - first))


def _as_normal(t: float, freedom: float) -> float:
    """What is as likely of a normal distribution as this is of Student's (Wallace 1959)."""
    factor = (8 * freedom + 1) / (8 * freedom + 3)
    return factor * math.sqrt(freedom * math.log1p(t * t / freedom))


def _quantile(freedom: float) -> float:
    """Student's for 97.5 %: the inverse of `_as_normal`."""
    factor = (8 * freedom + 1) / (8 * freedom + 3)
    return math.sqrt(freedom * math.expm1((_NORMAL.inv_cdf(0.975) / factor) ** 2 / freedom))
