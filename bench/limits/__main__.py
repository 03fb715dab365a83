"""What a rate limit costs a request, beside libraries that could keep it, and whether it is exact.

1,000 requests a second of 1,000 users behind 50 addresses go through a bare Starlette route (without sockets)
that asks: CPU time of the process beside the same requests that ask nothing, of its session in Postgres, and
how long each waits. The same of a user who has nothing left, and without a store. The libraries (`--peers`: a
Python that has them, `pip install limits pyrate-limiter 'psycopg[binary,pool]'`) are asked one by one; what
works across processes is also asked by two of them at the same time for more than there is.

Run: make bench BENCH=limits        (options: python bench limits --help)
"""

import argparse
import asyncio
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import psycopg
from rich.console import Console
from rich.table import Table
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route
from starlette.types import Message, Scope

from footfall_collector.security.limits import Limiter, Limits
from footfall_exporters.background import beside
from footfall_exporters.contracts import Settings
from footfall_exporters.embedded import EmbeddedPostgres
from footfall_exporters.postgres import prepare
from footfall_exporters.postgres.rates import Rates
from footfall_processors import load_catalog
from ingest import cpu_of

LIMIT = 0.6
"""The most CPU time that limits may cost the process, in terms of a request that asks nothing."""
PER_S, SECONDS, ROUNDS = 1000, 1, 5
USERS = [b"user %d" % number for number in range(1000)]
ADDRESSES = [b"address %d" % number for number in range(50)]
PLENTY = Limits(user=10**6, address=10**6)
CATALOG = "product: bench\nevents:\n  bench.used: {surface: web, feature: x}\n"
BODY = json.dumps([{"event": "bench.used", "n": number} for number in range(50)]).encode()
SCOPE: Scope = {
    "type": "http", "method": "POST", "path": "/events", "root_path": "", "query_string": b"",
    "headers": [(b"content-type", b"application/json")],
}  # fmt: skip
Ask = Callable[[int], Awaitable[object]]


async def cost(ask: Ask, session: int | None = None) -> dict[str, float]:
    """CPU time of the process and of a session, in µs a request, and how long requests wait, in ms."""
    waited: list[float] = []

    async def route(request: Request) -> Response:
        await request.json()
        began = time.perf_counter()
        await ask(request.scope["number"])
        waited.append(time.perf_counter() - began)
        return JSONResponse({"ok": True})

    app = Starlette(routes=[Route("/events", route, methods=["POST"])])

    own, theirs = cpu_of(os.getpid()), cpu_of(session) if session else 0.0
    began, number, tasks = time.monotonic(), 0, set()
    while number < PER_S * SECONDS:
        due = int((time.monotonic() - began) * PER_S)
        for number in range(number, due):  # noqa: B020  # it goes on from where it was
            task = asyncio.create_task(app(SCOPE | {"number": number}, receive, send))
            tasks.add(task)
            task.add_done_callback(tasks.discard)
        number = due
        await asyncio.sleep(0.001)
    await asyncio.gather(*tasks)
    waited.sort()
    return {
        "process_us": (cpu_of(os.getpid()) - own) / number * 1e6,
        "postgres_us": ((cpu_of(session) if session else 0.0) - theirs) / number * 1e6,
        "median_ms": statistics.median(waited) * 1000,
        "p99_ms": waited[int(len(waited) * 0.99)] * 1000,
    }


async def receive() -> Message:
    """A body."""
    return {"type": "http.request", "body": BODY, "more_body": False}


async def send(_: Message) -> None:
    """Nobody listens."""


async def measured(dsn: str) -> dict[str, dict[str, float]]:
    """What Footfall's own costs: shared, of a user who has nothing left, and without a store; medians."""
    limiter, alone = Limiter(PLENTY, Rates(dsn)), Limiter(PLENTY)
    flooded = Limiter(Limits())
    for _ in range(130):
        await flooded.take(USERS[0], ADDRESSES[0])
    rounds: dict[str, list[dict[str, float]]] = defaultdict(list)
    async with beside(limiter.run()):
        while limiter.away:  # noqa: ASYNC110  # nobody tells
            await asyncio.sleep(0.01)
        session = ask(
            dsn, "SELECT pid FROM pg_stat_activity WHERE application_name = 'footfall rates'"
        )
        await asyncio.gather(*(take(limiter, number) for number in range(2000)))
        for _ in range(ROUNDS):
            nothing = await cost(no_limit)
            for name, found in (
                ("not asked", nothing),
                ("shared", await cost(lambda n: take(limiter, n), session)),
                ("exhausted", await cost(lambda _: flooded.take(USERS[0], ADDRESSES[0]))),
                ("no store", await cost(lambda n: take(alone, n))),
            ):
                rounds[name].append(found | {"own_us": found["process_us"] - nothing["process_us"]})
    return {
        name: {key: statistics.median(row[key] for row in rows) for key in rows[0]}
        for name, rows in rounds.items()
    }


async def no_limit(_: int) -> None:
    """What a request costs that asks nothing."""


def take(limiter: Limiter, number: int) -> Awaitable[object]:
    """A request of one of the users."""
    return limiter.take(USERS[number * 7 % 1000], ADDRESSES[number % 50])


def ask(dsn: str, question: str) -> Any:
    """What Postgres says."""
    with psycopg.connect(dsn) as connection:
        return (connection.execute(question).fetchone() or (None,))[0]


def peers(python: Path, dsn: str) -> list[dict[str, Any]]:
    """What the libraries say of themselves."""
    script = Path(__file__).with_name("libraries.py")
    done = subprocess.run([python, script, dsn], stdout=subprocess.PIPE, check=True)
    found: list[dict[str, Any]] = json.loads(done.stdout)
    return found


def show(own: dict[str, dict[str, float]], libraries: list[dict[str, Any]]) -> None:
    """Both tables."""
    console = Console()
    table = Table(title="1,000 requests a second: each costs", title_justify="left")
    for heading in ("limits", "CPU, µs", "more, µs", "Postgres, µs", "waits, ms", "p99, ms"):
        table.add_column(heading, justify="left" if heading == "limits" else "right")
    for name, row in own.items():
        cells = (row[key] for key in ("process_us", "own_us", "postgres_us", "median_ms", "p99_ms"))
        table.add_row(name, *(f"{cell:.1f}" for cell in cells))
    console.print(table)
    for library in libraries:
        console.print(f"{library.pop('library')}: {library}")


def main() -> None:
    """Measures, prints, and exits with 1 when it costs more than the limit."""
    parser = argparse.ArgumentParser(description="What rate limits cost.")
    parser.add_argument("--peers", type=Path, help="a Python that has the libraries")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    folder = Path(
        tempfile.mkdtemp(prefix="footfall-limits-", dir="/var/tmp")
    )  # Postgres' user can enter it
    folder.chmod(0o755)
    try:
        with EmbeddedPostgres(folder / "postgres") as dsn:
            (folder / "events.yaml").write_text(CATALOG)
            prepare(dsn, Settings(load_catalog(folder / "events.yaml")))
            own = asyncio.run(measured(dsn))
            libraries = peers(options.peers, dsn) if options.peers else []
    finally:
        shutil.rmtree(folder)
    if options.json:
        print(json.dumps({"own": own, "libraries": libraries}))
    else:
        show(own, libraries)
    sys.exit(own["shared"]["own_us"] > LIMIT * own["not asked"]["process_us"])


if __name__ == "__main__":
    main()
