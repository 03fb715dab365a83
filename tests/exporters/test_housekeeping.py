import asyncio
import datetime as dt
from dataclasses import replace

import psycopg
import pytest

from exporters.housekeeping import connected, day, moment, row
from footfall_exporters.postgres import locks, partitions
from footfall_exporters.postgres.connecting import HOLDING, connect
from footfall_exporters.postgres.housekeeping import AGAIN, NAMES, TASKS
from support.batches import DAY, NOW, SECOND, batch
from support.stores import MIDNIGHT
from support.waiting import until

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
    assert await run(15) == ["writers", "sessions"]
    assert await run(301) == [
        "writers", "rates", "sessions", "subscribers", "indexes", "latency", "releases",
    ]  # fmt: skip
    assert await run(331) == ["writers", "sessions", "latency"]
    assert await run(600) == ["writers", "rates", "sessions", "brin", "indexes", "latency"]
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


async def test_one_that_is_paused_while_it_keeps_house_loses_the_lock(
    keeper, store_database, query
):
    assert HOLDING.in_transaction == "60s"
    assert locks.BEAT < 60
    paused = await connect(store_database, replace(HOLDING, in_transaction="500ms"))
    assert await locks.taken(paused, locks.HOUSE)
    assert await keeper().run_due() == []

    async def gone():
        return not query("SELECT 1 FROM pg_stat_activity WHERE pid = %s", paused.info.backend_pid)

    await until(gone)
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
