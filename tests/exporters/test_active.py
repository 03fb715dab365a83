"""How many groups were active, for how long and by what: the right one of the numbers that are kept."""

import datetime as dt
import random
from collections import defaultdict

import psycopg
import pytest

from exporters.housekeeping import moment
from exporters.test_groups import DECLARE as OTHERS
from exporters.test_groups import DIMENSIONS, ONE_DAY, PRODUCTS, WHOSE, count, first_and_end
from footfall_exporters.postgres.reports import ask
from footfall_exporters.postgres.reports.asked import Asked, Period
from support.batches import DAY, batch, one_row
from support.stores import MIDNIGHT, TODAY

SINCE = dt.datetime.combine(TODAY - 20 * ONE_DAY, dt.time(), dt.UTC)
VISITOR = {"attribute": ["visitor"]}


@pytest.fixture
async def uses(store_database, store, query):
    """Of three weeks and today; what they had on each day: event, feature, who."""
    query(OTHERS)
    chosen = random.Random(3)
    rows = [
        one_row(MIDNIGHT - back * DAY + n, chosen.choice(DIMENSIONS), visitor=chosen.choice(WHOSE))
        for back in range(25) for n in range(5)
    ]  # fmt: skip
    rows.append(one_row(MIDNIGHT - DAY, guild_id=WHOSE[0]))
    await store(batch(*rows))
    await count(store_database, TODAY)
    return [
        (moment(at).date(), of.event, of.feature, values["visitor"])
        for at, _, of, values in rows
        if "visitor" in values
    ]


def answered(dsn, *by, since=SINCE, **where):
    with psycopg.connect(dsn) as connection:
        where = VISITOR | {name: [value] for name, value in where.items()}
        return ask(connection, "groups", Asked(Period(since, None), where, by))


def expected(uses, step, key=lambda event, feature: ()):
    """Of each day, week or month that has settled and is touched, and what was used: how many."""
    first, _ = first_and_end(step, SINCE.date())
    found = defaultdict(set)
    for on, event, feature, who in uses:
        begun, end = first_and_end(step, on)
        if begun >= first and end <= TODAY and key(event, feature) is not None:
            found[begun, *key(event, feature)].add(who)
    return {key: len(who) for key, who in found.items()}


def told(report, *columns):
    return {tuple(row[name] for name in columns): row["active"] for row in report.records()}


@pytest.mark.parametrize("step", ["day", "week", "month"])
def test_numbers_are_of_as_long_as_is_asked(store_database, uses, step):
    found = answered(store_database, step)
    assert told(found, step) == expected(uses, step)
    assert found.since.date() == first_and_end(step, SINCE.date())[0]
    by_event = answered(store_database, step, "event")
    assert by_event.columns == (step, "event", "active", "reason")
    assert told(by_event, step, "event") == expected(uses, step, lambda event, _: (event,))


def test_what_tells_numbers_apart_is_shown_unasked(store_database, uses):
    by_event = told(answered(store_database, "event"), "day", "event")
    assert by_event == expected(uses, "day", lambda event, _: (event,))
    found = answered(store_database, "feature")
    assert found.columns == ("day", "product", "feature", "active", "reason")
    assert told(found, "day", "product", "feature") == expected(
        uses, "day", lambda event, feature: (PRODUCTS.get(event), feature)
    )
    by_product = told(answered(store_database, "product", "week"), "week", "product")
    assert by_product == expected(uses, "week", lambda event, _: (PRODUCTS.get(event),))
    both = answered(store_database, "attribute")
    assert both.columns == ("day", "attribute", "active", "reason")


def test_of_one_event_or_feature_they_are_its_own(store_database, uses):
    found = told(answered(store_database, event="more.order"), "day")
    assert found == expected(uses, "day", lambda e, _: () if e == "more.order" else None)
    found = told(answered(store_database, "week", feature="order", product="testbed"), "week")
    assert found == expected(
        uses, "week", lambda e, f: () if (f, PRODUCTS.get(e)) == ("order", "testbed") else None
    )


def test_what_is_not_known_has_its_reason_beside_it(store_database, uses):
    with psycopg.connect(store_database) as connection:
        asked = Asked(
            Period(SINCE - 30 * ONE_DAY, None), {"attribute": ["guild_id"]}, ["event", "month"]
        )
        months = ask(connection, "groups", asked).records()
        day = ask(
            connection, "groups", Asked(Period(SINCE, None), {"attribute": ["guild_id"]})
        ).records()
    assert all((row["active"], row["reason"]) == (None, "salt_period") for row in months)
    assert day == [{"day": TODAY - ONE_DAY, "attribute": "guild_id", "active": 1, "reason": None}]


SHARES = "SELECT event, active_groups, active_per, adoption FROM reporting.features ORDER BY 1"


def last_week(uses):
    """The days of the last week that is over."""
    first = TODAY - (TODAY.weekday() + 7) * ONE_DAY
    return [use for use in uses if first <= use[0] < first + 7 * ONE_DAY]


def who(uses, chosen):
    return {whose for _, event, _, whose in uses if chosen(event)}


def test_adoption_is_the_share_of_the_groups_of_a_week_that_used_it(store_database, uses, query):
    within = last_week(uses)
    found = {event: rest for event, *rest in query(SHARES)}
    for event, product in PRODUCTS.items():
        users = who(within, event.__eq__)
        everyone = who(within, lambda other, product=product: PRODUCTS.get(other) == product)
        expected = [len(users), "week", len(users) / len(everyone)] if users else [None] * 3
        assert found[event] == expected
    assert found["shop.ping"] == [None, None, None]
    query("SET ROLE footfall_reader")
    assert {tuple(rest) for _, *rest in query(SHARES)} == {(None, None, None)}  # three are few


async def test_of_a_hash_that_changes_daily_it_is_that_of_an_average_day(
    store_database, store, query
):
    monday = MIDNIGHT - (TODAY.weekday() + 7) * DAY
    used = [(n, of, who) for n in range(5) for of in (0, 2) for who in range(6 if of else 9 + n)]
    guilds = [
        one_row(monday + n * DAY, DIMENSIONS[of], guild_id=bytes([who]) * 16) for n, of, who in used
    ]
    await store(batch(*guilds, one_row(monday, DIMENSIONS[2], visitor=WHOSE[0])))
    await count(store_database, TODAY)
    order, survey = sum(9 + n for n in range(5)) / 7, 5 * 6 / 7
    near = pytest.approx
    for role in ("footfall_reader", "NONE"):
        query(f"SET ROLE {role}")
        assert [row for row in query(SHARES) if row[1] is not None] == [
            ("shop.order", near(order), "day", 1),
            ("shop.survey", near(survey), "day", near(survey / order)),
        ]
    sampled = "UPDATE footfall.groups_counts SET reason = 'sampled' WHERE event = %s AND start > %s"
    query(sampled, "shop.survey", moment(monday).date())
    assert ("shop.survey", None, "day", None) in query(SHARES)


def test_adoption_is_told_by_the_report(store_database, uses, query):
    with psycopg.connect(store_database) as connection:
        rows = {
            row["event"]: row["adoption"] for row in ask(connection, "features", Asked()).records()
        }
    expected = {event: share and round(share, 3) for event, _, _, share in query(SHARES)}
    assert rows == expected
    assert any(rows.values())
