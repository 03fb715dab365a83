import datetime as dt
import secrets
from contextlib import asynccontextmanager, suppress

import psycopg
import pytest
from psycopg import AsyncConnection, sql
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from conftest import copied, new_database
from footfall_exporters.background import beside
from footfall_exporters.contracts import Rejected, Settings
from footfall_exporters.embedded import EmbeddedPostgres
from footfall_exporters.postgres import partitions, prepare
from footfall_exporters.postgres.connecting import READING, connect
from footfall_exporters.postgres.discretion import QUIET, advice, quiet, talkative
from footfall_exporters.postgres.roles import WRITER, become_writer, grant_writer
from footfall_exporters.postgres.session import Session
from footfall_exporters.postgres.writer import Writer
from footfall_processors import Loss, Point
from support.batches import DAY, HOUR, NOW, batch, dimension, one_row


class RoleSession(Session):
    """A session that is no more than footfall_writer."""

    async def connected(self):
        connection = await super().connected()
        assert await become_writer(connection)
        return connection


@asynccontextmanager
async def writing(dsn, catalog):
    writer = Writer(dsn, catalog, reconnect=0.1)
    writer.group_commit.session = RoleSession(dsn)
    async with beside(writer.run()):
        yield writer


@pytest.fixture
def owner(store_database):
    """The owner's connection to a database with everything granted."""
    with psycopg.connect(store_database, autocommit=True) as connection:
        assert grant_writer(connection)
        yield connection


@pytest.fixture
def query(owner):
    return lambda statement: owner.execute(statement).fetchall()


def tables(owner):
    found = owner.execute(
        "SELECT relname FROM pg_class WHERE relnamespace = 'footfall'::regnamespace"
        " AND relkind IN ('r', 'p')"
    )
    return {name for (name,) in found}


@pytest.fixture
def as_role(owner):
    """Runs a statement as a role; what it does is undone."""

    def run(role, statement):
        with owner.transaction(force_rollback=True):
            owner.execute(sql.SQL("SET LOCAL ROLE {}").format(sql.Identifier(role)))
            return owner.execute(statement)

    return run


# The writer


async def test_the_writer_stores_all_there_is_with_its_own_rights_alone(
    store_database, catalog, query
):
    point = Point(b"s" * 16, b"t" * 16, dimension("shop.ping"), NOW - HOUR, NOW, 40)
    first = batch(one_row(), losses={Loss.MALFORMED: 2}, points=[point])
    async with writing(store_database, catalog) as writer:
        await writer.consume(first)
        await writer.consume(first)  # a retry
        await writer.consume(batch(one_row(of=dimension("shop.ping"))))
        old = Point(b"u" * 16, b"v" * 16, dimension("shop.ping"), NOW - 9 * DAY, NOW, 40)
        await writer.consume(batch(one_row(), points=[old]))  # a baseline changes the ledger's row
        with pytest.raises(Rejected):  # and what is refused enters the losses
            await writer.consume(batch(one_row(of=dimension("shop.\0"))))
    stored = query("SELECT event, sum(count)::int FROM reporting.usage GROUP BY 1 ORDER BY 1")
    assert stored == [("shop.order", 2), ("shop.ping", 41)]
    assert query("SELECT count(*) FROM footfall.feature_events") == [(3,)]
    losses = dict(query("SELECT reason, sum(count)::int FROM reporting.losses GROUP BY 1"))
    assert losses[Loss.MALFORMED] == 2
    assert losses[Loss.COUNTER_BASELINE] == 1
    assert losses[Loss.REFUSED_BY_STORE] == 1
    assert query("SELECT position FROM footfall.commit_clock") == [(3,)]


async def test_the_writer_stores_into_partitions_that_are_made_later(
    store_database, catalog, query
):
    ahead = NOW + 9 * DAY
    day = dt.datetime.fromtimestamp(ahead / 10**6, dt.UTC).date()
    async with await AsyncConnection.connect(store_database, autocommit=True) as connection:
        assert await partitions.ensure(connection, [day]) == [day]
    async with writing(store_database, catalog) as writer:
        await writer.consume(batch(one_row(ahead)))
    assert query("SELECT count(*) FROM footfall.feature_events") == [(1,)]


READABLE = {
    "commit_clock", "counter_epoch", "counter_series", "feature_counts", "feature_dims", "ingest_batches",
    "losses_daily", "rate_windows", "session_state", "sessions", "span_ledger",
}  # fmt: skip
"""What the writer must read to store once; nothing of it says what one group or person did."""


def test_the_writer_reads_no_observation_no_salt_and_no_partition(owner, as_role):
    readable = set()
    for table in tables(owner):
        with suppress(psycopg.errors.InsufficientPrivilege):
            as_role(WRITER, f"SELECT * FROM footfall.{table}")
            readable.add(table)
    assert readable == READABLE


@pytest.mark.parametrize("verb", ["DELETE FROM", "TRUNCATE", "DROP TABLE", "ALTER TABLE"])
def test_the_writer_destroys_and_changes_no_table(owner, as_role, verb):
    end = " ADD COLUMN own text" if verb == "ALTER TABLE" else ""
    for table in tables(owner):
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            as_role(WRITER, f"{verb} footfall.{table}{end}")


@pytest.mark.parametrize(
    "statement",
    [
        "SELECT * FROM reporting.usage",
        "CREATE TABLE footfall.own (n int)",
        "CREATE TABLE public.own (n int)",
        "CREATE SCHEMA own",
        "CREATE ROLE own",
        "UPDATE footfall.ingest_batches SET digest = gen_random_uuid()",
        "UPDATE footfall.feature_counts SET dim_id = 1",
        "UPDATE footfall.feature_dims SET event = 'other'",
        "UPDATE footfall.feature_events SET quantity = 7",
        "UPDATE footfall.commits SET requests = '{}'",
        "INSERT INTO footfall.salts VALUES ('daily', 1, '')",
        "INSERT INTO footfall.subscribers VALUES ('own', 1)",
        "SELECT setval('footfall.batch_ids', 1)",
        "COPY footfall.feature_dims TO PROGRAM 'true'",
        "SELECT pg_read_file('postgresql.conf')",
    ],
)
def test_the_writer_may_do_nothing_else(as_role, statement):
    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        as_role(WRITER, statement)


def test_rights_that_are_no_longer_needed_are_taken_back(owner, as_role):
    owner.execute(f"GRANT SELECT ON footfall.salts TO {WRITER}")
    owner.execute(f"GRANT UPDATE (digest) ON footfall.ingest_batches TO {WRITER}")
    as_role(WRITER, "SELECT * FROM footfall.salts")
    assert grant_writer(owner)
    for statement in (
        "SELECT * FROM footfall.salts",
        "UPDATE footfall.ingest_batches SET digest = gen_random_uuid()",
    ):
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            as_role(WRITER, statement)


# The reader


def test_the_reader_reads_the_reports_and_no_table(owner, as_role):
    views = [
        v for (v,) in owner.execute("SELECT viewname FROM pg_views WHERE schemaname = 'reporting'")
    ]
    assert {"events", "usage", "losses"} <= set(views)
    for view in views:
        as_role("footfall_reader", f"SELECT * FROM reporting.{view}")
    for table in tables(owner):
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            as_role("footfall_reader", f"SELECT FROM footfall.{table}")


@pytest.mark.parametrize(
    "statement",
    [
        "INSERT INTO reporting.usage DEFAULT VALUES",
        "DROP VIEW reporting.usage",
        "CREATE VIEW reporting.own AS SELECT 1",
        "SELECT nextval('footfall.batch_ids')",
        "SELECT footfall.salt_period('daily', current_date)",
    ],
)
def test_the_reader_changes_nothing(as_role, statement):
    with pytest.raises(
        (psycopg.errors.InsufficientPrivilege, psycopg.errors.ObjectNotInPrerequisiteState)
    ):
        as_role("footfall_reader", statement)


# Owners who are no superusers


@pytest.fixture
def ordinary(postgres_server):
    """Makes an empty database whose owner is an ordinary role; its connection string."""
    name, password = f"owner_{secrets.token_hex(4)}", secrets.token_hex(16)
    with (
        psycopg.connect(postgres_server, autocommit=True) as admin,
        new_database(postgres_server) as dsn,
    ):
        database = conninfo_to_dict(dsn)["dbname"]

        def make(rights):
            admin.execute(f"CREATE ROLE {name} LOGIN {rights} PASSWORD '{password}'")
            admin.execute(f"ALTER DATABASE {database} OWNER TO {name}")
            return make_conninfo(dsn, user=name, password=password)

        yield make
        with psycopg.connect(dsn, autocommit=True) as inside:
            inside.execute(f"REASSIGN OWNED BY {name} TO CURRENT_USER")
            inside.execute(f"DROP OWNED BY {name}")
        admin.execute(f"ALTER DATABASE {database} OWNER TO CURRENT_USER")
        admin.execute(f"DROP ROLE {name}")


@pytest.mark.usefixtures("store_template")  # whoever made that has made the roles
def test_readers_read_where_the_owner_lets_nobody_call_its_functions(
    ordinary, catalog, postgres_server
):
    dsn = ordinary("NOCREATEROLE")
    with psycopg.connect(dsn) as connection:
        connection.execute("ALTER DEFAULT PRIVILEGES REVOKE EXECUTE ON FUNCTIONS FROM PUBLIC")
    prepare(dsn, Settings(catalog))
    own = make_conninfo(postgres_server, dbname=conninfo_to_dict(dsn)["dbname"])
    with psycopg.connect(own, autocommit=True) as admin:
        found = admin.execute("SELECT viewname FROM pg_views WHERE schemaname = 'reporting'")
        views = {view for (view,) in found}
        assert {"usage_by_day", "latency", "published"} <= views
        for role, read in (
            ("footfall_reader", views),
            ("footfall_public", ("published", "published_days")),
        ):
            admin.execute(f"SET ROLE {role}")
            for view in read:
                admin.execute(f"SELECT * FROM reporting.{view}")
        admin.execute("SET ROLE footfall_reader")
        hours = "SELECT count(*) FROM reporting.hours_of(current_date, 0)"
        assert admin.execute(hours).fetchone() is not None
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            admin.execute("SELECT * FROM footfall.rate('[]')")


async def test_an_owner_who_may_make_no_roles_stores_with_its_own_rights(ordinary, catalog):
    dsn = ordinary("NOCREATEROLE")
    prepare(dsn, Settings(catalog))
    async with await AsyncConnection.connect(dsn, autocommit=True) as connection:
        assert not await become_writer(connection)
        row = await (await connection.execute("SELECT current_user = session_user")).fetchone()
    assert row == (True,)


@pytest.mark.usefixtures("store_template")  # whoever made that has made the role
async def test_an_owner_who_is_a_member_becomes_the_writer(ordinary, catalog, postgres_server):
    dsn = ordinary("NOCREATEROLE")
    prepare(dsn, Settings(catalog))
    with psycopg.connect(dsn, autocommit=True) as connection:
        assert grant_writer(connection)
        user = connection.info.user
    with psycopg.connect(postgres_server, autocommit=True) as admin:
        admin.execute(f"GRANT {WRITER} TO {user}")
    async with await AsyncConnection.connect(dsn, autocommit=True) as connection:
        assert await become_writer(connection)
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            await connection.execute("DELETE FROM footfall.feature_events")


async def test_an_owner_who_makes_the_role_becomes_the_writer(
    pristine, postgres_directory, catalog
):
    """In a cluster of its own, where nobody has made the role yet."""
    place = copied(pristine, postgres_directory / "postgres")
    with EmbeddedPostgres(place, {"fsync": "off"}) as server:
        with psycopg.connect(server, autocommit=True) as admin:
            admin.execute("CREATE ROLE owner LOGIN CREATEROLE PASSWORD 'x'")
            admin.execute("ALTER DATABASE footfall OWNER TO owner")
        own = make_conninfo(server, user="owner", password="x")
        prepare(own, Settings(catalog))
        with psycopg.connect(own, autocommit=True) as connection:
            assert grant_writer(connection)
        async with await AsyncConnection.connect(own, autocommit=True) as connection:
            assert await become_writer(connection)


# The server's log


@pytest.fixture
def talkative_database(own_server):
    """A database whose sessions log all there is to log, and the server's log from here on."""
    server = own_server.start()
    with psycopg.connect(server, autocommit=True) as admin, new_database(server) as dsn:
        database = conninfo_to_dict(dsn)["dbname"]
        loud = {
            "log_statement": "all",
            "log_min_messages": "notice",
            "log_min_error_statement": "notice",
            "log_error_verbosity": "verbose",
            "log_parameter_max_length": "-1",
            "log_parameter_max_length_on_error": "-1",
            "log_min_duration_statement": "0",
        }
        for name, value in loud.items():
            admin.execute(f"ALTER DATABASE {database} SET {name} = '{value}'")
        before = own_server.log_file.stat().st_size
        yield dsn, lambda: own_server.log_file.read_bytes()[before:].decode(), admin


UNQUOTED = "SELECT 1 / (length(%s::text) - 23)"
"""Fails for a secret of 23 characters, with a message that does not quote it."""


def make_secret():
    return f"walker-{secrets.token_hex(8)}"


async def fail_with(connection, secret):
    """Statements with a secret parameter, some of which Postgres quotes in its message."""
    for statement in ("SELECT %s::text::int", UNQUOTED, "SELECT length(%s)"):
        with suppress(psycopg.DataError):
            await connection.execute(statement, [secret])
    await connection.execute("CREATE TEMPORARY TABLE seen (n int)")
    with suppress(psycopg.DataError):
        async with connection.cursor() as cursor, cursor.copy("COPY seen FROM STDIN") as copy:
            await copy.write(f"{secret}\n")


@pytest.mark.parametrize("hushed", [False, True], ids=["as the server is", "quiet"])
async def test_a_quiet_connection_leaves_no_parameter_in_a_talkative_log(
    talkative_database, hushed
):
    dsn, log, _ = talkative_database
    secret = make_secret()
    async with await connect(dsn, READING) as connection:
        if hushed:
            await quiet(connection)
        await fail_with(connection, secret)
    assert (secret in log()) is not hushed


@pytest.fixture
def plain(talkative_database):
    """The connection string of an ordinary role in that database, and its name."""
    dsn, _, admin = talkative_database
    name = f"plain_{secrets.token_hex(4)}"
    admin.execute(f"CREATE ROLE {name} LOGIN PASSWORD 'x'")
    yield make_conninfo(dsn, user=name, password="x"), name
    admin.execute(f"DROP ROLE {name}")


@pytest.mark.parametrize("ours", [False, True], ids=["as the server is", "our connection"])
async def test_an_ordinary_role_keeps_parameters_out_of_what_is_logged_about_failures(
    talkative_database, plain, ours
):
    dsn, log, admin = talkative_database
    database, secret = conninfo_to_dict(dsn)["dbname"], make_secret()
    for name, value in (("log_statement", "none"), ("log_min_duration_statement", "-1")):
        admin.execute(f"ALTER DATABASE {database} SET {name} = '{value}'")
    connecting = connect(plain[0], READING) if ours else AsyncConnection.connect(plain[0])
    async with await connecting as connection:
        await quiet(connection)  # which may change nothing more
        with pytest.raises(psycopg.errors.DivisionByZero):
            await connection.execute(UNQUOTED, [secret])
    assert (secret in log()) is (not ours)


async def test_what_a_superuser_is_advised_to_set_keeps_a_role_out_of_the_log(
    talkative_database, plain
):
    _, log, admin = talkative_database
    dsn, role = plain
    for statement in advice(role):
        admin.execute(statement)
    secret = make_secret()
    async with await AsyncConnection.connect(dsn, autocommit=True) as connection:
        await fail_with(connection, secret)
    with psycopg.connect(dsn) as connection:
        assert talkative(connection) == {}
    assert secret not in log()


def test_what_is_talkative_about_a_server_is_named(talkative_database, own_server):
    dsn, _, _ = talkative_database
    with psycopg.connect(own_server.start()) as connection:
        assert talkative(connection) == {}
    with psycopg.connect(dsn) as connection:
        found = talkative(connection)
    assert {"log_statement", "log_parameter_max_length", "log_min_error_statement"} <= set(found)
    assert found.items() <= QUIET.items()
