"""Rows as a binary COPY, and as they come out of the table."""

import datetime as dt
import uuid

import psycopg
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from psycopg import sql

from conftest import new_database
from footfall_exporters.postgres.encode import FIXED, HEADER, TRAILER, Encoder
from support.batches import DAY, batch, dimension, one_row
from support.stores import COLUMNS, GUILD_A, GUILD_B, INT64, MIDNIGHT, writing


@st.composite
def row(draw):
    attributes = draw(st.sets(st.sampled_from(sorted(COLUMNS)), max_size=3))
    values = {name: draw(st.none() | COLUMNS[name][1]) for name in attributes}
    moment = MIDNIGHT + draw(st.integers(0, DAY - 1))
    duration = draw(st.none() | st.integers(0, 2**31 - 1))
    return moment, duration, draw(st.sampled_from([dimension(), dimension("shop.survey")])), values


def as_stored(value):
    return uuid.UUID(bytes=value) if isinstance(value, bytes) else value


@settings(max_examples=60, deadline=None, derandomize=True)
@given(rows=st.lists(row(), max_size=12))
def test_what_goes_into_the_copy_comes_out_of_the_table(store_connection, rows):
    names = [column for column, _ in COLUMNS.values()]
    ids = {of: 7 + len(of.event) for _, _, of, _ in rows}
    encoded = Encoder(list(COLUMNS)).encode(batch(*rows), 2**40, ids)
    listed = sql.SQL(", ").join(map(sql.Identifier, [*FIXED, *names]))
    with store_connection.transaction(force_rollback=True), store_connection.cursor() as cursor:
        statement = sql.SQL("COPY footfall.feature_events ({}) FROM STDIN (FORMAT binary)")
        with cursor.copy(statement.format(listed)) as copy:
            copy.write(b"".join([HEADER, *encoded, TRAILER]))
        cursor.execute(
            sql.SQL(
                "SELECT ordinal, time, duration_ms, batch_id, dim_id, sample_rate, quantity, {}"
                " FROM footfall.feature_events ORDER BY ordinal"
            ).format(sql.SQL(", ").join(map(sql.Identifier, names)))
        )
        found = cursor.fetchall()
    expected = []
    for ordinal, (moment, duration, of, values) in enumerate(rows):
        when = dt.datetime(1970, 1, 1, tzinfo=dt.UTC) + dt.timedelta(microseconds=moment)
        kept = [as_stored(values.get(attribute)) for attribute in COLUMNS]
        expected.append((ordinal, when, duration, 2**40, ids[of], 1.0, 1, *kept))
    assert found == expected


@pytest.fixture(scope="session")
def store_connection(postgres_server, store_template):
    """A connection to a prepared database that no test changes: each example is rolled back."""
    with (
        new_database(postgres_server, store_template) as dsn,
        psycopg.connect(dsn, autocommit=True) as connection,
    ):
        yield connection


async def test_a_batch_of_rows_of_every_form_is_stored_by_the_writer(writer, query):
    rows = [
        one_row(guild_id=GUILD_A),
        one_row(duration=None, guild_id=GUILD_A),
        one_row(of=dimension("shop.ping", "invoke")),
        one_row(of=dimension("shop.visit", "open"), note="zurück 𝄞 \N{SNOWMAN}", attempts=None),
        one_row(of=dimension("shop.visit", "open"), note=None, attempts=-INT64),
        one_row(of=dimension("shop.survey"), guild_id=None, ranked=False, ratio=-0.5, seed=GUILD_B),
    ]
    await writer.consume(batch(*rows))
    a, b = uuid.UUID(bytes=GUILD_A), uuid.UUID(bytes=GUILD_B)
    assert query(
        "SELECT d.event, e.duration_ms, e.guild_hash, e.note, e.attempts, e.ranked, e.ratio, e.seed"
        " FROM footfall.feature_events e JOIN footfall.feature_dims d ON d.id = e.dim_id ORDER BY ordinal"
    ) == [
        ("shop.order", 83, a, None, None, None, None, None),
        ("shop.order", None, a, None, None, None, None, None),
        ("shop.ping", 83, None, None, None, None, None, None),
        ("shop.visit", 83, None, "zurück 𝄞 \N{SNOWMAN}", None, None, None, None),
        ("shop.visit", 83, None, None, -INT64, None, None, None),
        ("shop.survey", 83, None, None, None, False, -0.5, b),
    ]


async def test_dimensions_are_stored_once_whoever_stores_them(store_database, catalog, query):
    known = dimension("shop.order", service="shop", provider="smz3", mode="open")
    for _ in range(2):
        async with writing(store_database, catalog) as writer:
            await writer.consume(batch(one_row(of=known), one_row(of=dimension("shop.ping"))))
    assert query(
        "SELECT event, service, environment, provider, mode FROM footfall.feature_dims ORDER BY event"
    ) == [("shop.order", "shop", None, "smz3", "open"), ("shop.ping", None, None, None, None)]
    assert query("SELECT count(DISTINCT dim_id) FROM footfall.feature_events") == [(2,)]
