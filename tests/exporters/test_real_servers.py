"""What servers go through: poolers, failover, restarts, a move to another server; on Debian's programs."""

import asyncio
from contextlib import suppress

import psycopg
import pytest
from psycopg.conninfo import make_conninfo

from exporters.servers import Cluster, cluster, needs_debian, needs_pgbouncer, pooler
from footfall_exporters.contracts import Settings, Unavailable
from footfall_exporters.postgres import ReadOnly, Unsuitable, prepare
from footfall_exporters.postgres.connecting import SCHEMA, WRITING, connect, connect_sync
from footfall_exporters.postgres.session import Session
from footfall_exporters.postgres.stream import Stream
from support.batches import batch, one_row, point
from support.stores import store_at, stored, writing

pytestmark = [needs_debian, pytest.mark.timeout(240)]


@pytest.fixture(scope="module")
def server():
    with cluster("fsync=off", "max_connections=50") as found:
        yield found


@pytest.fixture
def database(server, catalog, request):
    """The name of a database that is ready to store."""
    name = f"shop_{abs(hash(request.node.name)) % 10**8}"
    server.sql(f"CREATE DATABASE {name}")
    yield name
    server.sql(f"DROP DATABASE {name} WITH (FORCE)")


def look(dsn):
    with psycopg.connect(dsn) as connection:
        return stored(lambda statement: connection.execute(statement).fetchall())


async def patiently(consume, sent):
    """Sends it until it is stored; how often that was refused."""
    for refused in range(200):
        with suppress(Unavailable):
            await consume(sent)
            return refused
        await asyncio.sleep(0.1)
    raise AssertionError("it is never stored")


# Poolers


@needs_pgbouncer
async def test_a_pooler_in_session_mode_that_drops_options_is_as_good_as_none(
    server, database, catalog
):
    server.sql(f"ALTER DATABASE {database} SET synchronous_commit = off")
    with pooler(server, "session") as through:
        dsn = make_conninfo(through, dbname=database)
        prepare(dsn, Settings(catalog))
        await store_at(dsn, catalog).maintain()
        async with writing(dsn, catalog) as writer:
            await asyncio.gather(*(writer.consume(batch(one_row(note="café"))) for _ in range(20)))
        session = Session(dsn)
        found = await session.in_force(["synchronous_commit", "client_encoding"])
        await session.close()
    assert found == {"synchronous_commit": "on", "client_encoding": "UTF8"}
    assert look(make_conninfo(server.dsn, dbname=database))[0] == 20


@needs_pgbouncer
@pytest.mark.parametrize("mode", ["transaction", "statement"])
async def test_a_pooler_that_shares_sessions_is_refused(server, database, catalog, mode):
    with pooler(server, mode) as through:
        dsn = make_conninfo(through, dbname=database)
        with pytest.raises(Unsuitable, match="pool_mode = session"):
            await asyncio.to_thread(prepare, dsn, Settings(catalog))
        with pytest.raises(Unsuitable, match="pool_mode = session"):
            await connect(dsn, WRITING)
    assert server.sql("SELECT nspname FROM pg_namespace WHERE nspname = 'footfall'", database) == []


# Failover


async def test_after_a_promotion_the_stream_goes_on_at_the_standby(catalog):
    """Two servers, the second a synchronous standby: nothing is lost, nothing twice."""
    with cluster() as first:
        first.sql("CREATE DATABASE shop")
        second = Cluster()
        hosts = f"{first.directory},{second.directory}"
        dsn = f"host={hosts} user=footfall dbname=shop"
        try:
            prepare(make_conninfo(first.dsn, dbname="shop"), Settings(catalog))
            second.copy(first)
            second.start()
            first.sql("ALTER SYSTEM SET synchronous_standby_names = 'standby'")
            first.sql("SELECT pg_reload_conf()")
            with pytest.raises(ReadOnly):
                connect_sync(make_conninfo(second.dsn, dbname="shop"), SCHEMA)
            async with writing(dsn, catalog) as writer:
                before = [batch(one_row()) for _ in range(20)]
                await asyncio.gather(*map(writer.consume, before))
                first.stop("immediate")
                with pytest.raises(Unavailable):
                    await writer.consume(batch(one_row()))
                second.run("pg_ctl", "-D", "data", "-w", "promote")
                after = batch(one_row())
                await patiently(writer.consume, after)
                for again in (*before, after):
                    assert await writer.consume(again) == {}
            assert look(make_conninfo(second.dsn, dbname="shop"))[:3] == (21, 21, 21)
        finally:
            second.end()


@pytest.mark.parametrize("mode", ["fast", "immediate"])
async def test_a_server_that_is_restarted_loses_nothing(catalog, mode):
    with cluster() as server:
        server.sql("CREATE DATABASE shop")
        dsn = make_conninfo(server.dsn, dbname="shop")
        prepare(dsn, Settings(catalog))
        async with writing(dsn, catalog) as writer:
            sent = [batch(one_row()) for _ in range(30)]
            sending = [asyncio.create_task(patiently(writer.consume, each)) for each in sent]
            await asyncio.to_thread(server.stop, mode)
            await asyncio.to_thread(server.start)
            await asyncio.gather(*sending)
            # All may have been stored before it went, so that its end is noticed only now.
            for each in sent:
                await patiently(writer.consume, each)
        assert look(dsn)[:3] == (30, 30, 30)


# Other clusters


async def test_a_cluster_with_other_rules_of_its_own_stores_the_same(catalog):
    """ICU and Turkish, checksums, serializable, an owner who is no superuser, and its statements hurried."""
    locale = ("--locale-provider=icu", "--icu-locale=tr", "--encoding=UTF8", "--data-checksums")
    settings = "default_transaction_isolation=serializable", "statement_timeout=3s"
    with cluster(*settings, "idle_session_timeout=500", options=locale) as server:
        server.sql("CREATE ROLE app LOGIN")
        server.sql("CREATE DATABASE shop OWNER app")
        server.sql("ALTER ROLE app SET default_transaction_deferrable = on")
        dsn = make_conninfo(server.dsn, dbname="shop", user="app")
        prepare(dsn, Settings(catalog))
        store = store_at(dsn, catalog)
        await store.maintain()
        async with writing(dsn, catalog) as one, writing(dsn, catalog) as other:
            for _ in range(2):
                await asyncio.gather(
                    *(
                        w.consume(batch(one_row(note="I\u0307\u0131i")))
                        for w in (one, other)
                        for _ in range(10)
                    )
                )
                await asyncio.sleep(0.7)
        assert look(dsn)[:3] == (40, 40, 40)


# A move to another server


async def test_a_dump_that_is_restored_goes_on_where_it_was(server, database, catalog):
    """Salts are not in it; the ledger, counts and positions are."""
    dsn = make_conninfo(server.dsn, dbname=database)
    prepare(dsn, Settings(catalog))
    await store_at(dsn, catalog).maintain()
    known, sum_of_five = batch(one_row()), batch(points=[point(5)], signal="metrics")
    async with writing(dsn, catalog) as writer:
        await writer.consume(known)
        await writer.consume(sum_of_five)
    before = look(dsn)
    where = "-h", server.directory, "-U", "footfall"
    server.run("pg_dump", *where, "--no-unlogged-table-data", "-Fc", "-f", "dump", database)
    copy = f"{database}_copy"
    server.sql(f"CREATE DATABASE {copy}")
    server.run("pg_restore", *where, "-d", copy, "dump")
    restored = make_conninfo(server.dsn, dbname=copy)
    try:
        assert look(restored) == before
        assert server.sql("SELECT count(*) FROM footfall.salts", copy) == [(0,)]
        prepare(restored, Settings(catalog))
        await store_at(restored, catalog).maintain()
        async with writing(restored, catalog) as writer:
            assert await writer.consume(known) == {}
            await writer.consume(batch(points=[point(7)], signal="metrics"))
        async with await connect(restored, WRITING) as connection:
            stream = await Stream.open(connection, catalog)
            assert await stream.end() == before[3] + 1
        assert look(restored)[1] == before[1] + 2
    finally:
        server.sql(f"DROP DATABASE {copy} WITH (FORCE)")
