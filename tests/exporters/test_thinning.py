"""Observations that are kept for less than others, by product and environment."""

import datetime as dt
from collections import Counter

import msgspec
import psycopg
import pytest

from exporters.housekeeping import connected, day, groups, latencies, moment, row, same
from footfall_exporters.postgres import (
    SCHEMA,
    PostgresConfig,
    apply_catalog,
    connect_sync,
    latency,
    purge,
    thinning,
)
from footfall_exporters.postgres.connecting import READING
from footfall_exporters.postgres.reports import ask
from footfall_exporters.postgres.reports.asked import Asked
from footfall_exporters.postgres.reports.distinct import Span, distinct
from footfall_exporters.postgres.thinning import Rule
from footfall_processors import load_catalog
from support.batches import DAY, HOUR, NOW, batch, dimension
from support.stores import MIDNIGHT, store_at

PROD, DEV = dimension(environment="production"), dimension(environment="dev")
BOT = dimension("bot.start", environment="dev", surface="bot")


def at(back, hour=5):
    return MIDNIGHT - back * DAY + hour * HOUR


def here(query):
    """How many observations there are, by days before today and what they are of."""
    found = query(
        "SELECT (e.time AT TIME ZONE 'UTC')::date, d.event, d.environment, count(*)"
        " FROM footfall.feature_events e JOIN footfall.feature_dims d ON d.id = e.dim_id GROUP BY 1, 2, 3"
    )
    return {((day(0) - on).days, event, of): number for on, event, of, number in found}


async def run(dsn, *rules, today=None):
    async with connected(dsn) as connection:
        return await thinning.thin(connection, rules, today or day(0))


async def of_each(store, *dims, backs=range(6)):
    rows = [
        row(at(back), 10 * back + n, f"g{n}", of) for back in backs for of in dims for n in range(4)
    ]
    await store(batch(*rows))


@pytest.fixture
def bot(store_database, catalog, tmp_path):
    """Another product in the same store."""
    text = "product: bot\nevents:\n  bot.start: {surface: bot, feature: start}\n"
    (tmp_path / "bot.yaml").write_text(text)
    with connect_sync(store_database, SCHEMA) as connection:
        apply_catalog(connection, load_catalog(tmp_path / "bot.yaml"))


async def test_what_a_rule_names_goes_sooner_and_the_rest_stays(store, query, store_database):
    await of_each(store, PROD, DEV)
    assert await run(store_database, Rule(environment="dev", days=2)) == {
        day(back): 4 for back in (5, 4, 3)
    }
    assert here(query) == {
        **{(back, "shop.order", "production"): 4 for back in range(6)},
        **{(back, "shop.order", "dev"): 4 for back in range(3)},
    }
    assert await run(store_database, Rule(environment="dev", days=2)) == {}


async def test_the_shortest_rule_holds_and_a_product_is_that_of_its_events(
    store, query, store_database, bot
):
    await of_each(store, PROD, DEV, BOT)
    rules = Rule(product="bot", days=1), Rule(environment="dev", days=3)
    await run(store_database, *rules)
    left = Counter()
    for back, event, environment in here(query):
        left[event, environment] = max(left[event, environment], back)
    assert left == {
        ("shop.order", "production"): 5,
        ("shop.order", "dev"): 3,
        ("bot.start", "dev"): 1,
    }
    await run(store_database, Rule(product="testbed", environment="production", days=4))
    assert (5, "shop.order", "production") not in here(query)
    assert (4, "shop.order", "production") in here(query)


async def test_counts_durations_and_groups_stay_as_they_were(store, query, store_database, keeper):
    await of_each(store, PROD, DEV, backs=range(1, 5))
    await keeper(database=NOW + DAY).run_due({"groups", "latency"})

    def answers():
        figures = [(latencies(query, back), groups(query, back)) for back in range(1, 5)]
        return figures, query("SELECT sum(count) FROM reporting.usage_by_day")

    before = answers()
    assert before[0][1][1] == {"guild_id": 4}  # yesterday's are told when it has settled, at 6:00
    await run(store_database, Rule(environment="dev", days=1))
    assert answers() == before
    await keeper(days=1).run_due({"retention"})  # the days themselves
    assert [back for back, *_ in here(query)] == [1, 1]
    assert answers() == before
    for table in ("thinned", "latency_thinned"):
        assert query(f"SELECT count(*) FROM footfall.{table}") == [(0,)]


async def test_groups_are_counted_before_any_of_them_goes(store, query, store_database):
    rows = [row(at(3), 5, f"g{n}", of) for n, of in enumerate([PROD, DEV, DEV])]
    await store(batch(*rows))
    await run(store_database, Rule(environment="dev", days=1))
    assert groups(query, 3) == {"guild_id": 3}


@pytest.mark.parametrize("lost", ["commits", "a day's rollups"])
async def test_durations_are_made_anew_with_what_was_deleted(
    store, query, store_database, keeper, lost
):
    await of_each(store, PROD, DEV, backs=[3])
    await run(store_database, Rule(environment="dev", days=1))
    await store(batch(row(at(3), 70, "late", DEV)))
    expected = [30, 31, 32, 33] * 2 + [70]
    if lost == "commits":
        query("DELETE FROM footfall.commits")
    else:
        query("INSERT INTO footfall.latency_unfilled VALUES (%s)", day(3))
        for table in ("days", "percentiles"):
            query(f"DELETE FROM footfall.latency_{table} WHERE day = %s", day(3))
        query(
            "UPDATE footfall.latency_state SET position = (SELECT position FROM footfall.commit_clock)"
        )
        query(
            "DELETE FROM footfall.latency_hours WHERE (hour AT TIME ZONE 'UTC')::date = %s", day(3)
        )
        same(latencies(query, 3)["shop.order", "success"], expected)  # while it is not filled
    await keeper().run_due({"latency"})
    same(latencies(query, 3)["shop.order", "success"], expected)
    query("UPDATE footfall.latency_percentiles SET observations = 0")  # of whatever reason
    await keeper(days=1).run_due({"retention"})
    same(latencies(query, 3)["shop.order", "success"], expected)


async def test_what_comes_late_for_a_rule_is_counted_and_goes_with_the_next_look(
    store, query, store_database, keeper
):
    await of_each(store, DEV, backs=[3, 20])
    rule = Rule(environment="dev", days=1)
    await run(store_database, rule)
    await store(batch(row(at(3), 8, None, DEV)))
    assert here(query) == {(3, "shop.order", "dev"): 1}
    assert await run(store_database, rule) == {day(3): 1}
    assert latencies(query, 3)["shop.order", "success"][0] == 5
    assert query("SELECT sum(count)::int FROM reporting.usage_by_day") == [(9,)]


async def test_a_version_that_is_new_is_under_the_rule_as_well(store, query, store_database):
    await of_each(store, DEV, backs=[20])
    rule = Rule(environment="dev", days=9)
    await run(store_database, rule)
    newer = dimension(environment="dev", service_version="9")
    await of_each(store, newer, backs=[20])
    await run(store_database, rule)
    assert here(query) == {}


async def test_what_is_stored_meanwhile_is_neither_lost_nor_counted_twice(
    store, query, store_database, monkeypatch
):
    await of_each(store, DEV, backs=[8])
    rule = Rule(environment="dev", days=7)  # no other day is looked at
    advance = latency.advance

    async def advance_then_store(connection):
        done = await advance(connection)
        if not stored:
            stored.append(await store(batch(row(at(8), 90, None, DEV))))
        return done

    stored = []
    monkeypatch.setattr(latency, "advance", advance_then_store)
    assert await run(store_database, rule) == {day(8): 4}
    assert here(query) == {(8, "shop.order", "dev"): 1}
    assert await run(store_database, rule) == {day(8): 1}
    assert latencies(query, 8)["shop.order", "success"][0] == 5


async def test_no_figure_is_made_of_what_is_left_of_a_day(store, query, store_database):
    await of_each(store, PROD, DEV, backs=[1, 3])
    spans = [Span(moment(at(back, 0)), moment(at(back - 1, 0))) for back in (3, 1)]
    with psycopg.connect(store_database) as connection:
        assert distinct(connection, "guild_id", spans) == [4, 4]
        await run(store_database, Rule(environment="dev", days=2))
        assert distinct(connection, "guild_id", spans) == [None, 4]
    assert query("SELECT observed_from FROM reporting.freshness") == [(day(2),)]


async def test_housekeeping_deletes_by_its_rules_and_says_for_how_long_what_is_kept(
    store, query, store_database, catalog, caplog
):
    await of_each(store, PROD, DEV)
    rules = (Rule(environment="dev", days=2), Rule(product="no-such", environment="dev", days=1))
    kept = store_at(store_database, catalog, retention=rules, rollup_retention_days=99)
    await kept.maintain()
    await kept.maintain()
    assert {back for back, _, of in here(query) if of == "dev"} == {0, 1, 2}
    [(outcome,)] = query("SELECT outcome FROM reporting.housekeeping WHERE task = 'retention'")
    assert outcome == "0 days dropped"
    shown = query("SELECT what, product, environment, kept FROM reporting.retention")
    days = {
        what: of.days for what, product, environment, of in shown if not (product or environment)
    }
    assert days["observations"] == days["ratings"] == days["sessions"] == 30
    assert days["counts"] == days["losses"] == 99
    assert [each for each in shown if each[1] or each[2]] == [
        ("observations", None, "dev", dt.timedelta(days=2)),
        ("observations", "no-such", "dev", dt.timedelta(days=1)),
    ]
    assert "no catalog declares the product no-such of a retention rule" in caplog.text
    with connect_sync(store_database, READING) as connection:
        found = ask(
            connection, "retention", Asked(where={"what": ["observations", "ids of spans"]})
        )
    assert sorted(found.rows, key=str) == [
        ("ids of spans", None, None, "14 days"),
        ("observations", "no-such", "dev", "1 day"),
        ("observations", None, "dev", "2 days"),
        ("observations", None, None, "30 days"),
    ]


async def test_purge_deletes_what_the_rules_say_or_what_it_is_told_alone(
    store, query, store_database
):
    await of_each(store, PROD, DEV)
    only = Rule(environment="dev", days=4)
    for dry in (True, False):
        said = await purge(store_database, 4, dry_run=dry, only=only)
        assert (said.rows, said.thinned) == ({}, {day(5): 4})
    assert (5, "shop.order", "production") in here(query)
    rules = [Rule(environment="dev", days=2)]
    for dry in (True, False):
        said = await purge(store_database, 3, dry_run=dry, rules=rules)
        assert {on: n for on, n in said.rows.items() if n} == {day(5): 4, day(4): 8}
        assert said.thinned == {day(3): 4}
    assert {back for back, *_ in here(query)} == {0, 1, 2, 3}


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"retention": [{"days": 3}]}, "a rule names a product, an environment, or both"),
        ({"retention": [{"environment": "", "days": 3}]}, "length >= 1"),
        ({"retention": [{"product": "", "environment": "dev", "days": 3}]}, "length >= 1"),
        ({"retention": [{"environment": "dev", "days": 31}]}, "`retention_days: 30`"),
        ({"retention": [{"environment": "dev", "days": 0}]}, "`int` >= 1"),
        ({"retention": [{"environment": "dev"}]}, "missing required field `days`"),
        ({"retention": [{"environment": "dev", "day": 3}]}, "unknown field `day`"),
    ],
)
def test_rules_that_say_nothing_are_refused(given, said):
    with pytest.raises(msgspec.ValidationError, match=said):
        msgspec.convert(given, PostgresConfig)


def weekly(query, of):
    return query(
        "SELECT groups, reason FROM footfall.groups_counts"
        " WHERE (span, scope, attribute) = ('week', 'all', 'visitor') AND start = %s",
        of - dt.timedelta(days=of.weekday()),
    )


async def test_a_week_is_counted_before_any_of_it_goes_and_unknown_where_it_had_not_ended(
    store, query, store_database, keeper
):
    for back in (14, 0):
        rows = [
            (at(back, 0), 5, of, {"visitor": of.environment[:1].encode() * 16})
            for of in (PROD, DEV)
        ]
        await store(batch(*rows))
    await run(store_database, Rule(environment="dev", days=0), today=day(-1))
    assert weekly(query, day(14)) == [(2, None)]
    assert weekly(query, day(0)) == []
    later = NOW + 40 * DAY
    await keeper(collector=later, database=later).run_due({"groups"})
    assert weekly(query, day(0)) == [(None, "dropped")]


async def test_a_day_that_has_nothing_of_a_rule_is_whole(store, query, store_database):
    await of_each(store, PROD)
    await of_each(store, DEV, backs=[4])
    await run(store_database, Rule(environment="dev", days=1))
    assert query("SELECT DISTINCT day FROM footfall.thinned") == [(day(4),)]
    assert query("SELECT observed_from FROM reporting.freshness") == [(day(3),)]


async def test_what_has_lost_its_counts_goes_by_its_rule_as_well(store, query, store_database):
    await of_each(store, PROD, DEV, backs=[3])
    query("DELETE FROM footfall.feature_counts")  # as after a short `rollup_retention_days`
    assert await run(store_database, Rule(environment="dev", days=1)) == {day(3): 4}
    assert query("SELECT DISTINCT day FROM footfall.thinned") == [(day(3),)]
