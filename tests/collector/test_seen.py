"""R-number C8: how often each event came, and the newest observations, on the command line."""

import datetime as dt
import json
import re
import time

import psycopg
import pytest
from click.testing import CliRunner

from footfall_collector.cli import main
from support.batches import DAY, HOUR, SECOND, batch, dimension, one_row
from support.stores import MIDNIGHT, TODAY, writing

ORDER = dimension(
    "shop.order", "failure", "error", "invalid_preset", service="till", provider="smz3"
)
VISIT = dimension("shop.visit", "open")


@pytest.fixture
def run(store_database, monkeypatch, tmp_path):
    monkeypatch.setenv("FOOTFALL_DSN", store_database)
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.chdir(tmp_path)
    return lambda *words: CliRunner().invoke(main, [*words])


@pytest.fixture
async def now_us(store_database, catalog):
    """Some seconds ago, an hour ago and days ago something was used."""
    now = time.time_ns() // 1000 // SECOND * SECOND
    rows = [
        one_row(now - 5 * SECOND, ORDER, 120, guild_id=b"g" * 16),
        one_row(now - 3 * SECOND, VISIT, None),
        one_row(now - 2 * DAY, VISIT, None),
    ]
    counts = {(MIDNIGHT - 20 * DAY, VISIT): 7, (MIDNIGHT - 2 * DAY + HOUR, ORDER): 30}
    async with writing(store_database, catalog) as writer:
        await writer.consume(batch(*rows, counts=counts, losses={}))
    return now


def moment(us):
    return dt.datetime.fromtimestamp(us / 1e6, dt.UTC)


@pytest.mark.parametrize("width", [40, 60])
def test_stats_on_few_columns_are_whole(run, now_us, monkeypatch, width):
    monkeypatch.setenv("COLUMNS", str(width))
    said = run("stats").output
    assert max(map(len, said.splitlines())) <= width
    assert "…" not in said
    for whole in ("shop.order", "31", "shop.visit", "9", "never", ":.."):
        assert whole in said
    assert {"all", "7 days", "today", "this hour", "last"} <= set(re.split(r"\s{2,}|\n", said))


@pytest.mark.requirement("C8")
def test_stats_are_how_often_each_event_came(run, now_us):
    said = json.loads(run("stats", "--json").output)["events"]
    of = {each.pop("event"): each for each in said}
    today, hour = moment(now_us - 5 * SECOND).date() == TODAY, moment(now_us - 5 * SECOND).hour
    expected = int(today), int(today and hour == dt.datetime.now(dt.UTC).hour)
    assert (of["shop.order"]["count"], of["shop.order"]["week"]) == (31, 31)
    assert (of["shop.order"]["today"], of["shop.order"]["hour"]) == expected
    assert (of["shop.visit"]["count"], of["shop.visit"]["week"]) == (9, 2)
    assert of["shop.ping"] == {"count": 0, "week": 0, "today": 0, "hour": 0, "last_used": None}
    lines = run("stats").output.splitlines()
    assert max(map(len, lines)) <= 80
    assert lines[0].split()[-7:] == ["all", "7", "days", "today", "this", "hour", "last"]
    assert next(line for line in lines if "shop.ping" in line).split()[1:] == [*"0000", "never"]


@pytest.mark.requirement("C8")
def test_recent_are_the_newest_without_a_pseudonym(run, now_us):
    said = json.loads(run("recent", "--json").output)["events"]
    assert [each["event"] for each in said] == ["shop.visit", "shop.order", "shop.visit"]
    times = [dt.datetime.fromisoformat(each["created_at"]) for each in said]
    assert times == [moment(now_us - ago) for ago in (3 * SECOND, 5 * SECOND, 2 * DAY)]
    order = said[1]
    assert (order["status"], order["error_type"], order["duration_ms"]) == (
        "error",
        "invalid_preset",
        120,
    )
    assert (order["service"], order["provider"]) == ("till", "smz3")
    assert not {"guild_id", "guild_hash", "event_id"} & order.keys()
    assert run("recent", "--limit", "2").output.splitlines() == [
        f"{moment(now_us - 3 * SECOND):%Y-%m-%d %H:%M:%S}Z shop.visit open status=ok",
        f"{moment(now_us - 5 * SECOND):%Y-%m-%d %H:%M:%S}Z shop.order failure 120 ms status=error"
        " error_type=invalid_preset service=till provider=smz3",
    ]
    shared, *lines = run("recent", "--where", "event=shop.visit").output.splitlines()
    assert shared == "all with status=ok"
    assert [line.partition("Z ")[2] for line in lines] == ["shop.visit open"] * 2
    [only] = json.loads(run("recent", "--where", "service=till", "--json").output)["events"]
    assert only == order
    assert len(json.loads(run("recent", "--where", "service=", "--json").output)["events"]) == 2


def test_what_is_wrong_or_missing_is_one_line(run, store_database, empty_database, monkeypatch):
    for words, said in (
        (["recent", "--limit", "0"], "0 is not in the range 1<=x<=1000"),
        (["recent", "--where", "colour=red"], "no such column to ask for; there are event_name, "),
        (["recent", "--where", "colour"], "a condition is COLUMN=VALUE"),
        (["stats", "shop"], "unexpected extra argument"),
    ):
        done = run(*words)
        [line] = done.stderr.splitlines()
        assert (done.exit_code, said in line) == (2, True), line
    assert run("recent").output.startswith("Nothing is stored yet.")
    with psycopg.connect(store_database) as connection:
        connection.execute("DROP VIEW reporting.catalog, reporting.events")
    for database, why in ((store_database, "another version"), (empty_database, "holds nothing")):
        monkeypatch.setenv("FOOTFALL_DSN", database)
        for command in ("stats", "recent"):
            done = run(command)
            [line] = done.stderr.splitlines()
            assert (done.exit_code, why in line) == (1, True), line
