"""What stands beside the collectors under test."""

import datetime as dt

import pytest

from conftest import new_database
from footfall_collector.security.keys import KeyEntry, digest, make_token
from footfall_collector.security.keys_file import changing


@pytest.fixture
def second_database(postgres_server, store_template):
    with new_database(postgres_server, store_template) as dsn:
        yield dsn


@pytest.fixture
def relay(tmp_path):
    """The second collector's keys file, and the header of a sender that is trusted as a relay."""
    token = make_token()
    file = tmp_path / "keys.yaml"
    entry = KeyEntry(
        hash=f"sha256:{digest(token).hex()}",
        relay=True,
        created=dt.date(2026, 1, 1),
    )
    with changing(file) as entries:
        entries["first"] = entry
    return str(file), {"authorization": f"Bearer {token}"}
