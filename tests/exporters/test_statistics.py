"""Neither salts, nor keys, nor pseudonyms, nor anybody's text are among Postgres' statistics (ADR 21)."""

import asyncio
import datetime as dt
import os
import uuid

import psycopg
import pytest
from psycopg.conninfo import make_conninfo

from conftest import new_database
from exporters.remains import catalogs, hits, program, read_all
from footfall_collector.doctor.store import store_checks
from footfall_exporters.contracts import Settings
from footfall_exporters.postgres import partitions, prepare
from footfall_exporters.postgres.statistics import SILENCE, found
from support.batches import DAY, NOW, batch, one_row
from support.stores import TODAY, catalog_of, rows_of, store_at, writing

GUILDS = [os.urandom(16) for _ in range(80)]
NOTES = [f"a note of somebody, {os.urandom(6).hex()}" for _ in range(80)]


async def filled(dsn, catalog):
    """A store with observations of three days, and everything analysed and vacuumed; its salts."""
    store = store_at(dsn, catalog)
    await store.maintain()
    async with writing(dsn, catalog) as writer:
        for back in range(3):
            rows = [
                one_row(NOW - back * DAY, guild_id=guild, note=note)
                for guild, note in zip(GUILDS, NOTES, strict=True)
            ]
            await writer.consume(batch(*rows))
    with psycopg.connect(dsn, autocommit=True) as connection:
        connection.execute("ANALYZE")
        connection.execute("VACUUM (ANALYZE)")
    return list(store.salts.values())


def keys(connection):
    return [secret for (secret,) in rows_of(connection, "SELECT secret FROM footfall.secrets")]


async def test_after_analyze_no_statistics_hold_a_salt_a_key_a_pseudonym_or_a_text(
    store_database, catalog
):
    salts = await filled(store_database, catalog)
    with psycopg.connect(store_database, autocommit=True) as connection:
        connection.execute(
            "CREATE TABLE seen AS SELECT guild_hash, note FROM footfall.feature_events"
        )
        connection.execute("ANALYZE seen")
        notes = [note.encode() for note in NOTES]
        private = [*salts, *keys(connection), *GUILDS, *notes]
        assert (
            hits(GUILDS + notes, catalogs(connection)) == 160
        )  # what is looked for would be found
        connection.execute("DROP TABLE seen")
        assert hits(private, catalogs(connection)) == 0
        assert found(connection) == []


async def test_neither_the_log_nor_a_base_backup_nor_a_dump_holds_a_salt(
    own_server, own_database, catalog, tmp_path
):
    salts = await filled(own_database, catalog)
    data = own_server.log_file.parent / "data"
    assert hits(salts, read_all(data / "pg_wal")) == 0
    backup = tmp_path / "backup"
    program(own_database, "pg_basebackup", "-D", backup, "-X", "stream", "-c", "fast")
    held = read_all(backup)
    assert hits(salts, held) == 0
    assert hits(GUILDS, held) == 80  # observations are in it, with their pseudonyms
    for kind in (
        ["-Fp"],
        ["-Fc", "-Z0"],
        ["-Ft"],
        ["--schema-only"],
        ["--data-only"],
        ["--inserts"],
    ):
        dump = program(own_database, "pg_dump", *kind, "--no-unlogged-table-data")
        assert hits(salts, dump) == 0, kind
    folder = tmp_path / "dump"
    program(own_database, "pg_dump", "-Fd", "-f", folder, "--no-unlogged-table-data")
    assert hits(salts, read_all(folder)) == 0
    assert hits(salts, program(own_database, "pg_dumpall", "--no-unlogged-table-data")) == 0
    statistics = program(own_database, "pg_dump", "--statistics-only")
    assert b"feature_events" in statistics
    with psycopg.connect(own_database) as connection:
        assert hits([*salts, *keys(connection), *GUILDS], statistics) == 0
    assert hits(salts, program(own_database, "pg_dump")) == len(salts)  # as docs/security.md says


_PARTITIONS = (
    "SELECT inhrelid FROM pg_inherits WHERE inhparent = 'footfall.feature_events'::regclass"
)


async def test_statistics_of_before_are_removed_with_their_pages_at_the_next_start(
    own_server, own_database, catalog
):
    """As an earlier Footfall left them, and an operator's own index and statistics."""
    salts = await filled(own_database, catalog)
    with psycopg.connect(own_database, autocommit=True) as connection:
        for column in ("guild_hash", "note"):
            connection.execute(
                f"ALTER TABLE footfall.feature_events ALTER COLUMN {column} SET STATISTICS 100"
            )
        connection.execute("ALTER TABLE footfall.salts ALTER COLUMN salt SET STATISTICS 100")
        connection.execute(
            "CREATE STATISTICS footfall.pairs ON guild_hash, note FROM footfall.feature_events"
        )
        connection.execute("CREATE INDEX short ON footfall.feature_dims (left(service, 4))")
        connection.execute("CREATE INDEX begins ON footfall.feature_events (left(note, 90))")
        connection.execute("ANALYZE")
    private = [*salts, *GUILDS, *(note.encode() for note in NOTES)]
    with psycopg.connect(own_database, autocommit=True) as connection:
        assert hits(private, catalogs(connection)) > 100
        names = found(connection)
        assert {"salts.salt", "feature_events.note", "footfall.pairs", "short.left"} <= set(names)
        check = await doctor(own_database)
        assert (check.level, "salts.salt" in check.found) == ("problem", True)
        prepare(own_database, Settings(catalog))
        assert hits(private, catalogs(connection)) == 0
        assert found(connection) == []
        connection.execute("ANALYZE")
        assert hits(private, catalogs(connection)) == 0
        [[indexes]] = rows_of(
            connection, "SELECT count(*) FROM pg_partition_tree('footfall.begins')"
        )
        assert indexes == 1 + len(rows_of(connection, _PARTITIONS))
        connection.execute("CHECKPOINT")
        [[path]] = rows_of(connection, "SELECT pg_relation_filepath('pg_statistic')")
        pages = (own_server.log_file.parent / "data" / path).read_bytes()
        assert hits(private, pages) == 0
        assert query_one(connection, "SELECT count(*) FROM reporting.events") == 240
    assert (await doctor(own_database)).level == "ok"


@pytest.mark.parametrize("is_superuser", [True, False])
async def test_a_view_of_somebody_else_keeps_nobody_from_starting(
    postgres_server, catalog, is_superuser
):
    """Postgres gives no column of it another type, which is how its statistics are taken away."""
    name, options = f"owner_{uuid.uuid4().hex}", "SUPERUSER" if is_superuser else "NOSUPERUSER"
    with new_database(postgres_server) as dsn, psycopg.connect(dsn, autocommit=True) as connection:
        connection.execute(f"CREATE ROLE {name} LOGIN PASSWORD 'x' CREATEROLE {options}")
        connection.execute(f"ALTER DATABASE {connection.info.dbname} OWNER TO {name}")
        owner = make_conninfo(dsn, user=name, password="x")
        prepare(owner, Settings(catalog))
        salts = await filled(owner, catalog)
        connection.execute("ALTER TABLE footfall.salts ALTER COLUMN salt SET STATISTICS 100")
        connection.execute("CREATE VIEW public.mine AS SELECT * FROM footfall.salts")
        connection.execute("ANALYZE")
        assert hits(salts, catalogs(connection)) == len(salts)
        prepare(owner, Settings(catalog))
        left = 0 if is_superuser else len(salts)
        assert hits(salts, catalogs(connection)) == left
        assert found(connection) == (["salts.salt"] if left else [])
        assert (await doctor(dsn)).level == ("problem" if left else "ok")
        connection.execute(f"REASSIGN OWNED BY {name} TO CURRENT_USER; DROP OWNED BY {name}")
        connection.execute(f"DROP ROLE {name}")


async def doctor(dsn):
    """What `footfall doctor` says of the statistics."""
    checks = await asyncio.to_thread(lambda: list(store_checks(dsn, None)))
    [check] = [check for check in checks if check.area == "statistics"]
    return check


def query_one(connection, statement):
    [[value]] = rows_of(connection, statement)
    return value


async def test_what_a_later_catalog_adds_and_what_days_come_has_no_statistics_either(
    store_database, catalog, tmp_path
):
    attributes = {
        "member_id": {"type": "string", "hash": "weekly"},
        "word": {"type": "string"},
        "number": {"type": "int"},
        "token": {"type": "uuid"},
    }
    prepare(store_database, Settings(catalog_of(tmp_path, attributes)))
    with psycopg.connect(store_database, autocommit=True) as connection:
        assert found(connection) == []
        async with await psycopg.AsyncConnection.connect(store_database, autocommit=True) as other:
            [day] = await partitions.ensure(other, [TODAY + dt.timedelta(days=30)])
        columns = dict(
            rows_of(
                connection,
                "SELECT attname, coalesce(attstattarget, -1) FROM pg_attribute"
                " WHERE attrelid = to_regclass(%s) AND attnum > 0",
                f"footfall.feature_events_{day:%Y%m%d}",
            )
        )
    silent = {"member_hash", "word", "number", "token", "guild_hash", "note", "seed", "attempts"}
    assert {name for name, target in columns.items() if target == 0} >= silent
    assert columns["time"] == columns["dim_id"] == columns["duration_ms"] == -1


async def test_a_day_that_is_being_dropped_is_in_nobodys_way(store_database, catalog, query):
    """Whoever drops it holds it until all of it is rolled up."""
    await store_at(store_database, catalog).maintain()
    with psycopg.connect(store_database) as dropping, psycopg.connect(store_database) as looking:
        day = partitions.table(TODAY).as_string(None)
        query(f"ALTER TABLE footfall.feature_events DETACH PARTITION {day}")
        dropping.execute(f"DROP TABLE {day}")
        looking.execute("SET lock_timeout = '1s'")
        looking.execute(SILENCE)
        assert found(looking) == []
        dropping.rollback()
