"""Days of ends and failures: together, and compared by the plain formula."""

import math
from typing import NamedTuple

from footfall_exporters.postgres.reports.sequential import Days


class Day(NamedTuple):
    ends: int
    failures: int


def together(days):
    counted = [day for day in days if day.ends]
    return Days(
        sum(day.ends for day in counted),
        sum(day.failures for day in counted),
        sum(day.failures**2 / day.ends for day in counted),
        len(counted),
    )


def plainly_compared(former, present, level):
    """The difference of two rates and its interval, day by day (Howard et al. 2021, equation 14)."""
    rates, spread, squares = [], 0, []
    for days in (former, present):
        ends, failures = (sum(each) for each in zip(*days, strict=True))
        rates.append(failures / ends)
        rate = (failures + 1) / (ends + 2)
        spread += rate * (1 - rate) / ends
        squares += [(f - n * rate) ** 2 / (n * rate * (1 - rate)) for n, f in days if n]
    freedom = max(1, len(squares) - 2)
    dispersion = max(1.0, sum(squares) / freedom) * (freedom + 3) / freedom
    information = 1 / (dispersion * spread)
    grown = information + 630
    reach = math.sqrt(grown * math.log(grown / (630 * level**2))) / information
    moved = rates[1] - rates[0]
    return moved, max(moved - reach, -1), min(moved + reach, 1)
