"""Programs that know nothing of Footfall, as docs/guides/zero-code.md has them, run as real processes."""

import asyncio
import contextlib
import os
import re
import shutil
import signal
import subprocess
import sys
from collections import Counter
from pathlib import Path

import httpx
import psycopg
import pytest

from footfall_collector.process.app import running
from footfall_processors import load_catalog
from support.collectors import configured
from support.ports import free_port, listens
from support.secrets import dump
from support.waiting import until

GUIDE = Path(__file__).parents[2] / "docs/guides/zero-code.md"
GOLANG = Path(__file__).with_name("golang")
NOT_SAMPLED = {"traceparent": f"00-{'ab' * 16}-{'cd' * 8}-00"}


def blocks(language):
    pattern = rf"^```{language}\n(.*?)^```"
    return re.findall(pattern, GUIDE.read_text("utf-8"), re.MULTILINE | re.DOTALL)


@pytest.fixture
def catalog(tmp_path):
    (tmp_path / "events.yaml").write_text(blocks("yaml")[0])
    return load_catalog(tmp_path / "events.yaml")


@contextlib.asynccontextmanager
async def serving(command, folder, port, collector):
    """A program of the guide, with the guide's variables; yields a client of it."""
    variables = dict(re.findall(r"^export (\w+)=(.*)$", blocks("sh")[0], re.MULTILINE))
    http = command[0] != "opentelemetry-instrument"
    variables["OTEL_EXPORTER_OTLP_ENDPOINT"] = (
        f"http://{collector.http if http else collector.grpc}"
    )
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    process = await asyncio.create_subprocess_exec(
        *command, cwd=folder, env=os.environ | variables | {"PATH": path},
        stdout=subprocess.DEVNULL, stderr=subprocess.PIPE,
    )  # fmt: skip
    try:
        async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", verify=False) as client:
            await until(lambda: listens(f"127.0.0.1:{port}") or process.returncode is not None)
            if process.returncode is not None:
                pytest.fail((await process.stderr.read()).decode())
            yield client
    finally:
        with contextlib.suppress(ProcessLookupError):
            process.send_signal(signal.SIGTERM)
        await process.communicate()


def usage(dsn):
    """(event, action, status, error type) → count, of the service `shop`."""
    statement = (
        "SELECT event, action, status, error_type, sum(count)::int FROM reporting.usage"
        " WHERE service = 'shop' GROUP BY 1, 2, 3, 4"
    )
    with psycopg.connect(dsn) as connection:
        return Counter({tuple(key): number for *key, number in connection.execute(statement)})


def rejected(dsn):
    """Losses by reason, in the ledger."""
    found = Counter()
    with psycopg.connect(dsn) as connection:
        for (losses,) in connection.execute("SELECT losses FROM footfall.ingest_batches"):
            found.update(losses)
    return found


async def ask(client, method, path, status, number, **headers):
    for _ in range(number):
        assert (await client.request(method, path, headers=headers)).status_code == status


ORDERS = {
    ("shop.order", "success", "ok", None): 23,
    ("shop.order", "failure", "denied", "permission_denied"): 3,
}


async def ask_for_orders(client):
    await ask(client, "GET", "/orders/7", 200, 20)
    await ask(client, "GET", "/orders/7", 200, 3, **NOT_SAMPLED)  # the caller's decision
    await ask(client, "GET", "/orders/0", 403, 3)
    await ask(client, "GET", "/nothing", 404, 4)


async def stored(dsn, expected):
    """Waits for what is expected, and then for what would come too much."""
    await until(lambda: usage(dsn).total() >= sum(expected.values()))
    await asyncio.sleep(1.5)  # the spans of one request may be sent one after the other
    assert usage(dsn) == expected
    assert set(rejected(dsn)) == {"undeclared_event", "undeclared_attribute"}
    tables = dump(dsn)
    assert b"shop.order" in tables
    assert [text for text in (b"/orders", b"127.0.0.1", b"python-httpx") if text in tables] == []


async def test_fastapi(tmp_path, catalog, empty_database):
    (tmp_path / "app.py").write_text(blocks("python")[0])
    port = free_port()
    command = blocks("sh")[0].splitlines()[-1].replace("8080", str(port)).split()
    async with (
        running(configured(catalog, empty_database)) as collector,
        serving(command, tmp_path, port, collector) as client,
    ):
        await ask_for_orders(client)
        await ask(client, "GET", "/orders/x", 422, 2)
        await ask(client, "POST", "/orders/7", 405, 1)
        await ask(client, "POST", "/checkout", 200, 2)
        await stored(
            empty_database,
            ORDERS
            | {
                ("shop.order", "failure", "error", "unexpected_error"): 2,
                ("shop.checkout", "success", "ok", None): 2,
            },
        )


async def test_flask(tmp_path, catalog, empty_database):
    (tmp_path / "app.py").write_text(blocks("python")[1])
    port = free_port()
    command = blocks("sh")[1].replace("8080", str(port)).split()
    async with (
        running(configured(catalog, empty_database)) as collector,
        serving(command, tmp_path, port, collector) as client,
    ):
        await ask_for_orders(client)
        await ask(client, "HEAD", "/orders/7", 200, 5)
        await stored(empty_database, ORDERS)


@pytest.fixture(scope="session")
def golang(tmp_path_factory):
    """The guide's program in Go, built: its path, and the port on which it listens."""
    if shutil.which("go") is None:
        pytest.skip("needs Go")
    folder, port = tmp_path_factory.mktemp("golang"), free_port()
    for name in ("go.mod", "go.sum"):
        shutil.copy(GOLANG / name, folder)
    (folder / "main.go").write_text(blocks("go")[0].replace("8080", str(port)))
    download = ["go", "mod", "download"]
    if subprocess.run(download, cwd=folder, capture_output=True, check=False).returncode:
        pytest.skip("needs the modules of tests/collector/golang, or Go of that version")
    build = [
        "go",
        "build",
        "-gcflags=all=-N -l",
        "-o",
        "shop",
        ".",
    ]  # it is built once, for a few requests
    done = subprocess.run(build, cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return folder / "shop", port


async def test_go(tmp_path, golang, catalog, empty_database):
    program, port = golang
    async with (
        running(configured(catalog, empty_database)) as collector,
        serving([program], tmp_path, port, collector) as client,
    ):
        await ask_for_orders(client)
        await ask(client, "HEAD", "/orders/7", 200, 5)
        await stored(empty_database, ORDERS)
