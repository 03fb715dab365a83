"""Distinct groups of a period are those of its rows when it was counted: whatever came, went, or was killed.

What is expected is reckoned in Python from what was stored, erased and dropped until then.
"""

import asyncio
import datetime as dt
from collections import Counter, defaultdict
from contextlib import asynccontextmanager

import psycopg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from conftest import new_database
from exporters.housekeeping import connected, day, moment
from footfall_exporters.postgres import groups, partitions
from footfall_exporters.postgres.connecting import HOUSEKEEPING, connect
from footfall_exporters.postgres.erasing import erase
from support.batches import DAY, batch, dimension, one_row
from support.stores import MIDNIGHT, TODAY, rows_of, writing
from support.waiting import until

DIMENSIONS = (
    dimension(),
    dimension(action="failure", status="error"),
    dimension("shop.survey"),
    dimension("more.order", surface="bot"),  # the same feature of the same product
    dimension("other.order"),  # the same feature of another one
    dimension("nobodys.thing"),
)
PRODUCTS = {
    "shop.order": "testbed",
    "shop.survey": "testbed",
    "more.order": "testbed",
    "other.order": "other",
}
KINDS = {"guild_id": "daily", "team_id": "weekly", "org_id": "monthly", "visitor": "static"}
CARRIED = (("visitor",), ("guild_id", "org_id", "visitor"), ("team_id", "visitor"), ())
WHOSE = (b"a" * 16, b"b" * 16, b"c" * 16)
BACK = 16
"""Days to which something is stored: a whole week at least."""
DECLARE = """
    INSERT INTO footfall.catalog_events
        (product, event, title, description, owner, surface, feature, actions, version)
    VALUES ('testbed', 'more.order', '', '', '', 'bot', 'order', '{}', ''),
           ('other', 'other.order', '', '', '', 'web', 'order', '{}', '')
"""
FOUND = """
    SELECT period, day, attribute, scope, product, feature, event, groups, reason FROM reporting.groups
"""
DEPTH = """
    SELECT start, attribute, scope, nullif(product, ''), features, groups, reason FROM footfall.groups_depth
"""
ONE_DAY = dt.timedelta(days=1)


def first_and_end(span, on):
    """The first day of a day's week or month, and the first one after it."""
    if span == "day":
        return on, on + ONE_DAY
    if span == "week":
        first = on - on.weekday() * ONE_DAY
        return first, first + 7 * ONE_DAY
    first = on.replace(day=1)
    return first, (first + 31 * ONE_DAY).replace(day=1)


def days_between(first, end):
    return [first + n * ONE_DAY for n in range((end - first).days)]


def names_salt(kind, on):
    """What a salt is named after."""
    return {
        "daily": on,
        "weekly": on.isocalendar()[:2],
        "monthly": (on.year, on.month),
        "static": 0,
    }[kind]


def cells_of(rows):
    """Who used what, by attribute."""
    found = defaultdict(set)
    for event, feature, values in rows:
        product = PRODUCTS.get(event)
        for attribute, value in values.items():
            for cell in (
                ("all", None, None, None), ("product", product, None, None),
                ("feature", product, feature, None),
                ("event", product, feature if product else None, event),
            ):  # fmt: skip
                found[attribute, *cell].add(value)
    return found


def depth_of(rows):
    """How many groups used how many features, by attribute: of all, and of each product's."""
    used = defaultdict(set)
    for event, feature, values in rows:
        product = PRODUCTS.get(event)
        for attribute, value in values.items():
            used[attribute, "all", None, value].add((product, feature))
            used[attribute, "product", product, value].add(feature)
    return Counter((*cell, len(features)) for (*cell, _), features in used.items())


class Known:
    """What is stored, and what was counted."""

    def __init__(self):
        self.live, self.had, self.dropped = defaultdict(list), set(), set()
        self.counted, self.shown, self.deep = set(), {}, {}

    def store(self, rows):
        for time, _, of, values in rows:
            on = moment(time).date()
            self.had.add(on)
            self.live[on].append((of.event, of.feature, values))

    def erase(self, visitor):
        for on, rows in self.live.items():
            self.live[on] = [row for row in rows if row[2].get("visitor") != visitor]

    def count(self, end):
        for on in sorted(self.had - self.dropped):
            if on < end:
                self._count("day", on)
        self._count_longer(
            {day for span, day, _, scope, *_ in self.shown if (span, scope) == ("day", "all")}, end
        )

    def drop(self, days, now):
        for on in sorted(days):
            if on not in self.dropped:
                self._count("day", on)
                self._count_longer([on], now)
            self.dropped.add(on)
            self.live.pop(on, None)

    def _count_longer(self, days, now):
        for span in ("week", "month"):
            for on in days:
                first, end = first_and_end(span, on)
                if end <= now:
                    self._count(span, first)

    def _count(self, span, on):
        first, end = first_and_end(span, on)
        if (span, first) in self.counted:
            return
        self.counted.add((span, first))
        if span == "day":
            deep = depth_of(self.live[on])
            self.deep |= {(on, *cell): (number, None) for cell, number in deep.items()}
        for attribute, kind in KINDS.items():
            reason = self._reason(span, kind, first, end)
            if reason:
                cells = [
                    k[2:]
                    for k in self.shown
                    if k[0] == "day" and k[2] == attribute and first <= k[1] < end
                ]
                self.shown |= {(span, first, *cell): (None, reason) for cell in cells}
                continue
            rows = [row for each in days_between(first, end) for row in self.live[each]]
            self.shown |= {
                (span, first, *cell): (len(who), None)
                for cell, who in cells_of(rows).items()
                if cell[0] == attribute
            }

    def _reason(self, span, kind, first, end):
        if names_salt(kind, first) != names_salt(kind, end - ONE_DAY):
            return "salt_period"
        if span != "day" and self.dropped & set(days_between(first, end)):
            return "dropped"
        return None


def shown(query):
    return {tuple(row[:7]): row[7:] for row in query(FOUND)}


def deep(query):
    return {tuple(row[:5]): row[5:] for row in query(DEPTH)}


@asynccontextmanager
async def keeping(dsn):
    async with await connect(dsn, HOUSEKEEPING) as connection:
        yield connection


async def count(dsn, end):
    """As the task does six hours after this day has begun."""
    async with keeping(dsn) as connection:
        now = dt.datetime.combine(end, dt.time(6), dt.UTC)
        while (await groups.count_settled(connection, now)).left:
            pass


async def killed(dsn, query, end):
    """Who counts is ended where it writes its first period, if it comes to it."""
    async with connected(dsn) as other, other.transaction():
        await other.execute("LOCK TABLE footfall.groups_counts IN EXCLUSIVE MODE")
        working = asyncio.create_task(count(dsn, end))

        async def waits_or_done():
            return working.done() or query(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                " WHERE datname = current_database() AND application_name = 'footfall housekeeping'"
                " AND wait_event_type = 'Lock'"
            )

        await until(waits_or_done)
    try:
        await working
    except psycopg.OperationalError:
        return True
    return False


def attached(query, first_kept):
    names = query(
        "SELECT right(inhrelid::regclass::text, 8) FROM pg_inherits"
        " WHERE inhparent = 'footfall.feature_events'::regclass"
    )
    days = [dt.datetime.strptime(name, "%Y%m%d").replace(tzinfo=dt.UTC).date() for (name,) in names]
    return [each for each in days if each < first_kept]


async def perform(step, dsn, query, store, known):
    match step:
        case "store", drawn:
            rows = [
                one_row(MIDNIGHT - back * DAY + at, DIMENSIONS[of],
                        **dict.fromkeys(CARRIED[which], WHOSE[whose]))
                for back, at, of, which, whose in drawn
            ]  # fmt: skip
            await store(batch(*rows))
            known.store(rows)
        case "count", (ahead, housekeepers):
            await asyncio.gather(
                *(count(dsn, TODAY + ahead * ONE_DAY) for _ in range(housekeepers))
            )
            known.count(TODAY + ahead * ONE_DAY)
        case "killed", ahead:
            if not await killed(dsn, query, TODAY + ahead * ONE_DAY):
                known.count(TODAY + ahead * ONE_DAY)
        case "erase", whose:
            async with keeping(dsn) as connection:
                await erase(connection, "visitor_hash", [WHOSE[whose]])
            known.erase(WHOSE[whose])
        case "drop", back:
            gone = attached(query, day(back))
            [(now,)] = query(
                "SELECT ((clock_timestamp() AT TIME ZONE 'UTC') - interval '6 hours')::date"
            )
            async with keeping(dsn) as connection:
                assert not (await partitions.drop(connection, day(back))).held
            known.drop(gone, now)


STORED = st.lists(
    st.tuples(
        st.integers(0, BACK),
        st.integers(0, DAY - 1) | st.sampled_from([0, DAY - 1]),
        st.integers(0, len(DIMENSIONS) - 1),
        st.integers(0, len(CARRIED) - 1),
        st.integers(0, len(WHOSE) - 1),
    ),
    min_size=1,
    max_size=8,
)
AHEAD = st.sampled_from([-8, -3, 0, 1, 8, 40])
STEPS = st.lists(
    st.tuples(st.just("store"), STORED)
    | st.tuples(st.just("store"), STORED)
    | st.tuples(st.just("count"), st.tuples(AHEAD, st.integers(1, 2)))
    | st.tuples(st.just("killed"), AHEAD)
    | st.tuples(st.just("erase"), st.integers(0, len(WHOSE) - 1))
    | st.tuples(st.just("drop"), st.integers(1, BACK)),
    min_size=3,
    max_size=12,
)


@pytest.mark.timeout(360)  # 25 histories, on a machine that may be busy
@settings(
    max_examples=25,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(STEPS)
def test_groups_are_those_of_the_rows_when_their_period_was_counted(
    postgres_server, store_template, making, dropping, catalog, steps
):
    async def run(dsn, query):
        query(DECLARE)
        known = Known()
        async with writing(dsn, catalog) as writer:
            for step in [*steps, ("count", (40, 1))]:
                await perform(step, dsn, query, writer.consume, known)
                assert (shown(query), deep(query)) == (known.shown, known.deep)

    with (
        new_database(postgres_server, store_template, making, dropping) as dsn,
        psycopg.connect(dsn, autocommit=True) as connection,
    ):
        asyncio.run(run(dsn, lambda statement, *args: rows_of(connection, statement, *args)))
