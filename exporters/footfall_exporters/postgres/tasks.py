"""The tasks of housekeeping: what each does, and how often; docs/housekeeping.md says what for."""

import datetime as dt
import logging
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field

from psycopg import AsyncConnection

from footfall_exporters.postgres import (
    comparisons,
    finding,
    groups,
    inventory,
    kept,
    latency,
    partitions,
    publishing,
    rates,
    ratings,
    retention,
    salts,
    stuck,
    thinning,
)
from footfall_exporters.postgres.publishing import PublishedConfig
from footfall_exporters.postgres.sessions import following, forgetting
from footfall_processors import Catalog, window
from footfall_processors.hashing import Period

log = logging.getLogger("footfall.housekeeping")
AHEAD_DAYS = 3
"""So many days a collector can be without housekeeping."""


@dataclass(frozen=True, slots=True)
class Now:
    """The time, twice: a clock that is set wrong must destroy nothing.

    Attributes:
        database: By Postgres.
        collector: By this machine.
    """

    database: dt.datetime
    collector: dt.datetime

    @property
    def earlier(self) -> dt.datetime:
        """What has expired by this has by both."""
        return min(self.database, self.collector)


@dataclass(frozen=True, slots=True)
class Done:
    """What a task has done.

    Attributes:
        number: Of things made or destroyed.
        outcome: A few words.
        more: Whether some is left, to be done at the next look.
    """

    number: int
    outcome: str
    more: bool = False


@dataclass(frozen=True, slots=True)
class House:
    """What is kept.

    Attributes:
        catalog: In force.
        retention_days: Observations older than this are dropped, a day at a time.
        rollup_retention_days: Rollups, counts and losses older than this are deleted.
        silence: Without a sign of life for so long a session has ended.
        found_by: Columns by which observations are found quickly.
        published: What may leave the team.
        rules: Observations that are kept for less.
    """

    catalog: Catalog
    retention_days: int
    rollup_retention_days: int
    silence: dt.timedelta = dt.timedelta(hours=1)
    found_by: Sequence[str] = ()
    published: PublishedConfig = field(default_factory=PublishedConfig)
    rules: Sequence[thinning.Rule] = ()


@dataclass(frozen=True, slots=True)
class Task:
    """Something to be done every so many seconds."""

    name: str
    every: float
    work: Callable[[AsyncConnection, House, Now], Awaitable[Done]]


async def make_partitions(connection: AsyncConnection, house: House, now: Now) -> Done:
    """The days on which something accepted now, or soon, can fall; see `partitions.ensure`."""
    days: set[dt.date] = set()
    back = min(window.PAST.days, house.retention_days)
    for clock in (now.database, now.collector):
        days |= {clock.date() + dt.timedelta(days=n) for n in range(-back, AHEAD_DAYS + 1)}
    made = len(await partitions.ensure(connection, days))
    return Done(made, f"{_some(made, 'day')} made")


async def _salts(connection: AsyncConnection, house: House, now: Now) -> Done:
    await make_salts(connection, house, now)
    gone = await salts.destroy(connection, _microseconds(now.earlier))
    return Done(gone, f"{_some(gone, 'salt')} destroyed")


async def make_salts(connection: AsyncConnection, house: House, now: Now) -> dict[Period, bytes]:
    """The salts that are needed by either clock, with all others that are in force; see `salts.make`."""
    clocks = {now.database, now.collector}
    needed = [salts.needed(house.catalog, _microseconds(clock)) for clock in clocks]
    return await salts.make(connection, set().union(*needed))


async def _stuck(connection: AsyncConnection, _: House, __: Now) -> Done:
    ended = await stuck.end_stuck(connection)
    if ended:
        log.warning(
            "%d writers stopped in a transaction and held up others; they were ended", ended
        )
    return Done(ended, f"{_some(ended, 'writer')} ended")


async def _latency(connection: AsyncConnection, _: House, __: Now) -> Done:
    done = await latency.keep_up(connection)
    outcome = f"{_some(done.commits, 'commit')} rolled up"
    if done.filled or done.unfilled:
        outcome += f", {_some(done.filled, 'day')} filled, {done.unfilled} to be filled"
    return Done(done.commits, outcome, done.more)


async def _groups(connection: AsyncConnection, _: House, now: Now) -> Done:
    done = await groups.count_settled(connection, now.earlier)
    longer = f" and {_some(done.longer, 'longer period')}" if done.longer else ""
    outcome = f"{_some(done.days, 'day')}{longer} counted"
    if done.left:
        outcome += f", {done.left} to be counted"
    return Done(done.days, outcome, done.left > 0)


async def _inventory(connection: AsyncConnection, _: House, now: Now) -> Done:
    number = await inventory.take(connection, now.earlier)
    return Done(number, f"{_some(number, 'event')} looked at")


async def _releases(connection: AsyncConnection, _: House, __: Now) -> Done:
    number = await comparisons.keep(connection)
    return Done(number, f"{_some(number, 'row')} kept")


async def _published(connection: AsyncConnection, house: House, now: Now) -> Done:
    kept = dt.timedelta(days=min(house.retention_days, house.rollup_retention_days - 1))
    since = now.earlier.replace(hour=0, minute=0, second=0, microsecond=0) - kept
    done = await publishing.publish(connection, house.catalog, house.published, since, now.earlier)
    return Done(done.number, f"{_some(done.number, 'day')} published", done.more)


async def _retention(connection: AsyncConnection, house: House, now: Now) -> Done:
    first_kept = now.earlier.date() - dt.timedelta(days=house.retention_days)
    done = await partitions.drop(connection, first_kept)
    await ratings.expire(connection, first_kept)
    thinned = await thinning.thin(connection, house.rules, now.earlier.date())
    for product in await thinning.unknown(connection, house.rules):
        log.warning("no catalog declares the product %s of a retention rule", product)
    await retention.forget(connection, now.earlier, house.rollup_retention_days)
    await kept.note(connection, house.retention_days, house.rollup_retention_days, house.rules)
    outcome = [f"{_some(len(done.days), 'day')} dropped"]
    if done.held:
        outcome.append(f"{_some(len(done.held), 'day')} held by readers")
    if thinned:
        number = _some(sum(thinned.values()), "observation")
        outcome.append(f"{number} of {_some(len(thinned), 'day')} deleted")
    return Done(len(done.days), ", ".join(outcome), bool(done.held))


async def _subscribers(connection: AsyncConnection, _: House, __: Now) -> Done:
    found = await connection.execute(
        "SELECT count(*), count(*) FILTER (WHERE s.position < k.position),"
        " count(*) FILTER (WHERE s.position + 1 < coalesce("
        "     (SELECT min(position) FROM footfall.commits), k.position + 1))"
        " FROM footfall.subscribers s, footfall.commit_clock k"
    )
    every, behind, missing = await found.fetchone() or (0, 0, 0)
    if missing:
        log.warning("%d subscribers are so far behind that commits were deleted before", missing)
    return Done(
        missing, f"{_some(every, 'subscriber')}, {behind} behind, {missing} behind what is kept"
    )


async def _rates(connection: AsyncConnection, _: House, now: Now) -> Done:
    gone = await rates.forget(connection, _microseconds(now.earlier) // 1000)
    return Done(gone, f"{_some(gone, 'minute')} forgotten")


async def _sessions(connection: AsyncConnection, house: House, now: Now) -> Done:
    heard, more = await following.follow(connection, house.catalog)
    ended = await following.end_silent(connection, house.silence)
    first_kept = now.earlier.date() - dt.timedelta(days=house.retention_days)
    gone = await forgetting.retire(connection, first_kept)
    outcome = f"{_some(heard, 'session')} heard of, {ended} ended in silence, {gone} dropped"
    return Done(heard, outcome, more)


async def _indexes(connection: AsyncConnection, house: House, _: Now) -> Done:
    built = await finding.build(connection, house.found_by)
    settled = await finding.settle(connection) if house.found_by else 0
    return Done(built, f"{_some(built, 'day')} indexed, {settled} vacuumed")


async def _brin(connection: AsyncConnection, _: House, __: Now) -> Done:
    ranges = await partitions.summarise(connection)
    return Done(ranges, f"{_some(ranges, 'range')} summarised")


TASKS: Sequence[Task] = (
    Task("writers", 15.0, _stuck),
    Task("rates", 60.0, _rates),
    Task("sessions", 15.0, _sessions),
    Task("partitions", 3600.0, make_partitions),
    Task("salts", 3600.0, _salts),
    Task("subscribers", 300.0, _subscribers),
    Task("brin", 600.0, _brin),
    Task("indexes", 60.0, _indexes),
    Task("latency", 30.0, _latency),
    Task("groups", 6 * 3600.0, _groups),
    Task("inventory", 3600.0, _inventory),
    Task("releases", 300.0, _releases),
    Task("published", 3600.0, _published),
    Task("retention", 3600.0, _retention),
)
"""What is urgent comes first; what is dropped has been rolled up before."""
NAMES: Sequence[str] = tuple(task.name for task in TASKS)


def _some(number: int, thing: str) -> str:
    return f"{number} {thing}" if number == 1 else f"{number} {thing}s"


def _microseconds(moment: dt.datetime) -> int:
    return round(moment.timestamp() * 1e6)
