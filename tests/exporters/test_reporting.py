"""The views of `reporting`, and the reports over them."""

import datetime as dt
import hashlib
import os
import re
from itertools import pairwise
from pathlib import Path

import psycopg
import pytest

from conftest import CATALOG
from footfall_exporters import postgres
from footfall_exporters.contracts import Settings
from footfall_exporters.postgres import glossary, prepare, report
from footfall_exporters.postgres.housekeeping import House, Housekeeper
from footfall_exporters.postgres.reports.asked import Asked, Period
from footfall_exporters.postgres.reports.building import build
from footfall_exporters.postgres.reports.kinds import KINDS
from footfall_exporters.postgres.reports.state import views_of
from footfall_processors import Loss, load_catalog
from support.batches import DAY, HOUR, NOW, batch, dimension, one_row
from support.stores import GUILD_A, GUILD_B, MIDNIGHT, TODAY, catalog_of, reporting_columns


async def test_events_are_shown_by_the_names_of_the_requirements(writer, query):
    moment = MIDNIGHT + 3 * HOUR + 999_999
    known = dimension(
        "shop.survey", "failure", "error", "unexpected_error", service="shop", service_version="1.2",
        environment="test", provider="smz3", mode="zurück",
    )  # fmt: skip
    values = {"guild_id": GUILD_A, "attempts": 3, "note": "kept", "seed": GUILD_B, "ranked": True}
    await writer.consume(batch(one_row(moment, known, 250, **values)))
    names = [name for table, name, _ in reporting_columns(query) if table == "events"]
    assert names == [
        "event_id", "created_at", "day_bucket", "event_name", "surface", "feature", "action", "status",
        "duration_ms", "error_type", "sample_rate", "quantity", "event", "service", "service_version",
        "environment", "mode", "provider", "attempts", "note", "ranked", "ratio",
    ]  # fmt: skip
    [[secret]] = query("SELECT secret FROM footfall.secrets WHERE name = 'rows'")
    [[batch_id]] = query("SELECT id FROM footfall.ingest_batches")
    event_id = hashlib.sha256(secret + batch_id.to_bytes(8, "big") + bytes(4)).hexdigest()[:32]
    when = dt.datetime.combine(TODAY, dt.time(3), dt.UTC)
    assert query("SELECT * FROM reporting.events") == [
        (event_id, when, TODAY, "shop.survey.failure", "web", "survey", "failure", "error", 250,
         "unexpected_error", 1.0, 1, "shop.survey", "shop", "1.2", "test", "zurück", "smz3", 3, "kept", True,
         None)
    ]  # fmt: skip


async def test_no_two_rows_of_a_request_can_be_told_to_be_of_one(writer, query):
    for _ in range(20):
        await writer.consume(batch(*[one_row(MIDNIGHT + 123_456)] * 5))
    found = query("SELECT event_id, created_at FROM reporting.events")
    ids = sorted(event_id for event_id, _ in found)
    assert len(set(ids)) == 100
    assert query("SELECT event_id, created_at FROM reporting.events") == found  # the same next time
    assert {moment.microsecond for _, moment in found} == {0}
    # Neighbours by any part of their ids are of one request no more often than by chance.
    requests = dict(
        query(
            "SELECT left(encode(sha256((SELECT secret FROM footfall.secrets WHERE name = 'rows')"
            " || int8send(batch_id) || int4send(ordinal)), 'hex'), 32), batch_id"
            " FROM footfall.feature_events"
        )
    )
    for start in (0, 8, 16, 24):
        ordered = sorted(ids, key=lambda event_id: event_id[start:])
        together = sum(requests[a] == requests[b] for a, b in pairwise(ordered))
        assert together < 25


@pytest.mark.parametrize(
    ("unit", "kept"), [("second", 42 * 60 + 7), ("minute", 42 * 60), ("hour", 0)]
)
async def test_times_are_cut_to_what_the_operator_chose(
    store_database, catalog, writer, query, unit, kept
):
    prepare(store_database, Settings(catalog), event_time=unit)
    await writer.consume(batch(one_row(MIDNIGHT + (42 * 60 + 7) * 10**6 + 999_999)))
    [[moment]] = query("SELECT created_at FROM reporting.events")
    assert moment == dt.datetime.combine(TODAY, dt.time(), dt.UTC) + dt.timedelta(seconds=kept)


def days_read(query, question):
    """The days whose partition the planner would read."""
    plan = "\n".join(line for (line,) in query(f"EXPLAIN (COSTS off) {question}"))
    return sorted(set(re.findall(r"feature_events_([0-9]{8})", plan)))


@pytest.mark.parametrize("unit", ["second", "minute", "hour"])
def test_a_question_about_a_day_reads_no_other(store_database, catalog, query, unit):
    prepare(store_database, Settings(catalog), event_time=unit)
    last, day, after = (f"{TODAY - dt.timedelta(days=n)}" for n in (4, 3, 2))
    assert len(days_read(query, "SELECT * FROM reporting.events")) == 11
    for question in (
        f"events WHERE created_at >= '{day} 00:00+00' AND created_at < '{after} 00:00+00'",
        f"events WHERE created_at BETWEEN '{day}T07:00:00.123Z' AND '{day}T08:00:00.123Z'",
        f"events WHERE created_at > '{last} 23:59:59+00' AND created_at < '{day}T10:00+01'",
        f"events WHERE day_bucket = '{day}'",
        f"events WHERE day_bucket >= date '{day}' AND day_bucket < date '{day}' + 1",
        f"events WHERE day_bucket > '{last}' AND day_bucket < '{after}'",
    ):
        read = days_read(query, f"SELECT * FROM reporting.{question}")
        assert read == [day.replace("-", "")], question
    over_midnight = f"created_at BETWEEN '{last} 23:30+00' AND '{day} 00:30+00'"
    assert len(days_read(query, f"SELECT * FROM reporting.events WHERE {over_midnight}")) == 2


@pytest.mark.parametrize("days", [1, 3])
def test_the_latency_report_reads_its_days_alone(store_database, query, days):
    midnight = dt.datetime.combine(TODAY, dt.time(), dt.UTC)
    since, until = midnight - dt.timedelta(days=days - 1), midnight + dt.timedelta(days=2)
    with psycopg.connect(store_database, cursor_factory=psycopg.ClientCursor) as connection:
        asked = Asked(Period(since, until))
        statement = build("latency", KINDS["latency"], asked, views_of(connection))
        written = connection.cursor().mogrify(statement.text, statement.parameters)
    assert days_read(query, written) == [
        f"{since + dt.timedelta(days=n):%Y%m%d}" for n in range(days + 1)
    ]


async def test_small_numbers_of_groups_are_for_the_operator_alone(writer, query, settled):
    for number, attribute in ((4, "guild_id"), (5, "team_id")):
        values = [{attribute: os.urandom(16)} for _ in range(number)]
        await writer.consume(batch(*(one_row(MIDNIGHT - DAY, **each) for each in values)))
    await settled()
    asked = "SELECT attribute, groups FROM reporting.active_groups ORDER BY 1"
    assert query(asked) == [("guild_id", 4), ("team_id", 5)]
    query("SET ROLE footfall_reader")
    try:
        assert query(asked) == [("guild_id", None), ("team_id", 5)]
    finally:
        query("RESET ROLE")


def test_no_reporting_view_has_an_identity_column(query):
    columns = reporting_columns(query)
    assert {table for table, _, _ in columns} == {
        "annotations",
        "events", "usage", "usage_by_day", "latency", "active_groups", "losses", "completeness",
        "housekeeping", "ratings", "refused", "retention", "catalog", "sessions", "sessions_alive",
        "concurrent", "time_open", "freshness", "features", "durations", "durations_by_hour",
        "published", "published_days", "groups", "completeness_by_day", "session_lengths",
        "alerts", "alert_rules", "depth", "attributes", "backends", "releases",
    }  # fmt: skip
    hashed = {"guild_hash", "team_hash", "org_hash", "visitor_hash"}
    assert not [name for _, name, _ in columns if name in hashed or "hash" in name]
    assert not [name for _, name, kind in columns if kind in ("uuid", "bytea")]


COMMENTS = """
    SELECT c.relname, a.attname, format_type(a.atttypid, a.atttypmod), col_description(c.oid, a.attnum)
    FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid
    WHERE c.relnamespace = 'reporting'::regnamespace AND a.attnum > 0 ORDER BY 1, a.attnum
"""


def test_every_column_says_what_it_is(query):
    columns = query(COMMENTS)
    assert {(view, name) for view, name, _, _ in columns} == {
        (view, name) for view, name, _ in reporting_columns(query)
    }
    said = {(view, name): words for view, name, _, words in columns}
    assert said["events", "provider"] == "Attribute provider of the catalog: Who made the seed"
    assert said["usage", "mode"] == "Attribute mode of the catalog"
    for view, name, kind, words in columns:
        assert words, (view, name)
        assert "UTC" in words or kind != "date", (view, name)
        assert words.startswith("Whether") == (kind == "boolean") or "Attribute" in words
        assert ("milliseconds" in words) == name.endswith("_ms"), (view, name)
        assert "seconds" in words or not name.endswith("_s"), (view, name)


def test_the_bench_asks_every_view(query):
    questions = (Path(__file__).parents[2] / "bench" / "questions.py").read_text("utf-8")
    views = {table for table, _, _ in reporting_columns(query)}
    assert len(views) > 20
    assert {view for view in views if not re.search(rf"\b{view}\b", questions)} == set()


def test_no_word_is_said_of_a_column_that_is_not_there(query):
    there = {(view, name) for view, name, _ in reporting_columns(query)}
    own = {(view, name) for view, words in glossary.OWN.items() for name in words}
    assert own <= there
    assert set(glossary.SHARED) <= {name for _, name in there}
    assert not set(glossary.SHARED) & {name for _, name in own} - {"service", "environment"}


def test_words_that_change_are_said_anew_and_no_view_is_made_for_them(
    store_database, tmp_path, query
):
    made = "SELECT oid FROM pg_class WHERE relnamespace = 'reporting'::regnamespace ORDER BY 1"
    before = query(made)
    query("COMMENT ON COLUMN reporting.usage.count IS 'another version''s'")
    text = CATALOG.read_text("utf-8").replace("Who made the seed", "Whose seeds they are")
    (tmp_path / "events.yaml").write_text(text)
    with psycopg.connect(store_database) as reading:  # for as long as it likes
        reading.execute("SELECT FROM reporting.usage")
        prepare(store_database, Settings(load_catalog(tmp_path / "events.yaml")))
    assert query(made) == before
    said = {(view, name): words for view, name, _, words in query(COMMENTS)}
    assert said["usage", "provider"] == "Attribute provider of the catalog: Whose seeds they are"
    assert said["usage", "count"].startswith("How many times")


async def test_the_reader_may_read_reporting_and_nothing_else(writer, query):
    await writer.consume(batch(one_row(guild_id=GUILD_A), losses={Loss.MALFORMED: 1}))
    tables = [
        name for (name,) in query("SELECT tablename FROM pg_tables WHERE schemaname = 'footfall'")
    ]
    views = sorted({table for table, _, _ in reporting_columns(query)})
    query("SET ROLE footfall_reader")
    try:
        for view in views:
            query(f"SELECT * FROM reporting.{view}")
        assert query("SELECT event, untallied FROM reporting.completeness") == [("shop.order", 1)]
        assert {"feature_events", "salts", "ingest_batches"} <= set(tables)
        for table in tables:
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                query(f"SELECT * FROM footfall.{table}")
        for statement in ("CREATE TABLE reporting.mine (n int)", "DELETE FROM reporting.events"):
            with pytest.raises(psycopg.Error):
                query(statement)
    finally:
        query("RESET ROLE")


async def test_completeness_compares_what_is_stored_with_what_the_sdks_counted(writer, query):
    tally = [
        dimension("footfall.emitted", "count", surface="footfall", emitted_event=event)
        for event in ("shop.order", "shop.ping", "shop.visit")
    ]
    hour = NOW // HOUR * HOUR
    counts = dict.fromkeys([(hour, tally[0]), (hour - HOUR, tally[0])], 2) | {(hour, tally[1]): 5}
    await writer.consume(
        batch(*[one_row()] * 3, one_row(of=dimension("shop.survey")), counts=counts)
    )
    assert query(
        "SELECT event, stored, emitted, ratio, untallied, surplus FROM reporting.completeness"
        " ORDER BY event"
    ) == [
        ("shop.order", 3, 4, 0.75, 0, 0),
        ("shop.ping", 0, 5, 0.0, 0, 0),
        ("shop.survey", 0, 0, None, 1, 0),
    ]
    assert query("SELECT count(*) FROM reporting.usage WHERE surface = 'footfall'") == [(0,)]


@pytest.fixture
async def reports(writer, store_database):
    """Three days of use, and the reports over it."""
    ok, invoke = (dimension("shop.order", a, provider="smz3") for a in ("success", "invoke"))
    late = dimension("shop.order", "failure", "timeout", "provider_timeout", provider="smz3")
    bad = dimension("shop.order", "failure", "error", "invalid_preset", provider="alttpr")
    ping = dimension("shop.ping", "invoke", surface="api")
    await writer.consume(
        batch(
            *(one_row(MIDNIGHT, ok, n, guild_id=GUILD_A) for n in range(1, 101)),
            one_row(MIDNIGHT, late, None, guild_id=GUILD_B),
            *[one_row(MIDNIGHT - DAY, bad, 500, guild_id=GUILD_B)] * 3,
            one_row(MIDNIGHT - DAY - 1, ping, None),
            counts={(MIDNIGHT, invoke): 104, (MIDNIGHT - 3 * DAY, invoke): 7},
        )
    )

    def run(name, days):
        with psycopg.connect(store_database) as connection:
            found = report(connection, name, days)
        if found.since is not None:
            assert found.since.date() == TODAY - dt.timedelta(days=days - 1)
        assert [list(record) for record in found.records()] == [list(found.columns)] * len(
            found.rows
        )
        return found.rows

    return run


@pytest.fixture
def settled(store_database, catalog):
    """Counts the groups of today and before, as is done tomorrow."""

    async def run():
        tomorrow = (MIDNIGHT + DAY + 6 * HOUR) * 1000
        house = House(catalog, 30, 400)
        keeper = Housekeeper(store_database, house, lambda: tomorrow, lambda: tomorrow)
        await keeper.run_due({"groups"})

    return run


async def test_the_usage_report_counts_by_action(reports):
    assert reports("usage", 1) == [
        ("web", "order", "shop.order", "invoke", 104),
        ("web", "order", "shop.order", "success", 100),
        ("web", "order", "shop.order", "failure", 1),
    ]
    assert reports("usage", 3) == [
        ("api", "ping", "shop.ping", "invoke", 1),
        ("web", "order", "shop.order", "invoke", 104),
        ("web", "order", "shop.order", "success", 100),
        ("web", "order", "shop.order", "failure", 4),
    ]
    assert reports("usage", 4)[1] == ("web", "order", "shop.order", "invoke", 111)


async def test_the_errors_report_counts_by_type_and_provider_with_its_share_of_the_outcomes(
    reports,
):
    assert reports("errors", 7) == [
        ("web", "order", "shop.order", "alttpr", "invalid_preset", "error", 3, 1.0),
        (
            "web",
            "order",
            "shop.order",
            "smz3",
            "provider_timeout",
            "timeout",
            1,
            pytest.approx(1 / 101),
        ),
    ]


async def test_the_latency_report_gives_percentiles_of_what_has_a_duration(reports):
    # 1 to 100 ms once each: the percentiles lie between neighbours, and are rounded half to even or up.
    assert reports("latency", 1) == [
        ("web", "order", "shop.order", 100, pytest.approx(50.5, abs=0.5), 95, 99, 90, 100)
    ]
    assert reports("latency", 2)[0][3:] == (103, 52, 98, 500, 93, 500)


async def test_the_groups_report_counts_distinct_hashes_of_days_that_have_settled(reports, settled):
    assert reports("groups", 2) == []
    await settled()
    assert reports("groups", 2) == [
        (TODAY - dt.timedelta(days=1), "guild_id", 1, None),
        (TODAY, "guild_id", 2, None),
    ]


def test_reports_of_an_empty_store_are_empty(store_database):
    with psycopg.connect(store_database) as connection:
        for name in set(postgres.REPORTS) - {"attributes", "catalog", "concurrent", "features"}:
            assert report(connection, name, 30).rows == []
        assert {row["count"] for row in report(connection, "catalog", 30).records()} == {0}
        assert {row["most"] for row in report(connection, "concurrent", 30).records()} == {0}


def test_reports_work_without_a_provider_in_the_catalog(empty_database, tmp_path):
    prepare(empty_database, Settings(catalog_of(tmp_path, {"note": {"type": "string"}})))
    with psycopg.connect(empty_database) as connection:
        assert report(connection, "errors", 7).rows == []
