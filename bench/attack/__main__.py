"""Attacks on memory and on admission, each with an honest sender beside it.

`footfall up` stores what it takes in a Postgres of its own; every attack meets a new collector. The honest
sender makes a small request every 50 ms, over HTTP (a connection each) and gRPC (one for all) in turn.

What is limited, for each attack:
  taken     share of the honest requests that are acknowledged
  p99       of their seconds
  memory    the collector's peak (VmHWM) is at most BASE and the admission limit (128 MiB)

Run: make bench BENCH=attack      (options: python bench attack --help; --quick for a look)
"""

import argparse
import json
import math
import multiprocessing as mp
import os
import subprocess
import sys
import tempfile
from collections import Counter
from concurrent import futures
from pathlib import Path
from typing import Any

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table

from attack import attacks, honest
from faults.processes import Collector, Postgres
from overload import status_mib

TAKEN, P99_S, BASE_MIB, ADMITTED_MIB = 0.99, 1.0, 100, 128
SECONDS, QUICK_S = 30.0, 5.0


def certificate(folder: Path) -> dict[str, object]:
    """TLS of localhost, made with openssl."""
    made = {"cert_file": str(folder / "s.pem"), "key_file": str(folder / "s.key")}
    command = "openssl req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=localhost"
    names = ["-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1"]
    files = ["-keyout", made["key_file"], "-out", made["cert_file"]]
    subprocess.run([*command.split(), *names, *files], check=True, capture_output=True)
    return dict(made)


def measure(name: str, folder: Path, dsn: str, seconds: float) -> dict[str, Any]:
    """One attack; its figures."""
    folder.mkdir()
    tls = certificate(folder) if name in attacks.TLS else None
    collector = Collector(
        folder / "collector", {"dsn": dsn}, admission={"request_limit_mib": ADMITTED_MIB}, tls=tls
    )
    spawn = mp.get_context("spawn")
    try:
        collector.start()
        with (
            futures.ProcessPoolExecutor(1, mp_context=spawn) as one,
            futures.ProcessPoolExecutor(1, mp_context=spawn) as other,
        ):
            addresses = collector.grpc, collector.http
            one.submit(honest.send, *addresses, 1.0, tls and str(tls["cert_file"])).result()
            base = status_mib(collector.process.pid, "VmRSS")
            attack = other.submit(attacks.run, name, *addresses, seconds + 1)
            answers = one.submit(
                honest.send, *addresses, seconds, tls and str(tls["cert_file"])
            ).result(seconds + 60)
            attack.result(60)
        return figures(name, answers, base, status_mib(collector.process.pid, "VmHWM"))
    finally:
        collector.stop()


def figures(name: str, answers: list[honest.Answer], base: float, peak: float) -> dict[str, Any]:
    """What is shown of an attack."""
    taken = sorted(answer.seconds for answer in answers if not answer.problem)
    return {
        "attack": name,
        "requests": len(answers),
        "taken": round(len(taken) / max(len(answers), 1), 4),
        "p99_s": round(taken[math.ceil(0.99 * len(taken)) - 1], 3) if taken else math.inf,
        "base_mib": round(base, 1),
        "peak_mib": round(peak, 1),
        "problems": dict(Counter(answer.problem for answer in answers if answer.problem)),
    }


def failures(found: dict[str, Any]) -> list[str]:
    """What is beyond its limit."""
    limits = (
        ("taken", found["taken"] < TAKEN, TAKEN),
        ("p99_s", found["p99_s"] > P99_S, P99_S),
        ("peak_mib", found["peak_mib"] > BASE_MIB + ADMITTED_MIB, BASE_MIB + ADMITTED_MIB),
    )
    return [f"{found['attack']}: {k} {found[k]} (limit {most})" for k, over, most in limits if over]


def show(console: Console, all_found: list[dict[str, Any]]) -> None:
    """The table."""
    table = Table(
        title="Attacks, and an honest sender beside them", title_justify="left", box=SIMPLE_HEAD
    )
    for column in (
        "attack",
        "requests",
        "taken",
        "p99 (s)",
        "memory (MiB)",
        "peak (MiB)",
        "problems",
    ):
        table.add_column(column, justify="left" if column in ("attack", "problems") else "right")
    for found in all_found:
        problems = ", ".join(f"{number} {what}" for what, number in found["problems"].items())
        table.add_row(
            found["attack"],
            f"{found['requests']:,}",
            f"{found['taken']:.2%}",
            f"{found['p99_s']:.3f}",
            f"{found['base_mib']:.0f}",
            f"{found['peak_mib']:.0f}",
            problems,
        )
    limit = f"{BASE_MIB + ADMITTED_MIB}"
    table.add_row("limit", "", f"{TAKEN:.0%}", f"{P99_S:.0f}", "", limit, "")
    console.print(table)


def main() -> None:
    """Attacks, prints the table, and exits with status 1 when a limit is exceeded."""
    parser = argparse.ArgumentParser(
        prog="python bench attack",
        description=__doc__,
        formatter_class=argparse.RawTextHelpFormatter,
    )
    parser.add_argument("--seconds", type=float, default=SECONDS, help="of each attack")
    parser.add_argument("--quick", action="store_true", help=f"{QUICK_S:.0f} seconds of each")
    parser.add_argument(
        "--only", action="append", choices=attacks.ATTACKS, help="repeat it for more"
    )
    parser.add_argument("--json", action="store_true", help="print one JSON object at the end too")
    options = parser.parse_args()
    console, found = Console(), []
    root = Path("/var/tmp") if os.geteuid() == 0 else None  # noqa: S108  # reachable for Postgres' user
    with tempfile.TemporaryDirectory(prefix="footfall-bench-", dir=root) as place:
        folder = Path(place)
        folder.chmod(0o755)
        postgres = Postgres(folder / "postgres")
        dsn = postgres.start()
        try:
            for number, name in enumerate(options.only or attacks.ATTACKS):
                seconds = QUICK_S if options.quick else options.seconds
                with console.status(name):
                    found.append(measure(name, folder / str(number), dsn, seconds))
        finally:
            postgres.stop()
    show(console, found)
    if options.json:
        print(json.dumps(found))
    if over := [line for each in found for line in failures(each)]:
        sys.exit("over the limit: " + "; ".join(over))


if __name__ == "__main__":
    main()
