"""bench/faults and bench/overload.py in short: the same code, few rounds, and no figure that is a time."""

import argparse
import importlib
import sys
from pathlib import Path

import pytest
from rich.console import Console
from rich.progress import Progress

BENCH = Path(__file__).parents[2] / "bench"


@pytest.fixture
def bench(monkeypatch):
    monkeypatch.syspath_prepend(str(BENCH))
    return importlib.import_module


@pytest.fixture
def play(bench):
    faults, scale = bench("faults.play"), bench("faults.stage").Scale
    short = scale(kills=1, crashes=1, pauses=(1.5,), timeout=0.7, patience=30)

    def play(name, **options):
        with Progress(disable=True) as progress:
            return faults.play(name, short, progress, **options)

    return play


def test_what_was_acknowledged_is_stored_once_though_the_collector_was_killed(play):
    result = play("kill-collector")
    assert result["faults"] == []
    assert (result["lost"], result["duplicated"]) == (0, 0)
    assert result["stored"] == result["sent"] > 0
    assert result["retried"] > 0


def test_what_was_acknowledged_is_stored_once_though_the_embedded_postgres_was_killed(play):
    result = play("embedded-kill")
    assert [f for f in result["faults"] if "more than 5 s" not in f] == []
    assert (result["lost"], result["duplicated"]) == (0, 0)
    assert result["stored"] == result["sent"] > 0


def test_without_the_uniqueness_of_the_ledger_the_bench_finds_duplicates(play):
    result = play("paused", break_ledger=True)
    assert result["duplicated"] > 0
    assert any(fault.startswith("duplicated") for fault in result["faults"])


def test_the_sender_imports_nothing_of_ours():
    source = (BENCH / "faults" / "sender.py").read_text()
    imported = {
        line.split()[1].split(".")[0]
        for line in source.splitlines()
        if line.startswith(("import ", "from "))
    }
    assert imported - sys.stdlib_module_names == {"grpc", "google", "opentelemetry"}


def test_what_is_lost_duplicated_or_miscounted_is_found(bench):
    reckoning = bench("faults.reckoning")
    journal = reckoning.Journal()
    for line in (
        "sent a traces 10", "acknowledged a 0",
        "sent b traces 10", "held b UNAVAILABLE", "acknowledged b 4",
        "sent c traces 10",
        "sent m metrics one 7", "acknowledged m 0",
        "sent n metrics one 9",
    ):  # fmt: skip
        reckoning._add(journal, line.split())

    def verdict(counted, **rows):
        seen = sum(number for number, _ in rows.values())
        counts = {reckoning.SEEN: seen, reckoning.COUNTED: counted}
        return reckoning.compare(journal, reckoning.Stored(rows, counts))

    fine = verdict(7, a=(10, 10), b=(6, 6))
    assert (fine.lost, fine.duplicated, fine.rejected, fine.retried_stored) == (0, 0, 4, 1)
    assert fine.faults == ["never answered: 2"]
    assert verdict(7, a=(9, 9), b=(6, 6)).lost == 1
    assert verdict(7, a=(10, 10), b=(5, 5)).lost == 1
    assert verdict(7, a=(12, 10), b=(6, 6)).duplicated == 2
    assert verdict(7, a=(10, 10), b=(6, 6), c=(10, 10)).unanswered_stored == 1
    assert verdict(7, a=(10, 10), b=(6, 6), x=(1, 1)).foreign == 1
    assert [verdict(n, a=(10, 10), b=(6, 6)).faults[1:] != [] for n in (6, 7, 8, 9, 10)] == [
        True, False, False, False, True,
    ]  # fmt: skip


def test_ten_times_the_load_is_refused_with_a_hint_and_within_the_memory(bench):
    overload = bench("overload")
    options = argparse.Namespace(seconds=2.5, before=1, in_flight=80, manners=0.1)
    figures = overload.measure(options, Console(quiet=True))
    assert figures["refused"] > 0
    assert (figures["no_hint"], figures["lost_or_twice"], figures["complaints"]) == (0, 0, [])
    assert figures["peak_mib"] <= figures["bound_mib"]
