"""R-numbers C4, C5, C8: `GET /api/reports/NAME` of the operator's listener, before a real Postgres."""

import contextlib
import datetime as dt
import time
from dataclasses import replace

import httpx
import psycopg
import pytest
from psycopg import sql
from psycopg.conninfo import conninfo_to_dict, make_conninfo
from starlette.routing import Route

from collector.test_operator import KEY, knows_the_key
from footfall_collector.config.schema import OperatorConfig, ServiceConfig
from footfall_collector.process.app import running
from footfall_collector.receivers import operator, reports
from footfall_collector.telemetry.telemetry import Telemetry
from footfall_exporters.postgres import reader_sessions
from footfall_exporters.postgres.connecting import ERASING, connect
from footfall_exporters.postgres.erasing import erase
from footfall_exporters.postgres.reports import REPORTS
from footfall_exporters.postgres.reports import ask as ask_report
from footfall_exporters.postgres.reports.asked import Asked, Period
from footfall_exporters.postgres.reports.kinds import KINDS
from footfall_exporters.postgres.reports.periods import Attributes
from footfall_processors import Loss
from support.batches import DAY, HOUR, SECOND, batch, dimension, one_row
from support.collectors import configured
from support.stores import MIDNIGHT, TODAY, writing

VISIT, LOGIN = dimension("shop.visit", "open"), dimension("shop.survey", "failure", "error")
ME, YOU, WE = b"m" * 16, b"y" * 16, b"w" * 16
USED = [
    (1, 3, None, ME, WE), (1, 3, VISIT, ME, WE), (1, 5, VISIT, YOU, WE), (1, 5, LOGIN, YOU, None),
    (2, 23, VISIT, ME, YOU), (2, 23, VISIT, ME, YOU),
]  # fmt: skip
"""Days ago, the hour, of what, by which visitor and guild."""
LISTENER = OperatorConfig(endpoint="127.0.0.1:0")


@contextlib.asynccontextmanager
async def asking(dsn, authorised=None):
    attributes = Attributes("visitor", "guild_id")
    answering = reports.Reports(lambda: dsn, attributes)
    route = Route(reports.PATH, answering.answer)
    serving = operator.serve(LISTENER, Telemetry("1", []), set, authorised, more=[route])
    async with (
        answering.running(),
        serving as address,
        httpx.AsyncClient(base_url=f"http://{address}", verify=False) as client,
    ):
        yield client


@pytest.fixture
async def ask(store_database):
    async with asking(store_database) as client:

        async def get(name, **query):
            answer = await client.get(f"/api/reports/{name}", params=query)
            assert answer.status_code == 200, answer.text
            said = answer.json()
            assert said.pop("report") == name
            return said

        yield get


@pytest.fixture
async def used(store_database, catalog):
    """Yesterday and the day before: visitors are known for all time, guilds for a day."""
    async with writing(store_database, catalog) as writer:
        for back, hour, of, visitor, guild in USED:
            values = {"visitor": visitor} | ({"guild_id": guild} if guild else {})
            at = MIDNIGHT - back * DAY + hour * HOUR + 5 * 60 * SECOND
            await writer.consume(batch(one_row(at, of, **values)))


def day(back):
    return str(TODAY - dt.timedelta(days=back))


def at(back, hour):
    return f"{day(back)}T{hour:02}:00:00Z"


def top(*counts):
    return [{"event": event, "count": count} for event, count in counts]


@pytest.mark.requirement("C4")
async def test_a_summary_has_totals_distinct_pseudonyms_the_top_and_trends(ask, used):
    assert await ask("summary", since=day(1), until=day(0)) == {
        "summary": {"totalEvents": 4, "uniqueUsers": 2, "uniqueSessions": 1},
        "eventCounts": {"shop.visit": 2, "shop.order": 1, "shop.survey": 1},
        "topEvents": top(("shop.visit", 2), ("shop.order", 1), ("shop.survey", 1)),
        "trends": [{"timestamp": at(1, 0), "eventCount": 4}],
        "period": {"start": at(1, 0), "end": at(0, 0)},
    }


@pytest.mark.requirement("C4")
async def test_what_goes_beyond_a_salt_is_not_counted_rather_than_wrong(ask, used):
    said = await ask("summary", since=day(2), until=day(0))
    assert said["summary"] == {"totalEvents": 6, "uniqueUsers": 2, "uniqueSessions": None}
    assert [each["eventCount"] for each in said["trends"]] == [2, 4]


@pytest.mark.requirement("C4")
async def test_nor_is_what_has_been_dropped_or_a_day_with_two_salts(ask, used, store_database):
    with psycopg.connect(store_database, autocommit=True) as connection:
        connection.execute("INSERT INTO footfall.dropped_days (day) VALUES (%s)", [day(2)])
        days = (TODAY - dt.date(1970, 1, 1)).days - 1
        for _ in range(2):
            connection.execute("INSERT INTO footfall.salt_log VALUES ('daily', %s)", [days])
    lost = await ask("summary", since=day(2), until=day(1))
    assert lost["summary"] == {"totalEvents": 2, "uniqueUsers": None, "uniqueSessions": None}
    twice = await ask("summary", since=day(1), until=day(0))
    assert twice["summary"] == {"totalEvents": 4, "uniqueUsers": 2, "uniqueSessions": None}


@pytest.mark.requirement("C5")
async def test_metrics_are_by_hour_day_week_or_month(ask, used):
    hours = (await ask("metrics", since=at(1, 3), until=at(1, 6), interval="hour"))["metrics"]
    assert hours == [
        {"timestamp": at(1, 3), "eventCount": 2, "uniqueUsers": 1,
         "topEvents": top(("shop.order", 1), ("shop.visit", 1))},
        {"timestamp": at(1, 4), "eventCount": 0, "uniqueUsers": 0, "topEvents": []},
        {"timestamp": at(1, 5), "eventCount": 2, "uniqueUsers": 1,
         "topEvents": top(("shop.survey", 1), ("shop.visit", 1))},
    ]  # fmt: skip
    for interval in ("day", "week", "month"):
        said = await ask("metrics", since=day(6), until=day(0), interval=interval)
        assert sum(each["eventCount"] for each in said["metrics"]) == 6
        assert said["interval"] == interval
    days = await ask("metrics", since=day(2), until=day(0))
    assert [each["uniqueUsers"] for each in days["metrics"]] == [1, 2]


@pytest.mark.requirement("C5")
async def test_the_dashboard_is_of_the_last_hour(ask, store_database, catalog):
    now = time.time_ns() // 1000
    async with writing(store_database, catalog) as writer:
        await writer.consume(
            batch(one_row(now, VISIT, visitor=ME), one_row(now, VISIT, visitor=YOU))
        )
    said = await ask("dashboard")
    health = said.pop("systemHealth")
    assert said == {
        "eventsLastHour": 2,
        "topEvents": top(("shop.visit", 2)),
        "userActivity": {
            "uniqueUsers": 2,
            "uniqueSessions": said["userActivity"]["uniqueSessions"],
        },
    }
    assert (health["isHealthy"], health["alerts"]) == (True, [])


@pytest.mark.requirement("C8")
async def test_events_are_counted_and_the_newest_shown_as_the_views_show_them(ask, used, query):
    said = await ask("events", since=day(2), until=day(0))
    assert said["events"] == top(("shop.visit", 4), ("shop.order", 1), ("shop.survey", 1))
    newest = (await ask("recent", since=day(2), until=day(0)))["events"]
    assert [event["created_at"][:13] for event in newest] == [
        at(back, hour)[:13] for back, hour in ((1, 5), (1, 5), (1, 3), (1, 3), (2, 23), (2, 23))
    ]
    shown = query(
        "SELECT attname FROM pg_attribute WHERE attrelid = 'reporting.events'::regclass AND attnum > 0"
    )
    assert {*newest[0]} == {name for (name,) in shown}
    assert not any("hash" in name for name in newest[0])


@pytest.fixture
def query(store_database):
    with psycopg.connect(store_database, autocommit=True) as connection:
        yield lambda statement: connection.execute(statement).fetchall()


async def test_the_reports_of_the_command_are_there_for_a_period(ask, used):
    for name in REPORTS:
        period = {"since": day(2), "until": day(0)} if KINDS[name].time else {}
        assert isinstance((await ask(name, **period))["rows"], list)
    rows = (await ask("usage", since=day(2), until=day(1)))["rows"]
    assert [(row["event"], row["count"]) for row in rows] == [("shop.visit", 2)]
    failed = (await ask("errors", since=day(1), until=day(0)))["rows"]
    assert [(row["event"], row["count"], row["share"]) for row in failed] == [
        ("shop.survey", 1, 1.0)
    ]


@pytest.mark.parametrize(
    ("name", "query", "status", "said"),
    [
        ("nothing", {}, 404, "the reports are annotations, attributes, backends, catalog, changes"),
        ("summary", {"since": "yesterday"}, 400, "`since` must be a date or a time of ISO 8601"),
        ("summary", {"until": "0001-01-01T00:00:00+14:00"}, 400, "`until` must be a date"),
        ("summary", {"until": "0001-01-02"}, 400, "`until` must be a date"),
        ("groups", {"since": "1d", "until": "9999-12-31T23:59:59"}, 400, "`until` is no time"),
        ("usage", {"until": "0001-01-02"}, 400, "`until` is no time"),
        ("changes", {"since": "0500-01-01", "until": "2026-01-01"}, 400, "no period as long before"),
        ("summary", {"since": "2026-01-02", "until": "2026-01-01"}, 400, "must be before"),
        ("metrics", {"interval": "minute"}, 400, "`interval` must be one of hour, day, week, month"),
        ("metrics", {"since": "2020-01-01", "interval": "hour"}, 400, "at most 1000 intervals"),
    ],
)  # fmt: skip
async def test_what_is_wrong_is_said_with_what_would_be_right(
    store_database, name, query, status, said
):
    async with asking(store_database) as client:
        answer = await client.get(f"/api/reports/{name}", params=query)
    assert answer.status_code == status
    assert said in answer.json()["message"]
    assert answer.headers["cache-control"] == "no-store"


async def test_operators_alone_are_told(store_database):
    async with asking(store_database, knows_the_key) as client:
        assert (await client.get("/api/reports/usage")).status_code == 401
        key = {"authorization": f"Bearer {KEY}"}
        assert (await client.get("/api/reports/usage", headers=key)).status_code == 200
    async with asking(store_database) as client:
        rebound = await client.get("/api/reports/usage", headers={"host": "evil.example"})
        assert rebound.status_code == 421


async def test_without_a_store_it_says_so():
    for dsn, word in (("", "no_store"), ("host=/nowhere", "unavailable")):
        async with asking(dsn) as client:
            for name in ("usage", "dashboard"):
                answer = await client.get(f"/api/reports/{name}")
                assert (answer.status_code, answer.json()["error"]) == (503, word)


async def test_a_collector_serves_them(store_database, catalog):
    service = ServiceConfig(operator=LISTENER)
    async with (
        running(configured(catalog, store_database, service=service)) as collector,
        httpx.AsyncClient(base_url=f"http://{collector.operator}", verify=False) as client,
    ):
        said = await client.get("/api/reports/summary", params={"since": day(1), "until": day(0)})
    assert said.json()["summary"]["totalEvents"] == 0


# The tables of `footfall report`


@pytest.fixture
async def get(store_database, used):
    """An answer, whatever it is."""
    async with asking(store_database) as client:
        yield lambda path, **headers: client.get(f"/api/reports/{path}", headers=headers)


async def test_tables_are_asked_as_on_the_command_line(get):
    period = f"since={day(2)}&until={day(0)}"
    for where in ("event=shop.visit&action=open", "where=event=shop.visit&where=action%3Dopen"):
        said = (await get(f"usage?{period}&{where}&by=day&by=event")).json()
        assert said == {
            "report": "usage",
            "period": {"start": at(2, 0), "end": at(0, 0)},
            "rows": [
                {"day": day(2), "event": "shop.visit", "count": 2},
                {"day": day(1), "event": "shop.visit", "count": 2},
            ],
        }
    first = (await get(f"usage?{period}&by=event,action&limit=1")).json()
    assert (len(first["rows"]), first["more"]) == (1, True)
    hours = (await get(f"usage?since={day(2)}T22:30&until={day(2)}T23:01&by=hour")).json()
    assert [row["hour"] for row in hours["rows"]] == [at(2, 23)]
    assert hours["period"] == {"start": at(2, 22), "end": at(1, 0)}
    assert hours["notes"]
    assert "period" not in (await get("completeness")).json()


async def test_the_state_of_everything_is_there_as_well(ask, used):
    said = await ask("overview", since=day(2), until=day(0))
    assert said["used"] == [
        {"event": "shop.visit", "uses": 4},
        {"event": "shop.order", "uses": 1},
        {"event": "shop.survey", "uses": 1},
    ]
    assert [(row["event"], row["count"], row["share"]) for row in said["failed"]] == [
        ("shop.survey", 1, 1.0)
    ]
    assert (said["unused"], said["declared"]) == (["shop.ping"], 4)
    assert said["freshness"]["position"] == len(USED)
    assert said["period"] == {"start": at(2, 0), "end": at(0, 0)}
    foot = await ask("state")
    assert foot == {key: said[key] for key in ("completeness", "freshness")}


async def test_tables_are_csv_for_who_asks_for_it(get):
    path = f"usage?since={day(2)}&until={day(0)}&by=event"
    expected = "event,count\nshop.visit,4\nshop.order,1\nshop.survey,1\n"
    for more, accept in (
        ("&format=csv", "*/*"),
        ("", "text/csv"),
        ("&format=csv", "application/json"),
    ):
        answer = await get(path + more, accept=accept)
        assert answer.headers["content-type"] == "text/csv; charset=utf-8"
        assert answer.text == expected
    for more, accept in (
        ("&format=json", "text/csv"),
        ("", "application/json, text/csv"),
        ("", "*/*"),
    ):
        answer = await get(path + more, accept=accept)
        assert answer.headers["content-type"] == "application/json"
        assert answer.headers["vary"] == "accept"


@pytest.mark.parametrize(
    ("path", "error", "said"),
    [
        ("usage?colour=red", "invalid_where", "no column `colour` to ask for; there are surface"),
        ("usage?where=colour", "invalid_where", "a condition is COLUMN=VALUE"),
        ("usage?by=colour", "invalid_by", "there are hour, day, week, month, surface"),
        ("usage?by=", "invalid_by", "no such column to count by"),
        ("usage?limit=0", "invalid_limit", "give 1 to 100000"),
        ("usage?limit=ten", "invalid_limit", "give 1 to 100000"),
        ("usage?format=xml", "invalid_format", "give json or csv"),
        ("usage?since=yesterday", "invalid_period", "`since` is no time"),
        ("usage?since=2026-01-02&until=2026-01-01", "invalid_period", "must be before `until`"),
        ("usage?since=2999-01-01", "invalid_period", "the period has not begun"),
        ("catalog?since=7d", "invalid_period", "of all that is kept"),
        ("groups?by=week,month", "invalid_by", "count by one of these"),
        ("usage?event=%00", "invalid_where", "a condition is COLUMN=VALUE"),
        ("usage?tz=Mars/Olympus", "invalid_tz", "give a name such as Europe/Berlin"),
        ("usage?tz=Asia/Kathmandu", "invalid_tz", "are +5:45 from UTC"),
        ("ratings?tz=Europe/Berlin", "invalid_tz", "in a time zone there are usage, errors"),
        ("summary?tz=Europe/Berlin", "invalid_tz", "in a time zone there are usage, errors"),
    ],
)
async def test_what_a_table_cannot_be_asked_is_said_with_what_it_can(get, path, error, said):
    answer = await get(path)
    assert (answer.status_code, answer.json()["error"]) == (400, error)
    assert said in answer.json()["message"]


async def test_an_unknown_report_is_answered_with_those_that_there_are(get):
    answer = await get("walkers")
    assert (answer.status_code, answer.json()["error"]) == (404, "unknown_report")
    assert {"usage", "recent"} <= set(answer.json()["message"].replace(",", "").split())


async def test_a_period_before_anything_was_stored_says_when_that_begins(get):
    said = (await get("usage?since=2020-01-01&until=2020-02-01")).json()
    assert (said["rows"], said["notes"]) == ([], [f"what is stored begins on {day(2)}"])


@pytest.mark.parametrize("name", sorted(REPORTS))
async def test_an_empty_store_is_an_empty_table_that_says_so(store_database, name):
    async with asking(store_database) as client:
        said = (await client.get(f"/api/reports/{name}")).json()
    assert "error" not in said
    if KINDS[name].time and name != "concurrent":
        assert (said["rows"], said["notes"][-1]) == ([], "no event is stored yet")


@pytest.mark.parametrize("name", sorted(REPORTS))
async def test_what_has_not_changed_is_not_sent_again(get, store_database, catalog, name):
    path = f"{name}?since={day(3)}" if KINDS[name].time else name
    first = await get(path)
    tag = first.headers["etag"]
    for known in (tag, f"W/{tag}", f'"other", {tag}', "*"):
        again = await get(path, **{"if-none-match": known})
        assert (again.status_code, again.content, again.headers["etag"]) == (304, b"", tag)
    assert (await get(path, **{"if-none-match": '"other"'})).status_code == 200
    as_csv = await get(path, accept="text/csv", **{"if-none-match": tag})
    assert (as_csv.status_code, as_csv.headers["etag"] != tag) == (200, True)
    async with writing(store_database, catalog) as writer:
        await writer.consume(batch(one_row(MIDNIGHT - HOUR, VISIT), losses={Loss.MALFORMED: 1}))
    asks = {
        "usage",
        "changes",
        "errors",
        "outcomes",
        "latency",
        "losses",
        "completeness",
        "catalog",
    }
    after = await get(path, **{"if-none-match": tag})
    assert (after.status_code == 200) == (name in asks)


async def test_what_is_erased_or_dropped_is_a_change_as_well(get, store_database):
    path = f"usage?since={day(3)}&by=event"
    before = await get(path)
    async with await connect(store_database, ERASING) as connection:
        assert await erase(connection, "visitor_hash", [ME])
    after = await get(path, **{"if-none-match": before.headers["etag"]})
    assert after.status_code == 200
    assert after.json()["rows"] != before.json()["rows"]
    with psycopg.connect(store_database) as connection:
        connection.execute("INSERT INTO footfall.dropped_days (day) VALUES (%s)", [day(9)])
    dropped = await get(path, **{"if-none-match": after.headers["etag"]})
    assert dropped.status_code == 200


async def test_during_a_migration_it_is_said_that_the_store_does_not_answer(
    get, store_database, monkeypatch
):
    monkeypatch.setattr(reader_sessions, "_USE", replace(reader_sessions._USE, lock="100ms"))
    with psycopg.connect(store_database) as migrating:
        migrating.execute("DROP VIEW reporting.usage CASCADE")
        answer = await get("usage")
        assert (answer.status_code, answer.json()["error"]) == (503, "unavailable")
        migrating.rollback()
    assert (await get("usage")).status_code == 200


async def test_a_store_of_another_version_is_said_plainly(get, store_database):
    with psycopg.connect(store_database) as connection:
        connection.execute("DROP VIEW reporting.freshness")
    answer = await get("usage")
    assert (answer.status_code, answer.json()["error"]) == (503, "unavailable")
    assert "another version of Footfall" in answer.json()["message"]


@pytest.mark.parametrize(
    "name", [*sorted(REPORTS), "summary", "metrics", "events", "recent", "overview", "state"]
)
async def test_a_store_of_a_former_version_is_never_a_fault(get, store_database, name):
    with psycopg.connect(store_database) as connection:
        connection.execute(
            "DROP VIEW reporting.completeness, reporting.usage_by_day, reporting.features;"
            "ALTER VIEW reporting.usage RENAME COLUMN count TO number"
        )
    answer = await get(name)
    if answer.status_code != 200:
        assert (answer.status_code, answer.json()["error"]) == (503, "unavailable")
        assert "another version of Footfall" in answer.json()["message"]


# As the reader


async def test_reports_are_asked_as_the_reader_who_changes_nothing(get, store_database):
    with psycopg.connect(store_database) as owner:
        owner.execute(
            "DROP VIEW reporting.losses; CREATE VIEW reporting.losses AS SELECT current_date AS day,"
            " current_user::text AS signal, current_setting('transaction_read_only') AS reason,"
            " 1::bigint AS count; GRANT SELECT ON reporting.losses TO footfall_reader"
        )
    [row] = (await get("losses")).json()["rows"]
    assert row == {"signal": "footfall_reader", "reason": "on", "count": 1}


@pytest.mark.parametrize(
    "name", ["usage", "events", "summary", "metrics", "overview", "state", "dashboard"]
)
async def test_what_the_reader_may_not_read_is_refused_with_what_to_do(get, store_database, name):
    with psycopg.connect(store_database) as owner:
        owner.execute("REVOKE SELECT ON ALL TABLES IN SCHEMA reporting FROM footfall_reader")
    answer = await get(name)
    assert (answer.status_code, answer.json()["error"]) == (503, "no_reader")
    assert "footfall migrate" in answer.json()["message"]


async def test_small_numbers_are_for_the_owner_alone(get, store_database):
    with psycopg.connect(store_database, autocommit=True) as owner:
        yesterday = TODAY - dt.timedelta(days=1)
        for attribute, groups in (("few", 4), ("many", 5)):
            owner.execute(
                "INSERT INTO footfall.groups_counts (span, scope, start, attribute, kind, groups)"
                " VALUES ('day', 'all', %s, %s, 'daily', %s)",
                [yesterday, attribute, groups],
            )
        shown = ask_as(owner, "groups")
        assert {row["attribute"]: row["active"] for row in shown} == {"few": 4, "many": 5}
    said = (await get(f"groups?since={yesterday}")).json()["rows"]
    assert {row["attribute"]: row["active"] for row in said} == {"few": None, "many": 5}


@pytest.mark.requirement("C4")
async def test_distinct_pseudonyms_are_counted_all_the_same(get):
    said = (await get(f"summary?since={day(1)}&until={day(0)}")).json()["summary"]
    assert said == {"totalEvents": 4, "uniqueUsers": 2, "uniqueSessions": 1}


async def test_an_owner_who_may_not_become_the_reader_is_told_what_to_do(store_database):
    login = conninfo_to_dict(store_database)["dbname"].replace("test", "owner")
    name = sql.Identifier(login)
    with psycopg.connect(store_database, autocommit=True) as admin:
        admin.execute(sql.SQL("CREATE ROLE {} LOGIN PASSWORD 'known'").format(name))
        try:
            async with asking(
                make_conninfo(store_database, user=login, password="known")
            ) as client:
                answer = await client.get("/api/reports/usage")
        finally:
            admin.execute(sql.SQL("DROP ROLE {}").format(name))
    assert (answer.status_code, answer.json()["error"]) == (503, "no_reader")
    assert f'GRANT footfall_reader TO "{login}"' in answer.json()["message"]


def ask_as(connection, name):
    period = Period(dt.datetime.combine(TODAY - dt.timedelta(days=1), dt.time(), dt.UTC), None)
    return ask_report(connection, name, Asked(period)).records()
