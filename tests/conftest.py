"""A real Postgres for every test that asks: one server a session, an empty or a prepared database a test."""

import asyncio
import datetime as dt
import faulthandler
import gc
import hmac
import os
import shutil
import signal
import subprocess
import tempfile
import uuid
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import alembic  # noqa: F401  # where it is loaded, databases are migrated without another process
import msgspec
import psycopg
import pytest
from hypothesis import HealthCheck, settings
from psycopg import sql
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from footfall_exporters.contracts import Settings
from footfall_exporters.embedded import EmbeddedPostgres
from footfall_exporters.postgres import partitions, prepare
from footfall_processors import Catalog, Hash, load_catalog

gc.disable()  # until all tests are found: what they are made of is kept

CATALOG = Path(__file__).with_name("events.yaml")
Executing = Callable[[sql.Composed], Any]
REQUESTS_KEY = b"k" * 32
"""Of `store_database` and `own_database`, under which their ledgers know requests."""
_KNOWN_KEY = "UPDATE footfall.secrets SET secret = {} WHERE name = 'requests'"


def known_by(digest: bytes) -> bytes:
    """What the ledger of these databases knows a request by."""
    return hmac.new(REQUESTS_KEY, digest, "sha256").digest()[:16]


MEMORY, ROOM = Path("/dev/shm"), 4 * 2**30
LONGEST = {"test_debian_postgres.py", "test_demo.py", "test_leaks.py", "test_leaks_api.py"}
"""Begun first: a test of half a minute that comes last has all other workers wait for it."""

SERVERS = {
    "postgres_server",
    "postgres_directory",
    "pristine",
    "operators_server",
    "own_server",
    "stopped",
    "chromium",
}
"""Fixtures that are servers, or need one."""
SLOW = {
    "deploy",
    "e2e",
    "examples",
    "grafana",
    "browser_client",
    "ends",
    "page",
    "safety",
    "web",
} | {
    f"test_{name}.py"
    for names in (
        "cli dawdlers fuzz gate half_open hostile javascript memory memos start_and_stop starting",
        "base_install init package tls turns workers zero_code debian_postgres real_servers subscribers",
        "decorated_stays fork greenlets guide_consent guide_python guides import interpreters reasons",
        "supervision tail redaction_corpus redaction_growth documents_run guides_of_operators",
    )
    for name in names.split()
}
"""Folders and files whose tests start programs, or measure memory and time."""


def is_thorough(item: pytest.Item) -> bool:
    """Whether `make check` leaves a test to `make test`: for its servers, programs or many examples."""
    there = {*item.path.parts, *getattr(item, "fixturenames", ())}
    return bool(there & (SERVERS | SLOW)) or hasattr(getattr(item, "obj", None), "hypothesis")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if {"own_server", "postgres_directory"} & set(getattr(item, "fixturenames", ())):
            item.add_marker("own_server")
        if is_thorough(item):
            item.add_marker("thorough")
    items.sort(key=lambda item: item.path.name not in LONGEST)


def pytest_collection_finish() -> None:
    """From here on garbage is collected, of what is made from here on."""
    gc.enable()
    gc.freeze()


# How long an example takes, or drawing it, says how busy a machine is.
settings.register_profile("suite", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("suite")


def pytest_configure() -> None:
    """A shell's background job ignores SIGINT, and so would every program that it starts."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


def _traces(session: str) -> Path:
    return Path(tempfile.gettempdir()) / f"footfall-crashes-{session}"


def pytest_sessionstart(session: pytest.Session) -> None:
    """What a worker was doing when it crashed is kept: its standard error is far up in the output."""
    worker = getattr(session.config, "workerinput", None)
    if worker is not None:
        place = _traces(worker["testrunuid"])
        place.mkdir(exist_ok=True)
        faulthandler.enable((place / worker["workerid"]).open("w"))


def pytest_terminal_summary(terminalreporter: Any, config: pytest.Config) -> None:
    """Says at the end where workers were when they crashed; nothing of one that was killed."""
    manager = config.pluginmanager.getplugin("dsession")
    place = _traces(manager.nodemanager.testrunuid) if manager else None
    if place is None or not place.is_dir():
        return
    for file in sorted(place.iterdir()):
        if text := file.read_text():
            terminalreporter.section(f"{file.name} crashed")
            terminalreporter.write(text)
    shutil.rmtree(place)


def make_directory() -> Path:
    """A directory that the server's user can enter; pytest's own are closed to it when root runs them.

    In memory where there is room: a database is 400 files, and a disk's file system may take half a second
    of a processor's time to copy them.
    """
    room = MEMORY.is_dir() and shutil.disk_usage(MEMORY).free > ROOM
    directory = Path(tempfile.mkdtemp(prefix="footfall-test-", dir=MEMORY if room else None))
    directory.chmod(0o711)
    return directory


@pytest.fixture
def postgres_directory() -> Iterator[Path]:
    """An empty directory in which an EmbeddedPostgres may be started, removed afterwards."""
    directory = make_directory()
    yield directory
    shutil.rmtree(directory)


@pytest.fixture(scope="session")
def pristine() -> Iterator[Path]:
    """A cluster that has served once and is stopped: to make one takes six times what it takes to copy it."""
    directory = make_directory()
    with EmbeddedPostgres(directory / "postgres"):
        pass
    yield directory / "postgres"
    shutil.rmtree(directory)


def copied(cluster: Path, directory: Path) -> Path:
    """A copy of a stopped cluster in `directory`, which does not exist yet; its log is empty."""
    subprocess.run(["cp", "-a", cluster, directory], check=True)
    (directory / "postgres.log").unlink(missing_ok=True)
    return directory


@pytest.fixture(scope="session")
def postgres_server(request: pytest.FixtureRequest) -> Iterator[str]:
    """The connection string of a server that may be filled: FOOTFALL_TEST_DSN, or one of our own."""
    if dsn := os.environ.get("FOOTFALL_TEST_DSN"):
        yield dsn
        return
    directory = make_directory()
    # What a power failure would lose is of no interest to a test.
    lax = {"fsync": "off", "full_page_writes": "off"}
    place = copied(request.getfixturevalue("pristine"), directory / "postgres")
    with EmbeddedPostgres(place, lax) as conninfo:
        yield conninfo
    shutil.rmtree(directory)


@contextmanager
def new_database(
    server: str,
    template: str = "template1",
    making: Executing | None = None,
    dropping: Executing | None = None,
) -> Iterator[str]:
    """The connection string of a new database, made and dropped by whoever does that, or here."""
    name = f"footfall_test_{uuid.uuid4().hex}"
    names = {"name": sql.Identifier(name), "template": sql.Identifier(template)}
    create = "CREATE DATABASE {name} TEMPLATE {template} STRATEGY FILE_COPY"  # nobody needs its WAL
    (making or partial(_execute, server))(sql.SQL(create).format(**names))
    try:
        yield make_conninfo(server, dbname=name)
    finally:
        drop = sql.SQL("DROP DATABASE {name} WITH (FORCE)").format(**names)
        (dropping or partial(_execute, server))(drop)


def _execute(server: str, statement: sql.Composed) -> None:
    with psycopg.connect(server, autocommit=True) as connection:
        connection.execute(statement)


@pytest.fixture(scope="session")
def making(postgres_server: str) -> Iterator[Executing]:
    """Makes databases, in one session: to open one costs as much as to make a database."""
    with psycopg.connect(postgres_server, autocommit=True) as session:
        yield session.execute


@pytest.fixture(scope="session")
def dropping(postgres_server: str) -> Iterator[Executing]:
    """Drops databases: Postgres waits for their sessions to end, the next test does not."""
    with (
        psycopg.connect(postgres_server, autocommit=True) as session,
        ThreadPoolExecutor(1) as pool,
    ):
        yield partial(pool.submit, session.execute)


@pytest.fixture
def empty_database(postgres_server: str, making: Executing, dropping: Executing) -> Iterator[str]:
    """The connection string of a new, empty database, dropped afterwards."""
    with new_database(postgres_server, making=making, dropping=dropping) as dsn:
        yield dsn


@pytest.fixture(scope="session")
def catalog() -> Catalog:
    """The catalog of the tests, events.yaml beside this file."""
    return load_catalog(CATALOG)


@pytest.fixture(scope="session")
def static_catalog(catalog: Catalog) -> Catalog:
    """The catalog without the attributes whose salts rotate."""
    rotating = {n for n, a in catalog.attributes.items() if a.hash not in (None, Hash.STATIC)}
    events = {
        name: msgspec.structs.replace(
            event, attributes=tuple(n for n in event.attributes if n not in rotating)
        )
        for name, event in catalog.events.items()
    }
    kept = {n: a for n, a in catalog.attributes.items() if n not in rotating}
    return msgspec.structs.replace(catalog, attributes=kept, events=events)


@pytest.fixture(scope="session")
def store_template(postgres_server: str, catalog: Catalog) -> Iterator[str]:
    """The name of a database with the schema, the catalog's columns and partitions, and no row."""
    today = dt.datetime.now(dt.UTC).date()
    with new_database(postgres_server) as dsn:
        prepare(dsn, Settings(catalog))
        _execute(dsn, sql.SQL(_KNOWN_KEY).format(REQUESTS_KEY))
        asyncio.run(_make_partitions(dsn, [today + dt.timedelta(days=n) for n in range(-8, 3)]))
        yield conninfo_to_dict(dsn)["dbname"]


async def _make_partitions(dsn: str, days: list[dt.date]) -> None:
    async with await psycopg.AsyncConnection.connect(dsn, autocommit=True) as connection:
        await partitions.ensure(connection, days)


@pytest.fixture
def store_database(
    postgres_server: str, store_template: str, making: Executing, dropping: Executing
) -> Iterator[str]:
    """The connection string of a new database ready to store batches, dropped afterwards."""
    with new_database(postgres_server, store_template, making, dropping) as dsn:
        yield dsn


@pytest.fixture(scope="session")
def own_server(pristine: Path) -> Iterator[EmbeddedPostgres]:
    """A server of our own, which a test may stop, start and crash; it need not run."""
    directory = make_directory()
    server = EmbeddedPostgres(copied(pristine, directory / "postgres"), {"fsync": "off"})
    yield server
    server.stop()
    shutil.rmtree(directory)


@pytest.fixture(scope="session")
def own_template(own_server: EmbeddedPostgres, catalog: Catalog) -> str:
    """The name of a database of that server, with the schema and no row; it ends with the server."""
    server, name = own_server.start(), "footfall_test_template"
    _execute(server, sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
    dsn = make_conninfo(server, dbname=name)
    prepare(dsn, Settings(catalog))
    _execute(dsn, sql.SQL(_KNOWN_KEY).format(REQUESTS_KEY))
    return name


@pytest.fixture
def operators_server(pristine: Path, postgres_directory: Path) -> Iterator[str]:
    """The connection string of an operator's Postgres, as its superuser: it has nothing of ours."""
    with EmbeddedPostgres(copied(pristine, postgres_directory / "operators")) as ours:
        with psycopg.connect(ours, autocommit=True) as session:
            session.execute("CREATE ROLE operator SUPERUSER LOGIN PASSWORD 'operator'")
        theirs = make_conninfo(ours, user="operator", password="operator", dbname="postgres")
        with psycopg.connect(theirs, autocommit=True) as session:
            session.execute("ALTER ROLE footfall RENAME TO installed")
            session.execute("DROP DATABASE footfall")
        yield theirs


@pytest.fixture
def own_database(own_server: EmbeddedPostgres, own_template: str) -> Iterator[str]:
    """The connection string of a new database of that server, ready to store batches."""
    with new_database(own_server.start(), own_template) as dsn:
        yield dsn
        own_server.start()  # to drop it
