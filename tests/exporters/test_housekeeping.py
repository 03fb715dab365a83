import asyncio
import datetime as dt
import math
import os
import random
import signal
import subprocess
import sys
import textwrap
import uuid
from contextlib import asynccontextmanager
from dataclasses import replace

import psycopg
import pytest
from psycopg import sql
from psycopg.conninfo import conninfo_to_dict

from footfall_exporters.postgres import locks, partitions, purge, statements
from footfall_exporters.postgres.connecting import HOLDING, connect
from footfall_exporters.postgres.housekeeping import AGAIN, NAMES, TASKS, House, Housekeeper
from footfall_exporters.postgres.rollups import LIMIT
from footfall_exporters.postgres.stuck import end_stuck
from footfall_processors import Loss
from support.batches import DAY, HOUR, NOW, SECOND, batch, dimension
from support.stores import MIDNIGHT, TODAY, writing
from support.waiting import until

BOUND = 0.022
"""What the buckets promise."""


def day(back):
    return TODAY - dt.timedelta(days=back)


def row(moment, duration=None, guild=None, of=None):
    return moment, duration, of or dimension(), {"guild_id": guild and guild.ljust(16).encode()}


@pytest.fixture
async def store(store_database, catalog):
    """Stores batches."""
    async with writing(store_database, catalog) as writer:
        yield writer.consume


@pytest.fixture
def keeper(store_database, catalog):
    """Makes housekeepers: by default it is the hour in which the tests began."""

    def make(collector=NOW, database=NOW, days=8, rollup_days=400):
        house = House(catalog, days, rollup_days)
        stands = database and (lambda: database * 1000)  # Postgres' own, without
        return Housekeeper(store_database, house, lambda: collector * 1000, stands)

    return make


@asynccontextmanager
async def connected(dsn, **options):
    async with await psycopg.AsyncConnection.connect(dsn, autocommit=True, **options) as connection:
        yield connection


def nearest_rank(values, share):
    """The percentile by its definition: no interpolation."""
    return sorted(values)[math.ceil(share * len(values)) - 1]


def latencies(query, back):
    found = query(
        "SELECT event, action, observations, p50_ms, p95_ms, p99_ms FROM reporting.latency WHERE day = %s",
        day(back),
    )
    by_name = {(event, action): tuple(rest) for event, action, *rest in found}
    assert len(by_name) == len(found)  # each once
    return by_name


def groups(query, back):
    found = query("SELECT attribute, groups FROM reporting.active_groups WHERE day = %s", day(back))
    assert len(dict(found)) == len(found)  # each once
    return dict(found)


def stored_rows(query):
    return query("SELECT count(*) FROM footfall.feature_events")[0][0]


def same(found, durations):
    """Whether percentiles from buckets are those of these durations, as near as is promised."""
    number, *percentiles = found
    assert number == len(durations)
    for got, share in zip(percentiles, (0.5, 0.95, 0.99), strict=True):
        assert got == pytest.approx(nearest_rank(durations, share), rel=BOUND)


# Rollups


def test_a_bucket_stands_for_its_durations_within_the_bound(query):
    chosen = random.Random(4)
    durations = [*range(3000), *(2**n + d for n in range(2, 31) for d in (-1, 0, 1)), 2**31 - 1]
    durations += [int(2 ** chosen.uniform(0, 31)) for _ in range(3000)]
    found = query(
        "SELECT ms, footfall.latency_bucket(ms), footfall.latency_of(footfall.latency_bucket(ms))"
        " FROM unnest(%s::integer[]) AS d (ms)",
        durations,
    )
    for duration, bucket, stands in found:
        assert stands == pytest.approx(duration, rel=BOUND)
        if duration:  # the bucket is that of an exponential histogram of scale 4
            assert bucket == math.ceil(round(16 * math.log2(duration), 9))
    assert [row[1:] for row in found[:2]] == [(-1, 0.0), (0, 1.0)]


async def test_a_dropped_days_percentiles_and_distinct_groups_come_from_the_rollups(
    store, query, keeper
):
    chosen = random.Random(7)
    durations = {dimension(action=a): [] for a in ("success", "failure")}
    guilds = [f"guild {n}" for n in range(40)]
    rows = []
    for of, longest in zip(durations, (300, 600_000), strict=True):
        for _ in range(700):
            durations[of].append(int(longest ** chosen.random()))
            moment = MIDNIGHT - 9 * DAY + chosen.randrange(DAY)
            rows.append(row(moment, durations[of][-1], chosen.choice(guilds), of))
    rows += [row(MIDNIGHT - 9 * DAY, None, "silent"), row(MIDNIGHT - 10 * DAY, 5)]
    await store(batch(*rows))
    exact = latencies(query, 9)
    [ran] = await keeper().run_due({"retention"})
    assert (ran.ok, ran.number, ran.outcome) == (True, 2, "2 days dropped")
    assert stored_rows(query) == 0
    found = latencies(query, 9)
    assert found.keys() == exact.keys() == {("shop.order", "success"), ("shop.order", "failure")}
    for of, values in durations.items():
        same(found[of.event, of.action], values)
    assert groups(query, 9) == {"guild_id": 41}
    assert latencies(query, 10) == {
        ("shop.order", "success"): (1, *[pytest.approx(5, rel=BOUND)] * 3)
    }
    assert groups(query, 10) == {}


def rolled(query):
    """Observations by hour, as the rollup has them."""
    return dict(
        query(
            "SELECT hour, sum(n)::int8 FROM footfall.latency_hourly, unnest(counts) AS c (n) GROUP BY 1"
        )
    )


def moment(us):
    return dt.datetime.fromtimestamp(us / 1e6, dt.UTC)


async def test_closed_hours_are_rolled_up_once_and_again_when_something_came_late(
    store, query, keeper
):
    first, second = NOW // HOUR * HOUR - 30 * HOUR, NOW // HOUR * HOUR - 2 * HOUR
    await store(batch(*[row(first, n) for n in range(5)], row(second, 7), row(NOW, 9)))
    house = keeper()
    [ran] = await house.run_due({"latency"})
    assert (ran.number, ran.outcome) == (2, "2 hours rolled up")
    assert rolled(query) == {moment(first): 5, moment(second): 1}
    [ran] = await house.run_due({"latency"})
    assert ran.number == 0
    await store(batch(row(first + HOUR - 1, 100), row(NOW, 9)))  # 29 hours late
    [ran] = await house.run_due({"latency"})
    assert ran.number == 1
    assert rolled(query) == {moment(first): 6, moment(second): 1}


async def test_a_days_groups_are_counted_once_when_it_has_settled_whatever_comes_late(
    store, query, keeper
):
    for back, guild in ((7, "a"), (7, "b"), (1, "a"), (0, "a")):
        await store(batch(row(MIDNIGHT - back * DAY, None, guild)))
    early, house = (keeper(at, at) for at in (MIDNIGHT + 5 * HOUR, MIDNIGHT + 6 * HOUR))
    assert [r.number for r in await early.run_due({"groups"})] == [1]
    kept = "SELECT day, groups FROM reporting.active_groups ORDER BY day"
    assert query(kept) == [(day(7), 2)]
    assert [r.number for r in await house.run_due({"groups"})] == [1]
    assert query(kept) == [(day(7), 2), (day(1), 1)]
    for guess in "abcd":  # with one of them a number that moves would say who was not there
        await store(batch(row(MIDNIGHT - 6 * DAY - 1, None, guess)))
        assert [r.number for r in await house.run_due({"groups"})] == [0]
        assert query(kept) == [(day(7), 2), (day(1), 1)]
    await keeper(MIDNIGHT + 2 * DAY, MIDNIGHT + 2 * DAY).run_due({"retention"})
    assert query(kept) == [(day(7), 2), (day(1), 1)]


async def test_an_hour_whose_count_tells_nothing_any_more_is_rolled_up_every_time(
    store, query, keeper
):
    assert LIMIT == statements.MOST
    hour = NOW // HOUR * HOUR - 5 * HOUR
    await store(batch(row(hour, 3), counts={(hour, dimension()): LIMIT}))
    await keeper().run_due({"latency"})
    await store(batch(row(hour, 3)))
    await keeper().run_due({"latency"})
    assert rolled(query) == {moment(hour): 2}


async def test_what_came_after_the_rollup_is_in_it_when_the_day_is_dropped(store, query, keeper):
    at = MIDNIGHT - 8 * DAY
    await store(batch(*[row(at, 10, "a")] * 3))
    before = keeper(MIDNIGHT - 2 * DAY, MIDNIGHT - 2 * DAY)
    assert [r.number for r in await before.run_due({"latency", "groups"})] == [1, 1]
    await store(batch(row(at, 1000, "b"), row(at + HOUR, 1000, "b")))  # out of a spool, say
    await keeper(MIDNIGHT + DAY, MIDNIGHT + DAY).run_due({"retention"})
    assert stored_rows(query) == 0
    same(latencies(query, 8)["shop.order", "success"], [10, 10, 10, 1000, 1000])
    assert groups(query, 8) == {"guild_id": 1}


async def test_a_day_that_comes_back_adds_its_durations_and_keeps_its_distinct_count(
    store, query, keeper
):
    at = MIDNIGHT - 12 * DAY
    await store(batch(*[row(at, 10, "a")] * 3))
    await keeper().run_due({"retention"})
    assert groups(query, 12) == {"guild_id": 1}
    for late in (row(at, 40), row(at + HOUR, 50), row(at, 60, "a")):
        await store(batch(late))
    assert stored_rows(query) == 3
    assert latencies(query, 12)["shop.order", "success"][0] == 3  # nothing twice meanwhile
    assert groups(query, 12) == {"guild_id": 1}
    for _ in range(2):
        await keeper().run_due({"retention"})
        assert stored_rows(query) == 0
        same(latencies(query, 12)["shop.order", "success"], [10, 10, 10, 40, 50, 60])
        assert groups(query, 12) == {"guild_id": 1}


@pytest.mark.parametrize("zone", ["UTC", "Asia/Tokyo", "America/Los_Angeles"])
async def test_a_purge_rolls_up_what_it_drops(store, store_database, query, keeper, zone):
    """Whatever the server's own time zone."""
    query(
        sql.SQL("ALTER DATABASE {} SET timezone = {}").format(
            sql.Identifier(conninfo_to_dict(store_database)["dbname"]), zone
        )
    )
    last = MIDNIGHT - 2 * DAY - 1
    await store(batch(row(MIDNIGHT - 3 * DAY, 10, "a"), row(last, 20, "b"), row(NOW)))
    await purge(store_database, 1, dry_run=False)
    await keeper().prepare()  # makes the partition of that day anew
    await keeper().run_due({"latency", "groups"})
    assert stored_rows(query) == 1
    same(latencies(query, 3)["shop.order", "success"], [10, 20])
    assert groups(query, 3) == {"guild_id": 2}


async def test_a_drop_that_was_interrupted_is_finished_with_its_rollup(store, query, keeper):
    await store(batch(row(MIDNIGHT - 3 * DAY, 10, "a")))
    query(
        "ALTER TABLE footfall.feature_events DETACH PARTITION"
        f" footfall.feature_events_{day(3):%Y%m%d}"
    )
    await keeper().prepare()
    same(latencies(query, 3)["shop.order", "success"], [10])
    assert groups(query, 3) == {"guild_id": 1}


async def test_days_without_a_salt_have_no_distinct_count_after_their_drop_either(
    store, query, keeper
):
    await keeper(MIDNIGHT - 9 * DAY, MIDNIGHT - 9 * DAY).prepare()
    await store(batch(row(MIDNIGHT - 9 * DAY, None, "a"), row(MIDNIGHT - 10 * DAY, None, "a")))
    period = "SELECT footfall.salt_period('daily', %s::date)"
    query(f"INSERT INTO footfall.salt_log (kind, period) VALUES ('daily', ({period}))", day(9))
    await keeper().run_due({"retention"})
    assert (groups(query, 9), groups(query, 10)) == ({"guild_id": None}, {"guild_id": 1})


async def test_rollups_go_after_their_own_time(store, query, keeper):
    await store(batch(row(MIDNIGHT - 12 * DAY, 10, "a"), row(MIDNIGHT - 30 * DAY, 10, "a")))
    await keeper().run_due({"retention"})
    assert latencies(query, 30)
    await keeper(rollup_days=20).run_due({"retention"})
    assert not latencies(query, 30)
    for table, number in (("latency_hourly", 1), ("groups_daily", 1), ("dropped_days", 5),
                          ("rolled_up", 2)):  # fmt: skip
        found = query(f"SELECT count(*) FROM footfall.{table}")[0][0]
        assert found == number or table == "dropped_days", table


# What is due, and who does it


def noted(query):
    return {
        task: dict(zip(("ok", "last_run", "next_run", "outcome"), rest, strict=True))
        for task, *rest in query(
            "SELECT task, last_success = last_run, last_run, next_run, outcome FROM footfall.housekeeping"
        )
    }


async def test_every_task_runs_in_its_own_rhythm(keeper):
    async def run(seconds):
        at = NOW + seconds * SECOND
        return [ran.task for ran in await keeper(NOW, at).run_due()]

    assert await run(0) == list(NAMES)
    assert await run(14) == []
    assert await run(15) == ["writers"]
    assert await run(301) == ["writers", "subscribers"]
    assert await run(600) == ["writers", "brin"]
    assert await run(3600) == [name for name in NAMES if name != "groups"]
    assert await run(6 * 3600) == list(NAMES)


async def test_each_run_is_noted_for_everybody(keeper, query):
    begun = dt.datetime.now(dt.UTC)
    ran = {r.task: r for r in await keeper(database=None).run_due()}
    found = noted(query)
    assert found.keys() == ran.keys() == set(NAMES)
    for task in TASKS:
        said, run = found[task.name], ran[task.name]
        assert said["ok"]
        assert run.ok
        assert said["outcome"] == run.outcome
        assert said["next_run"] - said["last_run"] == dt.timedelta(seconds=task.every)
        assert abs(said["last_run"] - begun) < dt.timedelta(seconds=30)
        assert run.next_run == pytest.approx(said["next_run"].timestamp())
    query("SET ROLE footfall_reader")
    shown = query(
        "SELECT task, every_s, failing, overdue FROM reporting.housekeeping ORDER BY task"
    )
    assert shown == sorted((t.name, int(t.every), False, False) for t in TASKS)


async def test_of_several_collectors_one_keeps_house_and_all_have_its_salts(keeper):
    keepers = [keeper() for _ in range(4)]
    runs = await asyncio.gather(*(each.run_due() for each in keepers))
    assert sorted(ran.task for run in runs for ran in run) == sorted(NAMES)
    assert all(ran.ok for run in runs for ran in run)
    assert len(keepers[0].salts) > 9
    assert all(each.salts == keepers[0].salts for each in keepers)


async def test_while_another_one_keeps_house_nothing_is_done_but_salts_are_taken_over(
    keeper, store_database, query
):
    async with connected(store_database) as other:
        assert await locks.taken(other, locks.HOUSE)
        house = keeper()
        assert await house.run_due() == []
        assert len(house.salts) > 9
        assert noted(query) == {}
    assert len(await keeper().run_due()) == len(NAMES)


async def test_one_that_is_paused_while_it_keeps_house_loses_the_lock(keeper, store_database):
    assert HOLDING.in_transaction == "60s"
    assert locks.BEAT < 60
    paused = await connect(store_database, replace(HOLDING, in_transaction="500ms"))
    assert await locks.taken(paused, locks.HOUSE)
    assert await keeper().run_due() == []
    await asyncio.sleep(0.8)
    assert len(await keeper().run_due()) == len(NAMES)
    await paused.close()


async def test_a_task_that_fails_does_not_stop_the_others_and_is_tried_again_in_a_minute(
    keeper, query
):
    query("ALTER TABLE footfall.salts RENAME COLUMN period TO hidden")
    broken = keeper(NOW, NOW)
    with pytest.raises(psycopg.errors.UndefinedColumn):  # a collector without salts must not start
        await broken.run_due()
    failed = noted(query)
    assert {task for task, each in failed.items() if not each["ok"]} == {"salts"}
    assert set(failed) == set(NAMES)
    assert failed["salts"]["outcome"] == "failed: UndefinedColumn (SQLSTATE 42703)"
    assert failed["salts"]["next_run"] == failed["salts"]["last_run"] + dt.timedelta(seconds=AGAIN)
    assert query("SELECT task FROM reporting.housekeeping WHERE failing") == [("salts",)]
    query("ALTER TABLE footfall.salts RENAME COLUMN hidden TO period")
    assert "salts" not in [r.task for r in await keeper(NOW, NOW + 59 * SECOND).run_due()]
    assert "salts" in [r.task for r in await keeper(NOW, NOW + 60 * SECOND).run_due()]
    assert noted(query)["salts"]["ok"]


async def test_a_task_is_overdue_five_minutes_after_its_time(keeper, query):
    await keeper(database=None).run_due()
    query(
        "UPDATE footfall.housekeeping SET next_run = now() - interval '4 min' WHERE task = 'brin'"
    )
    query(
        "UPDATE footfall.housekeeping SET next_run = now() - interval '6 min' WHERE task = 'salts'"
    )
    assert query("SELECT task FROM reporting.housekeeping WHERE overdue") == [("salts",)]


# Clocks


def everything(query):
    """What a wrong clock could destroy."""
    return query(
        "SELECT (SELECT count(*) FROM footfall.feature_events), (SELECT count(*) FROM footfall.salts),"
        " (SELECT count(*) FROM footfall.ingest_batches), (SELECT count(*) FROM footfall.commits),"
        " (SELECT count(*) FROM footfall.feature_counts), (SELECT count(*) FROM footfall.salt_log)"
    )


@pytest.mark.parametrize("ahead", [1, 600])
@pytest.mark.parametrize("wrong", ["collector", "database"])
async def test_what_only_one_clock_takes_for_expired_is_kept(store, query, keeper, ahead, wrong):
    await store(batch(*[row(MIDNIGHT - n * DAY, 5, "a") for n in range(9)]))
    await keeper().run_due()
    before = everything(query)
    late = {wrong: NOW + ahead * DAY}
    assert all(
        ran.ok for ran in await keeper(**{"collector": NOW, "database": NOW} | late).run_due()
    )
    after = everything(query)
    assert after[0][0] == before[0][0] == 9
    assert all(a >= b for a, b in zip(after[0], before[0], strict=True))
    both = NOW + ahead * DAY
    await keeper(both, both).run_due({"salts", "retention"})
    assert everything(query)[0][0] < 9


@pytest.mark.parametrize("step", [-1, 1])
async def test_partitions_and_salts_are_there_for_both_clocks(query, keeper, step):
    house = keeper(NOW + step * DAY, NOW)
    await house.prepare()
    days = query("SELECT relname FROM pg_inherits JOIN pg_class ON oid = inhrelid WHERE inhparent ="
                 " 'footfall.feature_events'::regclass ORDER BY relname DESC LIMIT 1")  # fmt: skip
    assert days == [(f"feature_events_{day(-3 - max(step, 0)):%Y%m%d}",)]
    assert {number for kind, number in house.salts if kind == "daily"} >= {
        NOW // DAY + n for n in (0, 1, step, step + 1)
    }


async def test_a_clock_that_is_set_back_delays_nothing(keeper):
    assert len(await keeper(NOW + DAY, NOW + DAY).run_due()) == len(NAMES)
    assert len(await keeper(NOW, NOW).run_due()) == len(NAMES)
    assert await keeper(NOW, NOW).run_due() == []


async def test_salts_of_attributes_that_no_catalog_has_any_more_are_destroyed(
    keeper, query, catalog
):
    query("INSERT INTO footfall.salts VALUES ('daily', 100, 'x'), ('monthly', 100, 'x')")
    await keeper().run_due({"salts"})
    assert query("SELECT count(*) FROM footfall.salts WHERE period = 100") == [(0,)]


# Losses


async def age(query, days):
    for table, column in (("commits", "committed_at"), ("ingest_batches", "received_at")):
        query(f"UPDATE footfall.{table} SET {column} = {column} - make_interval(days => %s)", days)


def losses(query):
    found = query("SELECT day, reason, count FROM reporting.losses WHERE signal = 'subscriber'")
    return {(reported, reason): number for reported, reason, number in found}


async def test_what_a_subscriber_had_not_taken_when_it_was_deleted_is_a_loss(store, query, keeper):
    own = dimension("footfall.emitted", "count", surface="footfall", emitted_event="shop.order")
    hour = NOW // HOUR * HOUR
    await store(batch(row(NOW)))
    query("INSERT INTO footfall.subscribers (name, position) SELECT 'first', 1")
    query("INSERT INTO footfall.subscribers (name, position) SELECT 'done', 3")
    await store(batch(row(NOW), row(NOW), counts={(hour, dimension(action="invoke")): 40}))
    await store(batch(counts={(hour, own): 500, (hour, dimension()): 8}, signal="metrics"))
    await age(query, 6)
    await keeper().run_due({"retention"})
    assert losses(query) == {}
    await age(query, 2)
    await store(batch(row(NOW)))  # still to be had
    for _ in range(2):
        await keeper().run_due({"retention"})
        assert losses(query) == {(TODAY, "missed_by_retention"): 2 + 40 + 8}
    assert query("SELECT count(*) FROM footfall.commits") == [(1,)]
    [ran] = await keeper().run_due({"subscribers"})
    assert ran.outcome == "2 subscribers, 2 behind, 1 behind what is kept"


async def test_what_a_backend_refused_is_a_loss_until_it_was_taken(query):
    insert = "INSERT INTO footfall.parked VALUES ('posthog', %s, %s, 0, %s, %s)"
    for n, (events, reason) in enumerate([(3, "the backend answered HTTP 400"), (4, "TypeError")]):
        query(insert, n, n, events, reason)
    query(insert, 9, 9, 5, "TypeError")
    assert losses(query) == {(TODAY, "the backend answered HTTP 400"): 3, (TODAY, "TypeError"): 9}
    query("DELETE FROM footfall.parked WHERE position = 9")
    assert losses(query)[TODAY, "TypeError"] == 4


async def test_losses_of_every_place_are_in_one_view(store, query):
    dropped = dimension("footfall.dropped", "count", surface="footfall", drop_reason="queue_full")
    await store(batch(counts={(NOW // HOUR * HOUR, dropped): 6}, signal="metrics"))
    await store(batch(row(NOW), losses={Loss.ENUM_VALUE: 2}))
    query("INSERT INTO footfall.losses_daily VALUES (%s, 'logs', 'refused_by_store', 4)", TODAY)
    query("INSERT INTO footfall.parked VALUES ('x', 1, 1, 0, 5, 'TypeError')")
    found = query("SELECT signal, reason, count FROM reporting.losses ORDER BY 1")
    assert found == [
        ("logs", "refused_by_store", 4),
        ("sdk", "queue_full", 6),
        ("subscriber", "TypeError", 5),
        ("traces", "enum_value", 2),
    ]


# Writers that were paused

PAUSED = """
    import asyncio, sys
    sys.path.insert(0, {tests!r})
    from footfall_exporters.postgres import statements
    from footfall_exporters.postgres.writer import Writer
    from footfall_processors import Batch, Dimension, Rows, Shape, load_catalog

    take_position = statements.take_position

    async def halting(*args):
        await take_position(*args)
        print("inside its transaction", flush=True)
        await asyncio.sleep(600)

    statements.take_position = halting

    async def main():
        writer = Writer({dsn!r}, load_catalog({catalog!r}))
        asyncio.create_task(writer.run())
        of = Dimension("shop.order", "web", "order", "success", "ok", None, None, None, None, ())
        rows = Rows([{now}], [1], [Shape(of, 1.0, ())], [])
        await writer.consume(Batch(b"p" * 16, "traces", [rows], {{({hour}, of): 1}}, (), {{}}))

    asyncio.run(main())
"""


@pytest.fixture
def paused_writer(store_database, request):
    """A second collector that is stopped (SIGSTOP) in the middle of a commit."""
    tests = request.path.parents[1]
    program = textwrap.dedent(PAUSED).format(
        tests=str(tests), dsn=store_database, catalog=str(tests / "events.yaml"), now=NOW,
        hour=NOW // HOUR * HOUR,
    )  # fmt: skip
    with subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True,
                          stderr=subprocess.DEVNULL) as process:  # fmt: skip
        try:
            assert process.stdout.readline() == "inside its transaction\n"
            os.kill(process.pid, signal.SIGSTOP)
            yield process
        finally:
            os.kill(process.pid, signal.SIGKILL)


async def test_a_paused_writer_that_holds_others_up_is_ended(
    store, store_database, paused_writer, query
):
    waiting = asyncio.create_task(store(batch(row(NOW))))

    async def held_up():
        return bool(query("SELECT 1 FROM pg_stat_activity WHERE wait_event_type = 'Lock'"
                          " AND datname = current_database()"))  # fmt: skip

    await until(held_up)
    async with connected(store_database) as connection:
        assert await end_stuck(connection, patience=60) == 0
        assert not waiting.done()
        await asyncio.sleep(0.3)
        assert await end_stuck(connection, patience=0.2) == 1
    await asyncio.wait_for(waiting, 10)
    assert stored_rows(query) == 1
    assert query("SELECT digest FROM footfall.ingest_batches") != [(uuid.UUID(bytes=b"p" * 16),)]


async def test_a_paused_writer_that_holds_nobody_up_is_left_alone(
    store_database, paused_writer, query
):
    async with connected(store_database) as connection:
        assert await end_stuck(connection, patience=0.0, longest=0.0) == 0
    assert query("SELECT count(*) FROM pg_stat_activity WHERE application_name = 'footfall'"
                 " AND datname = current_database()") == [(1,)]  # fmt: skip


# The rest


async def test_new_ranges_are_summarised(query, store_database, keeper):
    query(
        "INSERT INTO footfall.feature_events (time, batch_id, ordinal, dim_id)"
        " SELECT %s::timestamptz, n, 0, 1 FROM generate_series(1, 40000) n",
        moment(MIDNIGHT),
    )
    [ran] = await keeper().run_due({"brin"})
    assert ran.number > 0
    async with connected(store_database) as connection:
        assert await partitions.summarise(connection) == 0
