"""`footfall report`: any question in one line, and what is wrong with it; everything on one screen."""

import csv
import datetime as dt
import io
import json
import re
import uuid
from dataclasses import replace

import psycopg
import pytest
from click.shell_completion import ShellComplete
from click.testing import CliRunner
from psycopg import sql
from psycopg.conninfo import conninfo_to_dict, make_conninfo
from rich.console import Console

from footfall_collector.cli import main
from footfall_collector.cli.screen import age, print_overview
from footfall_collector.cli.tables import percent, period_of, sparkline, told
from footfall_exporters import postgres
from footfall_exporters.postgres.reports import Report
from footfall_exporters.postgres.reports.asked import Period
from footfall_exporters.postgres.reports.completeness import Completeness
from footfall_exporters.postgres.reports.overview import Overview, Used
from footfall_exporters.postgres.reports.state import Freshness
from support.batches import DAY, HOUR, batch, dimension, one_row
from support.stores import MIDNIGHT, TODAY, writing

UTC = dt.UTC
DAY_ = dt.timedelta(days=1)
EVENTS = ("shop.order", "shop.survey", "shop.visit")


@pytest.fixture
def ask(store_database, monkeypatch, tmp_path):
    """Runs the command in this process, at 80 columns."""
    monkeypatch.setenv("FOOTFALL_DSN", store_database)
    monkeypatch.setenv("FOOTFALL_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.chdir(tmp_path)
    return lambda *words: CliRunner().invoke(main, ["report", *words])


@pytest.fixture
async def used(store_database, catalog):
    """Six days on each of which something was used, took some time, and failed once."""
    rows, counts = [], {}
    for ago in range(6):
        moment = MIDNIGHT - ago * DAY + HOUR
        for number, event in enumerate(EVENTS):
            good = dimension(event, "success", service="shop", service_version=f"1.{ago % 2}")
            counts[moment, good] = 10 * (number + 1) + ago
            rows.append(one_row(moment, good, 20 + number))
        bad = dimension("shop.order", "failure", "error", "invalid_preset", service="shop")
        counts[moment, bad] = 1
    async with writing(store_database, catalog) as writer:
        await writer.consume(batch(*rows, counts=counts, losses={}))


def in_80(output):
    """What was printed, in 80 columns, without spaces at the ends of lines."""
    assert max(len(line) for line in output.splitlines()) <= 80
    return "\n".join(line.rstrip() for line in output.splitlines())


WRONG = [
    (
        ["usage", "--where", "colour=red"],
        "no column `colour` to ask for; there are surface, feature",
    ),
    (["usage", "--where", "service"], "a condition is COLUMN=VALUE"),
    (
        ["usage", "--by", "colour"],
        "no column `colour` to count by; there are hour, day, week, month",
    ),
    (["usage", "--since", "yesterday"], "`since` is no time; give 30m, 12h, 7d or 2w"),
    (["usage", "--since", "1d", "--until", "2d"], "`since` must be before `until`"),
    (["usage", "--since", "2999-01-01"], "the period has not begun"),
    (["usage", "--since", "1d", "--days", "2"], "--days is a period of its own"),
    (["catalog", "--days", "2"], "of all that is kept; ask for it without a period"),
    (["groups", "--by", "week", "--by", "month"], "by day, by week or by month; count by one"),
    (["latency", "--by", "note"], "no column `note` to count by"),
    (["usage", "--csv", "--json"], "two forms"),
    (["--by", "day"], "of one report: name it"),
    (["--csv"], "of one report: name it"),
    (["--tz", "Europe/Berlin"], "of one report: name it"),
    (["usage", "--tz", "Mars/Olympus"], "no such time zone; give a name such as Europe/Berlin"),
    (["usage", "--tz", "../etc/passwd"], "no such time zone"),
    (["usage", "--tz", ""], "no such time zone"),
    (
        ["usage", "--tz", "Asia/Kolkata"],
        "are +5:30 from UTC, and counts are kept by its hours; ask in",
    ),
    (["errors", "--tz", "America/St_Johns", "--since", "2026-01-01"], "are -3:30 from UTC"),
    (
        ["groups", "--tz", "Europe/Berlin"],
        "is in UTC, in no other zone; in a time zone there are usage",
    ),
    (["changes", "--tz", "Europe/Berlin"], "is in UTC, in no other zone"),
    (["features", "--tz", "Europe/Berlin"], "is in UTC, in no other zone"),
    (["walkers"], "there is no such report; there are usage, errors, outcomes, changes"),
    (["usage", "--limit", "0"], "0 is not in the range 1<=x<=100000"),
    (["usage", "--days", "0"], "0 is not in the range 1<=x<=3650"),
    (["usage", "--days", "many"], "'many' is not a valid integer range"),
    (["usage", "errors"], "unexpected extra argument (errors)"),
    (["usage", "--for", "7d"], "No such option"),
    (["usage", "--where"], "Option '--where' requires an argument"),
]


@pytest.mark.parametrize(("words", "said"), WRONG, ids=lambda words: " ".join(words)[:40])
def test_what_is_wrong_is_one_line_with_what_would_be_right(ask, words, said):
    done = ask(*words)
    assert done.exit_code == 2
    [line] = done.stderr.splitlines()
    assert line.startswith("Error: ")
    assert said in line


def test_answers_are_json_csv_and_tables_of_the_same_rows(ask, used):
    question = ["usage", "--since", "3d", "--where", "event=shop.visit", "--by", "version"]
    [rows] = [json.loads(ask(*question, "--json").output)["rows"]]
    assert len(rows) == 2
    header, *lines = csv.reader(io.StringIO(ask(*question, "--csv").output))
    assert header == ["service_version", "count"]
    assert lines == [[row["service_version"], str(row["count"])] for row in rows]
    table = in_80(ask(*question).output)
    for row in rows:
        assert re.search(rf"{row['service_version']} +│ +{row['count']} │", table)


def test_json_says_of_when_it_is(ask, used):
    said = json.loads(
        ask("usage", "--since", "2026-01-01", "--until", "2026-01-03", "--json").output
    )
    assert said == {
        "report": "usage",
        "period": {"start": "2026-01-01T00:00:00Z", "end": "2026-01-03T00:00:00Z"},
        "rows": [],
        "notes": [f"what is stored begins on {TODAY - dt.timedelta(days=5)}"],
    }
    assert json.loads(ask("usage", "--json").output)["days"] == 7
    assert "period" not in json.loads(ask("completeness", "--json").output)


def test_times_are_iso_8601_in_csv(ask, used):
    lines = ask("usage", "--by", "hour", "--csv").output.splitlines()
    assert lines[1].startswith(f"{TODAY - dt.timedelta(days=5)}T01:00:00Z,")


def test_a_table_has_its_period_its_completeness_and_trends(ask, used):
    lines = in_80(ask("usage").output).splitlines()
    assert lines[0] == "What was used, the last 7 days (UTC)"
    assert lines[1] == "completeness unknown: no sender keeps a tally"
    [visits] = [line for line in lines if "shop.visit" in line]
    bars = re.search("[·▁▂▃▄▅▆▇█]{7}", visits)[0]
    assert bars[0] == "·"  # nothing on the first of seven days
    assert "·" not in bars[1:]
    assert bars[1] == "█"  # most of it was five days ago


def test_rows_that_are_left_out_are_mentioned(ask, used):
    assert "--limit 1 left them out" in ask("usage", "--limit", "1").output
    assert "left them out" not in ask("usage").output
    assert "count by action" in ask("usage", "--by", "event").output


@pytest.mark.parametrize("name", postgres.REPORTS)
def test_an_empty_store_has_an_empty_table_that_says_so(ask, name):
    done = ask(name)
    assert (done.exit_code, done.stderr) == (0, "")
    if name not in ("attributes", "catalog", "concurrent", "features"):  # of what is not used
        [line] = done.output.splitlines()
        assert line.startswith(postgres.REPORTS[name])
        assert "(UTC): nothing yet." in line
    assert json.loads(ask(name, "--json").output)["report"] == name


def test_a_period_before_anything_was_stored_says_when_that_begins(ask, used):
    first = TODAY - dt.timedelta(days=5)
    for name in ("usage", "latency", "losses"):
        said = ask(name, "--since", "2020-01-01", "--until", "2020-02-01").output
        [line] = said.splitlines()
        assert line.endswith(
            f"2020-01-01 to 2020-01-31 (UTC): nothing; what is stored begins on {first}."
        )


def test_what_nothing_fits_says_so(ask, used):
    assert "nothing that fits yet." in ask("usage", "--where", "service=nobody").output


def test_a_role_that_may_not_read_is_told_what_it_needs(ask, used, store_database, monkeypatch):
    login = conninfo_to_dict(store_database)["dbname"].replace("test", "login")
    name = sql.Identifier(login)
    with psycopg.connect(store_database, autocommit=True) as owner:
        owner.execute(sql.SQL("CREATE ROLE {} LOGIN PASSWORD 'known'").format(name))
        try:
            dsn = make_conninfo(store_database, user=login, password="known")
            monkeypatch.setenv("FOOTFALL_DSN", dsn)
            for words in (["usage"], ["latency"], []):
                done = ask(*words)
                [line] = done.stderr.splitlines()
                assert (done.exit_code, f"GRANT footfall_reader TO {login}" in line) == (1, True)
            owner.execute(sql.SQL("GRANT footfall_reader TO {}").format(name))
            for words in ([], *([each] for each in postgres.REPORTS)):
                done = ask(*words)
                assert (done.exit_code, done.stderr) == (0, ""), (
                    words,
                    done.stderr,
                    done.exception,
                )
        finally:
            owner.execute(sql.SQL("DROP ROLE {}").format(name))


def test_a_store_of_another_version_is_one_line(ask, store_database):
    with psycopg.connect(store_database) as connection:
        connection.execute("DROP VIEW reporting.catalog")
    for words in (["catalog"], []):
        done = ask(*words)
        [line] = done.stderr.splitlines()
        assert done.exit_code == 1
        assert "another version of Footfall; run `footfall migrate`" in line
    assert ask("usage").exit_code == 0


def test_a_store_of_a_former_version_is_one_line_whatever_is_asked(ask, used, store_database):
    with psycopg.connect(store_database) as connection:
        connection.execute(
            "DROP VIEW reporting.completeness, reporting.usage_by_day, reporting.features;"
            "CREATE VIEW reporting.completeness AS SELECT event, 1 AS stored FROM reporting.usage;"
            "ALTER VIEW reporting.usage RENAME COLUMN count TO number"
        )
    answered = set()
    for words in ([], *([name] for name in postgres.REPORTS)):
        done = ask(*words)
        if done.exit_code == 0:
            answered |= {*words}
            continue
        [line] = done.stderr.splitlines()
        assert done.exit_code == 1, words
        assert "another version of Footfall; run `footfall migrate`" in line
    assert answered == {"annotations", "attributes", "concurrent"}  # none asks what is changed here


def test_a_report_during_a_migration_is_one_line(ask, store_database, monkeypatch):
    monkeypatch.setattr(postgres, "READING", replace(postgres.READING, lock="100ms"))
    with psycopg.connect(store_database) as migrating:
        migrating.execute("DROP VIEW reporting.usage, reporting.usage_by_day CASCADE")
        for words in (["usage"], []):
            done = ask(*words)
            [line] = done.stderr.splitlines()
            assert (done.exit_code, "Postgres is busy" in line) == (1, True)
        migrating.rollback()
    assert ask("usage").exit_code == 0


def test_everything_is_on_one_screen(ask, used):
    said = in_80(ask().output)
    assert len(said.splitlines()) < 40
    assert said.startswith("The state of everything, the last 7 days (UTC)\n")
    failures, counted_by_itself = 6, 6
    for number, event in enumerate(EVENTS):
        uses = sum(10 * (number + 1) + ago for ago in range(6)) + counted_by_itself
        uses += failures if event == "shop.order" else 0
        assert re.search(rf"^{event} +{uses}  ·[▁▂▃▄▅▆▇█]{{6}}$", said, re.M)
    assert re.search(r"^shop.order +invalid_preset +6 +\d", said, re.M)
    assert re.search(r"^Lost +nothing$", said, re.M)
    assert re.search(r"^Not used +1 of 4 declared events: shop.ping$", said, re.M)
    assert re.search(r"^Last stored +\d+ seconds? ago$", said, re.M)
    assert "completeness unknown: no sender keeps a tally" in said
    assert "footfall." not in said


def test_everything_of_an_empty_store_and_as_json(ask, used):
    said = json.loads(ask("--json").output)
    assert said["report"] == "overview"
    assert {each["event"] for each in said["used"]} == set(EVENTS)
    assert said["unused"] == ["shop.ping"]
    assert said["completeness"]["share"] is None


@pytest.mark.parametrize("width", [40, 60])
def test_on_few_columns_nothing_is_cut(width):
    day, event = dt.datetime(2026, 1, 1, tzinfo=UTC), "shop.newsletter.subscription"
    failed = Report(
        "errors",
        day,
        ("event", "error_type", "count", "share"),
        [(event, "seed_exhausted", 12_345, 0.5)],
    )
    slow = Report("latency", day, ("event", "p50_ms", "p95_ms"), [(event, 1_234, 23_456)])
    lost = Report("losses", day, ("signal", "reason", "count"), [("traces", "enum_value", 34_567)])
    used = [Used(event, 45_678, [1.0] * 14)]
    complete, fresh = Completeness(0, 0, 0, 0), Freshness(1, day, 0, None, day)
    file = io.StringIO()
    found = Overview(Period(day, None), used, failed, slow, lost, complete, fresh, 1, [])
    print_overview(found, Console(file=file, width=width))
    said = file.getvalue()
    assert max(map(len, said.splitlines())) <= width
    for whole in (
        "times",
        "of all",
        "p50 ms",
        "p95 ms",
        "50.0%",
        "12,345",
        "1,234",
        "23,456",
        "34,567",
        "45,678",
    ):
        assert re.search(rf"(^| ){whole}( |$)", said, re.M), whole
    assert "█" * 14 in said
    tables = [part.splitlines() for part in said.split("\n\n")[1:4]]
    named = ["".join(line[: line.find("  ")] for line in lines) for lines in tables]
    assert [name.endswith(event) for name in named] == [True, True, True]


@pytest.mark.parametrize("width", [80, 200])
def test_however_long_names_are_it_is_one_screen_and_they_are_whole(width):
    names = [f"{letter * 60}.{letter * 40}" for letter in "abcde"]
    day = dt.datetime(2026, 1, 1, tzinfo=UTC)
    failed = ("event", "error_type", "count", "share")
    slow = ("event", "observations", "p50_ms", "p95_ms", "p99_ms")
    lost = ("signal", "reason", "count")
    found = Overview(
        Period(day, None),
        [Used(name, 10**9, [1.0] * 14) for name in names],
        Report("errors", day, failed, [(name, "[bold]y" * 5, 10**9, 0.5) for name in names]),
        Report("latency", day, slow, [(name, 9, 10**6, 10**6, 10**6) for name in names]),
        Report("losses", day, lost, [("subscriber", name, 10**9) for name in names]),
        Completeness(0, 0, 0, 0),
        Freshness(1, day, 0, None, day),
        5,
        names,
    )
    file = io.StringIO()
    print_overview(found, Console(file=file, width=width))
    lines = file.getvalue().splitlines()
    assert max(map(len, lines)) <= width
    assert len(lines) < 40
    together = "".join(line[:width].split()[0] for line in lines if line.strip())
    assert names[0] in together
    assert "[bold]y" in file.getvalue()


def test_everything_of_an_empty_store(ask):
    said = in_80(ask().output)
    assert "Nothing was used." in said
    assert re.search(
        r"^Not used +4 of 4 declared events: shop.order, shop.ping, shop.survey, ...$", said, re.M
    )
    assert re.search(r"^Last stored +nothing, within 7 days$", said, re.M)


@pytest.mark.parametrize(
    ("complete", "said"),
    [
        (Completeness(0, 0, 50, 0), "completeness unknown: no sender keeps a tally"),
        (Completeness(9_999, 10_000, 0, 0), "completeness of all that is kept: 99.9%"),
        (Completeness(10_000, 10_000, 0, 0), "completeness of all that is kept: 100.0%"),
        (Completeness(11, 10, 0, 2), "completeness of all that is kept: 90.0%"),
        (
            Completeness(999, 999, 1, 0),
            "completeness of all that is kept: 100.0% of the 99% with a tally, else unknown",
        ),
        (
            Completeness(1, 1, 999, 0),
            "completeness of all that is kept: 100.0% of the 0% with a tally, else unknown",
        ),
    ],
)
def test_completeness_is_never_rounded_up(complete, said):
    assert told(complete) == said


def test_shares_say_all_or_nothing_only_where_it_is():
    shares = {
        1: "100.0%",
        0.9999: "99.9%",
        0.5: "50.0%",
        0.0001: "<0.1%",
        0: "0.0%",
        1.01: "101.0%",
    }
    assert {share: percent(share) for share in shares} == shares


def test_bars_are_as_high_as_their_values():
    assert sparkline([0, 1, 4, 8, None]) == "·▂▅█·"
    assert sparkline([0, 0]) == "··"
    assert sparkline([1, 1000]) == "▁█"


def test_a_period_in_words():
    noon, day = dt.datetime(2026, 1, 2, 12, tzinfo=UTC), dt.datetime(2026, 1, 2, tzinfo=UTC)
    midnight = dt.datetime.combine(dt.datetime.now(UTC).date(), dt.time(), UTC)
    assert period_of(None, None) == "all that is kept"
    assert period_of(midnight, None) == "today"
    assert period_of(midnight - dt.timedelta(days=2), None) == "the last 3 days"
    assert period_of(noon, None) == "since 2026-01-02 12:00"
    assert period_of(day, day + dt.timedelta(days=1)) == "2026-01-02"
    assert period_of(day, day + dt.timedelta(days=3)) == "2026-01-02 to 2026-01-04"
    assert period_of(day, noon) == "2026-01-02 00:00 to 2026-01-02 12:00"


def test_how_long_ago_something_was():
    now = dt.datetime(2026, 1, 2, tzinfo=UTC)
    said = {0: "0 seconds", 59: "59 seconds", 60: "1 minute", 7199: "1 hour", 200_000: "2 days"}
    for seconds, words in said.items():
        assert age(now - dt.timedelta(seconds=seconds), now) == f"{words} ago"
    assert age(now + dt.timedelta(seconds=5), now) == "0 seconds ago"


def test_a_terminal_without_bars_gets_none(ask, used, monkeypatch):
    monkeypatch.setattr(Console, "encoding", property(lambda _: "ascii"))
    for words in (["usage"], []):
        assert "█" not in ask(*words).output


@pytest.mark.parametrize(
    ("words", "typed", "offered"),
    [
        (["usage", "--by"], "s", {"surface", "service"}),
        (["errors", "--by"], "pro", {"provider"}),
        (["losses", "--by"], "", {"signal", "reason", "day", "week", "month"}),
        (["usage", "--by"], "ho", {"hour"}),
        (
            ["groups", "--by"],
            "",
            {"day", "week", "month", "attribute", "event", "feature", "product"},
        ),
        (
            ["usage", "--where"],
            "",
            {"surface=", "feature=", "event=", "action=", "service=", "version=", "environment="},
        ),
        (["losses", "--where"], "r", {"reason="}),
    ],
)
def test_the_shell_completes_columns(words, typed, offered):
    completion = ShellComplete(main, {}, "footfall", "_FOOTFALL_COMPLETE")
    assert {item.value for item in completion.get_completions(["report", *words], typed)} == offered


def test_nothing_is_made_to_be_asked(ask, monkeypatch, tmp_path):
    monkeypatch.delenv("FOOTFALL_DSN")
    for words in (["usage"], []):
        done = ask(*words)
        assert (done.exit_code, done.stderr.splitlines()) == (
            1,
            ["Error: there is no database yet; run `footfall up`"],
        )
    assert not (tmp_path / "home").exists()


# Days of completeness, and how long sessions took


def test_completeness_is_of_a_period_or_by_day_where_that_is_asked(ask, used):
    said = json.loads(ask("completeness", "--days", "2", "--by", "day", "--json").output)
    assert [row["day"] for row in said["rows"]] == [str(TODAY - DAY_), str(TODAY)]
    assert all((row["ratio"], row["emitted"]) == (None, 0) for row in said["rows"])
    kinds = [10 * (number + 1) + 1 for number in range(3)]
    failed, counted_by_itself = 1, 4
    assert said["rows"][0]["untallied"] == sum(kinds) + failed + counted_by_itself - 1
    assert said["notes"] == ["a use shortly before midnight (UTC) may be in the next day's tally"]
    assert said["period"]["start"] == f"{TODAY - DAY_}T00:00:00Z"
    whole = json.loads(ask("completeness", "--json").output)
    by_week = json.loads(ask("completeness", "--by", "week", "--by", "event", "--json").output)
    sums = {}
    for row in by_week["rows"]:
        sums[row["event"]] = sums.get(row["event"], 0) + row["untallied"]
    assert sums == {row["event"]: row["untallied"] for row in whole["rows"]}
    assert "unknown" in in_80(ask("completeness", "--days", "2", "--by", "day").output)


def test_sessions_by_how_long_they_took(ask, store_database):
    seconds = [0, 29, 30, 59, 60, 299, 900, 3599, 3600, 14399, 14400, 90000]
    with psycopg.connect(store_database) as owner:
        for number, took in enumerate(seconds):
            owner.execute(
                "INSERT INTO footfall.sessions (session, service, opened, opened_at, last_seen, ended_at,"
                " ended_by)"
                " VALUES (%s, 'till', true, %s, %s, %s, 'call')",
                [
                    uuid.UUID(int=number),
                    dt.datetime.combine(TODAY, dt.time(), UTC),
                    *[dt.datetime.combine(TODAY, dt.time(), UTC) + dt.timedelta(seconds=took)] * 2,
                ],
            )
        owner.execute("UPDATE footfall.sessions SET ended_at = NULL, ended_by = NULL WHERE session = %s",
                      [uuid.UUID(int=0)])  # fmt: skip
    rows = json.loads(ask("session_length", "--json").output)["rows"]
    assert [(row["length"], row["sessions"], row["seconds"]) for row in rows] == [
        ("0:00:00 to 0:00:30", 1, 29),
        ("0:00:30 to 0:01:00", 2, 89),
        ("0:01:00 to 0:05:00", 2, 359),
        ("0:15:00 to 1:00:00", 2, 4499),
        ("1:00:00 to 4:00:00", 2, 17999),
        ("4:00:00 or more", 2, 104400),
    ]
