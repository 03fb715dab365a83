"""Distinct groups of a day, a week and a month: what is told of them, to whom, and what is not known."""

import datetime as dt
import json

import psycopg
import pytest
import yaml

from conftest import CATALOG
from exporters.former import make_former
from exporters.housekeeping import day, moment, row
from exporters.test_groups import DIMENSIONS, ONE_DAY, WHOSE, count, keeping, killed, shown
from footfall_exporters.contracts import Settings
from footfall_exporters.postgres import groups, partitions, prepare
from footfall_exporters.postgres.housekeeping import Housekeeper
from footfall_exporters.postgres.reports.distinct import Span, distinct
from footfall_exporters.postgres.tasks import House
from footfall_processors import load_catalog
from support.batches import DAY, HOUR, batch, dimension, one_row
from support.stores import MIDNIGHT, TODAY, writing

IN_ALL = """
    SELECT day, groups, reason FROM reporting.groups WHERE period = 'day' AND scope = 'all' ORDER BY 1
"""
BY_EVENT = """
    SELECT event, groups, reason FROM reporting.groups WHERE period = 'day' AND scope = 'event' ORDER BY 1
"""
OF_SPAN = """
    SELECT attribute, groups, reason FROM reporting.groups
    WHERE period = %s AND day = %s AND scope = 'all' ORDER BY 1
"""


async def test_who_is_killed_has_counted_nothing(store_database, store, query):
    await store(batch(row(MIDNIGHT - 2 * DAY, None, "a"), row(MIDNIGHT - DAY, None, "b")))
    for _ in range(2):
        assert await killed(store_database, query, TODAY)
        assert shown(query) == {}
        assert query("SELECT count(*) FROM footfall.groups_counted") == [(0,)]
    await count(store_database, TODAY)
    assert query(IN_ALL) == [(day(2), 1, None), (day(1), 1, None)]


def with_hash(catalog, tmp_path, **kinds):
    """The catalog with attributes that are hashed so, of an event of their own."""
    text = yaml.safe_load(CATALOG.read_text())
    for name, kind in kinds.items():
        text["attributes"][name] = {"type": "string", "hash": kind, "description": "x"}
        if name not in text["events"]["shop.order"]["attributes"]:
            text["events"]["shop.order"]["attributes"].append(name)
    path = tmp_path / f"{'_'.join(kinds.values())}.yaml"
    path.write_text(json.dumps(text, default=str))  # JSON is YAML
    return load_catalog(path)


async def test_a_hashed_attribute_that_a_catalog_gains_is_counted_from_then_on(
    store_database, store, query, catalog, tmp_path
):
    """Of the week in which it came as well, and when its first day was detached before."""
    monday = MIDNIGHT - (TODAY.weekday() + 14) * DAY
    await store(batch(*[one_row(monday + n * DAY, visitor=WHOSE[0]) for n in range(7)]))
    first = moment(monday).date()
    query(
        "ALTER TABLE footfall.feature_events DETACH PARTITION"
        f" footfall.feature_events_{first:%Y%m%d}"
    )
    grown = with_hash(catalog, tmp_path, raider="static")
    prepare(store_database, Settings(grown))
    async with writing(store_database, grown) as writer:
        late = [one_row(monday + n * DAY, raider=who) for n in (1, 2) for who in WHOSE[:2]]
        await writer.consume(batch(*late))
    async with keeping(store_database) as connection:
        assert not (await partitions.drop(connection, first + ONE_DAY)).held
    assert query(OF_SPAN, "week", first) == [("raider", 2, None), ("visitor", 1, None)]
    await count(store_database, TODAY)
    assert query(OF_SPAN, "day", first) == [("visitor", 1, None)]
    assert query(OF_SPAN, "day", first + ONE_DAY) == [("raider", 2, None), ("visitor", 1, None)]


async def test_over_a_change_of_hash_there_is_no_number(
    store_database, store, query, catalog, tmp_path
):
    """One group would be two."""
    await store(
        batch(one_row(MIDNIGHT, guild_id=WHOSE[0]), one_row(MIDNIGHT - DAY, guild_id=WHOSE[0]))
    )
    await count(store_database, TODAY)
    prepare(store_database, Settings(catalog))  # which changes nothing
    prepare(store_database, Settings(with_hash(catalog, tmp_path, guild_id="static")))
    await count(store_database, TODAY + ONE_DAY)
    assert query(IN_ALL) == [(day(1), 1, None), (day(0), None, "hash_changed")]
    now = dt.datetime.now(dt.UTC)
    spans = [Span(now - ONE_DAY, now), Span(now, now + ONE_DAY)]
    with psycopg.connect(store_database) as connection:
        assert distinct(connection, "guild_id", spans) == [None, 0]
    prepare(store_database, Settings(with_hash(catalog, tmp_path, guild_id="static")))
    await store(batch(one_row(MIDNIGHT + 2 * DAY, guild_id=WHOSE[0])))
    await count(store_database, TODAY + 3 * ONE_DAY)
    assert query(IN_ALL)[2:] == [(day(-2), 1, None)]


async def test_a_week_in_which_its_salt_was_lost_has_no_number(store_database, store, query):
    """Of its days those after that have one: late events of those before had the new salt."""
    first = TODAY - (TODAY.weekday() + 7) * ONE_DAY
    monday = MIDNIGHT - (TODAY.weekday() + 7) * DAY
    made = "INSERT INTO footfall.salt_log VALUES ('weekly', footfall.salt_period('weekly', %s), %s)"
    for at in (monday - DAY, monday + 2 * DAY + 5 * HOUR):
        query(made, first, moment(at))
    await store(batch(*[one_row(monday + n * DAY, team_id=WHOSE[0]) for n in (1, 2, 3)]))
    await count(store_database, TODAY)
    assert query(IN_ALL) == [
        (first + ONE_DAY, None, "salt_lost"), (first + 2 * ONE_DAY, None, "salt_lost"),
        (first + 3 * ONE_DAY, 1, None),
    ]  # fmt: skip
    assert query(OF_SPAN, "week", first) == [("team_id", None, "salt_lost")]


async def test_what_was_sampled_says_so(store_database, store, query):
    await store(
        batch(
            *[one_row(MIDNIGHT - DAY, of, visitor=who) for of in DIMENSIONS[1:3] for who in WHOSE]
        )
    )
    query(
        "UPDATE footfall.feature_events SET sample_rate = 0.5 FROM footfall.feature_dims d"
        " WHERE d.id = dim_id AND d.event = 'shop.survey' AND visitor_hash = %s", WHOSE[0].hex()
    )  # fmt: skip
    await count(store_database, TODAY)
    assert query(IN_ALL) == [(day(1), 3, "sampled")]
    assert query(BY_EVENT) == [("shop.order", 3, None), ("shop.survey", 3, "sampled")]


async def test_small_numbers_are_for_the_operator_alone(store_database, store, query):
    rows = [one_row(MIDNIGHT - DAY, visitor=bytes([n]) * 16) for n in range(5)]
    await store(batch(*rows, one_row(MIDNIGHT - DAY, dimension("shop.survey"), visitor=WHOSE[0])))
    await count(store_database, TODAY)
    assert query(BY_EVENT) == [("shop.order", 5, None), ("shop.survey", 1, None)]
    query("SET ROLE footfall_reader")
    assert query(BY_EVENT) == [("shop.order", 5, None), ("shop.survey", None, "few")]
    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        query("SELECT * FROM footfall.groups_counts")


async def test_a_store_of_before_is_counted_in_the_background_as_far_as_its_rows_are_there(
    empty_database, catalog, monkeypatch
):
    make_former(empty_database, catalog, "0018")
    with psycopg.connect(empty_database, autocommit=True) as connection:
        async with writing(empty_database, catalog) as writer:
            for back in (1, 2, 3):
                await writer.consume(
                    batch(
                        row(MIDNIGHT - back * DAY, None, "a"), row(MIDNIGHT - back * DAY, None, "b")
                    )
                )
            for back, number in ((2, 1), (12, 7), (13, None)):
                connection.execute(
                    "INSERT INTO footfall.groups_daily VALUES (%s, 'guild_id', 'daily', %s)",
                    [day(back), number],
                )
                connection.execute(
                    "INSERT INTO footfall.rolled_up VALUES ('groups', %s, 9)",
                    [moment(MIDNIGHT - back * DAY)],
                )
                if back > 10:
                    connection.execute("INSERT INTO footfall.dropped_days VALUES (%s)", [day(back)])
            connection.execute(
                "INSERT INTO footfall.housekeeping VALUES ('groups', '6 hours', now(), now(), 5,"
                " now() + interval '6 hours', '1 day rolled up')"
            )
            prepare(empty_database, Settings(catalog))
            due = "SELECT next_run <= clock_timestamp() FROM reporting.housekeeping"
            assert connection.execute(due).fetchall() == [(True,)]
            former = {day(2): [1, None], day(12): [7, None], day(13): [None, "salt_lost"]}
            assert {on: rest for on, *rest in connection.execute(IN_ALL)} == former
            monkeypatch.setattr(groups, "BUDGET", 0)
            keeper = Housekeeper(
                empty_database, House(catalog, 30, 400), *[lambda: (MIDNIGHT + 6 * HOUR) * 1000] * 2
            )
            outcomes = []
            for _ in range(3):
                [ran] = await keeper.run_due({"groups"})
                outcomes.append(ran.outcome)
                await writer.consume(batch(row(MIDNIGHT, None, "meanwhile")))
        by_event = connection.execute(BY_EVENT)
        assert by_event.fetchall() == [("shop.order", 2, None)] * 3
        assert outcomes[:2] == [f"1 day counted, {left} to be counted" for left in (2, 1)]
        assert {on: rest for on, *rest in connection.execute(IN_ALL)} == former | {
            day(3): [2, None],
            day(1): [2, None],
        }
