"""What may leave the team: no figure stands for fewer than k, and none can be subtracted from others.

What is expected is computed from plain records, in Python alone. Whether something can be subtracted is
tried: subtracting.py solves all figures as linear equations, and finds what a store that does not fold gives
away.
"""

import asyncio
import datetime as dt
import secrets

import psycopg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from psycopg import sql
from psycopg.conninfo import make_conninfo

from conftest import new_database
from exporters.subtracting import (
    CARRIES,
    CATALOGS,
    DAYS,
    Use,
    derived,
    expected,
    fewest_behind,
    pseudonym,
    small_cells,
    with_sums,
)  # fmt: skip
from footfall_exporters.contracts import Settings
from footfall_exporters.postgres import connect_sync, partitions, prepare
from footfall_exporters.postgres.confinement import confine
from footfall_exporters.postgres.connecting import HOUSEKEEPING, READING, connect
from footfall_exporters.postgres.erasing import erase
from footfall_exporters.postgres.housekeeping import House, Housekeeper
from footfall_exporters.postgres.publishing import PublishedConfig
from footfall_exporters.postgres.reports import ask
from footfall_exporters.postgres.reports.asked import Asked, Period
from footfall_processors import load_catalog
from support.batches import HOUR, batch
from support.stores import MIDNIGHT, TODAY, rows_of, writing
from support.waiting import until

# A store with that


@pytest.fixture(scope="module")
def declared(tmp_path_factory):
    folder = tmp_path_factory.mktemp("catalogs")
    for name, text in CATALOGS.items():
        (folder / f"{name}.yaml").write_text(text)
    return load_catalog([folder / f"{name}.yaml" for name in CATALOGS])


@pytest.fixture(scope="module")
def template(postgres_server, declared):
    """The name of a database with the schema, the columns of both catalogs and partitions."""

    async def fill(dsn):
        async with await connect(dsn, HOUSEKEEPING) as connection:
            days = [TODAY - dt.timedelta(days=n) for n in range(12)]
            await partitions.ensure(connection, days)

    with new_database(postgres_server) as dsn:
        prepare(dsn, Settings(declared))
        asyncio.run(fill(dsn))
        yield psycopg.conninfo.conninfo_to_dict(dsn)["dbname"]


@pytest.fixture
def database(postgres_server, template, making, dropping):
    with new_database(postgres_server, template, making, dropping) as dsn:
        yield dsn


@pytest.fixture
def query(database):
    with psycopg.connect(database, autocommit=True) as connection:
        yield lambda statement, *args: rows_of(connection, statement, *args)


class Shop:
    """A store, and its housekeeping of what is published."""

    def __init__(self, dsn, catalog, k=5, products=("bot", "site")):
        self.dsn, self.catalog = dsn, catalog
        self.published = PublishedConfig(products=products, k=k)

    async def store(self, uses, beyond=()):
        counts = {}
        for use in beyond:  # which are known by their number alone
            key = (use.row[0] // HOUR * HOUR, use.row[2])
            counts[key] = counts.get(key, 0) + 1
        async with writing(self.dsn, self.catalog) as writer:
            await writer.consume(batch(*(use.row for use in uses), counts=counts))

    async def publish(self, at=MIDNIGHT + 6 * HOUR, days=30, rollup_days=400, forced="published"):
        house = House(self.catalog, days, rollup_days, published=self.published)
        keeper = Housekeeper(self.dsn, house, lambda: at * 1000, lambda: at * 1000)
        [ran] = await keeper.run_due({forced})
        assert ran.ok, ran.outcome
        return ran.number


@pytest.fixture
def shop(database, declared):
    return lambda **options: Shop(database, declared, **options)


FIGURES = "SELECT day, product, event, count FROM reporting.published ORDER BY 1, 2, 3"


def shown(query):
    return {(day, product, event): count for day, product, event, count in query(FIGURES)}


def many(event, number, ago=1, first=0):
    """So many uses, each by somebody else."""
    return [Use(ago, event, n, n) for n in range(first, first + number)]


# What is published


USES = st.lists(
    st.builds(
        Use,
        st.integers(1, DAYS),
        st.sampled_from(sorted(CARRIES)),
        st.none() | st.integers(0, 5),
        st.none() | st.integers(0, 5),
        st.sampled_from(["success", "success", "failure", "invoke"]),
    ),
    max_size=150,
)


@pytest.mark.requirement("G4")
@settings(
    max_examples=40,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(uses=USES, beyond=USES.map(lambda uses: uses[:20]), k=st.integers(2, 4))
def test_no_cell_of_fewer_than_k_follows_from_anything_that_is_published(
    database, query, declared, uses, beyond, k
):
    async def run():
        await shop.store(uses, nameless)
        await shop.publish()

    shop = Shop(database, declared, k=k)
    # A count says of nobody that it was them, where somebody should be.
    nameless = [use._replace(group=None, actor=None) for use in beyond]
    query(
        "TRUNCATE footfall.feature_events, footfall.feature_counts, footfall.published_days CASCADE"
    )
    asyncio.run(run())
    figures = expected([*uses, *nameless], k)
    assert shown(query) == {of: len(inside) for of, inside in figures.items()}
    for inside in figures.values():
        assert fewest_behind(inside) >= k
    ended = [use for use in (*uses, *nameless) if use.ends]
    assert not derived(with_sums(figures)).keys() & small_cells(ended, k).keys()


SMALL = [*many("bot.roll", 9), *many("bot.ask", 6), *many("bot.help", 2), Use(1, "bot.help", 0, 1)]
"""Of which the last event is small, and the only one that is."""


async def test_a_cell_that_is_small_alone_is_left_out_and_of_every_sum_as_well(shop, query):
    await shop().store(SMALL)
    await shop().publish()
    day = TODAY - dt.timedelta(days=1)
    assert shown(query) == {(day, "bot", "bot.ask"): 6, (day, "bot", "bot.roll"): 9}
    assert query("SELECT sum(count)::int FROM reporting.published") == [(15,)]


async def test_the_attack_finds_what_is_not_folded(shop, query):
    """Beside an exact total, and where one small cell is called `other`, the same attack succeeds."""
    await shop().store(SMALL)
    await shop().publish()
    figures = expected(SMALL, 5)
    hidden = (TODAY - dt.timedelta(days=1), "bot.help")
    published = [({use.cell for use in uses}, len(uses)) for uses in figures.values()]
    [(exact,)] = query(
        "SELECT sum(count)::int FROM reporting.usage_by_day WHERE action <> 'invoke'"
    )
    every = {use.cell for use in SMALL}
    assert derived([*published, (every, exact)])[hidden] == 3
    assert derived([*published, ({hidden}, 3)])[hidden] == 3  # an `other` of one
    assert hidden not in derived(with_sums(figures))


async def test_small_events_stand_together_where_enough_are_behind_them_together(shop, query):
    rolls = [Use(1, "bot.roll", group, actor) for actor, group in enumerate([4, 5, 6, 7, 7])]
    uses = [*many("bot.ask", 4), *rolls, *many("site.view", 4)]
    await shop().store(uses)
    await shop().publish()
    day = TODAY - dt.timedelta(days=1)
    other = (day, "bot", None, None, None, None, 9)
    assert query("SELECT * FROM reporting.published") == [other]


async def test_the_same_few_in_several_events_are_not_shown_together_either(shop, query):
    await shop().store([*many("bot.ask", 3), *many("bot.roll", 3), *many("bot.help", 4)])
    await shop().publish()
    assert shown(query) == {}
    assert query("SELECT count(*) FROM reporting.published_days") == [(2,)]


async def test_whoever_is_told_apart_in_two_ways_is_counted_by_the_fewer(shop, query):
    """Ten members of one guild are a guild's figure."""
    await shop().store([Use(1, "bot.roll", 7, n) for n in range(10)])
    await shop().publish()
    assert shown(query) == {}


async def test_what_should_say_whose_it_is_and_does_not_is_folded(shop, query):
    await shop().store([], [Use(1, "bot.ask")] * 50 + [Use(1, "bot.tick")] * 7)
    await shop().publish()
    assert shown(query) == {(TODAY - dt.timedelta(days=1), "bot", "bot.tick"): 7}


async def test_a_row_has_what_the_catalog_says_of_its_event(shop, query):
    await shop().store(many("bot.roll", 5))
    await shop().publish()
    found = query(
        "SELECT day, product, event, title, surface, feature, count FROM reporting.published"
    )
    day = TODAY - dt.timedelta(days=1)
    assert found == [(day, "bot", "bot.roll", "Seeds", "discord", "roll", 5)]
    assert query("SELECT day, product, k FROM reporting.published_days ORDER BY 2") == [
        (day, "bot", 5),
        (day, "site", 5),
    ]


# When


async def test_a_day_is_published_once_it_has_settled(shop, query):
    await shop().store(
        [*many("bot.ask", 5), *many("bot.ask", 5, ago=0), *many("bot.ask", 6, ago=2)]
    )
    assert await shop().publish(MIDNIGHT + 5 * HOUR) == 2
    assert [count for *_, count in query(FIGURES)] == [6]
    assert await shop().publish(MIDNIGHT + 6 * HOUR) == 2
    assert [count for *_, count in query(FIGURES)] == [6, 5]
    assert await shop().publish(MIDNIGHT + 29 * HOUR) == 0


async def test_what_comes_late_and_what_is_erased_moves_no_figure_that_was_published(shop, query):
    member = pseudonym("member", 3)
    await shop().store(many("bot.help", 6))
    await shop().publish()
    before = shown(query)
    await shop().store(many("bot.help", 1, first=9))
    async with await connect(shop().dsn, HOUSEKEEPING) as connection:
        assert await erase(connection, "member_hash", [member])
    assert await shop().publish() == 0
    assert shown(query) == before
    # Published anew, two figures would say that somebody went, and how often they had been there.
    query("DELETE FROM footfall.published_days RETURNING 1")
    await shop().store([Use(1, "bot.help", 0, 3)] * 4)
    await shop().publish()
    moved = shown(query)
    async with await connect(shop().dsn, HOUSEKEEPING) as connection:
        await erase(connection, "member_hash", [member])
    query("DELETE FROM footfall.published_days RETURNING 1")
    await shop().publish()
    (of,) = moved
    assert moved[of] - shown(query)[of] == 4


@pytest.mark.parametrize("small", [False, True])
async def test_what_was_published_of_one_product_is_not_published_anew_of_another(
    shop, query, tmp_path, small
):
    uses = [Use(2, "bot.help", n, n) for n in range(9)]
    if small:  # together they stand as *other*
        rolls = [Use(2, "bot.roll", group, actor) for actor, group in enumerate([4, 5, 6, 7, 7, 7])]
        uses = [*many("bot.ask", 4, ago=2), *rolls]
    await shop().store(uses)
    await shop().publish(MIDNIGHT - 18 * HOUR)
    assert [event for *_, event in shown(query)] == [None if small else "bot.help"]
    async with await connect(shop().dsn, HOUSEKEEPING) as connection:
        await erase(connection, "member_hash", [pseudonym("member", 3)])
    (tmp_path / "robot.yaml").write_text(CATALOGS["bot"].replace("product: bot", "product: robot"))
    renamed = load_catalog(tmp_path / "robot.yaml")
    prepare(shop().dsn, Settings(renamed))
    store = Shop(shop().dsn, renamed, products=["robot"])
    await store.store(many("bot.help", 7))
    await store.publish()
    assert shown(query) == {(TODAY - dt.timedelta(days=1), "robot", "bot.help"): 7}


async def test_whoever_is_erased_before_is_in_no_figure(shop, query):
    await shop().store([*many("bot.help", 6), Use(1, "bot.help", 0, 2)])
    async with await connect(shop().dsn, HOUSEKEEPING) as connection:
        await erase(connection, "member_hash", [pseudonym("member", 2)])
    await shop().publish()
    assert list(shown(query).values()) == [5]


async def test_a_day_is_published_as_it_was_at_one_moment(shop, query):
    """Whoever is erased meanwhile is in how often, and in how many are behind it."""
    await shop().store(many("bot.help", 6))
    async with (
        await connect(shop().dsn, HOUSEKEEPING) as holding,
        await connect(shop().dsn, HOUSEKEEPING) as erasing,
    ):
        await holding.execute("BEGIN")
        await holding.execute("LOCK TABLE footfall.catalog_columns")  # read once uses are counted
        publishing = asyncio.create_task(shop(k=6).publish())
        waiting = (
            "SELECT 1 FROM pg_locks WHERE NOT granted AND database = (SELECT oid FROM pg_database"
        )
        waiting += " WHERE datname = current_database())"
        await until(lambda: query(waiting))
        assert await erase(erasing, "member_hash", [pseudonym("member", 3)])
        await holding.execute("COMMIT")
        await publishing
    assert list(shown(query).values()) == [6]


async def test_another_k_holds_for_days_to_come(shop, query):
    await shop(k=5).store([*many("bot.ask", 4, ago=2), *many("bot.roll", 6, ago=2)])
    await shop(k=5).publish()
    await shop().store(many("bot.ask", 4))
    await shop(k=3).publish(MIDNIGHT - 18 * HOUR)
    first = shown(query)
    assert list(first.values()) == [6]
    await shop(k=3).publish()
    assert first.items() <= shown(query).items()
    assert query(
        "SELECT day, k FROM reporting.published_days WHERE product = 'bot' ORDER BY 1"
    ) == [
        (TODAY - dt.timedelta(days=2), 5),
        (TODAY - dt.timedelta(days=1), 3),
    ]


async def test_nothing_is_published_unless_it_is_configured_nor_shown_any_more(shop, query):
    await shop().store([*many("bot.ask", 5), *many("site.view", 5)])
    assert await shop(products=()).publish() == 0
    assert await shop(products=("bot",)).publish() == 1
    once = shown(query)
    assert [product for _, product, _ in once] == ["bot"]
    await shop(products=()).publish()
    assert shown(query) == {}
    assert query("TABLE reporting.published_days") == []
    await shop().store(many("bot.ask", 9, first=20))
    await shop(products=("bot",)).publish()
    assert shown(query) == once  # as it was, and not as it would be now


async def test_a_report_has_what_is_published_and_nothing_else(shop, query, database):
    uses = [*many("bot.ask", 9), *many("site.view", 3), *many("site.find", 4, first=20)]
    await shop().store(uses)
    await shop().publish()
    since = dt.datetime.combine(TODAY - dt.timedelta(days=3), dt.time(), dt.UTC)
    with connect_sync(database, READING) as connection:
        found = ask(connection, "published", Asked(Period(since, None)))
    figures = {(product, event): number for (_, product, event), number in shown(query).items()}
    assert {row[:2]: row[2] for row in found.rows} == figures
    assert set(figures) == {("bot", "bot.ask"), ("site", None)}


async def test_a_day_in_which_a_salt_was_lost_tells_nobody_apart(shop, query):
    await shop().store([*many("bot.ask", 9), *many("site.view", 9), *many("bot.tick", 9)])
    day = TODAY - dt.timedelta(days=1)
    for made in (day, day):
        query(
            "INSERT INTO footfall.salt_log VALUES ('daily', footfall.salt_period('daily', %s::date),"
            " %s::timestamp AT TIME ZONE 'UTC' + interval '1 hour')",
            day,
            made,
        )
    await shop().publish()
    assert {event for *_, event in shown(query)} == {"site.view", "bot.tick"}


@pytest.mark.parametrize(("hour", "told"), [(25, set()), (-1, {"bot.ask"})])
async def test_a_day_in_which_a_hash_changed_tells_nobody_apart(shop, query, hour, told):
    await shop().store([*many("bot.ask", 9), *many("site.view", 9)])
    query(
        "UPDATE footfall.catalog_columns SET hash_changed_at = %s::timestamp AT TIME ZONE 'UTC'"
        " + make_interval(hours => %s) WHERE attribute = 'guild'",
        TODAY - dt.timedelta(days=1),
        hour,
    )
    await shop().publish()
    assert {event for *_, event in shown(query)} == {"site.view", *told}


async def test_a_day_that_was_dropped_before_is_never_published(shop, query):
    await shop().store([*many("bot.ask", 9, ago=3), *many("bot.tick", 9, ago=3)])
    await shop().publish(days=1, forced="retention")
    await shop().publish()
    assert shown(query) == {}


async def test_a_day_whose_figures_have_expired_does_not_come_back(shop, query):
    await shop().store([*many("bot.ask", 9, ago=9), *many("bot.ask", 8, ago=1)])
    await shop().publish()
    assert len(shown(query)) == 2
    for _ in range(2):
        await shop().publish(days=30, rollup_days=8, forced="retention")
        await shop().publish(days=30, rollup_days=8)
        assert list(shown(query).values()) == [8]


# Who sees it


@pytest.fixture
def login(postgres_server, database):
    """Makes a login that is a member of a role and nothing else; its session."""
    name, password = f"seer_{secrets.token_hex(4)}", secrets.token_hex(16)
    sessions = []

    def make(role):
        with psycopg.connect(postgres_server, autocommit=True) as admin:
            made = sql.SQL("CREATE ROLE {} LOGIN PASSWORD {} IN ROLE {}")
            admin.execute(made.format(sql.Identifier(name), password, sql.Identifier(role)))
        dsn = make_conninfo(database, user=name, password=password)
        sessions.append(psycopg.connect(dsn, autocommit=True))
        return sessions[-1]

    yield make
    for session in sessions:
        session.close()
    with psycopg.connect(postgres_server, autocommit=True) as admin:
        admin.execute(sql.SQL("DROP ROLE IF EXISTS {}").format(sql.Identifier(name)))


def views(query):
    return {v for (v,) in query("SELECT viewname FROM pg_views WHERE schemaname = 'reporting'")}


async def test_the_public_role_reads_what_is_published_and_no_other_view_or_table(
    shop, query, login
):
    await shop().store(many("bot.ask", 7))
    await shop().publish()
    public = login("footfall_public")
    assert public.execute(FIGURES).fetchall() == query(FIGURES)
    tables = query(
        "SELECT 'footfall.' || relname FROM pg_class WHERE relnamespace = 'footfall'::regnamespace"
        " AND relkind IN ('r', 'p')"
    )
    hidden = {f"reporting.{v}" for v in views(query) - {"published", "published_days"}}
    assert len(hidden) > 10
    for name in hidden | {table for (table,) in tables}:
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            public.execute(f"SELECT FROM {name}")


CHANGES = (
    "UPDATE footfall.publishing SET k = 2",
    "INSERT INTO footfall.publishing VALUES ('bot', 2)",
    "DELETE FROM footfall.published_days",
    "UPDATE reporting.published_days SET k = 2",
    "UPDATE reporting.published SET count = 0",
    "DELETE FROM reporting.published",
    "CREATE OR REPLACE VIEW reporting.published AS SELECT 1",
    "CREATE TABLE reporting.published_more (n int)",
    "CREATE FUNCTION public.seen(text) RETURNS bool LANGUAGE sql AS 'SELECT true'",
    "CREATE TEMPORARY TABLE publishing (product text, k int)",
    "SET ROLE footfall_writer",
    "SELECT footfall.salt_period('daily', current_date)",
    "SELECT * FROM pg_catalog.pg_statistic",
    "SELECT pg_read_file('postgresql.conf')",
    "BEGIN; LOCK TABLE footfall.publishing",
)


@pytest.mark.parametrize("role", ["footfall_public", "footfall_reader"])
async def test_no_reader_changes_k_or_reaches_behind(shop, query, login, role):
    await shop().store([*many("bot.ask", 7), *many("bot.help", 4)])
    await shop().publish()
    query("ANALYZE")
    with psycopg.connect(shop().dsn, autocommit=True) as owner:
        confine(owner)
    session, before = login(role), query(FIGURES)
    for statement in CHANGES:
        with pytest.raises(
            (psycopg.errors.InsufficientPrivilege, psycopg.errors.ObjectNotInPrerequisiteState)
        ):
            session.execute(statement)
        session.rollback()
    session.execute("SET search_path = pg_temp, public, footfall, reporting")
    assert session.execute(FIGURES).fetchall() == before
    samples = "SELECT count(*) FROM pg_stats WHERE schemaname IN ('footfall', 'reporting')"
    assert session.execute(samples).fetchone() == (0,)
    assert query(samples)[0][0] > 0
    assert query("SELECT k FROM footfall.publishing") == [(5,), (5,)]


SPY = """
    CREATE FUNCTION pg_temp.spy(text) RETURNS boolean COST 0.0001 LANGUAGE plpgsql AS $$
    BEGIN RAISE NOTICE 'saw %', $1; RETURN true; END $$
"""


async def test_neither_temporary_tables_nor_functions_see_more(shop, query, login):
    """Where others have tables in the database, readers may make both."""
    await shop().store([*many("bot.ask", 7), *many("site.view", 8)])
    await shop().publish()
    await shop(products=("bot",)).publish()
    session, seen = login("footfall_public"), []
    session.add_notice_handler(lambda notice: seen.append(notice.message_primary))
    for table in ("publishing", "published", "published_days"):
        session.execute(f"CREATE TEMPORARY TABLE {table} AS SELECT 'site' AS product, 2 AS k")
    session.execute("SET search_path = pg_temp, footfall, reporting")
    session.execute(SPY)
    found = session.execute("SELECT event FROM reporting.published WHERE pg_temp.spy(event)")
    assert found.fetchall() == [("bot.ask",)]
    assert seen == ["saw bot.ask"]


def test_the_store_refuses_a_k_of_one(query):
    with pytest.raises(psycopg.errors.CheckViolation):
        query("INSERT INTO footfall.publishing VALUES ('bot', 1)")
