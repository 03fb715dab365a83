"""One database with known data for all panels, and the role that Grafana has."""

import asyncio
import uuid
from collections.abc import Iterator
from contextlib import contextmanager

import psycopg
import pytest
from psycopg import sql
from psycopg.conninfo import make_conninfo

from grafana.known import Known, known
from grafana.stored import store, store_the_rest


@pytest.fixture(scope="module")
def data() -> Known:
    return known()


@pytest.fixture(scope="module")
def database(postgres_server: str, data: Known) -> Iterator[str]:
    """The owner's connection string of a database that holds `data`."""
    name = f"footfall_test_{uuid.uuid4().hex}"
    with _dropped(postgres_server, "DATABASE", name) as admin:
        admin.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
        owner = make_conninfo(postgres_server, dbname=name)
        asyncio.run(store(owner, data))
        store_the_rest(owner, data)
        yield owner


@pytest.fixture(scope="module")
def reader(database: str) -> Iterator[psycopg.Connection]:
    """A session of a role that is a member of footfall_reader and has no right of its own."""
    name = f"footfall_test_{uuid.uuid4().hex}"
    with _dropped(database, "ROLE", name) as admin:
        admin.execute(
            sql.SQL("CREATE ROLE {} LOGIN PASSWORD 'known' IN ROLE footfall_reader").format(
                sql.Identifier(name)
            )
        )
        dsn = make_conninfo(database, user=name, password="known")
        with psycopg.connect(dsn, autocommit=True) as session:
            yield session


@contextmanager
def _dropped(dsn: str, kind: str, name: str) -> Iterator[psycopg.Connection]:
    """A session in which to create something that is dropped in the end."""
    with psycopg.connect(dsn, autocommit=True) as admin:
        yield admin
        drop = sql.SQL("DROP {} {}").format(sql.SQL(kind), sql.Identifier(name))
        admin.execute(drop)
