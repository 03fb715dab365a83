"""How many groups were active, how many features they used: which of the numbers that are kept is asked for.

None can be added to another. So what tells one from another is always shown, whether it was asked for or not.
"""

import datetime as dt
from dataclasses import replace
from typing import Final, LiteralString

from footfall_exporters.postgres.reports.asked import Asked, Period, WrongQuestion
from footfall_exporters.postgres.reports.kinds.kind import Kind

_STEPS: Final[dict[str, LiteralString]] = {
    "day": "period = 'day'",
    "week": "period = 'week'",
    "month": "period = 'month'",
}
_SCOPES: Final[dict[str, LiteralString]] = {
    "event": " AND scope = 'event'",
    "feature": " AND scope = 'feature'",
    "product": " AND scope = 'product'",
    "": " AND scope = 'all'",
}
"""The narrowest that is asked for is meant."""


def chosen(kind: Kind, asked: Asked) -> tuple[Kind, Asked]:
    """What is to be asked of `reporting.groups`: numbers of one length and one scope.

    Args:
        kind: The report of groups.
        asked: The question; a week or a month that its period touches is in it.

    Raises:
        WrongQuestion: it is about weeks and months at once, or about hours.
    """
    named = {*asked.by, *asked.where}
    step, scope = _step(asked), next(name for name in _SCOPES if not name or name in named)
    needed = [step, "attribute", *(["product", "feature"] if scope == "feature" else [scope])]
    pinned = {name for name, values in asked.where.items() if len(values) == 1}
    by = dict.fromkeys([*(name for name in needed if name and name not in pinned), *asked.by])
    since = asked.period and Period(_begun(asked.period.since, step), asked.period.until)
    return replace(kind, only=_STEPS[step] + _SCOPES[scope]), replace(
        asked, by=list(by) if asked.by or scope else [], period=since
    )


def deep(kind: Kind, asked: Asked) -> tuple[Kind, Asked]:
    """What is to be asked of `reporting.depth`: days of all features, or of each product's.

    Args:
        kind: The report of depth.
        asked: The question.

    Raises:
        WrongQuestion: it is not about days.
    """
    if any(asked.counts_by(step) for step in _STEPS if step != "day"):
        raise WrongQuestion("by", "depth is counted by day alone", "count by day")
    scope: LiteralString = "product" if {*asked.by, *asked.where} & {"product"} else "all"
    pinned = {name for name, values in asked.where.items() if len(values) == 1}
    needed = [name for name in ("day", "attribute", scope) if name not in ("all", *pinned)]
    by = dict.fromkeys([*needed, *asked.by])
    only: LiteralString = "scope = 'product'" if scope == "product" else "scope = 'all'"
    return replace(kind, only=only), replace(
        asked, by=list(by) if asked.by or scope != "all" else []
    )


def _step(asked: Asked) -> str:
    """Of how long periods it is."""
    steps = [name for name in _STEPS if asked.counts_by(name)]
    if len(steps) > 1:
        raise WrongQuestion(
            "by", "groups are counted by day, by week or by month", "count by one of these"
        )
    return steps[0] if steps else "day"


def _begun(since: dt.datetime, step: str) -> dt.datetime:
    """When the week or month of a time began."""
    day = since.replace(hour=0, minute=0, second=0, microsecond=0)
    if step == "month":
        return day.replace(day=1)
    return day - dt.timedelta(days=day.weekday()) if step == "week" else day
