"""`footfall up --workers 2` as users run it: one port, several processes, each request stored once."""

import asyncio
import os
import platform
import signal
import subprocess
import sys
import time
from pathlib import Path

import grpc
import httpx
import psycopg
import pytest
import yaml

from conftest import CATALOG
from footfall_exporters.postgres import locks
from support.otlp import METHODS, PROTOBUF, traces
from support.ports import listens
from support.up import FOOTFALL, Up
from support.waiting import until


@pytest.fixture
def settings(tmp_path, store_database):
    path = tmp_path / "collector.yaml"
    path.write_text(
        yaml.safe_dump(
            {
                "receivers": {
                    "otlp": {
                        "protocols": {
                            "grpc": {"endpoint": "127.0.0.1:0"},
                            "http": {"endpoint": "127.0.0.1:0"},
                        }
                    }
                },
                "processors": {
                    "footfall": {
                        "catalog": str(CATALOG),
                        "hash_salt": "3f9c1a7be2d05846c1e97ab304fd2865",
                    }
                },
                "exporters": {"postgres": {"dsn": store_database}},
                "service": {"operator": None},
            }
        )
    )
    return path


@pytest.fixture
def up(settings):
    running = Up(settings, "--workers", "2")
    yield running
    running.stop(signal.SIGTERM)


def is_there(pid):
    return Path(f"/proc/{pid}").exists()


async def post(address, body):
    assert await answered(address, body) == 200


async def answered(address, body):
    """Over a connection of its own, so that the kernel picks a worker anew."""
    async with httpx.AsyncClient(timeout=30, verify=False) as http:
        response = await http.post(f"http://{address}/v1/traces", content=body, headers=PROTOBUF)
    assert ("retry-after" in response.headers) == (response.status_code == 503)
    return response.status_code


def stored(dsn):
    with psycopg.connect(dsn) as connection:
        row = connection.execute(
            "SELECT count(*), (SELECT sum(count) FROM reporting.usage),"
            " (SELECT count(*) FROM footfall.ingest_batches) FROM footfall.feature_events"
        ).fetchone()
    return tuple(row)


async def test_the_same_requests_to_any_worker_are_stored_once(up, store_database):
    http, rpc = await up.address("OTLP/HTTP"), await up.address("OTLP/gRPC")
    bodies = [traces("shop.ping", number=3) for _ in range(20)]
    await asyncio.gather(*(post(http, body) for body in bodies * 2))
    assert len(up.workers()) == 2
    # Each channel is a connection.
    for number, body in enumerate(bodies):
        options = [("grpc.channel_args_differ", number)]
        async with grpc.aio.insecure_channel(rpc, options=options) as channel:
            await channel.unary_unary(METHODS["traces"])(body)
    assert stored(store_database) == (60, 60, 20)
    with psycopg.connect(store_database) as connection:
        backends = connection.execute(
            "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'footfall'"
            " AND datname = current_database()"
        ).fetchone()
    assert backends == (2,)  # both of them have stored something


async def test_a_worker_that_is_killed_is_started_again_and_loses_nothing(up, store_database):
    http = await up.address("OTLP/HTTP")
    first, second = up.workers()
    bodies = [traces("shop.ping") for _ in range(40)]
    acknowledged = 0

    async def keep_sending(body):
        nonlocal acknowledged
        for _ in range(50):
            try:
                await post(http, body)
            except httpx.TransportError:
                await asyncio.sleep(0.1)
            else:
                acknowledged += 1
                return

    sending = [asyncio.create_task(keep_sending(body)) for body in bodies]
    os.kill(first, signal.SIGKILL)
    await asyncio.gather(*sending)
    await up.said("worker 0 ended .signal 9.")
    await until(lambda: len(set(up.workers()) - {first}) == 2)
    assert second in up.workers()
    assert acknowledged == 40
    assert stored(store_database) == (40, 40, 40)


async def test_requests_under_way_are_finished_when_it_is_told_to_stop(up, store_database):
    http = await up.address("OTLP/HTTP")
    workers = up.workers()
    with psycopg.connect(store_database) as holding:
        holding.execute("LOCK TABLE footfall.ingest_batches IN EXCLUSIVE MODE")
        sending = [asyncio.create_task(answered(http, traces("shop.ping"))) for _ in range(6)]
        with psycopg.connect(store_database, autocommit=True) as watching:
            await until(
                lambda: watching.execute(
                    "SELECT 1 FROM pg_stat_activity WHERE wait_event_type = 'Lock'"
                    " AND datname = current_database()"
                    " AND query LIKE 'INSERT INTO footfall.ingest_batches%'"  # not housekeeping
                ).fetchone()
            )
        up.process.send_signal(signal.SIGTERM)
        await until(lambda: not listens(http))  # it has begun to stop
        assert not any(each.done() for each in sending)
        holding.rollback()
    answers = await asyncio.gather(*sending)
    assert await asyncio.to_thread(up.process.wait, 30) == 0
    assert set(answers) <= {200, 503}  # 503: it came after the signal
    taken = answers.count(200)
    assert taken >= 1
    assert stored(store_database) == (taken, taken, taken)
    assert not any(map(is_there, workers))


async def test_workers_end_when_their_parent_is_killed(up):
    await up.address("OTLP/HTTP")
    workers = up.workers()
    up.process.kill()
    up.process.wait()
    await until(lambda: not any(map(is_there, workers)))


async def test_a_signal_reloads_every_worker(up, settings, store_database, tmp_path):
    http = await up.address("OTLP/HTTP")
    catalog = tmp_path / "more.yaml"
    catalog.write_text(
        "product: more\nevents: {shop.sung: {surface: web, feature: sung, actions: [invoke]}}\n"
    )
    changed = yaml.safe_load(settings.read_text())
    changed["processors"]["footfall"]["catalog"] = [str(CATALOG), str(catalog)]
    settings.write_text(yaml.safe_dump(changed))
    up.process.send_signal(signal.SIGHUP)
    await up.said(r"(?s)reloaded: keys, catalog.*reloaded: keys, catalog")
    await asyncio.gather(*(post(http, traces("shop.sung", number=n)) for n in range(1, 9)))
    assert stored(store_database) == (36, 36, 8)
    settings.write_text("receivers: {otlp: {protocol: 1}}")
    up.process.send_signal(signal.SIGHUP)
    await up.said("not reloaded: .*is not known here")
    await post(http, traces("shop.sung"))
    assert stored(store_database) == (37, 37, 9)


def test_a_port_that_is_taken_is_named_before_any_worker_is_started(settings, tmp_path):
    import socket

    with socket.create_server(("127.0.0.1", 0)) as taken:
        changed = yaml.safe_load(settings.read_text())
        endpoint = f"127.0.0.1:{taken.getsockname()[1]}"
        changed["receivers"]["otlp"]["protocols"]["http"]["endpoint"] = endpoint
        settings.write_text(yaml.safe_dump(changed))
        done = subprocess.run(
            [*FOOTFALL, "--config", str(settings), "--workers", "2"],
            capture_output=True,
            text=True,
            timeout=60,
        )
    assert done.returncode == 1
    assert "in use" in done.stderr
    assert "Traceback" not in done.stderr


async def test_what_the_exporter_logs_writes_comes_out_of_any_worker(
    settings, store_database, tmp_path
):
    changed = yaml.safe_load(settings.read_text())
    changed["exporters"]["logs"] = {}
    changed["service"]["pipelines"] = {"traces": {"exporters": ["postgres", "logs"]}}
    settings.write_text(yaml.safe_dump(changed))
    up = Up(settings, "--workers", "2")
    try:
        http = await up.address("OTLP/HTTP")
        await asyncio.gather(*(post(http, traces("shop.ping")) for _ in range(6)))
        await until(lambda: up.log.read_text().count('"event":"shop.ping"') == 6)
    finally:
        assert up.stop() == 0


async def test_it_stops_while_its_workers_are_still_starting(settings):
    up = Up(settings, "--workers", "4")
    await until(up.workers)
    assert up.stop() == 0
    assert "Traceback" not in up.log.read_text()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("options", [(), ("--workers", "2")])
async def test_it_stops_at_once_while_it_waits_for_the_schema(
    settings, store_database, query, options, number
):
    with psycopg.connect(store_database) as holding:
        holding.execute(f"BEGIN; {locks.taking(locks.SCHEMA)}")
        up = Up(settings, *options)
        waiting = "SELECT 1 FROM pg_locks WHERE relation = 'footfall.lock_schema'::regclass AND NOT granted"
        await until(lambda: query(waiting))
        begun = time.monotonic()
        up.stop(number)
        assert time.monotonic() - begun < 20  # it would wait for a minute
    assert "Traceback" not in up.log.read_text()


HEAPS = """
import ctypes, sys, threading
from footfall_collector.process.worker import one_heap
libc = ctypes.CDLL(None)
libc.malloc.restype = libc.fopen.restype = ctypes.c_void_p
if sys.argv[2] == "one":
    one_heap()
there = threading.Barrier(5)
def take():
    libc.malloc(1000)
    there.wait()
threads = [threading.Thread(target=take) for _ in range(4)]
for thread in threads:
    thread.start()
there.wait()
file = ctypes.c_void_p(libc.fopen(sys.argv[1].encode(), b"w"))
libc.malloc_info(0, file)
libc.fclose(file)
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="only glibc has heaps for threads")
@pytest.mark.parametrize(("way", "one"), [("one", True), ("several", False)])
def test_all_threads_share_a_heap(tmp_path, way, one):
    told = tmp_path / "heaps.xml"
    subprocess.run([sys.executable, "-c", HEAPS, told, way], check=True, timeout=30)
    assert (told.read_text().count("<heap nr=") == 1) is one
