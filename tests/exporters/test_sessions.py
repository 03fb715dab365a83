"""Sessions: followed from what is stored, told by signs of life, counted, forgotten (R-numbers E2 to E5)."""

import asyncio
import datetime as dt
import itertools
import os
import random
import signal
import uuid
from contextlib import asynccontextmanager

import psycopg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from conftest import new_database
from exporters.remains import hits
from footfall_exporters.background import beside
from footfall_exporters.contracts import Settings, Unavailable
from footfall_exporters.postgres import prepare
from footfall_exporters.postgres.connecting import HOUSEKEEPING, connect
from footfall_exporters.postgres.sessions import following, forgetting
from footfall_exporters.postgres.sessions import signs as module
from footfall_exporters.postgres.sessions.following import tracked
from footfall_exporters.postgres.sessions.signs import Opening, Signs
from footfall_exporters.postgres.statistics import found
from footfall_processors import load_catalog
from support.batches import DAY, NOW, batch, dimension
from support.stores import writing

HOUR, SILENCE = dt.timedelta(hours=1), dt.timedelta(hours=1)
CATALOG = """
product: flipbook
attributes:
  session_id: {type: uuid}
  installation_id: {type: uuid, hash: static}
events:
  plugin.session:
    surface: plugin
    feature: session
    actions: [start, alive, end]
    attributes: [session_id, installation_id]
  plugin.story: {surface: plugin, feature: story, actions: [open, close], attributes: [session_id]}
  plugin.page: {surface: plugin, feature: page, actions: [navigate], attributes: [session_id]}
"""
SECOND = 10**6
NOON = NOW // DAY * DAY - DAY // 2
"""Of yesterday (UTC), in µs since the Unix epoch."""
ANA, BEN = b"a" * 16, b"b" * 16
FIRST, SECOND_ONE = b"first session 01", b"second session 2"
"""Sessions whose ids stand nowhere by chance."""


@pytest.fixture(scope="module")
def plugins(tmp_path_factory):
    path = tmp_path_factory.mktemp("plugin") / "events.yaml"
    path.write_text(CATALOG.replace("open,", '"open",'))
    return load_catalog(path)


@pytest.fixture(scope="module")
def plugin_template(postgres_server, plugins):
    with new_database(postgres_server) as dsn:
        prepare(dsn, Settings(plugins))
        yield psycopg.conninfo.conninfo_to_dict(dsn)["dbname"]


@pytest.fixture
def database(postgres_server, plugin_template, making, dropping):
    with new_database(postgres_server, plugin_template, making, dropping) as dsn:
        yield dsn


@pytest.fixture
def ask(database):
    with psycopg.connect(database, autocommit=True) as connection:
        yield lambda statement, *args: connection.execute(statement, args or None).fetchall()


def seen(event, action, session, at, installation=None):
    """One observation; `at` in seconds after yesterday's noon."""
    values = {"session_id": session}
    if event == "plugin.session":
        values["installation_id"] = installation
    of = dimension(event, action, surface="plugin", service="editor")
    return round(NOON + at * SECOND), None, of, values


@asynccontextmanager
async def keeping(dsn, plugins):
    async with writing(dsn, plugins) as writer, await connect(dsn, HOUSEKEEPING) as connection:
        yield writer.consume, connection


@asynccontextmanager
async def signing(dsn, clock=None):
    signs = Signs(dsn, clock)
    async with beside(signs.run()):
        yield signs


def session(n):
    return uuid.UUID(int=n + 1).bytes


def days(ask):
    return ask(
        "SELECT sessions, ended, installations, daily_active, seconds FROM reporting.sessions ORDER BY day"
    )


@pytest.mark.requirement("E4")
async def test_daily_active_opened_did_one_other_thing_and_stayed_thirty_seconds(
    database, ask, plugins
):
    async with keeping(database, plugins) as (store, connection):
        await store(
            batch(
                seen("plugin.session", "start", session(0), 0, ANA),  # did nothing else
                seen("plugin.session", "end", session(0), 60, ANA),
                seen("plugin.session", "start", session(1), 0, BEN),  # stayed too short
                seen("plugin.page", "navigate", session(1), 29.999999),
                seen("plugin.page", "navigate", session(2), 40),  # never opened
                seen("plugin.page", "navigate", session(2), 90),
            )
        )
        assert await following.follow(connection, plugins) == (3, False)
        assert days(ask) == [(2, 1, 2, 0, pytest.approx(89.999999))]
        await store(batch(seen("plugin.page", "navigate", session(1), 30)))
        await following.follow(connection, plugins)
        assert days(ask) == [(2, 1, 2, 1, pytest.approx(90))]
        await store(
            batch(  # the same installation again: one user, two sessions
                seen("plugin.session", "start", session(3), 100, BEN),
                seen("plugin.page", "navigate", session(3), 200),
            )
        )
        await following.follow(connection, plugins)
        assert days(ask) == [(3, 1, 2, 1, pytest.approx(190))]


@pytest.mark.requirement("E4")
async def test_a_session_counts_for_the_day_on_which_it_opened(database, ask, plugins):
    before = DAY // 2 // SECOND - 1  # a second before midnight
    async with keeping(database, plugins) as (store, connection):
        for row in (
            seen("plugin.session", "start", session(0), before, ANA),
            seen("plugin.page", "navigate", session(0), before + 31),
            seen("plugin.session", "start", session(1), before + 1, BEN),
            seen("plugin.page", "navigate", session(1), before + 31),
        ):
            await store(batch(row))
        await following.follow(connection, plugins)
    yesterday = dt.datetime.fromtimestamp(NOON / 1e6, dt.UTC).date()
    assert ask("SELECT day, sessions, daily_active FROM reporting.sessions ORDER BY day") == [
        (yesterday, 1, 1),
        (yesterday + dt.timedelta(days=1), 1, 1),
    ]


def reference(observations):
    """What sessions come to, in plain Python: (began, last, acted, ended, seconds with a story open)."""
    known = {}
    for of, rows in itertools.groupby(sorted(observations, key=lambda o: o[0]), key=lambda o: o[0]):
        rows = [row[1:] for row in rows]
        times = [at for at, _, _ in rows]
        actions = {action for _, event, action in rows if event == "plugin.session"}
        depth, since, seconds = 0, 0.0, 0.0
        marks = sorted(
            (at, action == "close") for at, event, action in rows if event == "plugin.story"
        )
        for at, closes in [*marks, (max(times), None)]:
            seconds += at - since if depth else 0
            depth, since = max(0, depth + (0 if closes is None else -1 if closes else 1)), at
        known[session(of)] = (
            min(times),
            max(times),
            any(event != "plugin.session" for _, event, _ in rows),
            "end" in actions,
            seconds if "start" in actions else 0,
        )
    return known


KINDS = [("plugin.session", action) for action in ("start", "alive", "end")] + [
    ("plugin.story", "open"), ("plugin.story", "close"), ("plugin.page", "navigate"),
]  # fmt: skip
OBSERVATIONS = st.lists(
    st.tuples(st.integers(0, 2), st.integers(0, 5000), st.sampled_from(KINDS)),
    min_size=1,
    max_size=14,
)


@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(OBSERVATIONS, st.randoms(use_true_random=False), st.integers(1, 5))
def test_sessions_are_the_same_in_whatever_order_and_portions_they_come(
    database, ask, plugins, drawn, shuffled, most
):
    observations = [(of, at, *kind) for of, at, kind in drawn]
    rows = [seen(event, action, session(of), at) for of, at, event, action in observations]
    shuffled.shuffle(rows)
    portions = []  # all is drawn before: Hypothesis may end an example that draws too much
    while rows:
        portion = [rows.pop() for _ in range(min(len(rows), shuffled.randint(1, most)))]
        portions.append((portion, shuffled.random() < 0.5))

    async def follow():
        async with keeping(database, plugins) as (store, connection):
            for portion, at_once in portions:
                await store(batch(*portion))
                if at_once:
                    await following.follow(connection, plugins)
            await following.follow(connection, plugins)

    with psycopg.connect(database, autocommit=True) as connection:
        connection.execute("TRUNCATE footfall.sessions, footfall.session_marks")
    asyncio.run(follow())
    noon = NOON / SECOND
    times = dict(ask("SELECT uuid_send(session), seconds FROM footfall.session_times"))
    got = {
        bytes(of): (first - noon, last - noon, acted, ended == "call", times.get(of, 0.0))
        for of, first, last, acted, ended in ask(
            "SELECT uuid_send(session), extract(epoch FROM opened_at)::float8,"
            " extract(epoch FROM last_seen)::float8, acted, ended_by FROM footfall.sessions"
        )
    }
    assert got == {of: pytest.approx(numbers) for of, numbers in reference(observations).items()}


@pytest.mark.requirement("E2")
@pytest.mark.requirement("E4")
async def test_the_life_of_sessions_step_by_step_with_two_collectors(database, ask, plugins):
    now = dt.datetime.now(dt.UTC)
    base = (now.replace(hour=0, minute=0, second=0, microsecond=0) - now) - dt.timedelta(seconds=20)
    step = dt.timedelta()

    def clock():  # yesterday, 20 seconds before midnight, and on from there
        return round((now + base + step).timestamp() * 1000)

    def concurrent():
        """What the view says, were it then."""
        shift = dt.datetime.now(dt.UTC) - (now + base + step)
        moved = "UPDATE footfall.sessions SET opened_at = opened_at {0} %s, last_seen = last_seen {0} %s"
        with psycopg.connect(database) as connection:
            connection.execute(moved.format("+"), [shift, shift])
            rows = connection.execute(
                "SELECT sessions, users FROM reporting.sessions_alive"
            ).fetchall()
            connection.rollback()
        return rows

    async with signing(database, clock) as one, signing(database, clock) as other:
        await one.open(Opening(session(0), ANA, None))
        assert concurrent() == [(1, 1)]
        await other.open(Opening(session(1), ANA, None))
        assert concurrent() == [(2, 1)]
        step = dt.timedelta(seconds=40)  # 20 seconds after midnight
        assert await other.sign(session(0))
        assert await one.end(session(1)) == pytest.approx(40)
        assert concurrent() == [(1, 1)]
        assert not await other.sign(session(1))
        assert await other.end(session(1)) is None
        await other.open(Opening(session(2), BEN, None))
        assert concurrent() == [(2, 2)]
        step += HOUR - dt.timedelta(seconds=30)
        assert concurrent() == [(2, 2)]
        assert await one.sign(session(2))
        step += dt.timedelta(seconds=30)  # the first was silent for an hour
        assert concurrent() == [(1, 1)]
        assert not await one.sign(session(0))
        async with await connect(database, HOUSEKEEPING) as connection:
            ended = await following.end_silent(connection, SILENCE, now + base + step)
        assert ended == 1
        assert concurrent() == [(1, 1)]
    silent = "SELECT ended_by, ended_at - last_seen FROM footfall.sessions ORDER BY session"
    assert ask(silent) == [("silence", HOUR), ("call", dt.timedelta()), (None, None)]
    assert [row[:3] for row in days(ask)] == [(2, 1, 1), (1, 0, 1)]


async def test_many_signs_at_once_are_each_answered_right(database):
    async with signing(database) as one, signing(database) as other:
        await asyncio.gather(*(one.open(Opening(session(n), None, None)) for n in range(60)))
        ended = await asyncio.gather(*(other.end(session(n)) for n in range(0, 60, 2)))
        assert None not in ended
        signs = [random.choice((one, other)).sign(session(n)) for n in range(90) for _ in range(3)]
        found = await asyncio.gather(*signs)
        assert found == [n < 60 and n % 2 == 1 for n in range(90) for _ in range(3)]


async def test_without_postgres_nobody_is_told_that_a_session_goes_on(database):
    async with signing("host=127.0.0.1 port=1 dbname=none") as signs:
        for asked in (signs.sign(ANA), signs.end(ANA), signs.open(Opening(ANA, None, None))):
            with pytest.raises(Unavailable):
                await asked
    async with signing(database) as signs:
        await signs.open(Opening(ANA, None, None))
        with psycopg.connect(database, autocommit=True) as connection:
            connection.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                " WHERE application_name = 'footfall sessions' AND datname = current_database()"
            )
        with pytest.raises(Unavailable):
            await signs.sign(ANA)
        assert await signs.sign(ANA)


async def test_a_postgres_that_does_not_answer_in_time_keeps_nobody_waiting(
    database, ask, monkeypatch
):
    monkeypatch.setattr(module, "PATIENCE_S", 0.3)
    pid = "SELECT pid FROM pg_stat_activity WHERE application_name = 'footfall sessions'"
    async with signing(database) as signs:
        await signs.open(Opening(ANA, None, None))
        [[server]] = ask(f"{pid} AND datname = current_database()")
        os.kill(server, signal.SIGSTOP)
        try:
            async with asyncio.timeout(20):
                for asked in (
                    signs.sign(ANA),
                    signs.end(ANA),
                    signs.open(Opening(BEN, None, None)),
                ):
                    with pytest.raises(Unavailable):
                        await asked
        finally:
            os.kill(server, signal.SIGCONT)
        async with asyncio.timeout(20):
            assert await signs.sign(ANA)  # what nobody waited for any more is not done
    assert ask("SELECT count(*) FROM footfall.sessions") == [(1,)]


@pytest.mark.requirement("E5")
async def test_who_is_forgotten_leaves_totals_and_nothing_else(database, ask, plugins):
    async with keeping(database, plugins) as (store, connection):
        rows = [
            row
            for n, installation in enumerate((ANA, ANA, BEN))
            for row in (
                seen("plugin.session", "start", session(n), 10 * n, installation),
                seen("plugin.story", "open", session(n), 10 * n + 5),
                seen("plugin.session", "end", session(n), 10 * n + 45, installation),
            )
        ]
        await store(batch(*rows))
        times = "SELECT event, sessions, opened, seconds FROM reporting.time_open"
        how = tracked(plugins)
        assert (
            await forgetting.forget(connection, how, ANA) == 2
        )  # what was not followed yet as well
        after = days(ask), ask(times)
        assert after == (
            [(3, 3, 2, 2, pytest.approx(135))],
            [("plugin.story", 3, 3, pytest.approx(120))],
        )
        assert ask("SELECT count(*) FROM footfall.sessions") == [(1,)]
        assert await forgetting.forget(connection, how, ANA) == 0
        assert (days(ask), ask(times)) == after
    left = (
        "SELECT session_id, installation_hash, count(*) FROM footfall.feature_events GROUP BY 1, 2"
    )
    assert {row[:2] for row in ask(left)} == {
        (None, None),
        (uuid.UUID(bytes=session(2)), None),
        (uuid.UUID(bytes=session(2)), uuid.UUID(bytes=BEN)),
    }


async def test_what_days_came_to_stays_when_their_observations_go(database, ask, plugins):
    async with keeping(database, plugins) as (store, connection):
        for n, at in enumerate((0, DAY // SECOND)):
            await store(
                batch(
                    seen("plugin.session", "start", session(n), at, ANA),
                    seen("plugin.story", "open", session(n), at + 1),
                    seen("plugin.story", "close", session(n), at + 31),
                )
            )
        await following.follow(connection, plugins)
        before = days(ask), ask("SELECT * FROM reporting.time_open ORDER BY day")
        today = dt.datetime.fromtimestamp(NOW / SECOND, dt.UTC).date()
        assert await forgetting.retire(connection, today) == 1
        assert await forgetting.retire(connection, today) == 0
    assert (days(ask), ask("SELECT * FROM reporting.time_open ORDER BY day")) == before
    assert len(before[0]) == 2
    assert ask("SELECT count(*) FROM footfall.sessions") == [(1,)]


def test_a_catalog_without_sessions_is_not_followed(catalog):
    assert tracked(catalog) is None


async def test_no_session_is_in_a_statistic(database, plugins):
    async with keeping(database, plugins) as (store, connection):
        await store(
            batch(*(seen("plugin.session", "start", session(n), n, ANA) for n in range(400)))
        )
        await following.follow(connection, plugins)
        await connection.execute("ANALYZE footfall.sessions, footfall.session_marks")
    with psycopg.connect(database, autocommit=True) as connection:
        assert not found(connection)


async def test_the_most_at_once_are_known_by_hour(database, ask, plugins):
    [(hour,)] = ask("SELECT date_trunc('hour', now(), 'UTC') - interval '5 hours'")
    start = hour.timestamp() - NOON // SECOND
    async with keeping(database, plugins) as (store, connection):
        for n, (begins, ends) in enumerate([(10, 7300), (20, 30), (30, 40)]):
            await store(
                batch(
                    seen("plugin.session", "start", session(n), start + begins),
                    seen("plugin.session", "end", session(n), start + ends),
                )
            )
        await following.follow(connection, plugins)
    rows = ask("SELECT most FROM reporting.concurrent WHERE hour >= %s ORDER BY hour LIMIT 6", hour)
    assert [most for (most,) in rows] == [2, 1, 1, 0, 0, 0]


async def test_of_who_is_forgotten_no_page_holds_anything(database, plugins):
    async with keeping(database, plugins) as (store, connection):
        await store(
            batch(
                seen("plugin.session", "start", FIRST, 0, ANA),
                seen("plugin.story", "open", FIRST, 5),
                seen("plugin.session", "start", SECOND_ONE, 0, BEN),
            )
        )
        await following.follow(connection, plugins)
        pages = pages_of(connection)
        assert hits([ANA, BEN, FIRST, SECOND_ONE], await pages()) == 4
        assert await forgetting.forget(connection, tracked(plugins), ANA) == 1
        assert hits([ANA, FIRST], await pages()) == 0
        assert hits([BEN, SECOND_ONE], await pages()) == 2


def pages_of(connection):
    """What the files of the tables hold that know sessions, once they are written."""
    tables = "relname ~ '^(sessions|session_marks|feature_events_[0-9]+)$' AND relkind = 'r'"

    async def read():
        await connection.execute("CHECKPOINT")
        found = await connection.execute(
            "SELECT pg_read_binary_file(pg_relation_filepath(oid)) FROM pg_class"
            f" WHERE relnamespace = 'footfall'::regnamespace AND {tables}"
        )
        return b"".join(bytes(row[0]) for row in await found.fetchall())

    return read
