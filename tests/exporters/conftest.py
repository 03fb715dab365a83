"""A writer at work, and a look at the test's database."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from conftest import copied, make_directory
from exporters.embedded import execute, processes_of
from footfall_exporters.embedded import EmbeddedPostgres
from footfall_exporters.postgres.housekeeping import House, Housekeeper
from support.batches import NOW
from support.stores import rows_of, writing
from support.waiting import wait_until


@pytest.fixture
async def writer(store_database, catalog):
    async with writing(store_database, catalog) as writer:
        yield writer


@pytest.fixture
def query(store_database):
    """Runs a statement on the test's database."""
    with psycopg.connect(store_database, autocommit=True) as connection:
        yield lambda statement, *args: rows_of(connection, statement, *args)


@pytest.fixture
def directory(postgres_directory: Path) -> Iterator[Path]:
    """A directory that does not exist yet."""
    yield postgres_directory / "postgres"
    wait_until(lambda: not processes_of(postgres_directory / "postgres"))


@pytest.fixture(scope="session")
def stopped(pristine: Path) -> Iterator[Path]:
    """A cluster that was made, served once and stopped."""
    parent = make_directory()
    with EmbeddedPostgres(copied(pristine, parent / "postgres")) as conninfo:
        execute(conninfo, "CREATE TABLE kept AS SELECT 42 AS answer")
    yield parent / "postgres"
    shutil.rmtree(parent)


@pytest.fixture
def made(stopped: Path) -> Iterator[Path]:
    """That cluster, with a log that begins anew, for tests that leave it whole."""
    (stopped / "postgres.log").unlink(missing_ok=True)
    yield stopped
    wait_until(lambda: not processes_of(stopped))


@pytest.fixture
def spoilt(made: Path, directory: Path) -> Path:
    """A copy of that cluster, for tests that spoil it."""
    return copied(made, directory)


@pytest.fixture
def copy(pristine: Path, directory: Path) -> Path:
    """A cluster without anything in it, for tests that leave something behind."""
    return copied(pristine, directory)


@pytest.fixture(autouse=True)
def _no_proxy(monkeypatch):
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")


@pytest.fixture
async def store(store_database, catalog):
    """Stores batches."""
    async with writing(store_database, catalog) as writer:
        yield writer.consume


@pytest.fixture
def keeper(store_database, catalog):
    """Makes housekeepers: by default it is the hour in which the tests began."""

    def make(collector=NOW, database=NOW, days=8, rollup_days=400):
        house = House(catalog, days, rollup_days)
        stands = database and (lambda: database * 1000)  # Postgres' own, without
        return Housekeeper(store_database, house, lambda: collector * 1000, stands)

    return make
