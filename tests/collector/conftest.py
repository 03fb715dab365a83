"""What stands beside the collector under test: a database, certificates."""

import datetime as dt
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import psycopg
import pytest
import pytest_asyncio

from collector.decoded import with_rules
from collector.keyed import ALL, OVER, SHOP, SLOW, write_keys
from collector.logged import logged  # noqa: F401  # a fixture
from collector.senders import Sender
from collector.spans import NOW_US, SALTS
from conftest import new_database
from footfall_collector.decoding.spans import Pipeline
from footfall_processors import Policy
from support.certificates import Authority
from support.collectors import configured, connected
from support.stores import rows_of


@pytest.fixture
def query(store_database: str) -> Iterator[Callable[..., list[Any]]]:
    """Runs a statement on the test's database."""
    with psycopg.connect(store_database, autocommit=True) as connection:
        yield partial(rows_of, connection)


@pytest.fixture(scope="session")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The certificates of all tests, none of which changes them."""
    folder = tmp_path_factory.mktemp("made")
    authority = Authority(folder, "authority")
    for name, options in {
        "first": {},
        "second": {"days": 20},
        "expired": {"days": -1},
        "walker": {"usage": "clientAuth"},
    }.items():
        authority.sign(name, **options)
    Authority(folder, "stranger").sign("strange-walker", usage="clientAuth")
    authority.openssl("ec", "-in", "first.key", "-aes128", "-passout", "pass:abcd",
                      "-out", "locked.key")  # fmt: skip
    return folder


@pytest.fixture
async def client(catalog, store_database):
    async with connected(configured(catalog, store_database)) as client:
        yield client


@pytest.fixture
def keys_file(tmp_path):
    path = tmp_path / "keys.yaml"
    write_keys(
        path,
        all=(ALL, {}),
        shop=(SHOP, {"services": ("till", "walkers-laptop")}),
        slow=(SLOW, {"requests_per_minute": 2}),
        over=(OVER, {"expires": dt.date(2026, 1, 2)}),
    )
    return path


@pytest.fixture(scope="module")
def policy(catalog):
    return Policy(catalog)


@pytest.fixture(scope="module")
def ruled(catalog):
    return with_rules(catalog)


@pytest.fixture
def pipe(policy):
    return Pipeline(policy, SALTS, lambda: NOW_US * 1000)


@pytest.fixture
async def sender(catalog, store_database):
    async with connected(configured(catalog, store_database), Sender) as sender:
        yield sender


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def answering(catalog, postgres_server, store_template):
    """A sender to one collector, for all tests that ask for nothing but its answers."""
    with new_database(postgres_server, store_template) as dsn:
        async with connected(configured(catalog, dsn), Sender) as sender:
            yield sender
