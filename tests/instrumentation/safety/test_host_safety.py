"""Promise 3, from outside: a host answers with Footfall as it does without, whatever the collector does."""

import http.client
import os
import re
import signal
import subprocess
import sys
import time
from contextlib import contextmanager
from pathlib import Path

import pytest

from instrumentation.safety.collectors import STATES, place

TESTS = Path(__file__).parents[2]
APPLICATION = "instrumentation.safety.applications:app"
SERVERS = {
    "uvicorn": ["uvicorn", "--port", "0", "--app-dir", TESTS],
    "gunicorn": ["gunicorn", "-b", "127.0.0.1:0", "--chdir", TESTS],
    "gevent": ["gunicorn", "-b", "127.0.0.1:0", "--chdir", TESTS, "-k", "gevent"],
    "preload": ["gunicorn", "-b", "127.0.0.1:0", "--chdir", TESTS, "-k", "gevent", "--preload"],
}
# Each framework, each server, and the protocols where they differ: with threads, with greenlets, on a loop.
HOSTS = [
    ("fastapi", "uvicorn", "grpc"),
    ("asgi", "uvicorn", "http/protobuf"),
    ("django-asgi", "uvicorn", "grpc"),
    ("django-wsgi", "gevent", "grpc"),
    ("flask", "gunicorn", "http/protobuf"),
    ("flask", "preload", "grpc"),
    ("flask", "preload", "http/protobuf"),
]
CATALOG = """
product: shop
events:
  shop.inner: {surface: web, feature: inner}
  shop.seed:
    surface: web
    feature: seed
    match: [{route: "GET /seeds/{number}"}, {route: "GET /seeds/<int:number>"}, {route: "GET /seeds/*"}]
  shop.stream: {surface: web, feature: stream, match: [{route: "GET /stream"}]}
  shop.broken: {surface: web, feature: broken, match: [{route: "GET /broken"}]}
"""
REQUESTS = [
    ("GET", "/seeds/7", b""),
    ("POST", "/echo", b"\x00 what was sent \xff"),
    ("GET", "/stream", b""),
    ("GET", "/broken", b""),
    ("GET", "/nowhere", b""),
    ("HEAD", "/seeds/7", b""),
]
OURS = {"traceparent", "x-trace-id"}
PATIENCE = 8.0
"""Seconds that a request may take: a wait for a collector would take 10."""


@pytest.fixture
def catalog_text():
    return CATALOG


@contextmanager
def served(log, server, **environment):
    """A server in a process of its own; yields the process and its port."""
    with log.open("w") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", *map(str, SERVERS[server]), APPLICATION],
            env=os.environ | environment,
            stdout=output,
            stderr=output,
        )
    try:
        deadline = time.monotonic() + 60
        while not (port := re.search(r"http://127\.0\.0\.1:(\d+)", log.read_text())):
            assert process.poll() is None, log.read_text()
            assert time.monotonic() < deadline, log.read_text()
            time.sleep(0.02)
        yield process, int(port[1])
    finally:
        process.kill()
        process.wait()


def ask(port, method, path, body, patience=PATIENCE):
    """Status, headers in their order without the date and Footfall's, and body of an answer."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=patience)
    try:
        connection.request(method, path, body or None)
        answer = connection.getresponse()
        content = answer.read()
    finally:
        connection.close()
    named = [(name.lower(), value) for name, value in answer.getheaders()]
    kept = [header for header in named if header[0] not in {"date", *OURS}]
    return answer.status, kept, content


def load(port):
    return [ask(port, *request) for request in REQUESTS]


def warm_up(port):
    """A worker may still be loading the application."""
    ask(port, "GET", "/nowhere", b"", 60)


def stop(*processes):
    """Ends all of them, with SIGTERM; their statuses."""
    for process in processes:
        process.send_signal(signal.SIGTERM)
    return [process.wait(30) for process in processes]


@pytest.mark.parametrize(("framework", "server", "protocol"), HOSTS)
def test_a_host_answers_as_it_does_without_footfall(
    request, tmp_path, catalog, framework, server, protocol
):
    received = request.getfixturevalue("received" if protocol == "grpc" else "received_http")
    with place(received.endpoint) as collector:
        environment = {
            "FRAMEWORK": framework,
            "TELEMETRY_CATALOG": str(catalog),
            "OTEL_EXPORTER_OTLP_ENDPOINT": collector.endpoint,
            "OTEL_EXPORTER_OTLP_PROTOCOL": protocol,
            "OTEL_BSP_SCHEDULE_DELAY": "20",
            "OTEL_METRIC_EXPORT_INTERVAL": "50",
        }
        logs = {mode: tmp_path / mode for mode in ("absent", "off", "on")}
        with (
            served(logs["absent"], server, FOOTFALL="absent", **environment) as (absent, plain),
            served(logs["off"], server, FOOTFALL="off", **environment) as (off, quiet),
            served(logs["on"], server, FOOTFALL="on", **environment) as (on, measured),
        ):
            collector.become("up")
            for port in (plain, quiet, measured):
                warm_up(port)
            expected = load(plain)
            assert [status for status, *_ in expected[:5]] == [200, 201, 200, 500, 404]
            assert load(quiet) == expected
            for state in STATES:
                collector.become(state)
                for _ in range(5):
                    assert load(measured) == expected, state
                    time.sleep(0.05)
            assert len(set(stop(on, absent, off))) == 1
    statuses = {(each["event"], each["feature.status"]) for each in received.observations()}
    assert {("shop.seed", "ok"), ("shop.broken", "error"), ("shop.inner", "error")} <= statuses
