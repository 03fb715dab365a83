"""What was driven against what the reports say."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from footfall_examples.sahasrahbot.drive import Tally
from footfall_examples.sahasrahbot.past import Past
from footfall_exporters.postgres import Report

Key = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Comparison:
    """One kind of number, driven and reported.

    Attributes:
        what: `uses`, a surface, `failures`, `guilds` or `before`.
        driven: By the books, per key.
        reported: By the report, per key.
    """

    what: str
    driven: Mapping[Key, int]
    reported: Mapping[Key, int]

    @property
    def totals(self) -> tuple[int, int]:
        """Driven and reported in all."""
        return sum(self.driven.values()), sum(self.reported.values())

    @property
    def differences(self) -> list[tuple[str, int, int]]:
        """Every key whose numbers differ, with both."""
        keys = sorted({*self.driven, *self.reported})
        numbers = [(" ".join(k), self.driven.get(k, 0), self.reported.get(k, 0)) for k in keys]
        return [(key, driven, reported) for key, driven, reported in numbers if driven != reported]


def compare(tally: Tally, reports: Mapping[str, Report]) -> list[Comparison]:
    """Uses by action, and of each surface; failures by type; and active guilds, if one day was counted.

    Args:
        tally: What was driven.
        reports: `usage`, `errors` and `groups` of a database that holds nothing else.
    """
    comparisons = [
        Comparison("uses", tally.uses, _sums(reports["usage"], ("event", "action"), "count")),
        *_surfaces(tally, reports["usage"]),
        Comparison(
            "failures", tally.failures, _sums(reports["errors"], ("event", "error_type"), "count")
        ),
    ]
    # They are counted when their day has settled; and a guild may be active on two days.
    if len(reports["groups"].rows) == 1:
        groups = _sums(reports["groups"], ("attribute",), "active")
        comparisons.append(Comparison("guilds", {("guild_id",): len(tally.guilds)}, groups))
    return comparisons


def compare_past(past: Past, reports: Mapping[str, Report]) -> list[Comparison]:
    """Uses by day and action of the days before, and each day's guilds where they have been counted.

    Args:
        past: What was before.
        reports: `usage` and `groups` of those days, by day.
    """
    uses = {(str(day), *which): number for (day, *which), number in past.books.items()}
    reported = _sums(reports["usage"], ("day", "event", "action"), "count")
    groups = _sums(reports["groups"], ("day",), "active")
    guilds: dict[Key, int] = {(str(day),): number for day, number in past.guilds.items()}
    counted = {day: number for day, number in guilds.items() if day in groups}
    return [
        Comparison("before", uses, reported),
        Comparison("guilds", counted, groups),
    ]


def _surfaces(tally: Tally, usage: Report) -> Iterator[Comparison]:
    """Uses of each surface: by the books, where an event's name begins with it, and by the report."""
    driven: Counter[str] = Counter()
    for (event, _), number in tally.uses.items():
        driven[event.partition(".")[0]] += number
    reported = _sums(usage, ("surface",), "count")
    for surface in sorted({*driven, *(key[0] for key in reported)}):
        key = (surface,)
        yield Comparison(surface, {key: driven[surface]}, {key: reported.get(key, 0)})


def _sums(report: Report, keys: Sequence[str], number: str) -> Mapping[Key, int]:
    sums: Counter[Any] = Counter()
    for row in report.records():
        sums[tuple(str(row[key]) for key in keys)] += row[number]
    return sums
