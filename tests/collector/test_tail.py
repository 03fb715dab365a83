"""`footfall up --live` and `footfall tail`: what is seen of a collector that runs, in real terminals."""

import asyncio
import datetime as dt
import json
import re
import signal
import subprocess
import time
from pathlib import Path

import httpx
import pytest
from rich.console import Console

from collector.keyed import ALL, write_keys
from footfall_collector.cli.live import pictured
from footfall_collector.cli.watching import Watch
from footfall_exporters.postgres.today import Kind, Thing, Total
from support.otlp import PROTOBUF, logs, traces
from support.ports import free_port
from support.pseudoterminal import Pseudoterminal, lines
from support.up import FOOTFALL, Up
from support.waiting import wait_until

TESTS = Path(__file__).parents[1]
SALT = "5a17c3e09b46d28f7a10e5b3c94d6f82"
TAIL = [*FOOTFALL[:-1], "tail"]
DRAWN = "\x1b[1mstored today"


@pytest.fixture
def configuration(tmp_path, store_database, monkeypatch):
    """The file of a collector, and its port for HTTP; whoever sends needs a key."""
    monkeypatch.delenv("FOOTFALL_DSN", raising=False)
    write_keys(tmp_path / "keys.yaml", web=(ALL, {}))
    port, file = free_port(), tmp_path / "collector.yaml"
    file.write_text(json.dumps({
        "receivers": {"otlp": {
            "protocols": {"grpc": None, "http": {"endpoint": f"127.0.0.1:{port}"}},
            "auth": {"keys_file": "keys.yaml"}}},
        "processors": {"footfall": {"catalog": str(TESTS / "events.yaml"), "hash_salt": SALT}},
        "exporters": {"postgres": {"dsn": store_database}},
        "service": {"operator": None},
    }))  # fmt: skip
    return file, port


def send(port, signal, body, token=ALL):
    headers = PROTOBUF | {"authorization": f"Bearer {token}"}
    return httpx.post(
        f"http://127.0.0.1:{port}/v1/{signal}", content=body, headers=headers, verify=False
    )


def row(screen, *words):
    """The row of a table with these words in this order, split."""
    rows = [line.split() for line in screen]
    return next((r for r in rows if [w for w in r if w in words] == [*words]), None)


def test_up_shows_live_what_is_stored_and_refused_and_ends_as_ever(configuration):
    file, port = configuration
    terminal = Pseudoterminal([*FOOTFALL, "--config", str(file), "--live"])
    try:
        terminal.sees("Nothing stored yet today (UTC). Is TELEMETRY_ENABLED=true")
        terminal.sees("Nothing refused, nothing lost.")
        assert send(
            port, "traces", traces("shop.ping", number=3, guild_id="planted-7f3a9c")
        ).is_success
        terminal.sees("shop.ping")
        send(port, "logs", logs("shop.visit.open", "planted.event"))
        terminal.sees("undeclared_event")
        begun = time.monotonic()
        while time.monotonic() < begun + 3:  # many lines of the log, many changes
            send(port, "traces", traces("shop.ping"), "planted-key")
            send(port, "traces", traces("shop.ping"))
            terminal.read(0.01)
        terminal.sees("refused  key")
        terminal.press(b"\x03")
        assert terminal.end() == 0
    finally:
        terminal.close()
    screen = terminal.screen()
    assert (
        screen[-2 if screen[-1] == "" else -1] == "Stopped: every request in flight was answered."
    )
    assert int(row(screen, "shop.ping", "invoke")[2]) > 3
    assert row(screen, "lost", "undeclared_event", "logs")[3] == "1"
    assert "planted" not in terminal.raw
    assert any("footfall.refused: a request was refused: key" in line for line in screen), "the log"
    tables = [line for line in screen if line.startswith(("shop.", "stored", "lost", "refused"))]
    assert len(tables) == len({line.split()[0] + line.split()[1] for line in tables}), (
        "drawn in place"
    )
    assert all(len(line) <= 80 for line in screen)
    assert terminal.raw.rindex("\x1b[?25h") > terminal.raw.rindex("\x1b[?25l"), "the cursor is back"
    drawn = [when for when, part in terminal.chunks for _ in range(part.count(DRAWN))]
    assert len(drawn) <= 2 * (drawn[-1] - drawn[0]) + 4, "twice a second, whatever happens"


def test_up_without_a_terminal_prints_a_line_for_each_change(configuration):
    file, port = configuration
    collector = Up(file, "--live")
    try:
        asyncio.run(collector.said("Ctrl-C"))
        send(port, "traces", traces("shop.ping", number=2))
        line = r"\d\d:\d\d:\d\dZ stored  shop\.ping invoke \+2 \(2 today\)\n"
        asyncio.run(collector.said(line))
        send(port, "traces", traces("shop.ping"), "nobody")
        asyncio.run(collector.said(r"Z refused key \(traces\) \+1 \(1 today\)\n"))
    finally:
        assert collector.stop(signal.SIGINT) == 0
    assert "\x1b" not in collector.log.read_text()


def test_tail_follows_all_workers_in_a_terminal_in_a_pipe_and_for_scripts(configuration, tmp_path):
    file, port = configuration
    collector = Up(file, "--workers", "2")
    tail = [*TAIL, "--config", str(file)]
    printed, records = tmp_path / "printed", tmp_path / "records"
    watching, terminal = [], None
    try:
        asyncio.run(collector.said("Ctrl-C"))
        send(port, "traces", traces("shop.ping"))
        terminal = Pseudoterminal(tail)
        for path, options in ((printed, []), (records, ["--json"])):
            with path.open("w") as out:
                watching.append(subprocess.Popen([*tail, *options], stdout=out, stderr=out))
        terminal.sees("shop.ping")
        for _ in range(8):  # connections of their own, over both workers
            send(port, "traces", traces("shop.ping"))
            send(port, "logs", logs("foreign"))
            send(port, "logs", logs("shop.visit.open"), "nobody")
        for words in (
            ("shop.ping", "9"),
            ("refused", "key", "8"),
            ("lost", "undeclared_event", "8"),
        ):
            wait_until(lambda words=words: terminal.read() and row(terminal.screen(), *words))
        for path, number in ((printed, r"\({} today"), (records, '"count": {}}}')):
            for what, last in (("shop.ping", 9), ("refused", 8), ("lost", 8)):
                line = re.compile(f"{what}.*{number.format(last)}")
                wait_until(lambda path=path, line=line: line.search(path.read_text()))
        terminal.press(b"\x03")
        assert terminal.end() == 0
        for each, how in zip(watching, (signal.SIGINT, signal.SIGTERM), strict=True):
            each.send_signal(how)
            assert each.wait(30) == 0
    finally:
        for each in watching:
            each.kill()
            each.wait()
        if terminal is not None:
            terminal.close()
        collector.stop()
    what = r"stored  shop.ping invoke|refused key \(logs\)|lost    undeclared_event \(logs\)"
    shape = rf"\d\d:\d\d:\d\dZ ({what}) \+\d \(\d today\)"
    assert all(re.fullmatch(shape, line) for line in printed.read_text().splitlines())
    found = [json.loads(line) for line in records.read_text().splitlines()]
    assert sum(each["more"] for each in found if each.get("event") == "shop.ping") == 9
    lost = [each for each in found if each["kind"] == "lost"]
    assert {(each["reason"], each["signal"]) for each in lost} == {("undeclared_event", "logs")}
    assert lost[-1]["count"] == sum(each["more"] for each in lost) == 8
    assert all(dt.datetime.fromisoformat(each["time"]) for each in found)


@pytest.mark.parametrize(
    "twice", [(signal.SIGTERM, signal.SIGINT), (signal.SIGINT, signal.SIGTERM)]
)
def test_tail_that_is_ended_twice_ends_once_and_says_nothing(configuration, query, twice):
    """As `timeout` and a terminal that is closed do it: the command is told, and its group."""
    file, _ = configuration
    query("INSERT INTO footfall.refused_daily VALUES"
          " ((now() AT TIME ZONE 'UTC')::date, 'logs', 'service', 'web', 'till', 4)")  # fmt: skip
    command = [*TAIL, "--config", str(file)]
    for pause in (0, 0, 0.002, 0.02):
        tail = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        assert "refused service" in tail.stdout.readline()
        for how in twice:
            tail.send_signal(how)
            time.sleep(pause)
        assert (tail.communicate(timeout=30)[1], tail.returncode) == ("", 0)


@pytest.mark.parametrize(
    ("options", "changed", "said"),
    [
        (["--workers", "2"], {}, "run `footfall tail`"),
        ([], {"exporters": {"logs": {}}, "processors": {}}, "this collector is a gateway"),
    ],
)
def test_live_is_refused_where_there_is_no_one_process_with_a_store(
    configuration, options, changed, said, tmp_path
):
    file, _ = configuration
    config = json.loads(file.read_text()) | changed
    if "exporters" in changed:
        catalog = tmp_path / "small.yaml"
        catalog.write_text("product: s\nevents: {s.a: {surface: web, feature: a}}\n")
        config["processors"] = {"footfall": {"catalog": str(catalog)}}
        pipeline = {"receivers": ["otlp"], "processors": ["footfall"], "exporters": ["logs"]}
        config["service"] |= {"pipelines": {"logs": pipeline}}
    file.write_text(json.dumps(config))
    command = [*FOOTFALL, "--config", str(file), "--live", *options]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert done.returncode == 2
    assert said in " ".join(done.stderr.split())


def test_tail_says_plainly_what_is_missing(tmp_path, empty_database):
    def said(**environment):
        done = subprocess.run(TAIL, capture_output=True, text=True, timeout=60,
                              env={"PATH": "/usr/bin", **environment})  # fmt: skip
        assert done.returncode == 1
        [line] = done.stderr.splitlines()
        return line

    assert "start one with `footfall up`" in said(FOOTFALL_HOME=str(tmp_path))
    assert not list(tmp_path.iterdir()), "nothing is made"
    assert "holds nothing of Footfall yet" in said(FOOTFALL_DSN=empty_database)
    away = "host=127.0.0.1 port=1 user=walker password=planted-7f3a9c"
    line = said(FOOTFALL_DSN=away)
    assert "Postgres cannot be reached" in line
    assert "planted" not in line


# What is looked at


def test_a_store_that_goes_and_comes_back_is_asked_again(store_database, query):
    watch = Watch(store_database)
    assert watch.look_if_there() == []
    query("INSERT INTO footfall.refused_daily VALUES"
          " ((now() AT TIME ZONE 'UTC')::date, 'logs', 'service', 'web', 'till', 4)")  # fmt: skip
    [change] = watch.look_if_there()
    assert change.thing == Thing(Kind.REFUSED, "service", "", "logs", "web", "till")
    assert (change.more, change.number) == (4, 4)
    name = (
        "pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'footfall tail'"
    )
    assert query(f"SELECT {name} AND datname = current_database()") == [(True,)]
    query("UPDATE footfall.refused_daily SET requests = 5")
    assert watch.look_if_there() == []
    assert watch.away
    assert watch.totals[change.thing] == Total(4), "what is known is shown on"
    [change] = watch.look_if_there()
    assert (watch.away, change.more) == ("", 1)
    watch.close()


def test_what_an_application_dropped_is_lost_with_its_service(store_database, query):
    query(
        "WITH d AS (INSERT INTO footfall.feature_dims (fingerprint, event, surface, feature, action,"
        " status, service, drop_reason) VALUES (gen_random_uuid(), 'footfall.dropped', 'footfall',"
        " 'dropped', 'count', 'ok', 'till', 'queue_full') RETURNING id)"
        " INSERT INTO footfall.feature_counts SELECT date_trunc('hour', now()), id, 7 FROM d"
    )
    watch = Watch(store_database)
    [change] = watch.look()
    watch.close()
    assert change.thing == Thing(Kind.LOST, "queue_full", signal="sdk", service="till")
    assert change.number == 7


# How it looks


def drawn(watch, width=80, height=24):
    console = Console(width=width, height=height, force_terminal=True, color_system=None)
    with console.capture() as capture:
        console.print(pictured(watch, height))
    return lines(capture.get().replace("\n", "\r\n"), width)


def test_names_are_whole_at_80_columns_and_a_low_terminal_shows_what_came_last():
    watch = Watch("")
    long = "discord." + "generator_of_seeds_" * 2 + "end"
    now = dt.datetime(2026, 11, 29, 14, 3, 22, tzinfo=dt.UTC)
    hour = now.replace(minute=0, second=0)
    watch.totals = {
        Thing(Kind.STORED, long, action="success"): Total(1_234_567, hour),
        Thing(Kind.LOST, "undeclared_attribute", signal="traces"): Total(2),
        Thing(Kind.REFUSED, "service", "", "logs", "web", "till"): Total(3),
    }
    screen = drawn(watch)
    assert all(len(line) <= 80 for line in screen)
    assert row(screen, long, "success") == [long, "success", "1,234,567", "14:.."]
    assert row(screen, "undeclared_attribute")
    assert row(screen, "refused", "service") == [
        "refused",
        "service",
        "logs",
        "key",
        "web,",
        "till",
        "3",
    ]
    narrow = drawn(watch, width=50)[2:5]
    assert "".join(line.split()[0] for line in narrow) == long, "folded, and nothing cut off"
    watch.totals = {
        Thing(Kind.STORED, f"shop.e{n:02}", action="invoke"): Total(1, hour) for n in range(40)
    }
    watch.seen = {Thing(Kind.STORED, "shop.e07", action="invoke"): now}
    screen = drawn(watch)
    assert len(screen) <= 24
    assert row(screen, "shop.e07") == ["shop.e07", "invoke", "1", "14:03:22"]
    assert any("more that came earlier" in line for line in screen)


def test_a_day_begins_anew(store_database, query):
    watch = Watch(store_database)
    watch.look()
    watch._day = dt.date(2026, 1, 1)
    watch.totals = dict.fromkeys([Thing(Kind.STORED, "shop.ping", action="invoke")], Total(9))
    watch.seen = dict.fromkeys(watch.totals, dt.datetime.now(dt.UTC))
    assert watch.look() == []
    watch.close()
    assert watch.totals == {}
    assert watch.seen == {}


# Single observations, and pipes


def test_each_observation_is_a_line_without_a_pseudonym(configuration, tmp_path):
    file, port = configuration
    collector = Up(file)
    printed, records = tmp_path / "printed", tmp_path / "records"
    watching = []
    try:
        asyncio.run(collector.said("Ctrl-C"))
        send(port, "traces", traces("shop.ping"))
        for path, options in ((printed, []), (records, ["--json"])):
            with path.open("w") as out:
                command = [*TAIL, "--config", str(file), "--events", *options]
                watching.append(subprocess.Popen(command, stdout=out, stderr=out))
        send(port, "logs", logs("foreign"))
        for path in (printed, records):
            wait_until(lambda path=path: "undeclared_event" in path.read_text())
        send(port, "traces", traces("shop.order", number=2, guild_id="planted-7f3a9c"))
        for path in (printed, records):
            wait_until(lambda path=path: path.read_text().count("shop.order") == 2)
        for each, how in zip(watching, (signal.SIGINT, signal.SIGTERM), strict=True):
            each.send_signal(how)
            assert each.wait(30) == 0
    finally:
        for each in watching:
            each.kill()
            each.wait()
        collector.stop()
    lines = [line for line in printed.read_text().splitlines() if "stored" in line]
    shape = r"\d\d:\d\d:\d\dZ stored  shop\.order success 83 ms status=ok"
    assert len(lines) == 2
    assert all(re.fullmatch(shape, line) for line in lines), lines
    found = [json.loads(line) for line in records.read_text().splitlines()]
    stored = [each for each in found if each["kind"] == "stored"]
    assert [each.pop("time")[-1] for each in stored] == ["Z", "Z"]
    one = {"kind": "stored", "event": "shop.order", "action": "success", "duration_ms": 83}
    assert stored == [{**one, "attributes": {"status": "ok"}}] * 2
    assert "planted" not in printed.read_text() + records.read_text()


def test_tail_ends_when_nobody_reads_it_any_more(store_database, monkeypatch):
    monkeypatch.setenv("FOOTFALL_DSN", store_database)
    for options in ([], ["--events"], ["--json"]):
        watching = subprocess.Popen(
            [*TAIL, *options], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        try:
            watching.stdout.close()
            assert watching.wait(30) == 0
            assert watching.stderr.read() == ""
        finally:
            watching.kill()
            watching.wait()
            watching.stderr.close()
