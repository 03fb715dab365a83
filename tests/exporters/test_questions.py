"""What may be asked of a report, and that each answer is what plain sums over the same uses come to."""

import datetime as dt
import math
import random
from collections import Counter
from contextlib import suppress
from dataclasses import replace
from types import SimpleNamespace

import psycopg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from footfall_exporters.contracts import Settings
from footfall_exporters.postgres import READING, connect, connect_sync, latency, prepare, reports
from footfall_exporters.postgres.asking import NotThere
from footfall_exporters.postgres.connecting import HOUSEKEEPING
from footfall_exporters.postgres.reports import ask, completeness, overview, reading
from footfall_exporters.postgres.reports.asked import Asked, Period, WrongQuestion, conditions
from footfall_exporters.postgres.reports.asked import period as written
from footfall_exporters.postgres.reports.state import OtherViews, first_day, freshness
from footfall_exporters.postgres.reports.trends import merged, trends
from support.batches import DAY, HOUR, batch, dimension, one_row
from support.stores import MIDNIGHT, TODAY, catalog_of, writing

UTC = dt.UTC
NOON = dt.datetime.combine(TODAY, dt.time(12), UTC)
LAST = Period(NOON - dt.timedelta(days=5), None)
ENDS = {"ok": "success", "error": "failure", "timeout": "failure"}
ERRORS = {"ok": None, "error": "invalid_preset", "timeout": "provider_timeout"}
UNITS = {
    "hour": lambda at: at,
    "day": lambda at: at.date(),
    "week": lambda at: at.date() - dt.timedelta(days=at.weekday()),
    "month": lambda at: at.date().replace(day=1),
}


def drawn():
    """Uses of some days, as columns of `usage`."""
    chance = random.Random(7)
    for _ in range(120):
        status = chance.choice(list(ENDS))
        yield {
            "hour": dt.datetime.combine(TODAY, dt.time(), UTC)
            - dt.timedelta(hours=chance.randrange(1, 100)),
            "surface": "web",
            "feature": "order",
            "event": "shop.order",
            "action": ENDS[status],
            "status": status,
            "error_type": ERRORS[status],
            "service": chance.choice(["shop", "bot", None]),
            "service_version": chance.choice(["1.0", "1.1"]),
            "environment": "production",
            "provider": chance.choice(["smz3", "alttpr", None]),
            "count": chance.randrange(1, 50),
        }


USES = list(drawn())


def of(use):
    """A use as the store takes it."""
    fields = {
        k: use[k] for k in ("service", "service_version", "environment", "provider") if use[k]
    }
    dim = dimension(use["event"], use["action"], use["status"], use["error_type"], **fields)
    return (int(use["hour"].timestamp()) * 10**6, dim), use["count"]


@pytest.fixture
async def filled(store_database, catalog):
    counts = Counter()
    for use in USES:
        key, number = of(use)
        counts[key] += number
    async with writing(store_database, catalog) as writer:
        await writer.consume(batch(counts=counts))
    with connect_sync(store_database, READING) as connection:
        yield connection


def grouped(by, where=lambda use: True):
    """The sums of what is in the period."""
    sums = Counter()
    for use in USES:
        if use["hour"] >= LAST.since and where(use):
            sums[tuple(UNITS[n](use["hour"]) if n in UNITS else use[n] for n in by)] += use["count"]
    return sums


@pytest.mark.parametrize(
    "by",
    [
        ("service",),
        ("provider", "status"),
        ("day",),
        ("hour", "provider"),
        ("week",),
        ("month", "service_version", "error_type"),
        ("environment", "surface", "feature", "event", "action"),
    ],
)
def test_counts_are_sums_by_any_columns(filled, by):
    found = ask(filled, "usage", Asked(LAST, by=by))
    assert found.columns == (*by, "count")
    assert {row[:-1]: row[-1] for row in found.rows} == grouped(by)
    assert len(found.rows) == len(grouped(by))


@pytest.mark.parametrize(
    ("pairs", "fits"),
    [
        (["service=shop"], lambda use: use["service"] == "shop"),
        (["service=shop", "service=bot"], lambda use: use["service"] is not None),
        (["service="], lambda use: use["service"] is None),
        (["service=", "service=bot"], lambda use: use["service"] != "shop"),
        (
            ["version=1.1", "provider=smz3"],
            lambda use: (use["service_version"], use["provider"]) == ("1.1", "smz3"),
        ),
        (["status=nothing"], lambda use: False),
        (["provider=' OR true --"], lambda use: False),
    ],
)
def test_conditions_of_several_columns_hold_together_and_of_one_each_is_enough(filled, pairs, fits):
    found = ask(filled, "usage", Asked(LAST, conditions(pairs), ["event", "action"]))
    assert {row[:-1]: row[-1] for row in found.rows} == grouped(("event", "action"), fits)


@pytest.mark.parametrize(
    ("by", "pairs", "fits"),
    [
        (["provider", "error_type"], [], lambda use: True),
        (["service_version"], [], lambda use: True),
        (["error_type"], ["service=shop"], lambda use: use["service"] == "shop"),
        (["day", "provider"], [], lambda use: True),
        (["provider"], ["error_type=invalid_preset"], lambda use: True),
    ],
)
def test_shares_are_of_all_outcomes_that_fit(filled, by, pairs, fits):
    among = [n for n in by if n != "error_type"]
    counted = "invalid_preset" if "error_type=invalid_preset" in pairs else None
    fails = grouped(
        by,
        lambda use: use["status"] != "ok" and fits(use) and counted in (None, use["error_type"]),
    )
    every = grouped(among, fits)
    shares = {
        key: number / every[tuple(v for n, v in zip(by, key, strict=True) if n in among)]
        for key, number in fails.items()
    }
    found = ask(filled, "errors", Asked(LAST, conditions(pairs), by))
    assert {row[: len(by)]: row[-2] for row in found.rows} == fails
    assert {row[: len(by)]: row[-1] for row in found.rows} == pytest.approx(shares)


def test_the_first_rows_are_those_with_most_and_it_is_said_that_there_are_more(filled):
    most = grouped(("service", "provider")).most_common()
    found = ask(filled, "usage", Asked(LAST, by=["service", "provider"], limit=2))
    assert ([row[-1] for row in found.rows], found.more) == ([n for _, n in most[:2]], True)
    whole = ask(filled, "usage", Asked(LAST, by=["service", "provider"], limit=len(most)))
    assert (len(whole.rows), whole.more) == (len(most), False)


def test_a_bound_leaves_the_order_as_it_is(filled):
    whole, bound = Asked(LAST), Asked(LAST, bound=1)
    found = ask(filled, "usage", bound)
    assert (found.rows, found.more) == (ask(filled, "usage", whole).rows[:1], True)
    assert ask(filled, "usage", replace(bound, limit=5)).more is False


def test_a_period_is_that_of_the_hours_or_days_that_it_touches(filled):
    begin = NOON - dt.timedelta(days=2, minutes=20)
    found = ask(
        filled, "usage", Asked(Period(begin, begin + dt.timedelta(minutes=30)), by=["hour"])
    )
    hour = begin.replace(minute=0)
    assert (found.since, found.until) == (hour, hour + 2 * dt.timedelta(hours=1))
    expected = Counter()
    for use in USES:
        if found.since <= use["hour"] < found.until:
            expected[use["hour"]] += use["count"]
    assert {row[0]: row[1] for row in found.rows} == expected
    days = ask(filled, "losses", Asked(Period(begin, begin + dt.timedelta(minutes=30))))
    assert days.until - days.since == dt.timedelta(days=1)


def test_trends_are_the_sums_of_each_day_or_hour(filled):
    asked = Asked(LAST, by=["service"])
    found = ask(filled, "usage", asked)
    by_day = grouped(("service", "day"))
    days = [LAST.since.date() + dt.timedelta(days=n) for n in range(6)]
    for row, trend in zip(found.rows, trends(filled, asked, found), strict=True):
        assert list(trend) == [by_day[row[0], day] for day in days]
    by_itself = Asked(LAST, by=["day"])
    assert trends(filled, by_itself, ask(filled, "usage", by_itself)) == []
    yesterday = NOON.replace(hour=0) - dt.timedelta(days=1)
    two_days = Asked(Period(yesterday, yesterday + dt.timedelta(days=2)), by=["event"])
    [by_hour] = trends(filled, two_days, ask(filled, "usage", two_days))
    assert sum(by_hour) * 4 == sum(u["count"] for u in USES if u["hour"] >= yesterday) > 0
    since = NOON - dt.timedelta(hours=30)
    short = Asked(Period(since, NOON), by=["event"])
    [trend] = trends(filled, short, ask(filled, "usage", short))
    assert sum(trend) * 3 == sum(u["count"] for u in USES if since <= u["hour"] < NOON)


async def test_there_are_trends_without_what_only_some_catalogs_have(empty_database, tmp_path):
    catalog = catalog_of(tmp_path, {"note": {"type": "string"}})
    prepare(empty_database, Settings(catalog))
    failed = dimension("other.used", "failure", "error", "unexpected_error")
    async with writing(empty_database, catalog) as writer:
        await writer.consume(batch(counts={(MIDNIGHT - n * DAY, failed): n for n in (1, 2)}))
    with connect_sync(empty_database, READING) as connection:
        found = ask(connection, "errors", Asked(LAST))
        assert found.columns[3] == "provider"
        assert [row[3] for row in found.rows] == [None]
        assert trends(connection, Asked(LAST), found) == [[0, 0, 0, 2, 1, 0]]


@pytest.mark.parametrize(
    ("number", "parts"),
    [(3, [1, 1, 1]), (14, [1] * 14), (15, [1, *[2] * 7]), (30, [3] * 10), (31, [1, *[3] * 10])],
)
def test_a_long_trend_is_of_averages(number, parts):
    values = [float(n) for n in range(number)]
    found = merged(values)
    assert len(found) == len(parts) <= 14
    for part, average in zip(parts, found, strict=True):
        together, values = values[:part], values[part:]
        assert average == sum(together) / part


REFUSED = [
    ("usage", Asked(LAST, {"colour": ["red"]}), "where", "no column `colour` to ask for; there are surface"),
    ("usage", Asked(LAST, {"count": ["1"]}), "where", "no column `count`"),
    ("usage", Asked(LAST, {"hour": ["1"]}), "where", "no column `hour`"),
    ("usage", Asked(LAST, by=["colour"]), "by", "there are hour, day, week, month, surface"),
    ("usage", Asked(LAST, by=['x"; DROP TABLE y']), "by", "no such column to count by"),
    ("losses", Asked(LAST, by=["hour"]), "by", "there are day, week, month, signal, reason"),
    ("groups", Asked(LAST, by=["day", "week"]), "by", "count by one of these"),
    ("groups", Asked(LAST, by=["scope"]), "by", "there are day, week, month, attribute, product, feature"),
    ("latency", Asked(LAST, by=["note"]), "by", "no column `note`"),
    ("features", Asked(LAST), "period", "of all that is kept; ask for it without a period"),
    ("catalog", Asked(by=["day"]), "by", "no column `day`"),
    ("usage", Asked(LAST, limit=0), "limit", "give 1 to 100000"),
]  # fmt: skip


@pytest.mark.parametrize(("name", "asked", "word", "said"), REFUSED)
def test_what_cannot_be_asked_is_refused_with_what_can(filled, name, asked, word, said):
    with pytest.raises(WrongQuestion) as refused:
        ask(filled, name, asked)
    assert refused.value.word == word
    assert said in str(refused.value)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize(
    ("since", "until", "said"),
    [
        ("yesterday", None, "`since` is no time; give 30m, 12h, 7d or 2w"),
        (None, "2026-13-01", "`until` is no time"),
        ("0001-01-01T00:00:00+14:00", None, "`since` is no time"),
        ("2026-01-02", "2026-01-01", "`since` must be before `until`"),
        ("2026-01-02", "2026-01-02", "`since` must be before `until`"),
        ("2999-01-01", None, "the period has not begun"),
    ],
)
def test_what_is_no_period_is_refused(since, until, said):
    with pytest.raises(WrongQuestion, match=said):
        written(since, until, dt.timedelta(days=7), NOON)


@pytest.mark.parametrize(
    ("since", "until", "begin", "end"),
    [
        ("7d", None, NOON - dt.timedelta(days=7), None),
        ("24h", "30m", NOON - dt.timedelta(hours=24), NOON - dt.timedelta(minutes=30)),
        (None, "1d", NOON - dt.timedelta(days=8), NOON - dt.timedelta(days=1)),
        (None, None, NOON - dt.timedelta(days=7), None),
        ("2026-01-02T03:04+01:00", None, dt.datetime(2026, 1, 2, 2, 4, tzinfo=UTC), None),
    ],
)
def test_periods_are_written_as_dates_times_or_how_long_ago(since, until, begin, end):
    assert written(since, until, dt.timedelta(days=7), NOON) == (begin, end)


@pytest.mark.parametrize("pair", ["service", "=shop", "", "service=\0", "service=\udcff"])
def test_what_is_no_condition_is_refused(pair):
    with pytest.raises(WrongQuestion, match="a condition is COLUMN=VALUE"):
        conditions([pair])


def test_sums_of_beginnings_and_ends_say_so(filled):
    assert "count by action" in ask(filled, "usage", Asked(LAST, by=["service"])).notes[0]
    for asked in (
        Asked(LAST),
        Asked(LAST, by=["action"]),
        Asked(LAST, {"action": ["success"]}, ["service"]),
    ):
        assert ask(filled, "usage", asked).notes == ()


def test_what_cannot_be_added_is_left_out_and_it_is_said_why(store_database):
    with psycopg.connect(store_database) as connection:
        for ago, service, number in ((1, "shop", 3), (1, "bot", 2), (2, "shop", 4)):
            connection.execute(
                "INSERT INTO footfall.sessions_gone (day, service, sessions, ended, installations,"
                " daily_active, seconds) VALUES (%s, %s, %s, 1, 1, 1, 30)",
                [TODAY - dt.timedelta(days=ago), service, number],
            )
        whole = ask(connection, "sessions", Asked(LAST))
        assert whole.columns[2:] == (
            "sessions",
            "ended",
            "installations",
            "daily_active",
            "seconds",
        )
        found = ask(connection, "sessions", Asked(LAST, by=["service"]))
        assert found.columns == ("service", "sessions", "ended", "seconds")
        assert sorted(found.rows) == [("bot", 2, 1, 30), ("shop", 7, 2, 60)]
        assert found.notes == (
            "installations and daily_active cannot be added: count by day and service",
        )
        pinned = Asked(LAST, {"service": ["shop"]}, ["day"])
        assert "installations" in ask(connection, "sessions", pinned).columns
        two = Asked(LAST, {"service": ["shop", "bot"]}, ["day"])
        assert "installations" not in ask(connection, "sessions", two).columns


def middle(values, share):
    """As Postgres' percentile_cont has it."""
    at = share * (len(values) - 1)
    low = int(at)
    high = min(low + 1, len(values) - 1)
    return values[low] + (values[high] - values[low]) * (at - low)


async def test_percentiles_are_of_the_observations_that_fit(store_database, catalog):
    chance = random.Random(3)
    rows = [
        (chance.randrange(3), chance.choice(["smz3", "alttpr"]), chance.randrange(5000))
        for _ in range(300)
    ]
    async with writing(store_database, catalog) as writer:
        await writer.consume(
            batch(*(
                one_row(MIDNIGHT - ago * DAY - HOUR, dimension(provider=p), ms) for ago, p, ms in rows
            ))
        )  # fmt: skip
    with connect_sync(store_database, READING) as connection:
        found = ask(connection, "latency", Asked(LAST, by=["provider", "day"]))
    assert len(found.rows) == 6
    for row in found.records():
        values = sorted(
            ms
            for ago, p, ms in rows
            if (p, TODAY - dt.timedelta(days=ago + 1)) == (row["provider"], row["day"])
        )
        assert row["observations"] == len(values)
        for name, share in (("p50_ms", 0.5), ("p95_ms", 0.95), ("p99_ms", 0.99)):
            assert row[name] == round(middle(values, share))


def ranked(values, share):
    """By nearest rank."""
    return sorted(values)[math.ceil(share * len(values)) - 1]


@pytest.fixture
async def slow(store_database, catalog):
    """Durations of three days, rolled up."""
    chance = random.Random(5)
    rows = [
        (chance.randrange(3), p, s, round(10 ** chance.uniform(-0.4, 5)))
        for p in ("smz3", "alttpr", None)
        for s in ("shop", "bot")
        for _ in range(80)
    ]
    told = []
    for ago, provider, service, ms in rows:
        fields = {"provider": provider} if provider else {}
        of = dimension("shop.order", service=service, **fields)
        told.append(one_row(MIDNIGHT - ago * DAY - HOUR, of, ms))
    async with writing(store_database, catalog) as writer:
        await writer.consume(batch(*told))
    async with await connect(store_database, HOUSEKEEPING) as connection:
        await latency.keep_up(connection)
    return rows


MANY = [
    ((), {}),
    (("provider",), {}),
    (("service", "provider"), {}),
    (("day", "service"), {}),
    (("week",), {"provider": ["smz3"]}),
    (("service",), {"provider": ["", "alttpr"]}),
    (("hour", "provider"), {}),
]


@pytest.mark.parametrize(("by", "where"), MANY)
def test_percentiles_of_many_are_those_of_the_rows_to_their_bucket(
    store_database, slow, monkeypatch, by, where
):
    monkeypatch.setattr(reports, "MOST_OBSERVATIONS", 100)
    groups = {}
    for ago, provider, service, ms in slow:
        day = TODAY - dt.timedelta(days=ago + 1)
        week = day - dt.timedelta(days=day.weekday())
        hour = dt.datetime.combine(day, dt.time(23), UTC)
        one = {"provider": provider, "service": service, "day": day, "week": week, "hour": hour}
        if all((one[name] or "") in values for name, values in where.items()):
            groups.setdefault(tuple(one[name] for name in by), []).append(ms)
    with connect_sync(store_database, READING) as connection:
        found = ask(connection, "latency", Asked(LAST, where, by))
    keys = len(by) or 3  # surface, feature and event are the same for all
    percentiles = ("observations", "p50_ms", "p95_ms", "p99_ms")
    assert found.columns[keys:] == (*percentiles, "p95_low_ms", "p95_high_ms")
    assert "at most 2.2 % off" in found.notes[-1]
    assert len(found.rows) == len(groups)
    for row in found.rows:
        values = groups[row[:keys] if by else ()]
        assert row[keys] == len(values)
        for share, shown in zip((0.5, 0.95, 0.99), row[keys + 1 : keys + 4], strict=True):
            exact = ranked(values, share)
            assert abs(shown - exact) <= 0.022 * exact + 0.5
    p95 = [row[keys + 2] for row in found.rows]
    if not {"hour", "day", "week"} & set(by):  # else the order is that of time
        assert p95 == sorted(p95, reverse=True)
        with connect_sync(store_database, READING) as connection:
            first = ask(connection, "latency", Asked(LAST, where, by, 1))
        assert (first.rows, first.more) == (found.rows[:1], len(groups) > 1)
    else:
        assert [row[0] for row in found.rows] == sorted(row[0] for row in found.rows)


def test_percentiles_of_days_that_are_dropped_are_of_their_histograms(store_database, slow, query):
    day = TODAY - dt.timedelta(days=2)
    query("INSERT INTO footfall.dropped_days (day) VALUES (%s)", day)
    query("DELETE FROM footfall.feature_events WHERE time < %s", day + dt.timedelta(days=1))
    with connect_sync(store_database, READING) as connection:
        assert freshness(connection).observed_from == day + dt.timedelta(days=1)
        by_day = ask(connection, "latency", Asked(LAST, by=["day"]))
        counted = Counter(TODAY - dt.timedelta(days=ago + 1) for ago, *_ in slow)
        assert {row[0]: row[1] for row in by_day.rows} == counted
        by_hour = ask(connection, "latency", Asked(LAST, by=["hour"]))  # hours are kept for longer
        assert {row[0].date(): row[1] for row in by_hour.rows} == counted
        before, first = NOON - dt.timedelta(days=9), TODAY - dt.timedelta(days=8)
        with pytest.raises(
            WrongQuestion,
            match=f"of {before.date()} are no longer stored; count by day, or from {first} on",
        ):
            ask(connection, "latency", Asked(Period(before, None), by=["hour"]))
        later = dt.datetime.combine(day, dt.time(), UTC) + dt.timedelta(days=1)
        exact = ask(connection, "latency", Asked(Period(later, None), by=["day"]))
        assert (len(exact.rows), exact.notes) == (1, ())


def test_how_far_the_store_is(filled):
    found = freshness(filled)
    assert found.position == 1
    assert dt.timedelta() <= found.now - found.committed_at < dt.timedelta(minutes=2)
    assert first_day(filled) == min(use["hour"] for use in USES).date()


async def test_completeness_is_never_more_than_what_is_known(store_database, catalog):
    def tally(number, **sender):
        of = dimension(
            "footfall.emitted", "count", surface="footfall", emitted_event="shop.order", **sender
        )
        return (MIDNIGHT, of), number

    def stored(number, **sender):
        return (MIDNIGHT, dimension(**sender)), number

    async with writing(store_database, catalog) as writer:
        with connect_sync(store_database, READING) as connection:
            assert completeness.completeness(connection).share is None
            await writer.consume(batch(counts=dict([stored(10)])))
            assert completeness.completeness(connection).share is None
            counts = [stored(9_999, service="a"), tally(10_000, service="a")]
            await writer.consume(batch(counts=dict(counts)))
            found = completeness.completeness(connection)
            assert (found.share, found.untallied, found.known) == (0.999, 10, 0.99)
            # What one sender has twice does not make up for what another one lacks.
            counts = [stored(20_000, service="b"), tally(10_000, service="b")]
            await writer.consume(batch(counts=dict(counts)))
            assert completeness.completeness(connection).share == 0.999
            assert completeness.completeness(connection, ["shop.survey"]).share is None


def test_the_overview_is_what_the_reports_say(filled):
    found = overview.overview(filled, LAST)
    assert [(u.event, u.uses) for u in found.used] == [("shop.order", grouped(("event",)).total())]
    failed = grouped(("event", "error_type"), lambda use: use["status"] != "ok")
    assert {row[:2]: row[2] for row in found.failed.rows} == failed
    declared = {"shop.order", "shop.survey", "shop.ping", "shop.visit"}  # one has expired
    assert found.declared == len(declared)
    assert set(found.unused) == declared - {"shop.order"}
    assert found.record()["freshness"]["position"] == 1


async def test_what_never_ends_is_used_when_it_begins(store_database, catalog):
    counts = {
        (MIDNIGHT, dimension(action=action)): number
        for action, number in (("invoke", 9), ("success", 5), ("failure", 1))
    }
    counts[MIDNIGHT, dimension("shop.ping", "invoke")] = 7
    async with writing(store_database, catalog) as writer:
        await writer.consume(batch(counts=counts))
    with connect_sync(store_database, READING) as connection:
        found = overview.overview(connection, LAST)
    assert [(u.event, u.uses, sum(u.trend)) for u in found.used] == [
        ("shop.ping", 7, 7),
        ("shop.order", 6, 6),
    ]


def test_the_overview_of_an_empty_store_and_of_one_without_what_can_be_counted(
    empty_database, tmp_path
):
    prepare(empty_database, Settings(catalog_of(tmp_path, {"note": {"type": "string"}})))
    with connect_sync(empty_database, READING) as connection:
        found = overview.overview(connection, LAST)
        assert (found.used, found.failed.rows, found.unused) == ([], [], ["other.used"])
        assert (found.fresh.position, found.fresh.committed_at) == (0, None)
        with pytest.raises(WrongQuestion, match="no column `provider`"):
            ask(connection, "usage", Asked(LAST, {"provider": ["smz3"]}))


def test_a_database_that_cannot_be_asked_says_so(store_database, empty_database, query):
    nothing = pytest.raises(NotThere, match="holds nothing of Footfall yet; run `footfall up`")
    with connect_sync(empty_database, READING) as connection, nothing:
        ask(connection, "usage", Asked(LAST))
    query("DROP VIEW reporting.catalog, reporting.freshness")
    query("ALTER VIEW reporting.usage RENAME COLUMN count TO uses")
    with connect_sync(store_database, READING) as connection:
        for name in ("catalog", "latency", "usage"):
            with pytest.raises(
                OtherViews, match="another version of Footfall; run `footfall migrate`"
            ):
                ask(connection, name, Asked() if name == "catalog" else Asked(LAST))
        assert ask(connection, "losses", Asked(LAST)).rows == []


def test_columns_of_a_catalog_may_be_called_as_anything_of_ours(empty_database, tmp_path):
    names = ("counted", "total", "week", "found", "every", "where", "select")
    enums = {name: {"type": "enum", "values": ["a", "b"]} for name in names}
    prepare(empty_database, Settings(catalog_of(tmp_path, enums)))
    with connect_sync(empty_database, READING) as connection:
        for report in ("usage", "errors", "latency"):
            for name in names:
                asked = Asked(LAST, {name: ["a"]}, [name, "event"])
                assert ask(connection, report, asked).rows == []


def test_a_column_by_both_of_its_names_is_one(filled):
    asked = conditions(["version=1.0", "service_version=1.1"])
    found = ask(filled, "usage", Asked(LAST, asked, ["version", "service_version", "action"]))
    assert {row[:-1]: row[-1] for row in found.rows} == grouped(("service_version", "action"))


WORDS = st.sampled_from(
    ["service", "version", "provider", "event", "day", "hour", "note", "count", '"', "a;b", ""]
) | st.text(max_size=6)


@settings(
    max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None
)
@given(
    st.sampled_from([*reports.REPORTS]),
    st.lists(st.tuples(WORDS, WORDS), max_size=3),
    st.lists(WORDS, max_size=3),
    st.none() | st.integers(-1, 3),
    st.booleans(),
)
def test_whatever_is_asked_is_answered_or_refused(filled, name, pairs, by, limit, timed):
    period = LAST if timed or reports.KINDS[name].time else None
    with suppress(WrongQuestion):
        where = conditions(f"{key}={value}" for key, value in pairs)
        found = ask(filled, name, Asked(period, where, by, limit))
        assert limit is None or name == "changes" or len(found.rows) <= limit


async def test_what_is_erased_while_the_overview_is_asked_is_no_fault(
    store_database, catalog, query, monkeypatch
):
    async with writing(store_database, catalog) as writer:
        await writer.consume(batch(counts={(MIDNIGHT, dimension()): 5}))
    uses = overview._uses

    def then_erased(*asked):
        found = uses(*asked)
        query("TRUNCATE footfall.feature_counts, footfall.feature_counts_days")
        return found

    monkeypatch.setattr(overview, "_uses", then_erased)
    with connect_sync(store_database, READING) as connection:
        [used] = overview.overview(connection, LAST).used
    assert (used.uses, sum(used.trend)) == (5, 0)


@pytest.mark.parametrize("behind", [0, 3, -3])
async def test_what_is_after_the_end_is_not_counted_whatever_the_askers_clock_says(
    store_database, catalog, monkeypatch, behind
):
    """Rows up to four minutes ahead, which may be of the next hour, or of tomorrow."""
    now = dt.datetime.now(UTC)
    times = [now - dt.timedelta(minutes=7 * n) for n in range(300)] + [
        now + dt.timedelta(minutes=4)
    ]
    async with writing(store_database, catalog) as writer:
        await writer.consume(
            batch(*(one_row(round(at.timestamp() * 10**6), dimension()) for at in times))
        )

    class Clock(dt.datetime):
        @classmethod
        def now(cls, tz=None):
            return dt.datetime.now(tz) - dt.timedelta(hours=behind)

    monkeypatch.setattr(reading, "dt", SimpleNamespace(**(vars(dt) | {"datetime": Clock})))
    this = now.replace(minute=0, second=0, microsecond=0)
    hours = [at.replace(minute=0, second=0, microsecond=0) for at in times]
    with psycopg.connect(store_database) as connection:
        for until in (this + n * dt.timedelta(hours=1) for n in (-30, -2, -1, 0, 1, 2, 30)):
            since = until - dt.timedelta(days=4)
            of = [at for at in hours if since <= at < until]
            for more in ({}, {"zone": "Europe/Berlin", "by": ("day",)}, {"by": ("hour",)}):
                rows = ask(connection, "usage", Asked(Period(since, until), **more)).rows
                assert sum(row[-1] for row in rows) == len(of), (until, more)
