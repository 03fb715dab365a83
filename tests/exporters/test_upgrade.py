"""A database of an earlier schema, with what was in it, is brought to the current one."""

from importlib.resources import files

import psycopg
import pytest

from exporters.stores import HOUR, NOW, batch, point, rows_of, writing
from footfall_exporters.contracts import Settings
from footfall_exporters.postgres import prepare
from footfall_exporters.postgres.migrate import HEAD, migrate, version

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
