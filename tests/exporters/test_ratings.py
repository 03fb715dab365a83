"""Ratings in the store: one for each prompt, owner and day, the last one, as long as observations."""

import asyncio
import datetime as dt
import random
import time
import uuid
from contextlib import asynccontextmanager, suppress

import psycopg
import pytest

from exporters.embedded import crash
from footfall_exporters.background import beside
from footfall_exporters.contracts import Unavailable
from footfall_exporters.postgres import purge, report
from footfall_exporters.postgres import ratings as module
from footfall_exporters.postgres.connecting import HOUSEKEEPING, connect
from footfall_exporters.postgres.ratings import Rating, Ratings, Standing
from footfall_exporters.postgres.statistics import found
from support.stores import TODAY, store_at
from support.waiting import until

ALL = "SELECT prompt, owner, rating, source, version, note FROM footfall.ratings ORDER BY 1, 2"
NOBODY_KNOWS = Standing(None, None)


def owner(number):
    return uuid.UUID(int=number)


def rating(stars=4, by=1, prompt="p1", source="copy", **said):
    return Rating(prompt=prompt, owner=owner(by), rating=stars, source=source, **said)


async def taken(ratings):
    with suppress(Unavailable):
        return bool(await ratings.rate(rating()))


@asynccontextmanager
async def at_work(dsn):
    ratings = Ratings(dsn)
    async with beside(ratings.run()):
        yield ratings


@pytest.fixture
async def ratings(store_database):
    async with at_work(store_database) as ratings:
        yield ratings


def put(query, days_ago=0, by=1, stars=4, prompt="p1", version=None, source="copy", note=None):
    """A rating of another day, as it would have been put then."""
    query(
        "INSERT INTO footfall.ratings VALUES (%s, %s, (now() AT TIME ZONE 'UTC')::date - %s::int,"
        " now() - make_interval(days => %s), %s, %s, %s, %s)",
        prompt, owner(by), days_ago, days_ago, stars, source, version, note,
    )  # fmt: skip
    query(
        "INSERT INTO footfall.rating_totals SELECT prompt, count(DISTINCT owner), count(*), sum(rating)"
        " FROM footfall.ratings WHERE prompt = %s GROUP BY prompt ON CONFLICT (prompt) DO UPDATE"
        " SET owners = excluded.owners, total = excluded.total, stars = excluded.stars",
        prompt,
    )


async def test_the_last_of_a_day_stands_whatever_its_version_or_source(ratings, query):
    await ratings.rate(rating(1, version="1", note="no"))
    await ratings.rate(rating(2, prompt="p2"))
    await ratings.rate(rating(3, by=2))
    await ratings.rate(rating(5, version="2", source="manual"))
    assert query(ALL) == [
        ("p1", owner(1), 5, "manual", "2", None),
        ("p1", owner(2), 3, "copy", None, None),
        ("p2", owner(1), 2, "copy", None, None),
    ]
    today = "SELECT DISTINCT day = (now() AT TIME ZONE 'UTC')::date FROM footfall.ratings"
    assert query(today) == [(True,)]


async def test_another_day_has_another(ratings, query):
    put(query, days_ago=1, stars=1)
    await ratings.rate(rating(5))
    assert query("SELECT rating FROM footfall.ratings ORDER BY day") == [(1,), (5,)]


async def test_what_comes_together_is_kept_as_it_would_be_one_after_the_other(ratings, query):
    many = [rating(1 + n % 5, by=n % 8, prompt=f"p{n % 7}") for n in range(500)]
    standings = await asyncio.gather(*map(ratings.rate, many))
    last = {(each.prompt, each.owner): each.rating for each in many}
    rows = query("SELECT prompt, owner, rating FROM footfall.ratings")
    assert {(prompt, by): stars for prompt, by, stars in rows} == last
    for prompt, standing in {m.prompt: s for m, s in zip(many, standings, strict=True)}.items():
        stars = [n for (name, _), n in last.items() if name == prompt]
        assert standing == Standing(round(sum(stars) / len(stars), 2), len(stars))


async def test_what_all_say_is_told_once_five_have_said_it(ratings, query):
    for number in range(4):
        put(query, days_ago=1, by=1, stars=1, prompt=f"other{number}")
        assert await ratings.rate(rating(5, by=number)) == NOBODY_KNOWS
    assert await ratings.rate(rating(1, by=9)) == Standing(4.2, 5)
    assert await ratings.rate(rating(3, by=9)) == Standing(4.6, 5)


async def test_five_ratings_of_four_owners_are_not_told(ratings, query):
    for back in (1, 2):
        for number in range(4):
            put(query, days_ago=back, by=number)
    assert await ratings.rate(rating(1, by=0)) == NOBODY_KNOWS
    assert await ratings.rate(rating(1, by=4)) == Standing(3.4, 10)


async def test_two_that_rate_at_once_keep_one_and_wait_in_no_ring(store_database, query):
    names = [f"p{n}" for n in range(30)]
    async with at_work(store_database) as first, at_work(store_database) as second:
        for _ in range(10):
            await asyncio.gather(
                *(first.rate(rating(2, prompt=name)) for name in names),
                *(second.rate(rating(5, prompt=name)) for name in reversed(names)),
            )
    stars = query("SELECT prompt, rating FROM footfall.ratings")
    assert sorted(prompt for prompt, _ in stars) == sorted(names)
    assert {number for _, number in stars} <= {2, 5}


TOTALS = (
    "SELECT prompt, owners::int, total::int, stars::int FROM footfall.rating_totals ORDER BY prompt"
)
COUNTED = (
    "SELECT prompt, count(DISTINCT owner)::int, count(*)::int, sum(rating)::int FROM footfall.ratings"
    " GROUP BY prompt ORDER BY prompt"
)


async def test_totals_are_exact_whoever_rates_and_deletes_at_once(store_database, query):
    """Four owners and three prompts, so that they meet all the time."""
    drawn = random.Random(7)
    for back in (1, 2, 40):
        for by in range(4):
            put(query, days_ago=back, by=by, prompt=f"p{by % 3}")

    async def rates(ratings):
        for _ in range(15):
            some = [
                rating(drawn.randint(1, 5), by=drawn.randrange(4), prompt=f"p{drawn.randrange(3)}")
                for _ in range(10)
            ]
            await asyncio.gather(*map(ratings.rate, some))

    async def deletes(connection):
        for _ in range(40):
            gone = "DELETE FROM footfall.ratings WHERE owner = %s AND day <> current_date"
            await connection.execute(gone, [owner(drawn.randrange(4))])

    async with (
        at_work(store_database) as first,
        at_work(store_database) as second,
        await connect(store_database, HOUSEKEEPING) as connection,
    ):
        await asyncio.gather(rates(first), rates(second), deletes(connection))
        assert query(TOTALS) == query(COUNTED)
        query("DELETE FROM footfall.ratings WHERE prompt = 'p0'")
        query("DELETE FROM footfall.ratings WHERE owner = %s", owner(2))
        assert query(TOTALS) == query(COUNTED)
        assert [prompt for prompt, *_ in query(TOTALS)] == ["p1", "p2"]


async def test_two_that_change_one_rating_at_the_same_moment_count_it_once(store_database, query):
    async with at_work(store_database) as first, at_work(store_database) as second:
        await first.rate(rating(3))
        with psycopg.connect(store_database) as other:
            other.execute("SELECT FROM footfall.ratings FOR UPDATE")
            both = [
                asyncio.create_task(each.rate(rating(n))) for each, n in ((first, 5), (second, 1))
            ]
            waits = (
                "SELECT count(*) = 2 FROM pg_stat_activity WHERE wait_event_type = 'Lock'"
                " AND datname = current_database() AND application_name = 'footfall ratings'"
            )
            await until(lambda: query(waits) == [(True,)])
            other.rollback()
        await asyncio.gather(*both)
        assert query(TOTALS) == query(COUNTED)


async def test_whoever_keeps_ratings_may_neither_read_notes_nor_delete(ratings, query):
    await ratings.rate(rating(note="of somebody"))
    query("SET ROLE footfall_writer")
    for statement in (
        "SELECT note FROM footfall.ratings",
        "SELECT rating FROM footfall.ratings",
        "SELECT * FROM footfall.rating_totals",
        "UPDATE footfall.rating_totals SET total = 0",
        "INSERT INTO footfall.ratings DEFAULT VALUES",
        "DELETE FROM footfall.ratings",
        "UPDATE footfall.ratings SET owner = gen_random_uuid()",
        "UPDATE footfall.ratings SET day = '2026-01-01'",
    ):
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            query(statement)
    query("RESET ROLE")


@pytest.mark.parametrize(
    "wrong",
    [
        {"stars": 0}, {"stars": 6}, {"source": "elsewhere"}, {"note": "x" * 281}, {"version": "x" * 65},
        {"prompt": ""}, {"prompt": "x" * 257},
    ],
)  # fmt: skip
def test_the_table_itself_takes_nothing_else(query, wrong):
    with pytest.raises(psycopg.errors.CheckViolation):
        put(query, **wrong)


async def test_postgres_keeps_no_statistics_of_who_what_and_what_was_written(
    ratings, store_database, query
):
    for number in range(50):
        put(query, by=number, note=f"note {number}", version=f"v{number}", prompt=f"p{number}")
    query("ANALYZE footfall.ratings")
    kept = query("SELECT attname FROM pg_stats WHERE tablename = 'ratings' ORDER BY 1")
    assert kept == [("created_at",), ("day",), ("rating",), ("source",)]
    with psycopg.connect(store_database, autocommit=True) as connection:
        assert found(connection) == []


async def test_what_was_answered_outlives_a_crash_and_meanwhile_nobody_waits(
    own_server, own_database
):
    async with at_work(own_database) as ratings:
        assert await ratings.rate(rating(1)) == NOBODY_KNOWS
        crash(own_server.log_file.parent)
        assert not await taken(ratings)
        begun = time.monotonic()
        assert not await taken(ratings)
        assert time.monotonic() - begun < 1, "it is known to be away"
        own_server.start()
        with psycopg.connect(own_database) as connection:
            rows = connection.execute("SELECT rating FROM footfall.ratings").fetchall()
        assert rows == [(1,)]
        await until(lambda: taken(ratings))


async def test_nobody_waits_for_a_postgres_that_was_never_there():
    ratings = Ratings("host=127.0.0.1 port=9")
    async with beside(ratings.run()):
        assert not await taken(ratings)  # it has come before anybody knew
        begun = time.monotonic()
        assert not await taken(ratings)
        assert time.monotonic() - begun < 1


async def test_a_statement_that_hangs_is_not_waited_for(
    ratings, store_database, query, monkeypatch
):
    monkeypatch.setattr(module, "PATIENCE_S", 0.2)
    with psycopg.connect(store_database) as other:
        other.execute("LOCK TABLE footfall.ratings")
        with pytest.raises(Unavailable) as refused:
            await ratings.rate(rating(5))
        with pytest.raises(Unavailable):  # this one is never asked for
            await ratings.rate(rating(1))
        assert refused.value.retry_after == 1
        other.rollback()
    monkeypatch.setattr(module, "PATIENCE_S", 10)
    assert await ratings.rate(rating(2, by=2)) == NOBODY_KNOWS
    assert query("SELECT count(*) FROM footfall.ratings WHERE rating = 1") == [(0,)]


# For how long


async def test_ratings_go_with_the_observations_of_their_day(store_database, catalog, query):
    for back in (0, 29, 30, 31, 90):
        put(query, days_ago=back)
    await store_at(store_database, catalog).maintain()
    kept = "SELECT (now() AT TIME ZONE 'UTC')::date - day FROM footfall.ratings ORDER BY 1"
    assert query(kept) == [(0,), (29,), (30,)]


async def test_a_purge_tells_and_deletes_them(store_database, query):
    for back in (0, 1, 2, 3):
        put(query, days_ago=back)
    assert (await purge(store_database, 1, dry_run=True)).ratings == 2
    assert query("SELECT count(*) FROM footfall.ratings") == [(4,)]
    assert (await purge(store_database, 1, dry_run=False)).ratings == 2
    assert (await purge(store_database, 1, dry_run=False)).ratings == 0
    assert query("SELECT count(*) FROM footfall.ratings") == [(2,)]


# What readers see

SHOWN = "SELECT prompt, version, source, ratings, average, stars_1, stars_2, stars_5 FROM reporting.ratings"


def test_the_view_has_averages_by_prompt_version_and_source(query):
    for by, stars in enumerate((5, 5, 5, 2, 2)):
        put(query, by=by, stars=stars, version="3")
    put(query, by=9, stars=1, source="manual")
    rows = sorted(query(SHOWN), key=str)
    assert rows == [
        ("p1", "3", "copy", 5, 3.8, 0, 2, 3),
        ("p1", None, "manual", 1, 1.0, 1, 0, 0),
    ]
    query("SET ROLE footfall_reader")
    assert sorted(query(SHOWN), key=str) == [
        ("p1", "3", "copy", 5, 3.8, 0, 2, 3),
        ("p1", None, "manual", *[None] * 5),
    ]
    query("RESET ROLE")
    columns = "SELECT column_name FROM information_schema.columns WHERE table_schema = 'reporting'"
    names = {name for (name,) in query(f"{columns} AND table_name = 'ratings'")}
    assert not {"owner", "note", "created_at"} & names


def test_the_report_adds_days_and_sources_up(store_database, query):
    for by, stars in enumerate((5, 5, 5, 2)):
        put(query, by=by, stars=stars, version="3")
    put(query, by=1, stars=1, version="3", days_ago=1)
    put(query, by=1, stars=4, version="3", days_ago=9)
    put(query, by=1, stars=3, source="duplicate", prompt="p2")
    with psycopg.connect(store_database) as connection:
        result = report(connection, "ratings", 7)
    assert result.columns == ("prompt", "version", "ratings", "average", "stars_1_to_5")
    assert result.rows == [("p1", "3", 5, 3.6, "1 1 0 0 3"), ("p2", None, 1, 3.0, "0 0 1 0 0")]
    assert dt.datetime.now(dt.UTC).date() >= TODAY - dt.timedelta(days=1)
