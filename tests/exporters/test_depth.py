"""How many features active groups use: what is told of them, to whom, and what is not."""

import datetime as dt
import math
import statistics
from collections import Counter
from functools import partial

import psycopg
import pytest

from exporters.former import make_former
from exporters.housekeeping import day, moment
from exporters.test_groups import DECLARE, ONE_DAY, count, deep
from footfall_exporters.contracts import Settings
from footfall_exporters.postgres import prepare
from footfall_exporters.postgres.reports import ask
from footfall_exporters.postgres.reports.asked import Asked, Period, WrongQuestion
from support.batches import DAY, batch, dimension, one_row
from support.stores import MIDNIGHT, TODAY, rows_of, writing

TOLD = """
    SELECT groups, mean, median, p90, groups_1, groups_2_3, groups_4_7, groups_8_up, reason
    FROM reporting.depth WHERE scope = %s AND product IS NOT DISTINCT FROM %s ORDER BY day
"""
SINCE = Period(dt.datetime.combine(TODAY - 9 * ONE_DAY, dt.time(), dt.UTC), None)
YESTERDAY = MIDNIGHT - DAY


def features(number):
    return [dimension(f"nobodys.f{n}") for n in range(number)]


def used(depths, at=YESTERDAY):
    """Groups of which each used so many features, each of these twice."""
    return [
        one_row(at + again, of, visitor=who.to_bytes(16))
        for who, number in enumerate(depths, start=1)
        for of in features(number)
        for again in (0, 1)
    ]


def expected(depths):
    """By nearest rank, from the list itself."""
    ordered = sorted(depths)
    bands = Counter("1" if d == 1 else "2" if d < 4 else "4" if d < 8 else "8" for d in depths)
    nearest = [ordered[math.ceil(share * len(ordered)) - 1] for share in (0.5, 0.9)]
    return (len(depths), statistics.fmean(depths), *nearest, *(bands[of] for of in "1248"))


def as_reader(query, *asked):
    query("SET ROLE footfall_reader")
    found = query(TOLD, *asked)
    query("RESET ROLE")
    return found


@pytest.mark.parametrize("depths", [[1], [1, 2], [3] * 4, [1, 1, 2, 3, 4, 7, 8, 12, 12, 12, 2]])
async def test_the_operator_is_told_exactly(store_database, store, query, depths):
    await store(batch(*used(depths)))
    await count(store_database, TODAY)
    assert query(TOLD, "all", None) == [(*expected(depths), None)]
    assert query(TOLD, "product", None) == [(*expected(depths), None)]  # no catalog is known of it


async def test_a_feature_is_one_on_all_surfaces_and_one_of_its_product(
    store_database, store, query
):
    query(DECLARE)
    mine = [dimension(), dimension("more.order", surface="bot"), dimension("other.order")]
    ours = dimension("footfall.emitted", surface="footfall")
    rows = [one_row(YESTERDAY, of, visitor=b"a" * 16) for of in (*mine, ours)]
    await store(batch(*rows, one_row(YESTERDAY, ours, visitor=b"b" * 16)))
    await count(store_database, TODAY)
    assert [row[:2] for row in query(TOLD, "all", None)] == [(1, 2.0)]
    for product in ("testbed", "other"):
        assert [row[:2] for row in query(TOLD, "product", product)] == [(1, 1.0)]


FEW = [
    # Depths; then what others are told.
    ([1] * 4, (None,) * 8),
    ([1] * 5, (5, 1.0, 1, 1, 5, 0, 0, 0)),
    ([1] * 5 + [2], (6, None, 1, None, None, None, None, None)),  # one used the second feature
    ([2] * 8 + [9], (9, None, 2, None, None, None, None, None)),
    ([1] * 6 + [2] * 5, (11, 16 / 11, 1, 2, 6, 5, 0, 0)),
    ([1] * 7 + [2] * 3 + [3] * 2, (12, None, 1, None, 7, 5, 0, 0)),  # two used the third one
    ([*range(1, 9)], (8, None, None, None, None, None, None, None)),
    ([1] * 50 + [4] * 5 + [8] * 5, (60, 110 / 60, 1, 4, 50, 0, 5, 5)),
]


@pytest.mark.parametrize(("depths", "said"), FEW)
async def test_others_are_told_no_figure_with_fewer_than_five_behind_it(
    store_database, store, query, depths, said
):
    await store(batch(*used(depths)))
    await count(store_database, TODAY)
    reason = "few" if None in said else None
    assert as_reader(query, "all", None) == [(*said, reason)]
    assert query(TOLD, "all", None) == [(*expected(depths), None)]
    query("SET ROLE footfall_reader")
    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        query("SELECT * FROM footfall.groups_depth")


async def test_what_was_sampled_says_so_and_what_is_unknown_why(store_database, store, query):
    await store(batch(*used([1] * 5), *used([2] * 5, YESTERDAY - 2 * DAY)))
    query(
        "UPDATE footfall.feature_events SET sample_rate = 0.5 WHERE time >= %s", moment(YESTERDAY)
    )
    made = "INSERT INTO footfall.salt_log VALUES ('static', footfall.salt_period('static', %s), %s)"
    for at in (YESTERDAY - 4 * DAY, YESTERDAY - 2 * DAY + 1):
        query(made, day(3), moment(at))
    await count(store_database, TODAY)
    lost, sampled = query(TOLD, "all", None)
    assert (*lost[:4], lost[-1]) == (None, None, None, None, "salt_lost")
    assert (sampled[0], sampled[-1]) == (5, "sampled")
    assert as_reader(query, "all", None)[0][-1] == "salt_lost"


async def test_days_of_before_are_counted_in_the_background_and_their_groups_stay(
    empty_database, catalog
):
    make_former(empty_database, catalog, "0024")
    with psycopg.connect(empty_database, autocommit=True) as connection:
        query = partial(rows_of, connection)
        async with writing(empty_database, catalog) as writer:
            await writer.consume(batch(*used([1, 2]), *used([3], YESTERDAY - DAY)))
            query("INSERT INTO footfall.groups_counted VALUES ('day', %s)", day(1))
            query(
                "INSERT INTO footfall.groups_counts (span, scope, start, attribute, kind, groups)"
                " VALUES ('day', 'all', %s, 'visitor', 'static', 7)",
                day(1),
            )
            query(
                "INSERT INTO footfall.housekeeping VALUES ('groups', '6 hours', now(), now(), 5,"
                " now() + interval '6 hours', '1 day counted')"
            )
            prepare(empty_database, Settings(catalog))
            assert query("SELECT next_run <= clock_timestamp() FROM reporting.housekeeping") == [
                (True,)
            ]
            await count(empty_database, TODAY)
            await writer.consume(batch(*used([5])))  # too late for it
            await count(empty_database, TODAY)
        assert [row[0] for row in query(TOLD, "all", None)] == [1, 2]
        assert {key[0]: key[-1] for key in deep(query) if key[2] == "all" and key[-1] != 1} == {
            day(2): 3,
            day(1): 2,
        }
        assert query("SELECT day, groups FROM reporting.active_groups ORDER BY 1") == [
            (day(2), 1),
            (day(1), 7),
        ]


async def test_the_report_is_of_days_of_all_or_of_products(store_database, store, query):
    query(DECLARE)
    of = [dimension(), dimension("shop.survey"), dimension("other.order")]
    uses = [(1, b"a", 0), (1, b"a", 1), (1, b"a", 2), (1, b"b", 0), (2, b"b", 2)]
    rows = [one_row(MIDNIGHT - back * DAY, of[n], visitor=who * 16) for back, who, n in uses]
    await store(batch(*rows))
    await count(store_database, TODAY)

    def told(*by, **where):
        asked = Asked(SINCE, {name: [value] for name, value in where.items()}, by)
        with psycopg.connect(store_database) as connection:
            return ask(connection, "depth", asked)

    whole = told()
    assert whole.columns[:6] == ("day", "attribute", "groups", "median", "mean", "p90")
    assert [row[:6] for row in whole.rows] == [
        (day(2), "visitor", 1, 1, 1.0, 1), (day(1), "visitor", 2, 1, 2.0, 3),
    ]  # fmt: skip
    assert [row[:4] for row in told("product").rows] == [
        (day(2), "visitor", "other", 1), (day(1), "visitor", "testbed", 2), (day(1), "visitor", "other", 1),
    ]  # fmt: skip
    assert [row[:5] for row in told(product="testbed").rows] == [(day(1), "visitor", 2, 1, 1.5)]
    with pytest.raises(WrongQuestion, match="by day alone; count by day"):
        told("week")
