"""Migrations, and the catalog as columns."""

import asyncio
import pickle
from contextlib import AsyncExitStack
from functools import partial
from pathlib import Path

import psycopg
import pytest
from alembic import command
from alembic.config import Config as AlembicConfig
from alembic.script import ScriptDirectory
from sqlalchemy import create_engine
from sqlalchemy.pool import NullPool

from conftest import new_database
from exporters.remains import program
from footfall_exporters import postgres
from footfall_exporters.contracts import Settings
from footfall_exporters.postgres import (
    PostgresConfig,
    SchemaBusy,
    SchemaConflict,
    apply_catalog,
    locks,
    migrate,
)
from footfall_exporters.postgres.migrate import HEAD, _make_lock
from footfall_processors import Type, column_name, names
from support.batches import batch, one_row
from support.stores import COLUMNS, catalog_of, reporting_columns, rows_of, stored


def columns_of(query, table):
    return {
        name
        for (name,) in query(
            "SELECT column_name FROM information_schema.columns WHERE table_schema = 'footfall'"
            " AND table_name = %s",
            table,
        )
    }


@pytest.fixture
def alembic():
    """Alembic's configuration, as its own command would read it from a file."""
    config = AlembicConfig()
    config.set_main_option("script_location", str(Path(postgres.__file__).with_name("migrations")))
    config.set_main_option("path_separator", "os")
    return config


def test_a_fresh_database_reaches_the_current_schema_and_stays_there(empty_database, alembic):
    assert migrate(empty_database) == (None, HEAD)
    assert migrate(empty_database) == (HEAD, HEAD)
    assert ScriptDirectory.from_config(alembic).get_heads() == [HEAD]


def dumped(dsn):
    """A database's schema and its revision, in SQL."""
    revision = "--data-only", "--table=footfall.alembic_version"
    text = program(dsn, "pg_dump", "--schema-only") + program(dsn, "pg_dump", *revision)
    return [line for line in text.decode().splitlines() if not line.startswith("\\")]


def test_a_fresh_database_is_made_as_alembic_makes_it(own_server, alembic):
    server = own_server.start()  # of the version that pg_dump has
    with new_database(server) as made, new_database(server) as other:
        migrate(made)
        with psycopg.connect(other, autocommit=True) as connection:
            for statement in ("CREATE SCHEMA footfall", "CREATE SCHEMA reporting"):
                connection.execute(statement)
            connection.execute(locks.making(locks.SCHEMA))
        creator = partial(psycopg.connect, other, options="-c search_path=pg_catalog")
        engine = create_engine("postgresql+psycopg://", creator=creator, poolclass=NullPool)
        with engine.connect() as connection:
            alembic.attributes["connection"] = connection
            command.upgrade(alembic, "head")
            connection.commit()
        assert HEAD in dumped(other)
        assert dumped(made) == dumped(other)


async def test_collectors_that_start_together_on_an_empty_database_all_get_to_work(
    empty_database, catalog
):
    async with AsyncExitStack() as stack:
        config = PostgresConfig(dsn=empty_database)
        stores = await asyncio.gather(
            *(stack.enter_async_context(config.open(Settings(catalog))) for _ in range(3))
        )
        await asyncio.gather(*(store.opened.wait() for store in stores))
        await asyncio.gather(*(store.consume(batch(one_row())) for store in stores))
        with psycopg.connect(empty_database) as connection:
            assert stored(lambda statement: rows_of(connection, statement))[:3] == (3, 3, 3)
        assert stores[0].salts == stores[1].salts == stores[2].salts


def test_who_makes_the_lock_at_the_same_moment_may_be_seen_by_its_type_alone(empty_database):
    """Of a table that another one is making; here there is nothing but the type."""
    with psycopg.connect(empty_database, autocommit=True) as connection:
        connection.execute("CREATE SCHEMA footfall")
        connection.execute(f"CREATE TYPE footfall.{locks.SCHEMA} AS ENUM ()")
        _make_lock(connection)
        connection.execute(f"DROP TYPE footfall.{locks.SCHEMA}")
    assert migrate(empty_database) == (None, HEAD)


def test_the_catalogs_columns_are_added_once_with_their_descriptions(empty_database, catalog):
    migrate(empty_database)
    with psycopg.connect(empty_database, autocommit=True) as connection:
        added = apply_catalog(connection, catalog)
        assert sorted(added) == sorted(
            ["feature_dims.provider", "feature_dims.mode", "feature_dims.emitted_event",
             "feature_dims.drop_reason"]
            + [f"feature_events.{column}" for column, _ in COLUMNS.values()]
        )  # fmt: skip
        assert apply_catalog(connection, catalog) == []
        comments = rows_of(
            connection,
            "SELECT a.attname, col_description(a.attrelid, a.attnum), format_type(a.atttypid, a.atttypmod)"
            " FROM pg_attribute a WHERE attrelid = 'footfall.feature_events'::regclass"
            " AND attname IN ('guild_hash', 'attempts', 'note') ORDER BY 1",
        )
    assert comments == [
        ("attempts", "How often it's been tried", "bigint"),
        ("guild_hash", "A guild", "uuid"),
        ("note", None, "text"),
    ]


def test_a_second_catalog_adds_its_columns_and_keeps_the_others(store_database, query, tmp_path):
    before = columns_of(query, "feature_events")
    second = catalog_of(
        tmp_path,
        {
            "note": {"type": "string"},
            "height": {"type": "float"},
            "colour": {"type": "enum", "values": ["red"]},
        },
    )
    with psycopg.connect(store_database, autocommit=True) as connection:
        assert sorted(apply_catalog(connection, second)) == [
            "feature_dims.colour",
            "feature_events.height",
        ]
    assert columns_of(query, "feature_events") == before | {"height"}
    assert {"provider", "colour"} <= columns_of(query, "feature_dims")
    names = [c for (c,) in query("SELECT column_name FROM information_schema.columns WHERE"
                                 " table_schema = 'reporting' AND table_name = 'events'")]  # fmt: skip
    assert {"provider", "colour", "height", "note"} <= set(names)


def test_a_changed_description_is_changed_in_the_database(store_database, query, tmp_path):
    second = catalog_of(tmp_path, {"note": {"type": "string", "description": "It's 100% new"}})
    with psycopg.connect(store_database, autocommit=True) as connection:
        apply_catalog(connection, second)
    [[comment]] = query(
        "SELECT col_description(attrelid, attnum) FROM pg_attribute"
        " WHERE attrelid = 'footfall.feature_events'::regclass AND attname = 'note'"
    )
    assert comment == "It's 100% new"


def test_an_attribute_of_another_type_than_its_column_is_refused_and_nothing_is_changed(
    store_database, query, tmp_path
):
    wrong = catalog_of(
        tmp_path,
        {"note": {"type": "int"}, "ranked": {"type": "float"}, "height": {"type": "float"}},
    )
    before = columns_of(query, "feature_events")
    with (
        psycopg.connect(store_database, autocommit=True) as connection,
        pytest.raises(SchemaConflict) as error,
    ):
        apply_catalog(connection, wrong)
    assert str(error.value).count("\n") == 0
    assert (
        "attribute note: the catalog needs bigint, but the column feature_events.note is text"
        in str(error.value)
    )
    assert "ranked" in str(error.value)
    assert columns_of(query, "feature_events") == before


def test_a_plain_attribute_may_not_take_the_column_of_a_hashed_one(store_database, query, tmp_path):
    """Its values would be shown in the reports, and those of the hashed attribute with them."""
    other = catalog_of(tmp_path, {"guild_hash": {"type": "uuid"}})
    with (
        psycopg.connect(store_database, autocommit=True) as connection,
        pytest.raises(SchemaConflict),
    ):
        apply_catalog(connection, other)
    assert "guild_hash" not in [name for _, name, _ in reporting_columns(query)]


@pytest.mark.parametrize("kind", ["VIEW", "MATERIALIZED VIEW"])
def test_somebodys_own_view_of_one_that_is_made_anew_is_named(
    store_database, query, tmp_path, kind
):
    other = catalog_of(tmp_path, {"height": {"type": "float"}})
    with psycopg.connect(store_database, autocommit=True) as connection:
        connection.execute(f'CREATE {kind} "my figures" AS SELECT * FROM reporting.usage')
        before = columns_of(query, "feature_events")
        with pytest.raises(SchemaConflict) as error:
            apply_catalog(connection, other)
        assert columns_of(query, "feature_events") == before
        assert '"my figures" depends on one of them' in str(error.value)
        assert str(error.value).count("\n") == 0
        connection.execute(f'DROP {kind} "my figures"')
        assert apply_catalog(connection, other) == ["feature_events.height"]


def test_a_schema_that_somebody_else_keeps_locked_is_said_plainly(store_database):
    with psycopg.connect(store_database, application_name="a script") as holding:
        holding.execute(f"BEGIN; {locks.taking(locks.SCHEMA)}")
        with pytest.raises(SchemaBusy, match=r"in 1\.\d s, .*try again") as raised:
            migrate(store_database, 1)
        [who] = raised.value.holders
        assert (who.pid, who.application) == (holding.info.backend_pid, "a script")
        assert str(who) in str(pickle.loads(pickle.dumps(raised.value)))
    assert migrate(store_database) == (HEAD, HEAD)


def test_no_enum_may_be_called_as_a_column_of_a_view_that_enums_become_columns_of(
    store_database, query, catalog
):
    enums = {name for name, each in catalog.attributes.items() if each.type is Type.ENUM}
    views: dict[str, set[str]] = {}
    for view, column in query(
        "SELECT table_name, column_name FROM information_schema.columns WHERE table_schema = 'reporting'"
    ):
        views.setdefault(view, set()).add(column)
    counting = [columns for columns in views.values() if columns & enums]
    assert len(counting) == 5
    own = set.union(*counting) - {column_name(n, each) for n, each in catalog.attributes.items()}
    assert own - names.FIXED_COLUMNS - {names.DURATION} == names.COUNTED_COLUMNS
