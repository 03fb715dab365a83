"""Inputs one after the other, in a process of its own or in this one; those that failed are kept."""

import ctypes
import faulthandler
import gc
import itertools
import multiprocessing as mp
import os
import random
import sys
import traceback
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import seed as hypothesis_seed

from fuzz.inputs import Corpus, Mutator, structures
from fuzz.target import Input, Target

STUCK_S = 120
"""So long without any input done, and the process shows where it is and ends."""
GROWTH_MB = 24
"""What a process may grow by between a tenth of its inputs and all of them, its memos emptied."""
SHARES = {"random": 0.12, "hypothesis": 0.01, "atheris": 0.15}


@dataclass
class Result:
    """What came of a run.

    Attributes:
        answers: How many inputs, by their kind and that of the answer.
        failures: The files of those that failed.
        growth_mb: What memory grew by after the first tenth, by process.
    """

    answers: Counter[tuple[str, str]] = field(default_factory=Counter)
    failures: list[Path] = field(default_factory=list)
    growth_mb: list[float] = field(default_factory=list)


@dataclass
class Run:
    """Inputs one after the other.

    Args:
        folder: Where inputs that failed are kept, and the one in flight.
        name: Of the files.
        tick: Called after each input.
    """

    folder: Path
    name: str
    tick: Callable[[], None] = lambda: None
    target: Target = field(default_factory=Target)
    result: Result = field(default_factory=Result)

    def __post_init__(self) -> None:
        self._under_way = (self.folder / f"{self.name}.under-way").open("w+b", buffering=0)

    def one(self, given: Input) -> None:
        """Tries an input. Should the process end, the input is left in the file `.under-way`."""
        packed = given.pack()
        os.pwrite(self._under_way.fileno(), packed, 0)
        os.ftruncate(self._under_way.fileno(), len(packed))
        try:
            answer = self.target(given)
        except Exception as error:  # noqa: BLE001, RUF100  # the very thing that is looked for
            answer = "FAILED"
            path = self.folder / f"{self.name}-{len(self.result.failures)}.input"
            path.write_bytes(packed)
            path.with_suffix(".why").write_text("".join(traceback.format_exception(error)))
            self.result.failures.append(path)
        self.result.answers[given.kind, answer] += 1
        self.tick()

    def measured(self) -> float:
        """Resident MB, when nothing is remembered."""
        self.target.renew()
        gc.collect()
        if sys.platform == "linux":
            ctypes.CDLL(None).malloc_trim(0)
        pages = int(Path("/proc/self/statm").read_text().split()[1])
        return pages * os.sysconf("SC_PAGE_SIZE") / 2**20

    def close(self) -> Result:
        """Ends the run."""
        self.target.close()
        self._under_way.close()
        Path(self._under_way.name).unlink()
        return self.result


def drive(run: Run, seed: int, inputs: int) -> None:
    """Tries so many inputs of all kinds but atheris'."""
    rng = random.Random(seed)
    mutator = Mutator(rng, Corpus(rng))
    structured = int(inputs * SHARES["hypothesis"])
    _hypothesis(run, seed, structured)
    before = 0.0
    for number in range(inputs - structured):
        if number == inputs // 10:
            before = run.measured()
        run.one(mutator.random() if rng.random() < SHARES["random"] else mutator.input())
    run.result.growth_mb.append(run.measured() - before)


def _hypothesis(run: Run, seed: int, inputs: int) -> None:
    if not inputs:
        return

    @hypothesis_seed(seed)
    @settings(
        max_examples=inputs,
        deadline=None,
        database=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(structures())
    def examples(given: Input) -> None:
        run.one(given)

    examples()


def worker(seed: int, inputs: int, folder: Path, done: Any, results: "mp.Queue[Result]") -> None:
    """A process of its own."""
    stuck = (folder / f"{seed}.stuck").open("w")
    ticks = itertools.count(1)

    def tick() -> None:
        done.value = number = next(ticks)
        if number % 500 == 0:
            faulthandler.dump_traceback_later(STUCK_S, exit=True, file=stuck)

    faulthandler.enable(stuck)
    faulthandler.dump_traceback_later(STUCK_S, exit=True, file=stuck)
    run = Run(folder, str(seed), tick)
    drive(run, seed, inputs)
    faulthandler.cancel_dump_traceback_later()
    results.put(run.close())
