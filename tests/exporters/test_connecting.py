"""What a connection is told, and what is refused, whatever server, role or environment say."""

import asyncio
import contextlib
import secrets
import time
from concurrent import futures

import psycopg
import pytest
from psycopg import sql
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from footfall_exporters.contracts import Settings, Unavailable
from footfall_exporters.postgres import ReadOnly, Unsuitable, connect_sync, migrate, prepare
from footfall_exporters.postgres.connecting import READING, SCHEMA, WRITING, connect
from footfall_exporters.postgres.session import Session
from support.batches import batch, one_row
from support.stores import stored, writing

RIGHT = {
    "client_encoding": "UTF8",
    "DateStyle": "ISO, MDY",
    "IntervalStyle": "postgres",
    "TimeZone": "UTC",
    "bytea_output": "hex",
    "extra_float_digits": "1",
    "standard_conforming_strings": "on",
    "transform_null_equals": "off",
    "array_nulls": "on",
    "quote_all_identifiers": "off",
    "transaction_isolation": "read committed",
    "transaction_deferrable": "off",
    "synchronous_commit": "on",
    "row_security": "off",
    "client_min_messages": "warning",
    "lock_timeout": "10s",
    "statement_timeout": "1min",
    "idle_session_timeout": "0",
    "jit": "off",
}
"""In a transaction that stores."""
WRONG = {
    "client_encoding": "LATIN1",
    "DateStyle": "SQL, DMY",
    "IntervalStyle": "iso_8601",
    "TimeZone": "Asia/Kathmandu",
    "bytea_output": "escape",
    "extra_float_digits": "-9",
    "standard_conforming_strings": "off",
    "transform_null_equals": "on",
    "array_nulls": "off",
    "quote_all_identifiers": "on",
    "default_transaction_isolation": "serializable",
    "default_transaction_deferrable": "on",
    "synchronous_commit": "off",
    "row_security": "on",
    "client_min_messages": "error",
    "lock_timeout": "1ms",
    "statement_timeout": "2s",
    "idle_session_timeout": "700ms",
    "idle_in_transaction_session_timeout": "1ms",
    "search_path": "reporting, footfall",
    "jit": "on",
}


def name_of(dsn):
    return conninfo_to_dict(dsn)["dbname"]


def set_on_database(query, dsn, values):
    for name, value in values.items():
        where = sql.Identifier(name_of(dsn))
        query(sql.SQL("ALTER DATABASE {} SET {} = {}").format(where, sql.Identifier(name), value))


async def in_force(dsn):
    session = Session(dsn)
    try:
        return await session.in_force(RIGHT)
    finally:
        await session.close()


async def test_whatever_the_database_says_a_transaction_that_stores_is_as_it_must_be(
    query, store_database, catalog
):
    set_on_database(query, store_database, WRONG)
    assert await in_force(store_database) == RIGHT
    async with writing(store_database, catalog) as writer:
        await writer.consume(batch(one_row(note="café")))
        await asyncio.sleep(1)  # longer than it might be idle
        await writer.consume(batch(one_row(ratio=0.1)))
    assert query("SELECT note, ratio FROM footfall.feature_events ORDER BY ratio") == [
        (None, 0.1),
        ("café", None),
    ]


async def test_whatever_libpqs_environment_says(store_database, monkeypatch):
    for name, value in {
        "PGCLIENTENCODING": "LATIN1",
        "PGDATESTYLE": "German",
        "PGTZ": "Asia/Kathmandu",
        "PGOPTIONS": "-c synchronous_commit=off -c bytea_output=escape -c row_security=on",
        "PGAPPNAME": "another",
    }.items():
        monkeypatch.setenv(name, value)
    assert await in_force(store_database) == RIGHT
    with connect_sync(
        make_conninfo(store_database, client_encoding="LATIN1"), WRITING
    ) as connection:
        assert connection.execute("SHOW client_encoding").fetchone() == ("UTF8",)
        assert connection.execute("SHOW application_name").fetchone() == ("footfall",)


async def test_a_report_takes_any_server_unless_the_dsn_prefers_one(store_database, monkeypatch):
    monkeypatch.setenv("PGTARGETSESSIONATTRS", "read-only")
    with connect_sync(store_database, READING) as connection:
        assert connection.execute("SELECT 1").fetchone() == (1,)
    await (await connect(store_database, READING)).close()
    standby = make_conninfo(store_database, target_session_attrs="standby")
    with pytest.raises(psycopg.OperationalError, match="standby"):
        connect_sync(standby, READING)


async def test_what_an_operator_wants_more_than_that_is_kept(query, store_database):
    set_on_database(query, store_database, {"synchronous_commit": "remote_apply"})
    assert (await in_force(store_database))["synchronous_commit"] == "remote_apply"


@pytest.mark.parametrize("encoding", ["LATIN1", "SQL_ASCII", "EUC_JP"])
async def test_a_database_that_is_not_in_utf8_is_refused(postgres_server, catalog, encoding):
    name = f"foreign_{secrets.token_hex(4)}"
    options = f"ENCODING '{encoding}' LOCALE 'C' TEMPLATE template0"
    with psycopg.connect(postgres_server, autocommit=True) as admin:
        admin.execute(f"CREATE DATABASE {name} {options}")
        try:
            dsn = make_conninfo(postgres_server, dbname=name)
            with pytest.raises(Unsuitable, match=rf"{encoding}.* UTF8 .*TEMPLATE template0"):
                prepare(dsn, Settings(catalog))
            with pytest.raises(Unsuitable):
                await connect(dsn, READING)
        finally:
            admin.execute(f"DROP DATABASE {name} WITH (FORCE)")


# Read-only


async def test_a_database_that_was_made_read_only_is_away_until_it_is_not(
    query, store_database, catalog
):
    """A session that is open stays as it was; a new one may not write."""
    async with writing(store_database, catalog) as writer:
        await writer.consume(batch(one_row()))
        set_on_database(query, store_database, {"default_transaction_read_only": "on"})
        await writer.group_commit.session.close()
        with pytest.raises(Unavailable):
            await writer.consume(batch(one_row()))
        assert writer.away
        with pytest.raises(ReadOnly):
            connect_sync(store_database, SCHEMA)
        connect_sync(store_database, READING).close()
        set_on_database(query, store_database, {"default_transaction_read_only": "off"})
        await writer.consume(batch(one_row()))
    assert stored(query)[0] == 2


async def test_a_session_that_became_read_only_is_given_up(query, store_database, catalog):
    async with writing(store_database, catalog) as writer:
        await writer.consume(batch(one_row()))
        connection = await writer.group_commit.session.connected()
        await connection.execute("SET default_transaction_read_only = on")
        again = batch(one_row())
        with pytest.raises(Unavailable):
            await writer.consume(again)
        await writer.consume(again)
    assert stored(query) == (2, 2, 2, 2)


async def test_a_session_that_another_had_meanwhile_stores_nothing(query, store_database, catalog):
    """As behind a pooler that resets sessions, or gives them to others: its settings are gone."""
    async with writing(store_database, catalog) as writer:
        await writer.consume(batch(one_row()))
        connection = await writer.group_commit.session.connected()
        await connection.execute("DISCARD ALL")
        again = batch(one_row())
        with pytest.raises(Unavailable):
            await writer.consume(again)
        assert stored(query)[0] == 1
        await writer.consume(again)
    assert stored(query) == (2, 2, 2, 2)


# Rights


@pytest.fixture
def stranger(postgres_server):
    """The connection string of a role that owns nothing, for a database."""
    name = f"stranger_{secrets.token_hex(4)}"
    with psycopg.connect(postgres_server, autocommit=True) as admin:
        admin.execute(f"CREATE ROLE {name} LOGIN PASSWORD 'x'")
        yield lambda dsn: make_conninfo(dsn, user=name, password="x")
        admin.execute(f"DROP ROLE {name}")


def test_a_role_that_may_make_no_schema_is_told_which_right_it_lacks(
    empty_database, stranger, postgres_server
):
    dsn = stranger(empty_database)
    role = conninfo_to_dict(dsn)["user"]
    with pytest.raises(Unsuitable) as refused:
        migrate(dsn)
    found, _, grant = str(refused.value).rpartition(": ")
    assert "may not make schemas" in found
    assert grant == f'GRANT CREATE ON DATABASE "{name_of(dsn)}" TO "{role}"'
    with psycopg.connect(postgres_server, autocommit=True) as admin:
        admin.execute(grant)
    migrate(dsn)
    with psycopg.connect(empty_database, autocommit=True) as admin:
        admin.execute(f"DROP OWNED BY {role}")


def test_a_role_that_does_not_own_the_schema_is_told_whose_it_is(store_database, stranger):
    with pytest.raises(Unsuitable, match=r'belongs to the role .*GRANT ".*" TO "stranger_'):
        migrate(stranger(store_database))


async def test_rows_are_never_left_out_silently(query, store_database):
    """Row-level security that is forced on the owner is an error, not fewer rows."""
    query("ALTER TABLE footfall.ingest_batches ENABLE ROW LEVEL SECURITY")
    query("ALTER TABLE footfall.ingest_batches FORCE ROW LEVEL SECURITY")
    owner = f"owner_{secrets.token_hex(4)}"
    query(f"CREATE ROLE {owner}")
    query(f"GRANT USAGE ON SCHEMA footfall TO {owner}")
    query(f"ALTER TABLE footfall.ingest_batches OWNER TO {owner}")
    try:
        async with await connect(store_database, READING) as connection:
            await connection.execute(f"SET ROLE {owner}")
            with pytest.raises(psycopg.errors.InsufficientPrivilege, match="row-level security"):
                await connection.execute("SELECT * FROM footfall.ingest_batches")
    finally:
        query(f"REASSIGN OWNED BY {owner} TO CURRENT_USER")
        query(f"DROP OWNED BY {owner}")
        query(f"DROP ROLE {owner}")


# Synchronous replication


@contextlib.contextmanager
def without_its_standby(server):
    """Every COMMIT waits for a standby that is not there."""
    with psycopg.connect(server, autocommit=True) as admin:

        def set_standby(name):
            admin.execute(f"ALTER SYSTEM SET synchronous_standby_names = '{name}'")
            admin.execute("SELECT pg_reload_conf()")

        def end(how, application="footfall"):
            """Ends the session that waits, once there is one."""
            deadline = time.monotonic() + 30
            while not ended(how, application):
                assert time.monotonic() < deadline
                time.sleep(0.05)

        def ended(how, application):
            found = (
                f"SELECT pg_{how}_backend(pid) FROM pg_stat_activity"
                " WHERE wait_event = 'SyncRep' AND application_name = %s"
            )
            return admin.execute(found, [application]).fetchall()

        def wait_until_it_is_in_force():
            """The server's processes read the setting some time after they were told to."""
            with (
                futures.ThreadPoolExecutor(1) as pool,
                psycopg.connect(server, autocommit=True, application_name="probe") as probe,
            ):
                while True:
                    commit = pool.submit(
                        probe.execute, "SELECT pg_logical_emit_message(true, 'probe', '')"
                    )
                    while not commit.done():
                        if ended("cancel", "probe"):
                            return

        set_standby("nobody")
        wait_until_it_is_in_force()
        try:
            yield end
        finally:
            set_standby("")


@pytest.mark.parametrize("how", ["cancel", "terminate"])
async def test_what_no_standby_has_is_not_acknowledged_nor_is_its_retry(
    own_server, own_database, catalog, how
):
    async with writing(own_database, catalog) as writer:
        await writer.consume(batch(one_row()))  # makes the dimension
        sent = batch(one_row())
        with without_its_standby(own_server.start()) as end:
            for _ in range(2):  # the second is a retry of what is committed here
                answer = asyncio.create_task(writer.consume(sent))
                await asyncio.to_thread(end, how)
                with pytest.raises(Unavailable):
                    await answer
        assert await writer.consume(sent) == {}
    with psycopg.connect(own_database) as connection:
        found = connection.execute("SELECT count(*) FROM footfall.feature_events").fetchone()
    assert found == (2,)


async def test_a_retry_of_what_is_stored_waits_only_where_it_must(query, store_database, catalog):
    """What is new in the same group writes anyway."""
    async with writing(store_database, catalog) as writer:
        known = batch(one_row())
        await writer.consume(known)
        before = query("SELECT pg_current_wal_insert_lsn()")
        await writer.consume(known)
        assert query("SELECT pg_current_wal_insert_lsn() > %s::pg_lsn", *before[0]) == [(True,)]


# Several servers


async def test_of_several_hosts_the_one_that_may_write_is_taken(own_server, postgres_server):
    """The first one is read-only."""
    servers = own_server.start(), postgres_server
    with contextlib.ExitStack() as stack:
        for dsn in servers:
            admin = stack.enter_context(psycopg.connect(dsn, autocommit=True))
            admin.execute("CREATE ROLE everywhere LOGIN PASSWORD 'x'")
            stack.callback(admin.execute, "DROP ROLE everywhere")
            admin.execute("GRANT CONNECT ON DATABASE postgres TO everywhere")
            stack.callback(admin.execute, "REVOKE CONNECT ON DATABASE postgres FROM everywhere")
            if dsn is servers[0]:
                admin.execute("ALTER ROLE everywhere SET default_transaction_read_only = on")
        parts = [conninfo_to_dict(dsn) for dsn in servers]
        both = {"user": "everywhere", "password": "x", "dbname": "postgres"}
        for name in ("host", "port"):
            both[name] = ",".join(str(each.get(name, 5432)) for each in parts)
        with connect_sync(make_conninfo(**both), WRITING) as connection:
            assert connection.info.host == parts[1]["host"]
        async with await connect(make_conninfo(**both), WRITING) as connection:
            assert connection.info.host == parts[1]["host"]
        with pytest.raises(ReadOnly):
            await connect(make_conninfo(servers[0], **{**both, "host": parts[0]["host"],
                          "port": str(parts[0].get("port", 5432))}), WRITING)  # fmt: skip
