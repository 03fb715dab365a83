"""The store under test: one at work, its writer, its catalogs, and what is stored."""

import datetime as dt
import hmac
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from hypothesis import strategies as st

from footfall_exporters.background import beside
from footfall_exporters.contracts import Settings
from footfall_exporters.postgres import (
    PostgresConfig,
    Store,
)
from footfall_exporters.postgres.writer import Writer
from footfall_processors import load_catalog
from support.batches import DAY, NOW

TODAY = dt.datetime.fromtimestamp(NOW / 10**6, dt.UTC).date()
MIDNIGHT = NOW // DAY * DAY
GUILD_A, GUILD_B = b"a" * 16, b"b" * 16
INT64 = 2**63

COLUMNS = {
    "guild_id": ("guild_hash", st.binary(min_size=16, max_size=16)),
    "team_id": ("team_hash", st.binary(min_size=16, max_size=16)),
    "org_id": ("org_hash", st.binary(min_size=16, max_size=16)),
    "visitor": ("visitor_hash", st.binary(min_size=16, max_size=16)),
    "seed": ("seed", st.binary(min_size=16, max_size=16)),
    "attempts": ("attempts", st.integers(-INT64, INT64 - 1)),
    "ratio": ("ratio", st.floats(allow_nan=False)),
    "ranked": ("ranked", st.booleans()),
    "note": ("note", st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]))),
}
"""The catalog's attributes that are columns of feature_events, and what they may hold."""


@asynccontextmanager
async def writing(dsn, catalog) -> AsyncIterator[Writer]:
    """A Writer at work."""
    writer = Writer(dsn, catalog, reconnect=0.1)
    async with beside(writer.run()):
        yield writer


def rows_of(connection, statement, *args):
    cursor = connection.execute(statement, args or None)
    return cursor.fetchall() if cursor.description else []


def entered(query, *batches):
    """What the ledger knows batches by."""
    [[secret]] = query("SELECT secret FROM footfall.secrets WHERE name = 'requests'")
    return [hmac.new(secret, each.digest, "sha256").digest()[:16] for each in batches]


def stored(query):
    """How much of everything there is: rows, occurrences, ledger rows, commits."""
    [numbers] = query(
        "SELECT (SELECT count(*) FROM footfall.feature_events),"
        " (SELECT coalesce(sum(count), 0)::int8 FROM footfall.feature_counts),"
        " (SELECT count(*) FROM footfall.ingest_batches), (SELECT count(*) FROM footfall.commits)"
    )
    return numbers


def days(first, last):
    return [TODAY + dt.timedelta(days=n) for n in range(first, last + 1)]


def store_at(dsn, catalog, moment=NOW, **config):
    return Store(dsn, PostgresConfig(dsn=dsn, **config), Settings(catalog), lambda: moment * 1000)


def catalog_of(tmp_path, attributes, product="other", name="events.yaml"):
    listed = list(attributes)
    text = {
        "product": product,
        "attributes": attributes,
        "events": {f"{product}.used": {"surface": "web", "feature": "x", "attributes": listed}},
    }
    path = tmp_path / name
    path.write_text(json.dumps(text))  # JSON is YAML
    return load_catalog(path)


def reporting_columns(query):
    return query(
        "SELECT table_name, column_name, data_type FROM information_schema.columns"
        " WHERE table_schema = 'reporting' ORDER BY table_name, ordinal_position"
    )
