"""What fires: after it was found in some looks in a row, until it was not found in some others (ADR 40)."""

import datetime as dt
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Final, NamedTuple

from footfall_exporters.postgres.alerts.finding import About, Finding
from footfall_exporters.postgres.alerts.looking import Looked

ANY_RULE: Final = "all"
"""A silence's, in the place of a rule."""


class Hysteresis(NamedTuple):
    """How soon an alert fires and clears.

    Attributes:
        fire_after: How many looks in a row must find it.
        clear_after: How many in a row must not.
    """

    fire_after: int
    clear_after: int


class Silence(NamedTuple):
    """Nobody is told for so long.

    Attributes:
        rule: Of which rule; `ANY_RULE`: of every one.
        product: Of which product; empty: of every one.
        until: When it ends.
    """

    rule: str
    product: str
    until: dt.datetime

    def holds_for(self, about: About) -> bool:
        """Whether it is about this."""
        return self.rule in (ANY_RULE, about.rule) and self.product in ("", about.product)


@dataclass(frozen=True, slots=True)
class State:
    """What is known of something that a rule found.

    Attributes:
        about: What it is about.
        firing: Whether it was found in enough looks.
        in_a_row: Looks that found it, while it does not fire; that did not, while it does.
        since: Since when it is so.
        fired_at: When it began to fire.
        told: Whether people were told.
        silenced_until: Until when they are not; None: nobody wanted that.
        what: What is so, as it was found last.
        sure: How sure that is.
        first: What to look at first; empty: what the rule says.
    """

    about: About
    firing: bool
    in_a_row: int
    since: dt.datetime
    fired_at: dt.datetime | None = None
    told: bool = False
    silenced_until: dt.datetime | None = None
    what: str = ""
    sure: str = ""
    first: str = ""


class Turn(StrEnum):
    """What became of it."""

    FIRES = "fires"
    CLEARED = "cleared"


class Change(NamedTuple):
    """What is to be told.

    Attributes:
        turn: What became of it.
        state: As it is, or was before it cleared.
        is_new: Whether that is so since this look: what was silenced is told later.
    """

    turn: Turn
    state: State
    is_new: bool


def moved(
    known: Mapping[About, State],
    looked: Sequence[Looked],
    silences: Iterable[Silence],
    now: dt.datetime,
    hysteresis: Hysteresis,
) -> tuple[list[State], list[Change]]:
    """What there is after a look, and what is to be told.

    Args:
        known: What there was before.
        looked: What each rule found; of one that is not among them nothing is kept.
        silences: Those that hold.
        now: When that was.
        hysteresis: How soon something fires and clears.
    """
    found = {finding.about: finding for each in looked for finding in each.findings}
    answered = {each.rule: each.is_known for each in looked}
    quiet = list(silences)
    states: list[State] = []
    changes: list[Change] = []
    for about in dict.fromkeys([*known, *found]):
        before = known.get(about)
        if about.rule not in answered:
            continue
        if before is not None and not answered[about.rule]:
            states.append(before)
            continue
        after = _after(before, found.get(about), now, hysteresis)
        until = max((each.until for each in quiet if each.holds_for(about)), default=None)
        changes += _told(before, after, until)
        if after is not None:
            told = after.told or (_is_shown(after) and until is None)
            states.append(replace(after, silenced_until=until, told=told))
    return states, changes


def _is_shown(state: State) -> bool:
    """Whether it fires, and was found in this look."""
    return state.firing and state.in_a_row == 0


def _after(
    before: State | None, finding: Finding | None, now: dt.datetime, hysteresis: Hysteresis
) -> State | None:
    """The state after a look; None: there is nothing any more."""
    if finding is None:
        if before is None or not before.firing or before.in_a_row + 1 >= hysteresis.clear_after:
            return None
        return replace(before, in_a_row=before.in_a_row + 1)
    since = finding.since or (before.since if before else now)
    former = before or State(finding.about, False, 0, since)
    seen = former.in_a_row + 1
    said = replace(former, since=since, what=finding.what, sure=finding.sure, first=finding.first)
    if former.firing:
        return replace(said, in_a_row=0)
    if seen >= hysteresis.fire_after:
        return replace(said, firing=True, in_a_row=0, fired_at=now)
    return replace(said, in_a_row=seen)


def _told(
    before: State | None, after: State | None, silenced_until: dt.datetime | None
) -> Iterator[Change]:
    """What there is to be told, or logged alone, where that is silenced."""
    fired = before is not None and before.firing
    if after is not None and _is_shown(after) and not after.told:
        if silenced_until is None or not fired:
            yield Change(Turn.FIRES, replace(after, silenced_until=silenced_until), not fired)
    elif before is not None and fired and after is None:
        yield Change(Turn.CLEARED, replace(before, silenced_until=silenced_until), True)
