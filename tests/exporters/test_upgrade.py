"""A database of an earlier schema, with what was in it, is brought to the current one."""

import datetime as dt
import hashlib
import hmac
import json
import os
import uuid
from importlib.resources import files

import psycopg
import pytest

from conftest import new_database
from exporters.remains import catalogs, hits, program, read_all
from footfall_exporters.contracts import Settings
from footfall_exporters.postgres import SchemaConflict, partitions, prepare
from footfall_exporters.postgres import salts as salts_module
from footfall_exporters.postgres.connecting import HOUSEKEEPING, connect
from footfall_exporters.postgres.migrate import HEAD, migrate, version
from footfall_exporters.postgres.stream import Stream
from footfall_processors import Hash
from support.batches import DAY, HOUR, NOW, batch, one_row, point
from support.stores import TODAY, rows_of, writing

FORMER = ("0001_initial", "0002_stream", "0003_roles", "0004_housekeeping")
DIGEST = b"d" * 16


@pytest.fixture
def former(empty_database):
    """The connection string of a database with schema 0004."""
    versions = files("footfall_exporters.postgres") / "migrations" / "versions"
    with psycopg.connect(empty_database, autocommit=True) as connection:
        connection.execute("CREATE SCHEMA footfall")
        connection.execute("CREATE SCHEMA reporting")
        for name in FORMER:
            connection.execute((versions / f"v{name}.sql").read_text())
        connection.execute("CREATE TABLE footfall.alembic_version (version_num text PRIMARY KEY)")
        connection.execute("INSERT INTO footfall.alembic_version VALUES ('0004')")
    return empty_database


def ask(dsn, statement, *values):
    with psycopg.connect(dsn, autocommit=True) as connection:
        return rows_of(connection, statement, *values)


async def test_requests_of_before_are_known_and_counters_of_before_count_on(former, catalog):
    ask(
        former,
        "INSERT INTO footfall.ingest_batches VALUES (5000, %s, now(), 'traces', 0, '{\"malformed\": 2}')",
        DIGEST.hex(),
    )
    ask(
        former,
        "INSERT INTO footfall.counter_series VALUES (gen_random_uuid(), gen_random_uuid(), 40)",
    )
    assert migrate(former) == ("0004", HEAD)
    prepare(former, Settings(catalog))
    assert ask(former, "SELECT count(*) FROM footfall.counter_series") == [(0,)]
    async with writing(former, catalog) as writer:
        assert await writer.consume(batch(digest=DIGEST)) == {"malformed": 2}
        for value, at in ((45, NOW), (47, NOW + 1)):
            await writer.consume(
                batch(points=[point(value, start=NOW - HOUR, at=at)], signal="metrics")
            )
    assert ask(former, "SELECT sum(count)::int FROM footfall.feature_counts") == [(2,)]
    found = ask(
        former, "SELECT losses FROM footfall.ingest_batches WHERE losses <> '{}' AND id <> 5000"
    )
    assert found == [({"counter_baseline": 1},)]


async def test_a_database_that_counted_nothing_yet_counts_what_began_before_it(former, catalog):
    prepare(former, Settings(catalog))
    with psycopg.connect(former) as connection:
        assert version(connection) == HEAD
    async with writing(former, catalog) as writer:
        await writer.consume(batch(points=[point(45, start=NOW - HOUR)]))
    assert ask(former, "SELECT sum(count)::int FROM footfall.feature_counts") == [(45,)]


@pytest.fixture
def with_views(empty_database, catalog):
    """A database of schema 0018, with a view of `reporting` as it had, of a table that is no longer there."""
    versions = files("footfall_exporters.postgres") / "migrations" / "versions"
    names = sorted(
        f.name for f in versions.iterdir() if f.name.endswith(".sql") and f.name < "v0019"
    )
    with psycopg.connect(empty_database, autocommit=True) as connection:
        connection.execute("CREATE SCHEMA footfall")
        connection.execute("CREATE SCHEMA reporting")
        for name in names:
            connection.execute((versions / name).read_text())
        connection.execute("CREATE TABLE footfall.alembic_version (version_num text PRIMARY KEY)")
        connection.execute("INSERT INTO footfall.alembic_version VALUES ('0018')")
        connection.execute(
            "CREATE VIEW reporting.active_groups AS SELECT day, attribute, groups FROM footfall.groups_daily"
        )
    return empty_database


def test_views_of_before_are_in_the_way_of_no_migration(with_views, catalog):
    assert migrate(with_views) == ("0018", HEAD)
    prepare(with_views, Settings(catalog))
    assert ask(with_views, "SELECT count(*) FROM reporting.active_groups") == [(0,)]


def test_a_view_of_somebody_else_in_the_way_is_named(with_views):
    ask_nothing = "CREATE VIEW public.ours AS SELECT * FROM reporting.active_groups"
    with psycopg.connect(with_views, autocommit=True) as connection:
        connection.execute(ask_nothing)
    with pytest.raises(SchemaConflict, match=r"and (public\.)?ours depends on one of them; keep"):
        migrate(with_views)


# From the schema that has no keys for requests yet


def hashed(body):
    """What a request was entered under, and what a batch carries in memory."""
    return hashlib.sha256(body).digest()[:16]


async def before_keys(dsn, catalog, salts):
    """A database of schema 0007 with a week in it, whose salts, pseudonyms and texts were analysed."""
    versions = files("footfall_exporters.postgres") / "migrations" / "versions"
    with psycopg.connect(dsn, autocommit=True) as connection:
        connection.execute("CREATE SCHEMA footfall")
        connection.execute("CREATE SCHEMA reporting")
        for name in (*FORMER, "0005_identities", "0006_forwarding", "0007_refused"):
            connection.execute((versions / f"v{name}.sql").read_text())
        connection.execute("CREATE TABLE footfall.alembic_version (version_num text PRIMARY KEY)")
        connection.execute("INSERT INTO footfall.alembic_version VALUES ('0007')")
        connection.execute(
            "ALTER TABLE footfall.feature_events ADD COLUMN guild_hash uuid, ADD COLUMN note text"
        )
        connection.execute(
            f"CREATE TABLE footfall.feature_events_{TODAY:%Y%m%d} PARTITION OF footfall.feature_events"
            f" FOR VALUES FROM ('{TODAY} 00:00+00') TO ('{TODAY + dt.timedelta(days=1)} 00:00+00')"
        )
        connection.execute(
            "INSERT INTO footfall.catalog_columns VALUES"
            " ('guild_id', 'feature_events', 'guild_hash', 'daily', ''),"
            " ('note', 'feature_events', 'note', NULL, '')"
        )
        connection.execute(
            "INSERT INTO footfall.feature_dims (fingerprint, event, surface, feature, action, status)"
            " VALUES (gen_random_uuid(), 'shop.order', 'web', 'order', 'success', 'ok')"
        )
        for number in range(40):
            connection.execute(
                "INSERT INTO footfall.ingest_batches (id, digest, received_at, signal, accepted, losses)"
                " VALUES (%s, %s, now() - %s * interval '4 hours', 'traces', 1, %s)",
                [
                    number,
                    hashed(b"request %d" % number).hex(),
                    number,
                    json.dumps({"malformed": number}),
                ],
            )
            connection.execute(
                "INSERT INTO footfall.feature_events (time, batch_id, ordinal, dim_id, guild_hash, note)"
                " VALUES (%s, %s, 0, 1, gen_random_uuid(), %s)",
                [MIDNIGHT_AT, number, f"a note {number}"],
            )
            connection.execute(
                "INSERT INTO footfall.commits (position, batch_ids, first_time, last_time)"
                " VALUES (%s, ARRAY[%s::bigint], %s, %s)",
                [number + 1, number, MIDNIGHT_AT, MIDNIGHT_AT],
            )
        connection.execute("INSERT INTO footfall.feature_counts VALUES (%s, 1, 40)", [MIDNIGHT_AT])
        connection.execute("UPDATE footfall.commit_clock SET position = 40")
        connection.execute(
            "INSERT INTO footfall.groups_daily VALUES (current_date - 3, 'guild_id', 'daily', 7)"
        )
        for number, salt in enumerate(salts):
            connection.execute(
                "WITH s AS (INSERT INTO footfall.salts VALUES ('daily', %s, %s) RETURNING *)"
                " INSERT INTO footfall.salt_log SELECT kind, period FROM s",
                [NOW // DAY - number, salt],
            )
        connection.execute("ANALYZE")


MIDNIGHT_AT = dt.datetime.combine(TODAY, dt.time(), dt.UTC)


@pytest.mark.parametrize("followed", [False, True])
async def test_a_week_of_before_keys_is_kept_and_its_requests_are_known(
    empty_database, catalog, followed
):
    await before_keys(empty_database, catalog, [os.urandom(32) for _ in range(8)])
    if followed:
        ask(empty_database, "INSERT INTO footfall.subscribers VALUES ('otlp', 0) RETURNING 1")
    prepare(empty_database, Settings(catalog))
    assert ask(empty_database, "SELECT count(*), sum(count)::int FROM reporting.usage") == [(1, 40)]
    assert ask(empty_database, "SELECT count(*) FROM reporting.events") == [(40,)]
    assert ask(empty_database, "SELECT groups FROM reporting.active_groups") == [(7,)]
    async with await connect(empty_database, HOUSEKEEPING) as connection:
        await partitions.ensure(connection, [TODAY - dt.timedelta(days=1)])
    checks = ask(
        empty_database,
        "SELECT replace(pg_get_constraintdef(oid), right(conrelid::regclass::text, 8)::date::text, 'day')"
        " FROM pg_constraint WHERE conname = 'shown'",
    )
    assert len(checks) == 2  # a day of before has what a new one has
    assert len(set(checks)) == 1
    async with writing(empty_database, catalog) as writer:
        for number in range(40):
            again = batch(one_row(), digest=hashed(b"request %d" % number))
            assert await writer.consume(again) == {"malformed": number}
        assert await writer.consume(batch(one_row(), digest=hashed(b"another"))) is None
    assert ask(empty_database, "SELECT count(*) FROM reporting.events") == [(41,)]
    [[secret]] = ask(empty_database, "SELECT secret FROM footfall.secrets WHERE name = 'requests'")
    entered = ask(empty_database, "SELECT id, digest, sent_as FROM footfall.ingest_batches")
    for number, digest, sent_as in entered:
        plain = hashed(b"request %d" % number if number < 40 else b"another")
        assert digest.bytes == hmac.new(secret, plain, "sha256").digest()[:16]
        # Only what was sent on keeps the ids that it was sent under.
        assert sent_as == (uuid.UUID(bytes=plain) if followed and number < 40 else None)
    async with await psycopg.AsyncConnection.connect(empty_database, autocommit=True) as other:
        stream = await Stream.open(other, catalog)
        commit = await stream.after(4)
        [(_, one)] = [each async for each in stream.batches(commit)]
    told = hashed(b"request 4")
    assert one.digest == (told if followed else hmac.new(secret, told, "sha256").digest()[:16])


async def test_a_footfall_of_before_stores_nothing_in_what_was_migrated(empty_database, catalog):
    """It would enter digests without a key, and take its turn by another lock."""
    prepare(empty_database, Settings(catalog))
    with pytest.raises(psycopg.errors.UndefinedColumn):
        ask(
            empty_database,
            "INSERT INTO footfall.commits (position, counted_from, counted_to, batch_ids)"
            " VALUES (1, now(), now(), '{}')",
        )


async def test_nothing_of_the_salts_of_before_is_in_a_base_backup_taken_afterwards(
    own_server, catalog, tmp_path
):
    salts = [os.urandom(32) for _ in range(8)]
    digests = [hashed(b"request %d" % number) for number in range(40)]
    with new_database(own_server.start()) as dsn:
        await before_keys(dsn, catalog, salts)
        assert hits(salts, catalogs_of(dsn)) == 8
        prepare(dsn, Settings(catalog))
        async with await connect(dsn, HOUSEKEEPING) as connection:
            made = await salts_module.make(connection, {(Hash.DAILY, NOW // DAY)})
        assert not set(made.values()) & set(salts)
        assert hits(salts, catalogs_of(dsn)) == 0
        backup = tmp_path / "backup"
        program(dsn, "pg_basebackup", "-D", backup, "-X", "stream", "-c", "fast")
        held = read_all(backup)
        assert hits([*salts, *made.values()], held) == 0
        assert hits(digests, held) == 0
        own_server.start()


def catalogs_of(dsn):
    with psycopg.connect(dsn) as connection:
        return catalogs(connection)
