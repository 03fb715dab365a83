"""What happened: what operators say of it, and when versions were first seen."""

import datetime as dt
import json

import psycopg
import pytest
from click.testing import CliRunner

from footfall_collector.cli import main
from support.batches import DAY, HOUR, batch, dimension, one_row
from support.stores import MIDNIGHT, writing

PLANTED = "walker@example.org"


@pytest.fixture
def run(store_database, monkeypatch, tmp_path):
    monkeypatch.setenv("FOOTFALL_DSN", store_database)
    monkeypatch.setenv("FOOTFALL_HOME", str(tmp_path / "home"))
    monkeypatch.chdir(tmp_path)
    return lambda *words: CliRunner().invoke(main, [*words])


def test_what_operators_say_is_kept_until_they_take_it_back(run):
    at = "2026-11-22T14:30:00Z"
    done = run("annotate", " presets can be saved ", "--at", at, "--version", "2.14.0",
               "--product", "sahasrahbot", "--json")  # fmt: skip
    assert done.exit_code == 0, done.output
    assert json.loads(done.stdout) == {
        "id": 1, "at": at, "text": "presets can be saved", "product": "sahasrahbot",
        "version": "2.14.0",
    }  # fmt: skip
    before = dt.datetime.now(dt.UTC)
    assert run("annotate", "an outage").exit_code == 0
    [first, second] = [
        json.loads(line) for line in run("annotate", "--list", "--json").stdout.splitlines()
    ]
    assert (first["id"], second["text"]) == (1, "an outage")
    assert abs(dt.datetime.fromisoformat(second["at"]) - before) < dt.timedelta(minutes=1)
    said = run("annotate", "--list").stdout.splitlines()
    assert said[0] == "   1  2026-11-22 14:30  presets can be saved  (sahasrahbot 2.14.0)"
    assert run("annotate", "--remove", "1").exit_code == 0
    assert run("annotate", "--remove", "1").exit_code == 1
    assert "an outage" in run("annotate", "--list").stdout
    assert "presets" not in run("annotate", "--list").stdout


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ([], "give a TEXT, or --list, or --remove ID"),
        (["an outage", "--list"], "give a TEXT, or --list, or --remove ID"),
        (["--list", "--product", "x"], "are for a TEXT"),
        (["  "], "the text is empty"),
        (["x" * 281], "the text has 281 characters"),
        (["x", "--product", "x" * 129], "the product has 129 characters"),
        (["a\nb"], "control characters"),
        (["a\x1b[31mb"], "control characters"),
        (["a\u202eb"], "control characters"),
        (["x", "--version", "1\t2"], "the version has control characters"),
        (["x", "--at", "yesterday"], "`--at` is no time"),
    ],
)
def test_what_cannot_be_said_is_refused_and_nothing_kept(run, query, words, said):
    done = run("annotate", *words)
    assert done.exit_code == 2
    assert said in done.output
    assert query("SELECT FROM footfall.annotations") == []


def test_what_looks_personal_is_left_out(run, query):
    done = run("annotate", f"moved by {PLANTED}")
    assert PLANTED not in done.output
    assert "what looked personal in it was left out" in done.stderr
    [[text]] = query("SELECT text FROM reporting.annotations")
    assert PLANTED not in text
    assert text.startswith("moved by ")


async def test_versions_are_known_by_themselves_from_the_hour_of_their_first_use(
    run, store_database, catalog, query
):
    again = MIDNIGHT - 2 * DAY + 3 * HOUR
    used = {"service": "bot", "service_version": "2.14.0"}
    old = dimension("shop.order", "success", **used, environment="production")
    bad = dimension("shop.order", "failure", "error", **used, environment="production")
    counts = {}
    async with writing(store_database, catalog) as writer:
        for moment in (MIDNIGHT - 5 * DAY + 7 * HOUR, MIDNIGHT - 5 * DAY + 9 * HOUR, again):
            counts[moment, old] = 3
            counts[moment + HOUR, bad] = 1
        counts[again, dimension("shop.order", "success", **used, environment="staging")] = 1
        counts[again, dimension("shop.order", "success", service="bot")] = 1
        await writer.consume(batch(one_row(again, old), counts=counts))
    run("annotate", "an outage", "--at", "30m")
    found = json.loads(run("report", "annotations", "--json").stdout)["rows"]
    assert found[0]["text"] == "an outage"

    def at(moment):
        return f"{dt.datetime.fromtimestamp(moment / 10**6, dt.UTC):%Y-%m-%dT%H:%M:%SZ}"

    assert [
        (each["kind"], each["text"], each["environment"], each["version"], each["id"], each["at"])
        for each in found[1:]
    ] == [
        ("version", "bot 2.14.0", "staging", "2.14.0", None, at(again)),
        ("version", "bot 2.14.0", "production", "2.14.0", None, at(MIDNIGHT - 5 * DAY + 7 * HOUR)),
    ]
    late = json.loads(run("report", "annotations", "--since", "3d", "--json").stdout)["rows"]
    assert [each["environment"] for each in late] == [None, "staging"]


def test_readers_see_what_happened_and_cannot_change_it(run, query):
    run("annotate", "an outage")
    query("SET ROLE footfall_reader")
    try:
        assert query("SELECT text FROM reporting.annotations") == [("an outage",)]
        for statement in ("SELECT * FROM footfall.page_keys", "DELETE FROM footfall.annotations"):
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                query(statement)
    finally:
        query("RESET ROLE")
