"""Every server and every runner, started for real, used five times and ended: what arrives?

`WAYS` has what can be started; `run()` starts one, ends it in one way and says what arrived. Spans are sent
every minute here, so that what arrives was sent because of the end.
"""

import os
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path
from typing import Final

from instrumentation.ends.sink import Sink
from support.ports import free_port
from support.waiting import happens

ENDS: Final = ("exit", "TERM", "INT", "limit", "reload")
NONE: Final = "-"
"""In the table: the way has no such end."""
GUIDE: Final = Path(__file__).parents[3] / "docs/guides/ends.md"
HEEDING: Final = """
import os, signal, sys
signal.signal(signal.SIGINT, signal.SIG_DFL)
os.execv(sys.argv[1], sys.argv[1:])
"""
USES: Final = 5
LIMIT: Final = USES + 1
"""Requests after which a server ends a worker: the first asks whether it is there."""
CATALOG: Final = """
product: shop
events:
  shop.order: {surface: web, feature: order, match: [{route: "GET /orders/{order_id}"},
    {route: "GET /orders/<int:order_id>"}]}
"""
HEAD: Final = """
import os
import footfall
if os.environ.get("PATIENT"):  # a busy machine may take longer than a process has at its end
    from footfall import _client
    from footfall._ends import sigterm
    sigterm.TIMEOUT = 30
    _client.Client.shutdown.__defaults__ = (30.0,)
footfall.configure(catalog="events.yaml")
"""
FASTAPI: Final = f"""{HEAD}
from fastapi import FastAPI
app = FastAPI()
@app.get("/orders/{{order_id}}")
async def order(order_id: int): return order_id
footfall.instrument_fastapi(app)
"""
BARE: Final = f"""{HEAD}
async def app(scope, receive, send):
    assert scope["type"] == "http"
    if scope["path"].startswith("/orders/"):
        with footfall.feature("shop.order"):
            pass
    await send({{"type": "http.response.start", "status": 200, "headers": []}})
    await send({{"type": "http.response.body"}})
"""
FLASK: Final = f"""{HEAD}
from flask import Flask
app = Flask(__name__)
@app.get("/orders/<int:order_id>")
def order(order_id): return str(order_id)
footfall.instrument_flask(app)
"""
CELERY: Final = f"""{HEAD}
from celery import Celery
app = Celery("jobs", broker="filesystem://")
app.conf.broker_transport_options = dict.fromkeys(
    ("data_folder_in", "data_folder_out", "control_folder"), "queue")
@app.task
@footfall.feature("shop.order")
def work(number): open(f"done-{{number}}", "w").close()
"""
HUEY: Final = f"""{HEAD}
from huey import SqliteHuey
app = SqliteHuey(filename="queue.sqlite")
@app.task()
@footfall.feature("shop.order")
def work(number): open(f"done-{{number}}", "w").close()
"""
SCRIPT: Final = f"""{HEAD}
import pathlib, time
for number in range({USES}):
    with footfall.feature("shop.order"):
        pass
    pathlib.Path(f"done-{{number}}").touch()
time.sleep(60)
"""
ASYNCIO: Final = f"""{HEAD}
import asyncio, pathlib
async def main():
    for number in range({USES}):
        async with footfall.feature("shop.order"):
            await asyncio.sleep(0)
        pathlib.Path(f"done-{{number}}").touch()
    await asyncio.sleep(60)
asyncio.run(main())
"""
POOL: Final = f"""{HEAD}
import multiprocessing
@footfall.feature("shop.order")
def work(number): return number
if __name__ == "__main__":
    with multiprocessing.get_context("METHOD").Pool(2) as pool:
        pool.map(work, range({USES}), 1)
"""
PROCESS: Final = f"""{HEAD}
import multiprocessing, pathlib, time
@footfall.feature("shop.order")
def work(number): pass
def job(number):
    work(number)
    pathlib.Path(f"done-{{number}}").touch()
    time.sleep(60 if LONG else 0)
if __name__ == "__main__":
    context = multiprocessing.get_context("METHOD")
    jobs = [context.Process(target=job, args=(number,)) for number in range({USES})]
    for each in jobs: each.start()
    if LONG:
        while len([*pathlib.Path().glob("done-*")]) < {USES}: time.sleep(0.02)
        for each in jobs: each.terminate()
    for each in jobs: each.join()
"""
FORKS: Final = f"""{HEAD}
import os
for number in range({USES}):
    if (child := os.fork()) == 0:
        with footfall.feature("shop.order"):
            pass
        os._exit(0)
    os.waitpid(child, 0)
"""
RESTARTS: Final = f"""{HEAD}
import os, sys
for number in range({USES}):
    with footfall.feature("shop.order"):
        pass
os.execl(sys.executable, sys.executable, "-c", "")
"""


@dataclass(frozen=True)
class Way:
    """Something that can be started.

    Attributes:
        code: The program, `served.py`.
        command: What starts it, behind `python`; PORT is a free port. None: the program itself.
        ends: How it can be ended: a signal's name, `limit` (with the options behind it), `reload` (a signal's
            name, or options with which it watches its files), `exit` (it ends by itself).
        package: What has to be installed.
        jobs: A program that gives it its work; None: requests.
    """

    code: str
    command: Sequence[str] | None = None
    ends: Mapping[str, Sequence[str]] = field(default_factory=dict)
    package: str | None = None
    jobs: str | None = None


_SIGNALS: Final = {"TERM": (), "INT": ()}


def _gunicorn(code: str, kind: str, *more: str) -> Way:
    command = ("-m", "gunicorn", "-b", "127.0.0.1:PORT", "-k", kind, *more, "served:app")
    limit = ("--max-requests", str(LIMIT))
    package = "gevent" if kind == "gevent" else "gunicorn"
    return Way(code, command, {**_SIGNALS, "limit": limit, "reload": ("HUP",)}, package)


def _uvicorn(code: str, *more: str, reload: Sequence[str] = ("--reload",)) -> Way:
    command = ("-m", "uvicorn", "served:app", "--port", "PORT", *more)
    limit = ("--limit-max-requests", str(LIMIT))
    return Way(code, command, {**_SIGNALS, "limit": limit, "reload": reload}, "uvicorn")


def _uwsgi(*more: str) -> Way:
    command = (
        "uwsgi", "--http-socket", "127.0.0.1:PORT", "--master", "--enable-threads", "--die-on-term",
        "--pythonpath", ".", "--virtualenv", sys.prefix, "--wsgi", "served:app", *more,
    )  # fmt: skip
    limit = ("--max-requests", str(LIMIT), "--min-worker-lifetime", "0")
    return Way(FLASK, command, {**_SIGNALS, "limit": limit, "reload": ("HUP",)}, "pyuwsgi")


def _huey(kind: str) -> Way:
    consumer = str(Path(sys.executable).with_name("huey_consumer"))
    command = (consumer, "served.app", "-k", kind, "-w", "2")
    return Way(HUEY, command, {**_SIGNALS, "reload": ("HUP",)}, "huey", _WORK.format(""))


_CELERY: Final = (
    "-m", "celery", "-A", "served", "worker", "-c", "2", "--without-gossip", "--without-mingle",
    "--without-heartbeat",
)  # fmt: skip
_WORK: Final = f"import served\nfor number in range({USES}): served.work{{}}(number)"
_HYPERCORN: Final = ("-m", "hypercorn", "-b", "127.0.0.1:PORT", "served:app")

WAYS: Final[Mapping[str, Way]] = {
    "a script": Way(SCRIPT, ends=_SIGNALS),
    "`asyncio.run()`, a bot": Way(ASYNCIO, ends=_SIGNALS),
    "uvicorn": _uvicorn(FASTAPI),
    "uvicorn `--workers 2`": _uvicorn(
        FASTAPI, "--workers", "2", "--timeout-worker-healthcheck", "60", reload=("HUP",)
    ),
    "uvicorn, not instrumented, no lifespan": _uvicorn(BARE),
    "gunicorn sync": _gunicorn(FLASK, "sync"),
    "gunicorn sync `--preload`": _gunicorn(FLASK, "sync", "--preload"),
    "gunicorn gthread": _gunicorn(FLASK, "gthread", "--threads", "2"),
    "gunicorn gevent": _gunicorn(FLASK, "gevent"),
    "gunicorn with uvicorn's worker": _gunicorn(FASTAPI, "uvicorn.workers.UvicornWorker"),
    "hypercorn": Way(
        FASTAPI,
        _HYPERCORN,
        {
            **_SIGNALS,
            "limit": ("--max-requests", str(LIMIT - 1)),  # it serves one more
            "reload": ("--reload",),
        },
        "hypercorn",
    ),
    "uWSGI": _uwsgi(),
    "uWSGI `--lazy-apps`": _uwsgi("--lazy-apps"),
    "Celery prefork": Way(
        CELERY,
        _CELERY,
        {**_SIGNALS, "limit": ("--max-tasks-per-child", "1")},
        "celery",
        _WORK.format(".delay"),
    ),
    "huey, processes": _huey("process"),
    "huey, threads": _huey("thread"),
    **{
        f"`multiprocessing.Pool`, {method}": Way(
            POOL.replace("METHOD", method), ends={"exit": ()}
        )
        for method in ("fork", "spawn", "forkserver")
    },
    **{
        f"`multiprocessing.Process`, {method}": Way(
            PROCESS.replace("METHOD", method).replace("LONG", "False"), ends={"exit": ()}
        )
        for method in ("fork", "spawn", "forkserver")
    },
    **{
        f"`Process.terminate()`, {method}": Way(
            PROCESS.replace("METHOD", method).replace("LONG", "True"), ends={"exit": ()}
        )
        for method in ("fork", "spawn", "forkserver")
    },
    "`os.fork()` and `os._exit()`, as RQ does": Way(FORKS, ends={"exit": ()}),
    "`os.exec*()`, as bots do that start anew": Way(RESTARTS, ends={"exit": ()}),
}  # fmt: skip


def installed(way: Way) -> bool:
    """Whether it can be run here."""
    return way.package is None or find_spec(way.package) is not None


def documented() -> dict[str, dict[str, str]]:
    """The table of the guide: what runs → how it ends → what arrives."""
    lines = GUIDE.read_text("utf-8").partition("| what runs |")[2].splitlines()[2:]
    found = {}
    for line in lines:
        if not line.startswith("|"):
            break
        name, *cells = (cell.strip() for cell in line.strip("|").split("|"))
        found[name] = dict(zip(ENDS, cells, strict=False))
    return found


def run(
    way: Way, end: str, sink: Sink, folder: Path, patience: float = 30, **variables: str
) -> str:
    """Starts it, uses it, ends it, and waits so many seconds for all of it to arrive.

    A program that finds `PATIENT` in its environment waits at its end longer than it would otherwise.

    Returns:
        `all`, or how many spans and counted uses arrived.
    """
    (folder / "served.py").write_text(way.code)
    (folder / "events.yaml").write_text(CATALOG)
    (folder / "queue").mkdir()
    port = free_port()
    environment = os.environ | {
        "TELEMETRY_ENABLED": "true",
        "OTEL_EXPORTER_OTLP_ENDPOINT": sink.address,
        "OTEL_BSP_SCHEDULE_DELAY": "60000",
        "PYTHONPATH": str(folder),
        "C_FORCE_ROOT": "1",
        **variables,
    }
    options = way.ends[end] if end in ("limit", "reload") else ()
    signals = options if options and hasattr(signal, f"SIG{options[0]}") else ()
    command = [*(way.command or ["served.py"]), *(options if options != signals else ())]
    command = [word.replace("PORT", str(port)) for word in command]
    with (folder / "output").open("wb") as output:
        process = subprocess.Popen(
            _started(command),
            cwd=folder,
            env=environment,
            stdout=output,
            stderr=output,
        )
    try:
        if end != "exit":
            _use(way, folder, port, environment)
        _end(process, end, folder, signals)
        happens(lambda: sink.has(USES), patience)
    finally:
        _kill(process)
    return "all" if sink.has(USES) else f"{sink.spans} spans, {sink.invokes} counted"


def _started(command: Sequence[str]) -> list[str]:
    """The whole command; a shell's background job ignores SIGINT, and so would all that it starts."""
    uwsgi = command[0] == "uwsgi"
    program = [str(Path(sys.executable).with_name("uwsgi"))] if uwsgi else [sys.executable]
    return [sys.executable, "-c", HEEDING, *program, *(command[1:] if uwsgi else command)]


def _use(way: Way, folder: Path, port: int, environment: Mapping[str, str]) -> None:
    """Five requests, or five jobs."""
    if way.command is not None and way.jobs is None:
        assert happens(lambda: _status(f"http://127.0.0.1:{port}/"), 30), (
            folder / "output"
        ).read_text()
        for number in range(USES):
            assert _status(f"http://127.0.0.1:{port}/orders/{number}") == 200
        time.sleep(
            0.3
        )  # uWSGI runs nothing at the end of a worker that has yet to finish a request
        return
    if way.jobs is not None:
        off = {**environment, "TELEMETRY_ENABLED": "false"}
        subprocess.run([sys.executable, "-c", way.jobs], cwd=folder, env=off, check=True)
    done: Callable[[], bool] = lambda: len([*folder.glob("done-*")]) == USES  # noqa: E731
    assert happens(done, 40), (folder / "output").read_text()
    time.sleep(0.1)  # the use ends after its file is there


def _end(
    process: "subprocess.Popen[bytes]", end: str, folder: Path, signals: Sequence[str]
) -> None:
    if end in ("TERM", "INT"):
        process.send_signal(getattr(signal, f"SIG{end}"))
    elif end == "reload" and signals:
        process.send_signal(getattr(signal, f"SIG{signals[0]}"))
    elif end == "reload":
        time.sleep(1.1)  # a file's time has to be another one
        (folder / "served.py").write_text(f"{(folder / 'served.py').read_text()}\n")
    if end in ("TERM", "INT", "exit"):
        process.wait(40)


def _kill(process: "subprocess.Popen[bytes]") -> None:
    """Ends a process and those below it: at once, so that nothing more is sent."""
    for pid in [*_below(process.pid), process.pid]:
        try:
            os.kill(pid, signal.SIGKILL)
        except ProcessLookupError:
            continue
    process.wait()


def _below(pid: int) -> list[int]:
    try:
        tasks = [*Path(f"/proc/{pid}/task").iterdir()]
        children = [int(c) for task in tasks for c in (task / "children").read_text().split()]
    except OSError:
        return []
    return [*children, *(below for child in children for below in _below(child))]


def _status(url: str) -> int:
    try:
        with urllib.request.urlopen(url, timeout=10) as answer:
            return int(answer.status)
    except urllib.error.HTTPError as error:
        return error.code
    except OSError:
        return 0
