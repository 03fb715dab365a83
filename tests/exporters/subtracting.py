"""What is used of two products, what may be published of it, and the attack: what follows from figures.

Plain Python over plain records; nothing of ours is asked.
"""

import datetime as dt
from collections import defaultdict
from fractions import Fraction
from typing import NamedTuple

from support.batches import DAY, HOUR, dimension, one_row
from support.stores import MIDNIGHT, TODAY

CATALOGS = {
    "bot": """
product: bot
attributes:
  guild: {type: string, hash: daily}
  member: {type: string, hash: daily}
events:
  bot.roll: {surface: discord, feature: roll, title: Seeds, attributes: [guild, member]}
  bot.ask: {surface: discord, feature: ask, attributes: [guild]}
  bot.help: {surface: discord, feature: help, attributes: [member]}
  bot.tick: {surface: api, feature: tick}
  bot.tock: {surface: api, feature: tock, actions: [invoke]}
""",
    "site": """
product: site
attributes:
  visitor: {type: string, hash: weekly}
events:
  site.view: {surface: web, feature: view, attributes: [visitor]}
  site.find: {surface: web, feature: find, attributes: [visitor]}
""",
}
CARRIES = {
    "bot.roll": ("guild", "member"),
    "bot.ask": ("guild",),
    "bot.help": ("member",),
    "bot.tick": (),
    "bot.tock": (),
    "site.view": ("visitor",),
    "site.find": ("visitor",),
}
"""What tells apart whoever uses an event."""
DAYS = 3


class Use(NamedTuple):
    """Something that was used: how many days ago, what, and by whom (None: nobody knows)."""

    ago: int
    event: str
    group: int | None = None
    actor: int | None = None
    action: str = "success"

    @property
    def who(self):
        """By attribute."""
        found = {"guild": self.group, "member": self.actor, "visitor": self.actor}
        return {n: found[n] for n in CARRIES[self.event] if found[n] is not None}

    @property
    def product(self):
        return self.event.partition(".")[0]

    @property
    def ends(self):
        """Whether it counts: what has nothing else than beginnings does."""
        return self.action != "invoke" or self.event == "bot.tock"

    @property
    def cell(self):
        return TODAY - dt.timedelta(days=self.ago), self.event

    @property
    def row(self):
        hashed = {n: pseudonym(n, w) for n, w in self.who.items()}
        every = {n: hashed.get(n) for n in CARRIES[self.event]}
        return one_row(
            MIDNIGHT - self.ago * DAY + HOUR, dimension(self.event, self.action), **every
        )


def pseudonym(attribute, number):
    return f"{attribute} {number}".ljust(16).encode()


def fewest_behind(uses):
    """How many at least are behind uses of one event, or of several."""
    behind = {name: set() for use in uses for name in CARRIES[use.event]}
    for use in uses:
        for name, who in use.who.items():
            behind[name].add(who)
    return min(map(len, behind.values()), default=len(uses))


def expected(uses, k):
    """Each figure, by day, product and event (None: other), as the uses that it is the number of."""
    cells = defaultdict(list)
    for use in uses:
        if use.ends:
            cells[use.cell].append(use)
    figures, small = {}, defaultdict(list)
    for (day, event), inside in cells.items():
        product = inside[0].product
        if fewest_behind(inside) >= k:
            figures[day, product, event] = inside
        else:
            small[day, product] += inside
    others = {(*of, None): uses for of, uses in small.items() if fewest_behind(uses) >= k}
    return figures | others


def derived(figures):
    """The cells whose value follows from figures, each of which is a sum of cells: by elimination.

    Args:
        figures: Of each the cells that it sums up, and its value.
    """
    cells = sorted({cell for inside, _ in figures for cell in inside}, key=str)
    rows = [
        [*(Fraction(cell in inside) for cell in cells), Fraction(value)]
        for inside, value in figures
    ]
    done = 0
    for column in range(len(cells)):
        pivot = next((n for n in range(done, len(rows)) if rows[n][column]), None)
        if pivot is None:
            continue
        rows[done], rows[pivot] = rows[pivot], rows[done]
        first = rows[done][column]
        rows[done] = [value / first for value in rows[done]]
        for n, row in enumerate(rows):
            if n != done and row[column]:
                rows[n] = [a - row[column] * b for a, b in zip(row, rows[done], strict=True)]
        done += 1
    alone = [row for row in rows[:done] if sum(map(bool, row[:-1])) == 1]
    return {cells[row.index(1)]: int(row[-1]) for row in alone}


def with_sums(figures):
    """Figures, and what they come to by day, product, event, week, and in all."""
    kinds = (lambda d, p, e: d, lambda d, p, e: p, lambda d, p, e: e, lambda d, p, e: (d, p),
             lambda d, p, e: d.isocalendar()[:2], lambda d, p, e: 0)  # fmt: skip
    known = [({use.cell for use in uses}, len(uses)) for uses in figures.values()]
    for kind in kinds:
        sums = defaultdict(list)
        for of, uses in figures.items():
            sums[kind(*of)] += uses
        known += [({use.cell for use in uses}, len(uses)) for uses in sums.values()]
    return known


def small_cells(uses, k):
    cells = defaultdict(list)
    for use in uses:
        cells[use.cell].append(use)
    return {cell: len(inside) for cell, inside in cells.items() if fewest_behind(inside) < k}
