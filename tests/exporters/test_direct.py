"""Statements over libpq itself: what they give, what they leave behind, and what a full socket does."""

import asyncio
import os
import signal
from contextlib import suppress

import psycopg
import pytest

from footfall_exporters.postgres.direct import PIECE, Direct
from support.waiting import until

ROWS = 40_000
LINE = b"%d\t" + b"x" * 100 + b"\n"


@pytest.fixture
async def connection(empty_database):
    async with await psycopg.AsyncConnection.connect(empty_database, autocommit=True) as connection:
        await connection.execute("CREATE TABLE t (n integer PRIMARY KEY, said text)")
        yield connection


async def rows_of(connection):
    return await (await connection.execute("SELECT n, said FROM t ORDER BY n")).fetchall()


async def test_a_statement_is_prepared_once_and_gives_text(connection):
    direct, statement = Direct(connection), "SELECT $1::int + 1, $2::text, NULL, ''"
    for n in range(3):
        assert await direct.ask(statement, str(n), None) == [(b"%d" % (n + 1), None, None, b"")]
    assert await direct.ask("SELECT generate_series(1, 3)") == [(b"1",), (b"2",), (b"3",)]
    prepared = await connection.execute("SELECT name FROM pg_prepared_statements ORDER BY 1")
    assert await prepared.fetchall() == [("footfall_0",), ("footfall_1",)]


async def test_a_script_gives_the_result_of_each_statement(connection):
    begun, found, ended = await Direct(connection).run(b"BEGIN; SELECT 7; COMMIT")
    assert (begun.command_status, found.get_value(0, 0)) == (b"BEGIN", b"7")
    assert ended.command_status == b"COMMIT"


async def test_psycopg_and_it_take_turns_in_one_transaction(connection):
    direct = Direct(connection)
    await direct.run(b"BEGIN")
    await connection.execute("INSERT INTO t VALUES (1, 'by psycopg')")
    assert await direct.ask("INSERT INTO t VALUES (2, $1) RETURNING n", "directly") == [(b"2",)]
    await connection.execute("UPDATE t SET n = n + 10")
    await direct.copy(b"COPY t FROM STDIN", b"3\tcopied\n")
    await direct.run(b"COMMIT")
    expected = [(3, "copied"), (11, "by psycopg"), (12, "directly")]
    assert await rows_of(connection) == expected


@pytest.mark.parametrize(
    ("refused", "error"),
    [
        (lambda d: d.ask("SELECT $1::int", "x"), psycopg.errors.InvalidTextRepresentation),
        (lambda d: d.ask("SELECT * FROM nowhere"), psycopg.errors.UndefinedTable),
        (lambda d: d.run(b"SELECT 1; SELECT 1 / 0; SELECT 2"), psycopg.errors.DivisionByZero),
        (lambda d: d.copy(b"COPY nowhere FROM STDIN", b""), psycopg.errors.UndefinedTable),
        (lambda d: d.copy(b"COPY t FROM STDIN", b"1\ta\n1\tb\n"), psycopg.errors.UniqueViolation),
        (lambda d: d.copy(b"COPY t FROM STDIN", b"x\ta\n" * PIECE), psycopg.errors.DataError),
    ],
    ids=["parameter", "preparing", "script", "copy", "at its end", "amid much data"],
)
async def test_what_postgres_refuses_leaves_the_connection_as_it_is(connection, refused, error):
    direct = Direct(connection)
    with pytest.raises(error):
        await refused(direct)
    assert await direct.ask("SELECT $1", "on") == [(b"on",)]
    assert await rows_of(connection) == []


async def test_who_is_cancelled_leaves_nothing_behind(connection, empty_database):
    direct = Direct(connection)
    await direct.run(b"BEGIN; INSERT INTO t VALUES (1)")
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.05):
            await direct.ask("SELECT pg_sleep(0.5)")
    assert connection.closed
    async with await psycopg.AsyncConnection.connect(empty_database) as another:
        assert await rows_of(another) == []


async def test_an_ended_session_is_an_error_and_a_closed_connection(connection, empty_database):
    direct = Direct(connection)
    asked = asyncio.create_task(direct.ask("SELECT pg_sleep(60)"))
    async with await psycopg.AsyncConnection.connect(empty_database, autocommit=True) as another:

        async def ended():
            statement = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid = %s"
            pid = [connection.info.backend_pid]
            found = await another.execute(f"{statement} AND state = 'active'", pid)
            return await found.fetchall()

        await until(ended)
    with pytest.raises(psycopg.OperationalError):
        await asked
    with pytest.raises(psycopg.OperationalError):
        await direct.ask("SELECT 1")
    assert connection.closed


async def test_data_waits_for_a_server_that_does_not_read(connection):
    direct, pid = Direct(connection), connection.info.backend_pid
    data = b"".join(LINE % n for n in range(ROWS))
    os.kill(pid, signal.SIGSTOP)
    try:
        with suppress(TimeoutError):
            copying = asyncio.create_task(direct.copy(b"COPY t FROM STDIN", data))
            await asyncio.wait_for(asyncio.shield(copying), 0.3)
        assert not copying.done()
    finally:
        os.kill(pid, signal.SIGCONT)
    await copying
    counted = await connection.execute("SELECT count(*), sum(length(said)) FROM t")
    assert await counted.fetchone() == (ROWS, ROWS * 100)
