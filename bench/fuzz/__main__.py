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
  atheris     what atheris finds, guided by coverage, when it is there: python bench fuzz --install

An input that failed is kept as a file; python bench fuzz --replay FILE runs it again and shows why.

Run: make bench BENCH=fuzz        (options: python bench fuzz --help)
"""

import argparse
import json
import math
import multiprocessing as mp
import secrets
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from rich.console import Console
from rich.progress import Progress
from rich.table import Table

from fuzz.guided import ATHERIS, guided, install
from fuzz.run import GROWTH_MB, SHARES, Result, worker
from fuzz.target import Input, Target

BENCH = Path(__file__).parents[1]


def main() -> None:
    """Runs the inputs and prints the table and, last, one JSON object."""
    parser = argparse.ArgumentParser(
        prog="python bench fuzz",
        description=__doc__,
        formatter_class=argparse.RawTextHelpFormatter,
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
        console.print("atheris is not installed: python bench fuzz --install")
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
        console.print(f"failed: python bench fuzz --replay {path}", soft_wrap=True)
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
        workers.append((context.Process(target=worker, args=arguments, daemon=True), done))
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
    options = ["--guided", folder, "--inputs", inputs, "--seed", seed]
    command = [sys.executable, BENCH, "fuzz", *options]
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
