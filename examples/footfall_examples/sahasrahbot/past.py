"""Nine weeks before today, made up: what the page and the reports have to say something about.

Today is real: every use of it is driven. The days before it cannot be, so they are drawn, with the rhythm of
a week and of a day, as batches that the collector's own writer stores, and entered in the books as well. They
tell of a product that lives: a release after which the seeds of one provider fail more often and settings
take longer, an event that began, one that fades, one that grows.
"""

import datetime as dt
import math
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from random import Random
from typing import Final

from psycopg import AsyncConnection

from footfall_exporters.background import beside
from footfall_exporters.postgres import connect, groups, latency, partitions
from footfall_exporters.postgres.connecting import HOUSEKEEPING
from footfall_exporters.postgres.writer import Writer
from footfall_processors import Batch, Catalog, Dimension, Rows, Shape
from footfall_processors.catalog import BUILTIN, EMITTED
from footfall_processors.error_types import STATUS_OF

DAYS: Final = 63
"""How many days before today: the inventory compares four weeks with the four before, and leaves out the week
in which a store began."""
OBSERVED: Final = 28
"""Of so many, observations are kept; of those before, counts alone, as in a store that lives so long."""
RELEASED: Final = 9
"""Days ago, when the newer version came."""
VERSIONS: Final = ("7.18.2", "7.19.3")
PROVIDERS: Final = ("alttpr", "smz3", "smr", "z2r", "ffr")
GUILDS: Final = 90
"""Active on a day at most."""
_WEEK: Final = (0.8, 0.75, 0.8, 0.85, 1.15, 1.5, 1.35)
"""Monday to Sunday: games are played at the weekend."""
_PATIENCE_MS: Final = 5000
"""After which a provider has not answered in time."""
_NOON: Final = 12 * 3600
_HOUR_US: Final = 3_600_000_000
Key = tuple[dt.date, str, str]
"""A day (UTC), an event, an action."""


@dataclass(frozen=True, slots=True)
class Habit:
    """How an event is used.

    Attributes:
        event: Its name.
        daily: Uses on a usual day.
        actions: What ends well, in equal parts.
        fails: Which errors end it otherwise, and how often.
        median_ms: How long it takes, mostly; None for what takes no time.
        lately: How often it is used in the last four weeks, of what is usual.
        since: Days ago, when it began.
        provided: Whether it asks a provider.
        begins: An action that is counted at each beginning.
    """

    event: str
    daily: int
    actions: Sequence[str] = ("success",)
    fails: Sequence[tuple[str, float]] = ()
    median_ms: int | None = None
    lately: float = 1.0
    since: int = DAYS
    provided: bool = False
    begins: str | None = None


HABITS: Final = (
    Habit("discord.generator", 620, fails=(("provider_timeout", 0.02), ("invalid_preset", 0.03)),
          median_ms=420, provided=True, begins="invoke"),
    Habit("discord.daily.announce", 150, fails=(("provider_unavailable", 0.01),),
          median_ms=160, lately=0.4, provided=True),
    Habit("discord.asynctournament", 210, actions=("run_start", "run_submit", "review_complete")),
    Habit("discord.racetime_tools.command", 24, fails=(("permission_denied", 0.15),),
          median_ms=90, begins="invoke"),
    Habit("racetime.room.command", 480, fails=(("permission_denied", 0.02),), median_ms=35, begins="invoke"),
    Habit("racetime.seed.generate", 260, fails=(("provider_timeout", 0.02),), median_ms=700, provided=True),
    Habit("api.auth.login", 130, fails=(("permission_denied", 0.04), ("provider_unavailable", 0.01)),
          median_ms=240, begins="start"),
    Habit("api.settingsgen.request", 170, fails=(("invalid_preset", 0.05),),
          median_ms=130, lately=1.6, provided=True),
    Habit("api.sglive.seed_generate", 60, fails=(("provider_timeout", 0.02),),
          median_ms=650, since=12, provided=True),
)  # fmt: skip


@dataclass
class Day:
    """What is drawn for a day: its observations by the attributes they have, and its counts."""

    times: dict[str, list[int]] = field(default_factory=dict)
    durations: dict[str, list[int | None]] = field(default_factory=dict)
    shapes: dict[str, list[Shape]] = field(default_factory=dict)
    counts: Counter[tuple[int, Dimension]] = field(default_factory=Counter)


class Past:
    """The days before today.

    Args:
        catalog: Says of an event what it is.
        environment: Where all of it was.
        today: The first day (UTC) that is not made up.

    Attributes:
        books: How often each event was used, by day and action.
        guilds: How many were active on each day of which observations are kept.
    """

    def __init__(self, catalog: Catalog, environment: str, today: dt.date) -> None:
        self._catalog, self._environment, self._today = catalog, environment, today
        self._shapes: dict[tuple[str, ...], Shape] = {}
        self._tallies: dict[tuple[str, str], Dimension] = {}
        self.books: Counter[Key] = Counter()
        self.guilds: dict[dt.date, int] = {}

    async def store(self, dsn: str) -> None:
        """Stores it, and has housekeeping follow as it would have done.

        Args:
            dsn: Of the collector's database, as its owner.

        Raises:
            psycopg.Error: Postgres refused.
        """
        days = [self._today - dt.timedelta(days=back) for back in range(DAYS, 0, -1)]
        async with await connect(dsn, HOUSEKEEPING) as keeping:
            await partitions.ensure(keeping, days[-OBSERVED:])
            writer = Writer(dsn, self._catalog)
            async with beside(writer.run()):
                for day in days:
                    await writer.consume(self._batch(day))
            await _keep_up(keeping)

    def _batch(self, day: dt.date) -> Batch:
        chosen, drawn = Random(day.toordinal()), Day()  # noqa: S311  # nothing is secret here
        for habit in HABITS:
            if (self._today - day).days <= habit.since:
                self._use(habit, day, chosen, drawn)
        if (self._today - day).days > OBSERVED:
            return Batch(chosen.randbytes(16), "metrics", counts=drawn.counts)
        hashes = _hashes(len(drawn.times["guild_id"]), chosen)
        self.guilds[day] = len({*hashes})
        columns = {"guild_id": [hashes], "": []}
        rows = [
            Rows(drawn.times[kind], drawn.durations[kind], drawn.shapes[kind], columns[kind])
            for kind in drawn.times
        ]
        return Batch(chosen.randbytes(16), "traces", rows, drawn.counts)

    def _use(self, habit: Habit, day: dt.date, chosen: Random, drawn: Day) -> None:
        back = (self._today - day).days
        usual = habit.daily * _WEEK[day.weekday()] * (habit.lately if back <= OBSERVED else 1)
        attributes = self._catalog.events[habit.event].attributes
        kind = "guild_id" if "guild_id" in attributes else ""
        for second in sorted(_seconds(usual, chosen)):
            version = VERSIONS[back * 86_400 - second < RELEASED * 86_400 - _NOON]
            ending = self._ending(habit, version, chosen)
            dimension = ending.dimension
            time_us = (_midnight(day) + second) * 10**6
            drawn.times.setdefault(kind, []).append(time_us)
            drawn.durations.setdefault(kind, []).append(_takes(habit, dimension, chosen))
            drawn.shapes.setdefault(kind, []).append(ending)
            hour = time_us // _HOUR_US * _HOUR_US
            self._count(drawn, hour, day, dimension)
            if habit.begins:
                begun = self._shape(habit.event, habit.begins, None, version, None)
                self._count(drawn, hour, day, begun.dimension)

    def _count(self, drawn: Day, hour: int, day: dt.date, dimension: Dimension) -> None:
        drawn.counts[hour, dimension] += 1
        drawn.counts[hour, self._tally(dimension)] += 1
        self.books[day, dimension.event, dimension.action] += 1

    def _ending(self, habit: Habit, version: str, chosen: Random) -> Shape:
        provider = chosen.choice(PROVIDERS) if habit.provided else None
        for error, share in habit.fails:
            worse = (
                9 if (provider, version, error) == ("smr", VERSIONS[1], "provider_timeout") else 1
            )
            if chosen.random() < share * worse:
                return self._shape(habit.event, "failure", error, version, provider)
        return self._shape(habit.event, chosen.choice(habit.actions), None, version, provider)

    def _shape(
        self, event: str, action: str, error: str | None, version: str, provider: str | None
    ) -> Shape:
        key = (event, action, error or "", version, provider or "")
        if key not in self._shapes:
            known = self._catalog.events[event]
            dimension = Dimension(
                event, known.surface, known.feature, action,
                STATUS_OF.get(error, "error") if error else "ok", error,
                self._catalog.owners[event], version, self._environment,
                (("provider", provider),) if provider else (), telemetry_distro="footfall",
            )  # fmt: skip
            columns = ("guild_id",) if "guild_id" in known.attributes else ()
            self._shapes[key] = Shape(dimension, 1.0, columns)
        return self._shapes[key]

    def _tally(self, counted: Dimension) -> Dimension:
        """Of the SDK's own count of an event, against which what is stored is compared."""
        key = counted.event, str(counted.service_version)
        if key not in self._tallies:
            said = (("emitted_event", counted.event),)
            self._tallies[key] = replace(
                counted, event=EMITTED, surface=BUILTIN, feature="emitted", action="count", status="ok",
                error_type=None, enums=said,
            )  # fmt: skip
        return self._tallies[key]


def _hashes(number: int, chosen: Random) -> list[bytes]:
    """Whose uses a day's are. Its salt is another one every day: no guild of one is known on the next."""
    guilds = [chosen.randbytes(16) for _ in range(GUILDS)]
    often = [1 / rank for rank in range(1, GUILDS + 1)]
    return chosen.choices(guilds, often, k=number)


def _seconds(usual: float, chosen: Random) -> Iterator[int]:
    """When on a day something happens that does so `usual` times: seconds since midnight, most at 20:00."""
    at = 0.0
    while (at := at + chosen.expovariate(usual)) < 1:
        hour = 20 + chosen.gauss(0, 4.5)
        yield int(hour % 24 * 3600)


def _takes(habit: Habit, dimension: Dimension, chosen: Random) -> int | None:
    """How long it took, in milliseconds."""
    if habit.median_ms is None:
        return None
    if dimension.status == "timeout":
        return _PATIENCE_MS
    slower = (
        1.7
        if (habit.event, dimension.service_version) == ("api.settingsgen.request", VERSIONS[1])
        else 1
    )
    return round(habit.median_ms * slower * math.exp(chosen.gauss(0, 0.6)))


async def _keep_up(keeping: AsyncConnection) -> None:
    """Rolls up what is stored, and counts the guilds of the days that have settled."""
    more = True
    while more:
        more = (await latency.keep_up(keeping)).more
    left = 1
    while left:
        left = (await groups.count_settled(keeping, dt.datetime.now(dt.UTC))).left


def _midnight(day: dt.date) -> int:
    return int(dt.datetime.combine(day, dt.time(), dt.UTC).timestamp())
