"""A writer at work, and a look at the test's database."""

import psycopg
import pytest

from support.stores import rows_of, writing


@pytest.fixture
async def writer(store_database, catalog):
    async with writing(store_database, catalog) as writer:
        yield writer


@pytest.fixture
def query(store_database):
    """Runs a statement on the test's database."""
    with psycopg.connect(store_database, autocommit=True) as connection:
        yield lambda statement, *args: rows_of(connection, statement, *args)
