"""`footfall demo` as a newcomer runs it: exact numbers, and nothing personal on disk or on screen."""

import base64
import datetime as dt
import ipaddress
import json
import os
import re
import shutil
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pytest

from conftest import make_directory
from footfall_examples import sahasrahbot
from footfall_examples.sahasrahbot import plan, planted
from footfall_examples.sahasrahbot.steps import Act, Chat, Press, Request, Slash, Text

PATIENCE = 240
"""Seconds for a whole demo, while other tests run beside it."""
pytestmark = pytest.mark.timeout(PATIENCE + 20)
FOOTFALL = str(Path(sys.executable).with_name("footfall"))
PLANTED = Path(sahasrahbot.__path__[0]) / "planted.txt"
ERROR_TYPES = {
    "provider_unavailable", "provider_timeout", "timeout", "invalid_preset", "permission_denied",
    "unexpected_error",
}  # fmt: skip


@dataclass
class Done:
    """A demo that has ended.

    Attributes:
        today: When it began (UTC).
        home: Footfall's home, in which it kept its data.
        code: Its exit status.
        output: What it printed, on both streams.
        reports: Those that were asked for.
    """

    home: Path
    code: int
    output: str
    today: str
    reports: dict[str, list[dict[str, Any]]] = field(default_factory=dict)

    @property
    def data(self) -> Path:
        return self.home / "demo"

    def report(self, name: str) -> list[dict[str, Any]]:
        """A report of what was driven, asked for once and as the demo says."""
        return self.asked(name, "--since", self.today)

    def asked(self, *words: str) -> list[dict[str, Any]]:
        """A report, asked for once."""
        if (asked := " ".join(words)) not in self.reports:
            command = ["report", *words, "--json", "-c", str(self.data / "footfall.yaml")]
            self.reports[asked] = json.loads(_footfall(self.home, *command).stdout)["rows"]
        return self.reports[asked]


def _footfall(home: Path, *command: str) -> subprocess.CompletedProcess[str]:
    """Runs a command in a shell that points elsewhere, and without a terminal."""
    astray = {
        "FOOTFALL_HOME": str(home),
        "FOOTFALL_DSN": "host=nowhere.invalid",
        "OTEL_EXPORTER_OTLP_ENDPOINT": "http://nowhere.invalid:4317",
        "TELEMETRY_SAMPLE_RATE": "0.5",
        "DO_NOT_TRACK": "1",
        "http_proxy": "http://nowhere.invalid:3128",
    }
    return subprocess.run(
        [FOOTFALL, *command],
        env=os.environ | astray,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )


@pytest.fixture(scope="module")
def done() -> Iterator[Done]:
    home, today = make_directory(), dt.datetime.now(dt.UTC).date().isoformat()
    run = _footfall(home, "demo", "--once")
    yield Done(home, run.returncode, run.stdout + run.stderr, today)
    shutil.rmtree(home)


def test_it_succeeds(done: Done) -> None:
    assert done.code == 0, done.output


def test_what_was_driven_is_what_the_report_says(done: Done) -> None:
    found = re.search(r"uses +driven +([\d,]+) = reported +([\d,]+)", done.output)
    assert found, done.output
    assert found[1] == found[2]
    total = int(found[1].replace(",", ""))
    assert total == sum(row["count"] for row in done.report("usage")) > 2000


FAILS = {  # presets that go wrong, and how
    "mystery": "invalid_preset",
    "retrance": "provider_timeout",
    "festive": "provider_unavailable",
    "casualboots": "unexpected_error",
}
LOGIN_FAILS = {
    "401": "permission_denied", "503": "provider_unavailable", "504": "provider_timeout",
}  # fmt: skip
Seen = tuple[str, str, str | None, str | None]
"""An event, an action, an error type and a provider."""


def _ends(
    event: str, error: str | None, provider: str | None = None, invoke: bool = False
) -> list[Seen]:
    end = (event, "failure" if error else "success", error, provider)
    return [(event, "invoke", None, None), end] if invoke else [end]


def _seen_on_the_web(ask: Request) -> list[Seen]:
    if ask.path == "/login":
        return [("api.auth.login", "start", None, None)]
    if ask.path == "/callback/discord":
        return _ends("api.auth.login", LOGIN_FAILS.get(ask.query["code"][-3:]))
    assert ask.body is not None
    events = {"/settingsgen": "api.settingsgen.request", "/sglive": "api.sglive.seed_generate"}
    return _ends(events[ask.path], FAILS.get(ask.body["preset"]), ask.body["provider"])


def _seen_in_discord(ask: Act) -> list[Seen]:
    tournament = "discord.asynctournament"
    match ask.does:
        case Press("asynctournament:start"):
            return [(tournament, "run_start", None, None)]
        case Press("asynctournament:submit"):
            return [(tournament, "run_submit", None, None)]
        case Slash("asynctournament review"):
            return [(tournament, "review_complete", None, None)]
        case Slash("racetime_tools open"):
            names = [line.split(None, 1) for line in PLANTED.read_text().splitlines() if line]
            people = [name for kind, name in names if kind in ("user_name", "discriminator")]
            error = None if ask.member in people[::2] else "permission_denied"
            return _ends("discord.racetime_tools.command", error, invoke=True)
        case Slash("generator", {"provider": provider, "preset": preset}):
            pass
        case Text(text):
            command, *words = text.split()
            if command == "$daily":
                return _ends("discord.daily.announce", FAILS.get(words[0]), "alttpr")
            assert command == "$generator"
            provider, preset = words[:2]
    return _ends("discord.generator", FAILS.get(preset), provider, invoke=True)


def _seen_on_racetime(ask: Chat) -> list[Seen]:
    room, (command, *words) = "racetime.room.command", ask.text.split()
    if command != "!seed":
        refused = command == "!lock" and not ask.monitor
        return _ends(room, "permission_denied" if refused else None, invoke=True)
    error = FAILS.get(words[1])
    return _ends(room, error, invoke=True) + _ends("racetime.seed.generate", error, words[0])


def _expected() -> Counter[Seen]:
    """What must be seen of all that users do, by what they do: no planned use is looked at."""
    seen: Counter[Seen] = Counter()
    for step in plan.make(planted.load()):
        match step.ask:
            case Request():
                seen.update(_seen_on_the_web(step.ask))
            case Act():
                seen.update(_seen_in_discord(step.ask))
            case Chat():
                seen.update(_seen_on_racetime(step.ask))
    room = "racetime.room.command"  # the program that knows only OpenTelemetry; every tenth fails
    seen[room, "invoke", None, None] += 120
    seen[room, "success", None, None] += 108
    seen[room, "failure", "timeout", None] += 12
    return seen


def test_every_surface_reports_just_what_its_users_did(done: Done) -> None:
    expected: Counter[tuple[str, ...]] = Counter()
    for (event, action, _, _), number in _expected().items():
        expected[event.partition(".")[0], event, action] += number
    found = {(r["surface"], r["event"], r["action"]): r["count"] for r in done.report("usage")}
    assert found == expected
    for surface in ("api", "discord", "racetime"):
        number = sum(count for key, count in expected.items() if key[0] == surface)
        assert re.search(
            rf"^  {surface} +driven +{number:,} = reported +{number:,}$", done.output, re.M
        )
        assert re.search(rf"^│ {surface} +│ {surface}\.", done.output, re.M)


def test_every_failure_is_reported_with_its_type_and_its_provider(done: Done) -> None:
    expected = Counter(
        {
            (event, error, provider): number
            for (event, _, error, provider), number in _expected().items()
            if error
        }
    )
    rows = done.report("errors")
    assert {(r["event"], r["error_type"], r["provider"]): r["count"] for r in rows} == expected


def test_it_ends_with_the_state_of_everything_of_the_same_figures(done: Done) -> None:
    state = done.output.partition("The state of everything, today (UTC)")[2]
    state = state.partition("Is it exact?")[0]
    assert len(state.splitlines()) < 40
    uses: Counter[str] = Counter()
    for row in done.report("usage"):
        uses[row["event"]] += 0 if row["action"] in ("invoke", "start") else row["count"]
    for event, number in uses.most_common(4):
        assert re.search(rf"^{event} +{number:,}  [·▁▂▃▄▅▆▇█]+ *$", state, re.M), state
    failures: Counter[tuple[str, str]] = Counter()
    for row in done.report("errors"):
        failures[row["event"], row["error_type"]] += row["count"]
    (event, error), number = failures.most_common(1)[0]
    assert re.search(rf"^{event} +{error} +{number:,} +\d", state, re.M), state
    [slowest] = [max(done.report("latency"), key=lambda row: row["p95_ms"])]
    assert re.search(rf"^{slowest['event']} +\d+ +{slowest['p95_ms']:,} *$", state, re.M), state
    lost = max(done.report("losses"), key=lambda row: row["count"])
    assert re.search(rf"^{lost['reason']} +{lost['signal']} +{lost['count']:,} *$", state, re.M), (
        state
    )
    assert re.search(r"^Not used +none of 9 declared events *$", state, re.M), state


def test_it_names_the_bots_that_it_runs(done: Done) -> None:
    assert re.search(rf"Discord +discord\.py {re.escape(version('discord.py'))}, ", done.output)
    assert f"racetime-bot {version('racetime-bot')} in rooms at http://127.0.0.1:" in done.output


@pytest.mark.requirement("A4")
def test_every_error_type_is_in_the_errors_report(done: Done) -> None:
    rows = done.report("errors")
    assert {row["error_type"] for row in rows} == ERROR_TYPES
    assert all(row["error_type"] in done.output for row in rows)
    found = re.search(r"failures +driven +([\d,]+) = reported +([\d,]+)", done.output)
    assert found
    assert int(found[1]) == sum(row["count"] for row in rows)


def test_percentiles_are_shown_and_slow_seeds_are_seen_in_the_last(done: Done) -> None:
    for column in ("p50 ms", "p95 ms", "p99 ms"):
        assert column in done.output
    rows = {row["event"]: row for row in done.report("latency")}
    generator = rows["discord.generator"]
    assert 0 < generator["p50_ms"] <= generator["p95_ms"] <= generator["p99_ms"]
    assert generator["p99_ms"] >= 200  # the slow randomizer takes that long at least


def test_active_guilds_are_not_counted_before_their_day_has_settled(done: Done) -> None:
    assert done.report("groups") == []


def test_the_days_before_are_stored_as_they_are_in_the_books(done: Done) -> None:
    for what in ("before", "guilds"):
        found = re.search(rf"^  {what} +driven +([\d,]+) = reported +([\d,]+)$", done.output, re.M)
        assert found, done.output
        assert found[1] == found[2]
        assert int(found[1].replace(",", "")) > 1000
    first = dt.date.fromisoformat(done.today) - dt.timedelta(days=70)
    before = done.asked("usage", "--by", "day", "--since", str(first), "--until", done.today)
    assert len({row["day"] for row in before}) == 63
    assert re.search(
        rf"63 days, made up: {sum(row['count'] for row in before):,} uses", done.output
    )


def test_the_inventory_has_something_to_say_of_the_days_before(done: Done) -> None:
    said = {row["event"]: row["verdict"] for row in done.asked("features")}
    assert said["discord.daily.announce"] == "fading"
    assert said["api.settingsgen.request"] == "growing"
    assert said["api.sglive.seed_generate"] == "new"
    worse = [row["event"] for row in done.asked("releases") if row["verdict"] == "fails more"]
    assert worse


def test_a_program_that_knows_only_opentelemetry_is_counted(done: Done) -> None:
    rows = {row["action"]: row["count"] for row in done.report("usage") if row["feature"] == "room"}
    assert rows["invoke"] == rows["success"] + rows["failure"] == 320 + 120
    assert "120 spans of a program that knows OpenTelemetry but not Footfall" in " ".join(
        done.output.split()
    )


def _planted() -> tuple[list[str], list[str]]:
    """Control values and personal values."""
    lines = [line.split(None, 1) for line in PLANTED.read_text(encoding="utf-8").splitlines()]
    lines = [line for line in lines if line and not line[0].startswith("#")]
    controls = [value.strip() for kind, value in lines if kind == "control"]
    return controls, [value.strip() for kind, value in lines if kind != "control"]


def _forms(value: str) -> set[bytes]:
    """The value's forms, without the zero bytes that a file is searched without."""
    text = value.encode()
    forms = {text, text.hex().encode(), text.hex().upper().encode()}
    forms |= {value.encode("utf-16-le"), value.encode("utf-16-be")}
    for lead in range(3):  # base64 works on groups of 3: only whole groups of the value's own count
        whole = text[lead:]
        whole = whole[: len(whole) // 3 * 3]
        forms |= {base64.b64encode(whole), base64.urlsafe_b64encode(whole)}
    number = int(value) if value.isdecimal() else None
    if re.fullmatch(r"[\d.]{7,15}", value) and number is None:
        number = int(ipaddress.ip_address(value))
    for size in (4, 8):
        if number is not None and number < 256**size:
            forms |= {number.to_bytes(size, "big"), number.to_bytes(size, "little")}
    return {form.strip(b"\0") for form in forms}


def _contents(done: Done) -> dict[str, bytes]:
    """Every file and the output; runs of zero bytes, of which a database is full, made short."""
    files = {str(f): f.read_bytes() for f in done.data.rglob("*") if f.is_file()}
    files["(output)"] = done.output.encode()
    return {name: re.sub(rb"\0{32,}", bytes(32), content) for name, content in files.items()}


def test_nothing_planted_is_on_disk_or_on_screen_but_the_controls_are(done: Done) -> None:
    controls, personal = _planted()
    contents = _contents(done)
    names = "\n".join(contents)
    for part in ("/base/", "/pg_wal/", "/postgres.log", "/demo.log", "/output.txt"):
        assert part in names
    for control in controls:  # first: the search finds what is there, in a table's file
        text = control.encode()
        assert [name for name, content in contents.items() if "/base/" in name and text in content]
    everything = b"\0\0\0\0".join(contents.values())
    found = [
        f"{PLANTED.name}: value {number}"
        for number, value in enumerate(personal)
        if any(form in everything for form in _forms(value))
    ]
    assert found == []


def test_its_own_search_says_the_same(done: Done) -> None:
    assert "planted personal values in" in done.output
    assert "none found" in done.output
    module = "footfall_examples.sahasrahbot.search"
    again = subprocess.run(
        [sys.executable, "-m", module, str(done.data)], capture_output=True, text=True, check=False
    )
    assert again.returncode == 0, again.stdout + again.stderr


def test_it_says_where_to_look_next(done: Done) -> None:
    for what in ("footfall.yaml", "events.yaml", "sahasrahbot.search", "docker compose up"):
        assert what in done.output


def _command_line(process: Path) -> bytes:
    try:
        return (process / "cmdline").read_bytes()
    except OSError:  # it has just ended
        return b""


def test_no_process_is_left(done: Done) -> None:
    data = str(done.data).encode()
    assert [p.name for p in Path("/proc").glob("[0-9]*") if data in _command_line(p)] == []


def test_a_directory_with_other_data_is_refused_in_one_line(tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").write_text("years of work")
    run = _footfall(tmp_path, "demo", "--data", str(tmp_path))
    assert run.returncode == 1
    assert run.stderr.splitlines() == [
        f"Error: {tmp_path} is not empty, and no demo made it; nothing was touched."
        " Instead, choose another directory with --data"
    ]
    assert os.listdir(tmp_path) == ["thesis.txt"]
