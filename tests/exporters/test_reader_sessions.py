"""Sessions of the reader, kept from one question to the next."""

import threading
import time

import psycopg
import pytest
from psycopg import errors
from psycopg.conninfo import make_conninfo

from footfall_exporters.postgres import reader_sessions
from footfall_exporters.postgres.asking import READER, NotAllowed
from footfall_exporters.postgres.reader_sessions import ReaderSessions
from footfall_exporters.postgres.reports.asked import WrongQuestion

COUNT = "SELECT count(*) FROM reporting.catalog"


def whose(connection):
    return connection.execute("SELECT pg_backend_pid()").fetchone()[0]


@pytest.fixture
def sessions():
    every = ReaderSessions()
    yield every
    every.close()


@pytest.fixture
def owner(store_database):
    with psycopg.connect(store_database, autocommit=True) as connection:
        yield connection


def stays(owner, *sessions):
    """Waits until these are there and no others: Postgres ends a session a moment after it was closed."""
    deadline = time.monotonic() + 20
    while there(owner) != {*sessions}:
        assert time.monotonic() < deadline, there(owner)
        time.sleep(0.02)


def ended(owner, session):
    owner.execute("SELECT pg_terminate_backend(%s, 10000)", [session])


def there(owner):
    found = owner.execute(
        "SELECT pid FROM pg_stat_activity WHERE application_name = 'footfall api'"
        " AND datname = current_database()"
    )
    return {pid for (pid,) in found.fetchall()}


def test_the_next_question_is_asked_in_the_same_session(sessions, store_database, owner):
    first = sessions.ask(store_database, whose)
    assert sessions.ask(store_database, whose) == first
    assert there(owner) == {first}


def test_it_is_the_readers_and_changes_nothing(sessions, store_database):
    for _ in range(2):
        role = sessions.ask(
            store_database, lambda c: c.execute("SELECT current_user").fetchone()[0]
        )
        assert role == READER
        with pytest.raises(errors.InsufficientPrivilege):
            sessions.ask(store_database, lambda c: c.execute("TABLE footfall.feature_events"))
        with pytest.raises(errors.ReadOnlySqlTransaction):
            sessions.ask(store_database, lambda c: c.execute("CREATE TEMP TABLE t ()"))


def test_what_was_ended_meanwhile_is_not_noticed(sessions, store_database, owner):
    first = sessions.ask(store_database, whose)
    ended(owner, first)
    assert sessions.ask(store_database, whose) != first


def test_nor_is_a_server_that_was_started_again(sessions, own_server, own_database):
    assert sessions.ask(own_database, lambda c: c.execute("SELECT 1").fetchall()) == [(1,)]
    own_server.stop()
    own_server.start()
    assert sessions.ask(own_database, lambda c: c.execute("SELECT 2").fetchall()) == [(2,)]


def test_views_that_were_made_anew_are_asked_as_they_are_now(sessions, store_database, owner):
    owner.execute("CREATE VIEW reporting.probe AS SELECT 1 AS a")
    owner.execute(f"GRANT SELECT ON reporting.probe TO {READER}")

    def probe(connection):
        return connection.execute("SELECT * FROM reporting.probe", prepare=True).fetchall()

    for _ in range(3):
        assert sessions.ask(store_database, probe) == [(1,)]
    owner.execute("DROP VIEW reporting.probe")
    owner.execute("CREATE VIEW reporting.probe AS SELECT 'other'::text AS b, 2 AS c")
    owner.execute(f"GRANT SELECT ON reporting.probe TO {READER}")
    assert sessions.ask(store_database, probe) == [("other", 2)]


def test_a_question_that_fails_is_asked_in_a_new_session_and_then_fails(
    sessions, store_database, owner
):
    sessions.ask(store_database, whose)
    asked = []

    def wrong(connection):
        asked.append(whose(connection))
        connection.execute("SELECT * FROM nothing")

    with pytest.raises(errors.UndefinedTable):
        sessions.ask(store_database, wrong)
    assert len({*asked}) == 2
    stays(owner)


@pytest.mark.parametrize(
    ("setting", "error"),
    [("statement_timeout", errors.QueryCanceled), ("lock_timeout", errors.LockNotAvailable)],
)
def test_what_failed_after_a_while_is_not_asked_again(
    sessions, store_database, owner, setting, error
):
    sessions.ask(store_database, whose)
    asked = []

    def waiting(connection):
        asked.append(1)
        connection.execute("SELECT set_config(%s, '1100ms', false)", [setting])
        connection.execute(COUNT)

    with owner.transaction():
        owner.execute("DROP VIEW reporting.catalog CASCADE")
        with pytest.raises(error):
            sessions.ask(store_database, waiting)
        raise psycopg.Rollback
    assert len(asked) == 1


def test_a_wrong_question_costs_no_session(sessions, store_database, owner):
    first = sessions.ask(store_database, whose)

    def wrong(connection):
        raise WrongQuestion("by", "there is no such column", "there are others")

    with pytest.raises(WrongQuestion):
        sessions.ask(store_database, wrong)
    assert sessions.ask(store_database, whose) == first


def test_nothing_is_kept_that_is_answered_after_the_end(store_database, owner):
    sessions = ReaderSessions()

    def last(connection):
        sessions.close()
        return whose(connection)

    sessions.ask(store_database, last)
    stays(owner)


def test_a_fault_of_who_asks_is_no_reason_to_ask_again(sessions, store_database, owner):
    sessions.ask(store_database, whose)
    asked = []

    def faulty(connection):
        asked.append(1)
        connection.execute("BEGIN")
        raise KeyError

    with pytest.raises(KeyError):
        sessions.ask(store_database, faulty)
    assert len(asked) == 1
    stays(owner)


def test_none_is_kept_in_a_transaction(sessions, store_database, owner):
    sessions.ask(store_database, lambda c: c.execute("BEGIN"))
    stays(owner)


def test_as_many_are_kept_as_are_asked_at_the_same_time(sessions, store_database, owner):
    together = threading.Barrier(3)

    def wait(connection):
        together.wait(20)
        return whose(connection)

    threads = [threading.Thread(target=sessions.ask, args=(store_database, wait)) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    deadline = time.monotonic() + 20
    while len(there(owner)) > reader_sessions.AT_ONCE:
        assert time.monotonic() < deadline
        time.sleep(0.02)
    assert len(there(owner)) == reader_sessions.AT_ONCE == 2


def test_another_store_is_asked_in_a_session_of_its_own(sessions, store_database, owner):
    sessions.ask(store_database, whose)
    other = make_conninfo(store_database, connect_timeout="7")
    stays(owner, sessions.ask(other, whose))


def test_an_old_one_is_closed(sessions, store_database, owner, monkeypatch):
    first = sessions.ask(store_database, whose)
    monkeypatch.setattr(reader_sessions, "OLDEST_S", 0.0)
    second = sessions.ask(store_database, whose)
    assert second != first
    stays(owner, second)


def test_postgres_ends_one_that_nobody_uses(sessions, store_database):
    idle = sessions.ask(
        store_database,
        lambda c: c.execute("SELECT current_setting('idle_session_timeout', true)").fetchone()[0],
    )
    assert idle in {f"{reader_sessions.IDLE_S}s", "1min", None}


def test_who_may_not_become_the_reader_is_told_each_time(sessions, store_database, owner):
    sessions.ask(store_database, whose)
    dsn = make_conninfo(store_database, user="stranger", password="unknown")
    owner.execute("CREATE ROLE stranger LOGIN PASSWORD 'unknown'")
    try:
        for _ in range(2):
            with pytest.raises(NotAllowed):
                sessions.ask(dsn, whose)
    finally:
        owner.execute("DROP ROLE stranger")


def test_at_the_end_none_is_left(store_database, owner):
    sessions = ReaderSessions()
    sessions.ask(store_database, whose)
    sessions.close()
    stays(owner)
