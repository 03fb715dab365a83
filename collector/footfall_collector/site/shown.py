"""What a page and a badge say of what is published: events with their days, and sums of them."""

import datetime as dt
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from footfall_exporters.postgres.published import Figure, Published

WEEK = 7
WEEKS = 4
"""How many are drawn."""
OTHER = "Other"
_DAY = dt.timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Line:
    """What is shown of one event, of several together, or of all.

    Attributes:
        title: What people call it.
        event: Its name; None where it is no one event.
        by_day: How often, of the days on which it is shown.
    """

    title: str
    event: str | None
    by_day: Mapping[dt.date, int]

    def within(self, days: Iterable[dt.date]) -> int:
        """How often on these days."""
        return sum(self.by_day.get(day, 0) for day in days)

    @property
    def ever(self) -> int:
        """How often on all days."""
        return sum(self.by_day.values())


@dataclass(frozen=True, slots=True)
class Product:
    """What is shown of a product.

    Attributes:
        name: Its name.
        k: How many groups or actors are at least behind each figure.
        days: Those that are published, in their order; one at least.
        lines: Events, what is used most first; other events together come last.
    """

    name: str
    k: int
    days: Sequence[dt.date]
    lines: Sequence[Line]

    @property
    def total(self) -> Line:
        """The sum of what is shown, and of nothing else."""
        by_day: dict[dt.date, int] = defaultdict(int)
        for line in self.lines:
            for day, count in line.by_day.items():
                by_day[day] += count
        return Line("Total", None, by_day)

    def recent(self, number: int, before: int = 0) -> Sequence[dt.date]:
        """So many days up to the last one, or up to so many before it."""
        last = self.days[-1] - before * _DAY
        return [last - n * _DAY for n in range(number - 1, -1, -1)]

    def change(self, line: Line) -> float | None:
        """By what share it was used more than in the week before; None where nobody can say."""
        now, before = self.recent(WEEK), self.recent(WEEK, WEEK)
        if not {*now, *before} <= set(self.days) or not line.within(before):
            return None
        return line.within(now) / line.within(before) - 1

    def said(self, line: Line) -> str:
        """What a badge says of the last week."""
        count = line.within(self.recent(WEEK))
        return f"{count:,} this week" if count else "few this week"


def date(day: dt.date) -> str:
    """A day as it is said."""
    return f"{day.day} {day:%B %Y}"


def products(published: Published) -> Sequence[Product]:
    """What is shown of each product that has a day that is published."""
    days, figures = defaultdict(list), defaultdict(list)
    for day in published.days:
        days[day.product].append(day)
    for figure in published.figures:
        figures[figure.product].append(figure)
    return [
        Product(name, min(d.k for d in found), [d.day for d in found], _lines(figures[name]))
        for name, found in sorted(days.items())
    ]


def _lines(figures: Sequence[Figure]) -> Sequence[Line]:
    by_day: dict[str | None, dict[dt.date, int]] = defaultdict(dict)
    titles: dict[str | None, str] = {}
    for figure in figures:
        by_day[figure.event][figure.day] = figure.uses
        titles[figure.event] = figure.title or figure.event or OTHER
    lines = [Line(titles[event], event, counted) for event, counted in by_day.items()]
    return sorted(lines, key=lambda line: (line.event is None, -line.ever, line.title, line.event))
