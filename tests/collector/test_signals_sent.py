"""`footfall reload` and `footfall stop`: they find the collector that runs, and nobody else."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from conftest import CATALOG
from footfall_collector.cli import main
from footfall_collector.process import presence
from support.up import Up

pytestmark = [pytest.mark.thorough, pytest.mark.timeout(240)]
HOLD = """
import sys
from pathlib import Path
from footfall_collector.process.presence import Presence
Presence(Path(sys.argv[1]), 1).begin()
print("held", flush=True)
sys.stdin.read()
"""


@pytest.fixture
def config(tmp_path, store_database, monkeypatch):
    """A configuration, and a home of its own."""
    monkeypatch.setenv("FOOTFALL_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("TELEMETRY_HASH_SALT", "a salt of thirty-two bytes or more")
    (tmp_path / "events.yaml").write_text(CATALOG.read_text())
    path = tmp_path / "collector.yaml"
    path.write_text(
        "receivers: {otlp: {protocols: {grpc: {endpoint: 127.0.0.1:0}, http: null}}}\n"
        f'exporters: {{postgres: {{dsn: "{store_database}"}}}}\n'
        "service: {operator: null}\n"
    )
    return path


def tell(*arguments):
    return CliRunner().invoke(main, list(map(str, arguments)))


@pytest.mark.parametrize("workers", [1, 2])
async def test_a_collector_says_whether_it_took_its_files_and_stops_when_it_is_told(
    config, workers
):
    up = Up(config, "--workers", str(workers))
    try:
        await up.said("Ctrl-C stops")
        pid = up.process.pid
        done = tell("reload", "--config", config)
        assert (done.exit_code, done.output) == (
            0,
            f"Reloaded: process {pid} took catalog, keys and certificates.\n",
        )
        catalog = config.with_name("events.yaml")
        right = catalog.read_text()
        catalog.write_text("product: [")  # nothing is reloaded
        assert tell("reload", "--config", config).exit_code == 2
        # What only the store knows: a column is of another type already.
        catalog.write_text(right.replace("attempts: {type: int", "attempts: {type: float"))
        done = tell("reload", "--config", config)
        assert done.exit_code == 1
        assert f"process {pid} did not take all of it" in done.stderr
        catalog.write_text(right)
        assert tell("reload", "--config", config).exit_code == 0
        catalog.write_text("product: [")  # which is in nobody's way
        done = tell("stop", "--config", config)
        assert done.exit_code == 0
        assert done.output.startswith(f"Stopped: process {pid} ended after ")
        assert up.process.wait(30) == 0
    finally:
        up.stop(signal.SIGKILL)


def test_where_none_runs_it_is_said(config):
    for command in ("reload", "stop"):
        done = tell(command, "--config", config)
        assert done.exit_code == 1
        assert "no collector runs with this configuration" in done.stderr
        assert len(done.stderr.splitlines()) == 1


def test_a_process_that_holds_no_lock_is_never_told(tmp_path):
    """As one that got the number of a collector which is gone: it would end."""
    place = tmp_path / "collectors" / "one.lock"
    with holding(place) as held:
        pid = held.pid
        assert presence.holder(place) == pid
        held.kill()
    assert presence.holder(place) is None
    with subprocess.Popen(["sleep", "60"]) as other:
        assert not presence.tell(place, other.pid, signal.SIGTERM)
        assert other.poll() is None
        other.kill()
    assert not presence.tell(place, pid, signal.SIGTERM)


def test_of_two_with_one_configuration_the_first_is_found(tmp_path, caplog):
    place = tmp_path / "collectors" / "one.lock"
    with holding(place) as first:
        presence.Presence(place, 1).begin()
        assert "another collector runs with this configuration" in caplog.text
        assert presence.holder(place) == first.pid
        assert presence.tell(place, first.pid, signal.SIGTERM)
        assert first.wait(30) == -signal.SIGTERM


def test_a_home_that_cannot_be_written_keeps_no_collector_from_running(tmp_path, caplog):
    (tmp_path / "file").touch()
    presence.Presence(tmp_path / "file" / "collectors" / "one.lock", 1).begin()
    assert "will not find this collector" in caplog.text


def test_whose_configuration_it_is(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    absolute = presence.place_of(str(tmp_path / "a.yaml"), [])
    assert presence.place_of("a.yaml", ["other"]) == absolute
    assert presence.place_of("b.yaml", []) != absolute
    assert presence.place_of(None, ["events.yaml"]) == presence.place_of(
        None, [str(tmp_path / "events.yaml")]
    )


class holding(subprocess.Popen):
    """A process that holds a collector's lock."""

    def __init__(self, place: Path) -> None:
        command = [sys.executable, "-c", HOLD, os.fspath(place)]
        super().__init__(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        assert self.stdout.readline() == "held\n"
