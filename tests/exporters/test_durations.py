"""Rollups of durations answer as the rows would: in whatever order these come, go, and are followed.

What is expected is reckoned in Python from what was stored, erased and dropped.
"""

import asyncio
import datetime as dt
import math
import random
import re
from collections import Counter, defaultdict
from contextlib import asynccontextmanager

import psycopg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from conftest import new_database
from exporters.former import make_former
from exporters.housekeeping import BOUND, day, latencies, moment, nearest_rank, row, same
from footfall_exporters.contracts import Settings
from footfall_exporters.postgres import latency, partitions, prepare, thinning
from footfall_exporters.postgres.connecting import HOUSEKEEPING, connect
from footfall_exporters.postgres.erasing import erase
from footfall_exporters.postgres.housekeeping import House, Housekeeper
from footfall_exporters.postgres.reports.histograms import slots
from footfall_exporters.postgres.thinning import Rule
from support.batches import DAY, HOUR, NOW, batch, dimension, one_row
from support.stores import MIDNIGHT, rows_of, writing
from support.waiting import until

DIMENSIONS = (
    dimension(),
    dimension(service_version="2", environment="dev"),
    dimension(action="failure", status="error"),
    dimension("shop.visit", "open"),
)
VISITORS = (b"a" * 16, b"b" * 16, b"c" * 16)
BACK = 6
"""Days to which something is stored."""


def bucket(ms):
    return math.ceil(round(16 * math.log2(ms), 9)) if ms else -1


def decoded(histogram):
    """The buckets of a histogram: twelve decimal digits each."""
    number, found, at = int(histogram), {}, -1
    while number:
        number, count = divmod(number, 10**12)
        found |= {at: count} if count else {}
        at += 1
    return found


class Known:
    """What was stored, by day: of the days that are there, and of those that were dropped."""

    def __init__(self):
        self.live, self.gone, self.dropped = defaultdict(list), defaultdict(list), set()
        self.thinned = defaultdict(list)
        self.counts = Counter()

    def count(self, time, of, number=1):
        self.counts[moment(time // HOUR * HOUR), of.event, of.action, of.service_version] += number

    def store(self, rows):
        for time, duration, of, values in rows:
            self.count(time, of)
            self.live[time // DAY].append((time, duration, of, values["visitor"]))

    def erase(self, visitor):
        for each, rows in self.live.items():
            for time, _, of, whose in rows:
                if whose == visitor:
                    self.count(time, of, -1)
            self.live[each] = [found for found in rows if found[3] != visitor]

    def drop(self, first_kept):
        for each in range(first_kept - 20, first_kept):
            self.gone[each] += self.live.pop(each, []) + self.thinned.pop(each, [])
            self.dropped.add(each)

    def thin(self, first_kept):
        for each in {*self.live} - self.dropped:
            if each < first_kept:
                rows = self.live[each]
                self.thinned[each] += [row for row in rows if row[2].environment == "dev"]
                self.live[each] = [row for row in rows if row[2].environment != "dev"]

    def stored(self):
        return Counter(each for each, rows in self.live.items() for _ in rows)

    def shown(self):
        """(time, duration, dimension) of all that the rollups have."""
        kept = [r for each, rows in self.live.items() if each not in self.dropped for r in rows]
        rows = kept + [r for of in (self.gone, self.thinned) for rows in of.values() for r in rows]
        return [row[:3] for row in rows if row[1] is not None]


def compare(query, known):
    """Counts and histograms by hour and by day are exact; what is shown is as near as is promised."""
    assert query("SELECT count(*) FROM footfall.feature_counts_stale") == [(0,)]
    rows = query(
        "SELECT (time AT TIME ZONE 'UTC')::date, count(*) FROM footfall.feature_events GROUP BY 1"
    )
    assert dict(rows) == {moment(each * DAY).date(): n for each, n in known.stored().items()}
    counted_right(query, known)
    shown_right(query, known)
    hours, days = defaultdict(Counter), defaultdict(Counter)
    for time, duration, of in known.shown():
        name = of.event, of.action, of.service_version
        if time > NOW - 8 * DAY:  # older hours are not kept
            hours[moment(time // HOUR * HOUR), *name][bucket(duration)] += 1
        days[moment(time).date(), *name][bucket(duration)] += 1
    for table, column, expected in (("hours", "hour", hours), ("days", "day", days)):
        found = query(
            f"SELECT {column}, event, action, service_version, histogram FROM footfall.latency_{table} l"
            " JOIN footfall.feature_dims d ON d.id = l.dim_id WHERE histogram <> 0"
        )
        assert {tuple(key): decoded(histogram) for *key, histogram in found} == expected


def counted_right(query, known):
    """What `reporting.usage_by_day` has, whatever was followed: of each day, and of its hours."""
    days = Counter()
    for (hour, *of), number in known.counts.items():
        days[hour.date(), *of] += number
    found = query(
        "SELECT day, event, action, service_version, sum(count)::bigint, sum(hours)"
        " FROM reporting.usage_by_day GROUP BY 1, 2, 3, 4 HAVING sum(count) <> 0"
    )
    assert {tuple(key): number for *key, number, _ in found} == +days
    by_hour = {
        (dt.datetime.combine(of_day, dt.time(n), dt.UTC), *of): number
        for of_day, *of, _, hours in found
        for n in range(24)
        if (number := int(hours) // 10 ** (20 * n) % 10**20)
    }
    assert by_hour == +known.counts
    taken_apart(query, by_hour)


def taken_apart(query, by_hour):
    """What SQL makes of the hours of days, added up over what is counted apart."""
    expected = Counter()
    for (hour, *_), number in by_hour.items():
        expected[hour] += number
    summed = "(SELECT day, sum(hours) AS hours FROM reporting.usage_by_day GROUP BY 1) AS d"
    found = query(f"SELECT h.* FROM {summed}, reporting.hours_of(d.day, d.hours) AS h")
    assert dict(found) == expected
    for cut in (0, 1, 13, 23, 24):
        before = query(f"SELECT day, reporting.count_before(hours, {cut}) FROM {summed}")
        assert +Counter(dict(before)) == +Counter(
            {
                d: sum(n for h, n in expected.items() if h.date() == d and h.hour < cut)
                for d, _ in before
            }
        )


def shown_right(query, known):
    """What `reporting.latency` has, filled or not."""
    durations = defaultdict(list)
    for time, duration, of in known.shown():
        durations[moment(time).date(), of.event, of.action].append(duration)
    added = query(
        "SELECT day, event, action, sum(observations)::int,"
        " footfall.latency_quantiles(sum(histogram), ARRAY[0.5, 0.95, 0.99]) FROM reporting.durations"
        " GROUP BY 1, 2, 3 HAVING sum(observations) > 0"
    )
    hours = Counter((moment(time // HOUR * HOUR), of.event) for time, _, of in known.shown())
    by_hour = query(
        "SELECT hour, event, sum(observations)::int FROM reporting.durations_by_hour"
        " GROUP BY 1, 2 HAVING sum(observations) > 0"
    )
    assert {(hour, event): number for hour, event, number in by_hour} == {
        key: number for key, number in hours.items() if key[0] > moment(NOW - 8 * DAY)
    }
    found = query(
        "SELECT day, event, action, observations, p50_ms, p95_ms, p99_ms FROM reporting.latency"
    )
    assert sorted((*each[:4], *each[4]) for each in added) == sorted(found)
    assert {each[:3] for each in found} == durations.keys()
    for *key, number, p50, p95, p99 in found:
        same((number, p50, p95, p99), durations[tuple(key)])


@asynccontextmanager
async def keeping(dsn):
    async with await connect(dsn, HOUSEKEEPING) as connection:
        yield connection


async def keep_up(dsn):
    async with keeping(dsn) as connection:
        while (await latency.keep_up(connection)).more:
            pass


async def killed(dsn, query, table):
    """Who keeps house is ended where it writes this table, if it comes to it."""
    async with await psycopg.AsyncConnection.connect(dsn) as other:
        await other.execute(f"LOCK TABLE footfall.{table} IN EXCLUSIVE MODE")
        working = asyncio.create_task(keep_up(dsn))

        async def waits_or_done():
            return working.done() or ended(query)

        await until(waits_or_done)
    try:
        await working
    except psycopg.OperationalError:
        return True
    return False


def ended(query):
    return query(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database()"
        " AND application_name = 'footfall housekeeping' AND wait_event_type = 'Lock'"
    )


async def perform(step, dsn, query, store, known):
    match step:
        case "store", rows:
            drawn = [
                one_row(MIDNIGHT - back * DAY + at, DIMENSIONS[of], ms, visitor=VISITORS[whose])
                for back, at, of, ms, whose in rows
            ]
            await store(batch(*drawn))
            known.store(drawn)
        case "keep up", housekeepers:
            await asyncio.gather(*(keep_up(dsn) for _ in range(housekeepers)))
        case "killed", table:
            await killed(dsn, query, table)
        case "erase", whose:
            async with keeping(dsn) as connection:
                await erase(connection, "visitor_hash", [VISITORS[whose]])
            known.erase(VISITORS[whose])
        case "drop", back:
            async with keeping(dsn) as connection:
                assert not (await partitions.drop(connection, day(back))).held
            known.drop(MIDNIGHT // DAY - back)
        case "thin", back:
            async with keeping(dsn) as connection:
                await thinning.thin(connection, [Rule(environment="dev", days=back)], day(0))
            known.thin(MIDNIGHT // DAY - back)
        case "count", (back, at, of, number):
            time = MIDNIGHT - back * DAY + at // HOUR * HOUR
            await store(batch(counts={(time, DIMENSIONS[of]): number}, signal="metrics"))
            known.count(time, DIMENSIONS[of], number)
        case "gap", _:
            query("DELETE FROM footfall.commits")


STORED = st.lists(
    st.tuples(
        st.integers(0, BACK),
        st.integers(0, DAY - 1) | st.sampled_from([0, HOUR - 1, HOUR, DAY - 1]),
        st.integers(0, len(DIMENSIONS) - 1),
        st.none() | st.integers(0, 5) | st.integers(0, 2**31 - 1),
        st.integers(0, len(VISITORS) - 1),
    ),
    min_size=1,
    max_size=6,
)
TABLES = ["latency_hours", "latency_days", "latency_percentiles"]
STEPS = st.lists(
    st.tuples(st.just("store"), STORED)
    | st.tuples(st.just("store"), STORED)
    | st.tuples(st.just("keep up"), st.integers(1, 2))
    | st.tuples(st.just("killed"), st.sampled_from(TABLES))
    | st.tuples(st.just("erase"), st.integers(0, len(VISITORS) - 1))
    | st.tuples(st.just("drop"), st.integers(1, BACK))
    | st.tuples(st.just("thin"), st.integers(0, BACK))
    | st.tuples(
        st.just("count"),
        st.tuples(
            st.integers(0, BACK),
            st.integers(0, DAY - 1),
            st.integers(0, len(DIMENSIONS) - 1),
            st.integers(1, 10**9),
        ),
    )
    | st.tuples(st.just("gap"), st.none()),
    min_size=3,
    max_size=14,
)


@pytest.mark.timeout(360)  # forty histories, on a machine that may be busy
@settings(
    max_examples=40,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(STEPS)
def test_rollups_answer_as_the_rows_would(
    postgres_server, store_template, making, dropping, catalog, monkeypatch, steps
):
    monkeypatch.setattr(latency, "COMMITS", 2)

    async def run(dsn, query):
        known = Known()
        async with writing(dsn, catalog) as writer:
            for step in steps:
                await perform(step, dsn, query, writer.consume, known)
                counted_right(query, known)
            await keep_up(dsn)
            compare(query, known)
            async with keeping(dsn) as connection:  # what came for dropped days is added
                await partitions.drop(connection, day(1))
            known.drop(MIDNIGHT // DAY - 1)
            await keep_up(dsn)
            compare(query, known)

    with (
        new_database(postgres_server, store_template, making, dropping) as dsn,
        psycopg.connect(dsn, autocommit=True) as connection,
    ):
        asyncio.run(run(dsn, lambda statement, *args: rows_of(connection, statement, *args)))


@pytest.mark.parametrize("table", TABLES)
async def test_a_housekeeper_that_is_ended_midway_has_done_nothing(
    store_database, store, query, table
):
    known = Known()
    rows = [one_row(MIDNIGHT - DAY + n, duration=n, visitor=VISITORS[0]) for n in range(50)]
    await store(batch(*rows))
    known.store(rows)
    assert await killed(store_database, query, table)
    assert latencies(query, 1) == {}
    assert await killed(store_database, query, table)
    await keep_up(store_database)
    compare(query, known)


async def test_two_housekeepers_at_once_count_nothing_twice(store_database, store, query):
    known, chosen = Known(), random.Random(5)
    for _ in range(20):
        rows = [
            one_row(MIDNIGHT - chosen.randrange(3 * DAY), chosen.choice(DIMENSIONS),
                    chosen.randrange(10**5), visitor=VISITORS[0])
            for _ in range(40)
        ]  # fmt: skip
        await store(batch(*rows))
        known.store(rows)
        await asyncio.gather(*(keep_up(store_database) for _ in range(3)))
        compare(query, known)


async def test_commits_that_are_gone_before_they_were_followed_leave_it_right(
    store_database, store, query
):
    known, chosen = Known(), random.Random(4)
    for lost in (False, True, False, True):
        for back in range(4):
            known.store(rows := drawn(chosen, back))
            await store(batch(*rows))
        if lost:
            query("DELETE FROM footfall.commits WHERE position % 4 < 3")
            counted_right(query, known)
        await keep_up(store_database)
        compare(query, known)


@pytest.fixture
def former(empty_database, catalog):
    """The connection string of a database with schema 0015 that takes what this catalog declares."""
    make_former(empty_database, catalog, "0015")
    return empty_database


def drawn(chosen, back):
    return [
        one_row(MIDNIGHT - back * DAY + chosen.randrange(DAY), chosen.choice(DIMENSIONS),
                chosen.choice([None, chosen.randrange(10**5)]), visitor=chosen.choice(VISITORS))
        for _ in range(30)
    ]  # fmt: skip


def roll_up_as_before(connection, rows):
    """As the former schema has durations: an array of buckets, and one of numbers, by hour and dimension."""
    cells = defaultdict(Counter)
    for time, duration, of, _ in rows:
        if duration is not None:
            [[number]] = connection.execute(
                "SELECT id FROM footfall.feature_dims WHERE event = %s AND action = %s"
                " AND service_version IS NOT DISTINCT FROM %s",
                [of.event, of.action, of.service_version],
            ).fetchall()
            cells[moment(time // HOUR * HOUR), number][bucket(duration)] += 1
    for key, counts in cells.items():
        buckets, numbers = map(list, zip(*sorted(counts.items()), strict=True))
        connection.execute(
            "INSERT INTO footfall.latency_hourly VALUES (%s, %s, %s, %s)", [*key, buckets, numbers]
        )
        connection.execute(
            "INSERT INTO footfall.rolled_up VALUES ('latency', %s, 1) ON CONFLICT DO NOTHING",
            [key[0]],
        )


async def test_a_store_of_before_is_right_at_once_and_is_filled_day_by_day(
    former, catalog, monkeypatch
):
    known, chosen = Known(), random.Random(9)
    async with writing(former, catalog) as writer:
        with psycopg.connect(former, autocommit=True) as connection:
            for back in (0, 1, 2, 5):
                known.store(rows := drawn(chosen, back))
                await writer.consume(batch(*rows))
            roll_up_as_before(connection, drawn(chosen, 2))  # which nothing reads: it has its rows
            for back in (11, 12):
                rows = drawn(chosen, back)
                roll_up_as_before(connection, rows)
                known.store(rows)
                connection.execute("INSERT INTO footfall.dropped_days VALUES (%s)", [day(back)])
            known.drop(MIDNIGHT // DAY - 10)
            known.counts = +Counter(
                {
                    key: n for key, n in known.counts.items() if key[0].date() > day(10)
                }  # nobody counted the rest
            )
            prepare(former, Settings(catalog))

            def query(statement, *args):
                return rows_of(connection, statement, *args)

            shown_right(query, known)
            monkeypatch.setattr(latency, "BUDGET", 0)
            outcomes = []
            keeper = Housekeeper(former, House(catalog, 30, 400))
            for _ in range(6):
                known.store(rows := drawn(chosen, chosen.randrange(6)))
                await writer.consume(batch(*rows))
                [ran] = await keeper.run_due({"latency"})
                assert ran.ok
                outcomes.append(ran.outcome)
                shown_right(query, known)
                counted_right(query, known)
            partitioned = 4  # days; others were made meanwhile
            assert outcomes == [
                f"1 commit rolled up, 1 day filled, {partitioned + 2 - n} to be filled"
                for n in range(1, 7)
            ]
            assert query("SELECT count(*) FROM footfall.latency_hourly") == [(0,)]
            await keep_up(former)
            compare(query, known)


async def test_the_open_hour_is_there(store, query, keeper):
    await store(batch(row(NOW, 40), row(NOW, None)))
    [ran] = await keeper().run_due({"latency"})
    assert ran.outcome == "1 commit rolled up"
    assert latencies(query, 0) == {
        ("shop.order", "success"): (1, *[pytest.approx(40, rel=BOUND)] * 3)
    }


def executed(query, question):
    """The days that were read to answer, as Postgres says afterwards."""
    lines = [line for (line,) in query(f"EXPLAIN (ANALYZE, COSTS off, TIMING off) {question}")]
    read = [line for line in lines if "never executed" not in line]
    return sorted(set(re.findall(r"feature_events_([0-9]{8})", "\n".join(read))))


async def test_no_observations_are_read_but_of_days_that_are_not_filled(store, query, keeper):
    await store(batch(*(row(MIDNIGHT - n * DAY, 10 * n) for n in range(1, 6))))
    question = "SELECT * FROM reporting.latency"
    assert executed(query, question) == []
    await keeper().run_due({"latency"})
    assert len(query(question)) == 5
    known = query(question)
    query("INSERT INTO footfall.latency_unfilled VALUES (%s)", day(3))
    for table in ("days", "percentiles"):
        query(f"DELETE FROM footfall.latency_{table} WHERE day = %s", day(3))
    assert executed(query, question) == [f"{day(3):%Y%m%d}"]
    assert executed(query, f"{question} WHERE day = '{day(3)}'") == [f"{day(3):%Y%m%d}"]
    for other in (f"day = '{day(2)}'", f"day < '{day(3)}'", "day > current_date - 2"):
        assert executed(query, f"{question} WHERE {other}") == [], other
    query("SET ROLE footfall_reader")
    try:
        assert sorted(query(question)) == sorted(known)
    finally:
        query("RESET ROLE")


def test_quantiles_are_the_nearest_ranks_of_what_a_histogram_has(query):
    chosen = random.Random(2)
    for size in (1, 2, 19, 20, 100, 1000):
        for highest in (1, 3, 1000, 2**31 - 1):
            durations = [int(highest ** chosen.uniform(-0.1, 1)) for _ in range(size)]
            shares = sorted(chosen.choices([0.01, 0.25, 0.5, 0.9, 0.95, 0.99, 1.0], k=4))
            [[number, found]] = query(
                "SELECT footfall.latency_number(h), footfall.latency_quantiles(h, %s::numeric[]) FROM ("
                " SELECT sum(footfall.latency_histogram(footfall.latency_bucket(ms), 1)) AS h"
                " FROM unnest(%s::int[]) AS d (ms)) AS x",
                shares, durations,
            )  # fmt: skip
            assert number == size
            assert found == [
                pytest.approx(nearest_rank(durations, share), rel=BOUND) for share in shares
            ]


@pytest.mark.parametrize("written", ["hex", "escape"])
def test_a_histogram_is_read_slot_by_slot_whatever_postgres_leaves_out(query, written):
    """Nothings at either end, counts of one to three digits of base 10,000; however bytes are written."""
    query(f"SET bytea_output = {written}")
    chosen = random.Random(5)
    known = [[0], [7], [0, 0, 10**4], [10**8], [1, 0, 0, 10**12 - 1], [9999, 10**4, 10**8 - 1]]
    for highest in (1, 9999, 10**4, 10**8, 10**12 - 1):
        for length in (1, 2, 3, 208, 498):
            drawn = [chosen.choice([0, chosen.randint(0, highest)]) for _ in range(length)]
            known.append([*drawn, highest])
    texts = ["".join(f"{n:012}" for n in reversed(of)) for of in known]
    sent = query("SELECT numeric_send(h::numeric) FROM unnest(%s::text[]) AS h", texts)
    for expected, (found,) in zip(known, sent, strict=True):
        read = slots(found)
        assert read[: len(expected)] == expected
        assert not any(read[len(expected) :])


def test_histograms_of_very_many_add_up(query):
    """As many as a slot can have, in neighbouring slots, and one in the highest of all."""
    most = 10**11
    cells = [(-1, most), (0, most), (1, 3 * most), (2, 5), (496, 1)]
    [[number, found, empty]] = query(
        "SELECT footfall.latency_number(h), footfall.latency_quantiles(h, ARRAY[0.1, 0.3, 0.6, 1, 1]),"
        " footfall.latency_quantiles(h - h, ARRAY[0.5])"
        " FROM (SELECT sum(footfall.latency_histogram(b, n)) AS h"
        " FROM unnest(%s::smallint[], %s::bigint[]) AS c (b, n)) AS x",
        *map(list, zip(*cells, strict=True)),
    )
    assert number == sum(n for _, n in cells)
    assert found[:2] == [0, 1]
    assert found[2:] == [pytest.approx(2 ** (b / 16), rel=0.05) for b in (1, 496, 496)]
    assert empty == [None]
