"""What stands beside the collector under test: a database, certificates."""

from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import psycopg
import pytest

from support.certificates import Authority
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
