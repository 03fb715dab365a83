"""Between which bounds a share, or a percentile, lies with 95 % certainty, in SQL: chance alone is in them.

Of a share they are Wilson's (1927, JASA 22, 209-212), which hold for few uses, and for shares near none and
all (Brown, Cai and DasGupta 2001, Statistical Science 16, 101-133). Of a percentile they are two of the
observations themselves, by their ranks, whatever the distribution is (Conover 1999, Practical Nonparametric
Statistics, section 3.2; the lower rank is rounded down, so that few are no less sure). Uses are taken for
independent of each other; days differ by more than that has them differ, so a comparison has a test of its
own (inventory/comparing.py, reports/sequential.py).
"""

import math
from typing import Final, LiteralString

_SURE: Final = 1.959964
"""Standard deviations on either side that leave 5 % out."""
_SQUARE: LiteralString = "3.841459"
SLOW: Final = 0.95
"""The share of durations that the 95th percentile is not below."""


def share(part: LiteralString, whole: LiteralString) -> tuple[LiteralString, LiteralString]:
    """The bounds of `part` of `whole`; NULL where the whole is nothing.

    Args:
        part: How many, in SQL.
        whole: Of how many.
    """
    half = (
        "1.959964 * sqrt((" + part + ")::float8 * (" + whole + " - " + part + ") / "
        "nullif(" + whole + ", 0) + " + _SQUARE + " / 4)"
    )  # fmt: skip
    middle: LiteralString = "(" + part + ") + " + _SQUARE + " / 2"
    size: LiteralString = "(" + whole + " + " + _SQUARE + ")"
    some: LiteralString = (
        "CASE WHEN " + whole + " > 0 THEN "
    )  # greatest() and least() leave NULLs out
    low: LiteralString = some + "greatest(0, (" + middle + " - " + half + ") / " + size + ") END"
    return low, some + "least(1, (" + middle + " + " + half + ") / " + size + ") END"


def ranks(number: int) -> tuple[int, int]:
    """The ranks between which the 95th percentile of so many lies.

    One that is below 1, or above `number`, is of none.
    """
    reach = _SURE * math.sqrt(number * SLOW * (1 - SLOW))
    return math.floor(number * SLOW - reach), math.ceil(number * SLOW + reach)


def slow(column: LiteralString) -> tuple[LiteralString, LiteralString]:
    """The bounds of a column's 95th percentile, by the same ranks; NULL where there are too few for one."""
    ordered: LiteralString = "(array_agg(" + column + " ORDER BY " + column + "))"
    reach: LiteralString = "1.959964 * sqrt(count(*) * 0.0475)"
    low: LiteralString = ordered + "[floor(count(*) * 0.95 - " + reach + ")::integer]"
    return low, ordered + "[ceil(count(*) * 0.95 + " + reach + ")::integer]"
