"""What moved: parts that have nothing in common, add up to the whole, and name what was planted."""

import datetime as dt
import random
from collections import Counter

import psycopg
import pytest
from hypothesis import given
from hypothesis import strategies as st

from footfall_exporters.postgres.reports import ask
from footfall_exporters.postgres.reports.asked import Asked, Period, WrongQuestion
from footfall_exporters.postgres.reports.changes import Part, taken_apart
from support.batches import DAY, HOUR, batch, dimension
from support.stores import MIDNIGHT, TODAY, writing

WEEK = Period(
    dt.datetime.combine(TODAY, dt.time(), dt.UTC) - dt.timedelta(days=7),
    dt.datetime.combine(TODAY, dt.time(), dt.UTC),
)
PROVIDERS, VERSIONS = ("smz3", "alttpr", "sm"), ("1.0", "2.0", "2.1")
counts = st.integers(0, 500)


@given(
    st.dictionaries(
        st.tuples(*[st.sampled_from("abc")] * 3), st.tuples(counts, counts), max_size=27
    ),
    st.integers(1, 10),
)
def test_parts_have_nothing_in_common_and_each_is_more_than_chance(table, most):
    parts = [Part(values, *both) for values, both in table.items()]
    found = taken_apart(parts, [0, 1, 2], most)
    assert len(found) <= most
    explained = [part for _, among in found for part in among]
    assert len(explained) == len(set(explained))
    left = set(parts)
    for cell, among in found:
        assert cell
        assert set(among) == {p for p in left if all(p.values[n] == v for n, v in cell.items())}
        change, volume = (
            sum(p.now - p.before for p in among),
            sum(p.now + p.before for p in among),
        )
        assert change**2 > 9 * volume
        left -= set(among)


def test_a_change_of_two_values_together_is_named_by_both_and_by_nothing_else():
    parts = [
        Part((event, provider, version, "web"), 100, 400 if (provider, version) == ("sm", "2.0") else 100)
        for event in ("order", "cart")
        for provider in PROVIDERS
        for version in VERSIONS
    ]  # fmt: skip
    [(cell, _)] = taken_apart(parts, [0, 1, 2, 3], 10)
    assert cell == {1: "sm", 2: "2.0"}


@pytest.fixture
async def shop(store_database, catalog):
    """Two weeks alike, but that smz3 fails three times as often in version 2.0 in the second one."""
    chance = random.Random(3)
    uses = Counter()
    for back in range(1, 15):
        moment = MIDNIGHT - back * DAY + 5 * HOUR
        for provider in PROVIDERS:
            for version in VERSIONS:
                is_bad = back <= 7 and (provider, version) == ("smz3", "2.0")
                for action, status, error, number in (
                    ("success", "ok", None, 60 if is_bad else 90),
                    ("failure", "error", "invalid_preset", 45 if is_bad else 15),
                    ("invoke", "ok", None, 500 if back <= 7 else 10),
                ):
                    how = dimension(
                        "shop.order", action, status, error, provider=provider,
                        service="shop", service_version=version,
                    )  # fmt: skip
                    uses[moment, how] += number + chance.randrange(-5, 6)
    async with writing(store_database, catalog) as writer:
        await writer.consume(batch(counts=uses))
    return uses


def asked(dsn, **question):
    with psycopg.connect(dsn) as connection:
        return ask(connection, "changes", Asked(**{"period": WEEK, **question}))


async def test_a_planted_regression_is_named_first(store_database, shop):
    found = asked(store_database)
    first = found.records()[0]
    assert (first["of"], set(first["what"].split(", "))) == (
        "failures", {"provider=smz3", "service_version=2.0"},
    )  # fmt: skip
    sums = Counter()
    for (moment, how), number in shop.items():
        if (how.service_version, dict(how.enums)["provider"], how.status) == (
            "2.0",
            "smz3",
            "error",
        ):
            sums[moment >= MIDNIGHT - 7 * DAY] += number
    assert (first["before"], first["now"]) == (sums[False], sums[True])


async def test_the_rows_of_a_kind_add_up_to_the_whole(store_database, shop):
    rows = asked(store_database).records()
    ends = Counter()
    for (moment, how), number in shop.items():
        if how.action != "invoke":
            ends["uses", moment >= MIDNIGHT - 7 * DAY] += number
            if how.status != "ok":
                ends["failures", moment >= MIDNIGHT - 7 * DAY] += number
    for kind in ("uses", "failures"):
        *parts, whole = [row for row in rows if row["of"] == kind]
        assert whole["what"] == "all"
        assert (whole["before"], whole["now"]) == (ends[kind, False], ends[kind, True])
        if parts:
            assert sum(row["change"] for row in parts) == whole["change"]


async def test_only_the_columns_that_are_asked_by_are_named(store_database, shop):
    [first, *_] = asked(store_database, by=["version"]).records()
    assert first["what"] == "service_version=2.0"
    only = asked(store_database, where={"action": ["failure"], "provider": ["smz3"]}).records()
    assert {row["of"] for row in only} == {"uses"}
    assert "service_version=2.0" in only[0]["what"]


@pytest.mark.parametrize("by", ["day", "nothing"])
def test_what_it_cannot_be_counted_by_is_said(store_database, by):
    with pytest.raises(WrongQuestion, match=by):
        asked(store_database, by=[by])


async def test_without_a_change_there_is_only_the_whole(store_database, catalog):
    how = dimension("shop.order")
    counts = {(MIDNIGHT - back * DAY, how): 50 for back in range(1, 15)}
    async with writing(store_database, catalog) as writer:
        await writer.consume(batch(counts=counts))
    assert asked(store_database).rows == [("uses", "all", 350, 350, 0, None)]
