import math
import random

import pytest
from psycopg import sql
from psycopg.conninfo import conninfo_to_dict

from exporters.housekeeping import BOUND, day, groups, latencies, row, same, stored_rows
from footfall_exporters.postgres import purge
from support.batches import DAY, HOUR, NOW, batch, dimension
from support.stores import MIDNIGHT


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
    await keeper().run_due({"latency"})
    before = latencies(query, 9)
    [ran] = await keeper().run_due({"retention"})
    assert (ran.ok, ran.number, ran.outcome) == (True, 2, "2 days dropped")
    assert stored_rows(query) == 0
    found = latencies(query, 9)
    assert found == before
    assert found.keys() == {("shop.order", "success"), ("shop.order", "failure")}
    for of, values in durations.items():
        same(found[of.event, of.action], values)
    assert groups(query, 9) == {"guild_id": 41}
    assert latencies(query, 10) == {
        ("shop.order", "success"): (1, *[pytest.approx(5, rel=BOUND)] * 3)
    }
    assert groups(query, 10) == {}


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
    for table, number in (("latency_hours", 0), ("latency_days", 1), ("latency_percentiles", 1),
                          ("dropped_days", 5)):  # fmt: skip
        found = query(f"SELECT count(*) FROM footfall.{table}")[0][0]
        assert found == number or table == "dropped_days", table
    assert query("SELECT day FROM reporting.active_groups") == [(day(12),)]
