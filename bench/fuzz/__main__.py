"""Throws a million inputs at the collector's decoders: no crash, no hang, no leak.

An input takes the way that a request takes, without the socket: `Intake.export` in protobuf or JSON, or
the HTTP application with a body in gzip. What comes of it is judged by what the catalog's YAML says, not by
our rules: columns of equal length, values of declared types and in their bounds, nothing undeclared.
A marker (an e-mail address) stands in every place that attribute allowlists forget, and may be in no
batch, answer or log line. Anything but a batch or a `Refusal` is a failure, and so is an answer that
speaks of an internal error. Kinds of inputs:

  random      bytes, or bytes that look like JSON
  mutated     real requests with bits, lengths, numbers, texts, parts or whole messages changed
  hypothesis  structures made by hypothesis
  atheris     what atheris finds, guided by coverage, when it is there: python bench/fuzz.py --install

An input that failed is kept as a file; python bench/fuzz.py --replay FILE runs it again and shows why.

Run: make bench BENCH=fuzz        (options: python bench/fuzz.py --help)
"""

import argparse
import ctypes
import faulthandler
import gc
import itertools
import json
import math
import multiprocessing as mp
import os
import random
import secrets
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import traceback
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from types import FunctionType
from typing import Any

from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import seed as hypothesis_seed
from platformdirs import user_cache_path
from rich.console import Console
from rich.progress import Progress
from rich.table import Table

from fuzz_inputs import Corpus, Mutator, structures
from fuzz_target import SIGNALS, WAYS, Input, Target

ATHERIS = user_cache_path("footfall") / f"atheris-{sys.version_info[0]}.{sys.version_info[1]}"
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


def _worker(seed: int, inputs: int, folder: Path, done: Any, results: "mp.Queue[Result]") -> None:
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


# atheris


def install() -> None:
    """Puts atheris beside the user's caches; it is no dependency of ours."""
    command = [sys.executable, "-m", "pip", "install", "--quiet", "--upgrade", "--target", ATHERIS]
    subprocess.run([*command, "atheris"], check=True)
    print(f"installed to {ATHERIS}")


def _ours() -> Iterator[FunctionType]:
    """The functions and methods whose coverage guides."""
    for name, module in list(sys.modules.items()):
        if name.startswith(("footfall_collector", "footfall_processors")):
            kinds = [kind for kind in vars(module).values() if isinstance(kind, type)]
            for holder in (module, *kinds):
                for each in vars(holder).values():
                    if isinstance(each, FunctionType) and each.__module__ == name:
                        yield each


def guided(seed: int, inputs: int, folder: Path) -> None:
    """Runs atheris in this process, which ends with it; answers are written as they come."""
    sys.path.append(str(ATHERIS))
    import atheris  # type: ignore[import-not-found]  # noqa: PLC0415, RUF100

    corpus = Corpus(random.Random(seed), each=30)
    kept = folder / "corpus"
    kept.mkdir()
    for at, kind in enumerate(SIGNALS):
        for number, body in enumerate(corpus.protobuf[kind]):
            (kept / f"{kind}-{number}").write_bytes(bytes([at]) + body)
        for number, text in enumerate(corpus.json[kind]):
            (kept / f"{kind}-{number}.json").write_bytes(bytes([at + 3]) + text.encode())
    run = Run(folder, f"{seed}-atheris")
    answers = folder / "atheris.json"

    def one(data: bytes) -> None:
        first = data[0] if data else 0
        run.one(Input("atheris", SIGNALS[first % 3], WAYS[first // 3 % 2], data[1:]))
        number = run.result.answers.total()
        if number % 500 == 0 or number == inputs:
            found = [[answer, n] for (_, answer), n in run.result.answers.items()]
            answers.write_text(json.dumps(found))

    for function in list(_ours()):
        atheris.instrument_func(function)
    options = [
        f"-runs={inputs}",
        f"-seed={seed}",
        "-max_len=4096",
        "-verbosity=0",
        "-close_fd_mask=3",
    ]
    atheris.Setup([sys.argv[0], *options, f"-artifact_prefix={folder}/", str(kept)], one)
    atheris.Fuzz()


# The command


def main() -> None:
    """Runs the inputs and prints the table and, last, one JSON object."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--inputs", type=int, default=1_000_000)
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--seed", type=int, default=secrets.randbelow(2**31))
    parser.add_argument(
        "--install", action="store_true", help="install atheris in the user's cache"
    )
    parser.add_argument("--replay", type=Path, metavar="FILE", help="run one kept input again")
    parser.add_argument("--guided", type=Path, metavar="FOLDER", help=argparse.SUPPRESS)
    options = parser.parse_args()
    # What it started ends with it.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("told to stop"))
    if options.install:
        install()
    elif options.replay:
        print(Target()(Input.unpack(options.replay.read_bytes())))
    elif options.guided:
        guided(options.seed, options.inputs, options.guided)
    else:
        _all(options, Console())


def _all(options: argparse.Namespace, console: Console) -> None:
    console.print(f"seed {options.seed}")
    folder = Path(tempfile.mkdtemp(prefix="footfall-fuzz-"))
    by_atheris = int(options.inputs * SHARES["atheris"]) if ATHERIS.exists() else 0
    if not by_atheris:
        console.print("atheris is not installed: python bench/fuzz.py --install")
    started = time.perf_counter()
    guided = _start_guided(options.seed, by_atheris, folder) if by_atheris else None
    try:
        result = _parallel(options, folder, options.inputs - by_atheris, console)
        if guided:
            with console.status("atheris"):
                guided.wait()
            _add_guided(result, guided, options.seed, folder)
    except BaseException:
        if guided:
            guided.kill()
            guided.wait()
        for worker in mp.active_children():
            worker.kill()
            worker.join()
        shutil.rmtree(folder, ignore_errors=True)
        raise
    result.failures += folder.glob("*.under-way")
    seconds = time.perf_counter() - started
    _table(console, result)
    tried = result.answers.total()
    figures = {
        "inputs": tried,
        "failed": len(result.failures),
        "seconds": round(seconds),
        "inputs_per_s_and_process": round(tried / seconds / options.processes),
        "growth_mb": round(max(result.growth_mb), 1),
        "seed": options.seed,
    }
    print(json.dumps(figures))
    for path in result.failures[:20]:
        console.print(f"failed: python bench/fuzz.py --replay {path}", soft_wrap=True)
    if result.failures or tried < options.inputs or figures["growth_mb"] > GROWTH_MB:
        sys.exit(f"failed, or ended early, or grew by more than {GROWTH_MB} MB: {folder}")
    shutil.rmtree(folder)


def _parallel(options: argparse.Namespace, folder: Path, inputs: int, console: Console) -> Result:
    """Shares the inputs among processes; the input that ended one of them counts as failed."""
    context = mp.get_context("spawn")
    results: mp.Queue[Result] = context.Queue()
    share = math.ceil(inputs / options.processes)
    workers = []
    for number in range(options.processes):
        done = context.Value("q", 0, lock=False)
        arguments = (options.seed + number, share, folder, done, results)
        workers.append((context.Process(target=_worker, args=arguments, daemon=True), done))
    for process, _ in workers:
        process.start()
    with Progress(console=console, transient=True) as progress:
        task = progress.add_task("inputs", total=share * len(workers))
        while any(process.is_alive() for process, _ in workers) and results.qsize() < len(workers):
            progress.update(task, completed=sum(done.value for _, done in workers))
            time.sleep(0.2)
    total = Result(growth_mb=[0.0])
    for process, _ in workers:
        process.join(10)
    while not results.empty():
        found = results.get()
        total.answers += found.answers
        total.failures += found.failures
        total.growth_mb += found.growth_mb
    return total


def _start_guided(seed: int, inputs: int, folder: Path) -> "subprocess.Popen[bytes]":
    command = [sys.executable, __file__, "--guided", folder, "--inputs", inputs, "--seed", seed]
    with (folder / "atheris.log").open("wb") as log:
        return subprocess.Popen([str(part) for part in command], stdout=log, stderr=log)


def _add_guided(result: Result, guided: "subprocess.Popen[bytes]", seed: int, folder: Path) -> None:
    answers = folder / "atheris.json"
    if not guided.returncode:  # it ended as it should, if abruptly
        (folder / f"{seed}-atheris.under-way").unlink()
    for answer, number in json.loads(answers.read_text()) if answers.exists() else ():
        result.answers["atheris", answer] += number
    result.failures += folder.glob(f"{seed}-atheris*.input")


def _table(console: Console, result: Result) -> None:
    kinds = sorted({kind for kind, _ in result.answers})
    answers = sorted({answer for _, answer in result.answers})
    table = Table(title="Inputs by kind and answer", title_justify="left")
    for heading in ("kind", *answers, "all"):
        table.add_column(heading, justify="left" if heading == "kind" else "right")
    for kind in kinds:
        numbers = [result.answers[kind, answer] for answer in answers]
        table.add_row(kind, *(f"{number:,}" for number in [*numbers, sum(numbers)]))
    console.print(table)


if __name__ == "__main__":
    main()
