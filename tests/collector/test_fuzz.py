"""A short run of bench/fuzz, and that it would see what it looks for."""

import importlib
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from footfall_collector.decoding import wire
from footfall_processors import values

BENCH = Path(__file__).parents[2] / "bench"


@pytest.fixture(scope="module")
def fuzz():
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(BENCH)
        yield importlib.import_module("fuzz.run")


@pytest.fixture
def drive(fuzz, tmp_path):
    def drive(inputs, seed=20_261_122):
        run = fuzz.Run(tmp_path, "suite")
        fuzz.drive(run, seed, inputs)
        return run.close()

    return drive


def reasons(result):
    return "\n".join(path.with_suffix(".why").read_text() for path in result.failures[:3])


def replay(fuzz, path):
    target = fuzz.Target()
    try:
        return target(fuzz.Input.unpack(path.read_bytes()))
    finally:
        target.close()


def test_three_thousand_inputs_are_answered_and_nothing_leaks(fuzz, drive, tmp_path):
    result = drive(3000)
    assert not result.failures, reasons(result)
    assert result.answers.total() == 3000
    for answer in ("accepted", "partial", "invalid"):
        assert result.answers["mutated", answer] > 100
    assert result.growth_mb[0] < fuzz.GROWTH_MB
    assert not list(tmp_path.iterdir())


def test_text_that_passed_no_redaction_would_be_seen(fuzz, drive, monkeypatch):
    monkeypatch.setattr(values, "redact", lambda text: text)
    result = drive(800)
    assert "AssertionError" in reasons(result)
    with pytest.raises(AssertionError):
        replay(fuzz, result.failures[0])
    monkeypatch.undo()
    assert replay(fuzz, result.failures[0]) in ("accepted", "partial")


def test_an_unforeseen_exception_would_be_seen(fuzz, drive, monkeypatch):
    def broken(spans, **asked):
        raise KeyError("walker")

    monkeypatch.setattr(wire, "columns", broken)
    result = drive(100)
    assert "internal error" in reasons(result)
    assert "KeyError" in reasons(result)


def test_a_hang_would_be_seen(drive, monkeypatch):
    monkeypatch.setattr("fuzz.target.SLOWEST_S", 0.0)
    result = drive(20)
    assert len(result.failures) == 20
    assert "took" in reasons(result)


def test_a_process_that_ends_leaves_its_input_behind(fuzz, tmp_path):
    class Ended(BaseException):
        pass

    def target(given):
        raise Ended

    run = fuzz.Run(tmp_path, "suite", target=target)
    given = fuzz.Input("random", "logs", "json", b"\n{\n")
    with pytest.raises(Ended):
        run.one(given)
    assert fuzz.Input.unpack((tmp_path / "suite.under-way").read_bytes()) == given
    run._under_way.close()


def test_what_it_started_ends_with_it(tmp_path):
    command = [sys.executable, str(BENCH), "fuzz", "--inputs", "1000000"]
    env = {**os.environ, "TMPDIR": str(tmp_path)}
    with subprocess.Popen(command, stdout=subprocess.PIPE, env=env) as process:
        children = Path(f"/proc/{process.pid}/task/{process.pid}/children")
        while len(found := children.read_text().split()) < 3:  # the tracker and two workers
            time.sleep(0.05)
        process.terminate()
        assert process.wait(20) == 1
    deadline = time.monotonic() + 10
    while any(Path(f"/proc/{child}").exists() for child in found):
        assert time.monotonic() < deadline
        time.sleep(0.05)
    assert not list(tmp_path.glob("footfall-*"))
