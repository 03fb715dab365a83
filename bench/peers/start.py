"""The peers of bench/peers: how each is started, with the bench catalog's attribute rules."""

import os
import secrets
import signal
import socket
import subprocess
import sysconfig
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import yaml

from ingest import CATALOG, Collector
from peers import install

RULES = yaml.safe_load(CATALOG)["attributes"]
HASHED = next(key for key, rule in RULES.items() if "hash" in rule)
ALLOWED = ["service.name", "feature.action", *RULES]
SECRET = secrets.token_hex(32)


class Missing(Exception):
    """A peer cannot be measured here: the reason, and what would change that."""


@dataclass
class Peer:
    """One contender. `start` takes a folder and where to forward to, or None to throw away."""

    name: str
    rules: str
    start: Callable[[Path, str | None], Collector]


def start_otelcol(folder: Path, forward_to: str | None) -> Collector:
    """The Go collector: receiver, redaction, and an exporter that throws away."""
    program = install.otelcol()
    if program is None:
        first = "" if install.go() else "get Go, and then "
        raise Missing(f"it was not built; {first}run: {install.COMMAND}")
    address = _free_address()
    path = folder / "otelcol.yaml"
    path.write_text(yaml.safe_dump(_otelcol_configuration(address, forward_to)))
    return _start([program, "--config", path], address, folder)


def _otelcol_configuration(address: str, forward_to: str | None) -> dict[str, Any]:
    exporters: dict[str, Any] = {"nop": {}}
    if forward_to:
        exporters = {"otlp": {"endpoint": forward_to, "tls": {"insecure": True}}}
    redaction = {
        "allowed_keys": ALLOWED,
        "blocked_key_patterns": [f"^{HASHED}$"],  # "blocked" values are replaced by their hash
        "hash_function": "hmac-sha256",
        "hmac_key": SECRET,
        "summary": "silent",
    }
    pipeline = {"receivers": ["otlp"], "processors": ["redaction"], "exporters": [*exporters]}
    return {
        "receivers": {"otlp": {"protocols": {"grpc": {"endpoint": address}}}},
        "processors": {"redaction": redaction},
        "exporters": exporters,
        "service": {
            "pipelines": {"traces": pipeline},
            "telemetry": {"metrics": {"level": "none"}, "logs": {"level": "warn"}},
        },
    }


def start_rotel(folder: Path, forward_to: str | None, *, redact: bool = False) -> Collector:
    """Rotel, with our rules in its Python SDK or without any."""
    program = install.rotel()
    if program is None:
        raise Missing(f"it was not installed; run: {install.COMMAND}")
    address = _free_address()
    exporter = ["--exporter", "blackhole"]
    if forward_to:
        exporter = ["--exporter", "otlp", "--otlp-exporter-endpoint", f"http://{forward_to}"]
    places = {
        "--otlp-grpc-endpoint": address,
        "--otlp-http-endpoint": _free_address(),
        "--pid-file": str(folder / "rotel.pid"),
        "--log-file": str(folder / "rotel.log"),
    }
    if redact:
        processor = Path(install.__file__).with_name("rotel_redaction.py")
        places["--otlp-with-trace-processor"] = str(processor)
    arguments = [word for option in places.items() for word in option]
    environment = {
        "BENCH_ALLOWED_KEYS": ",".join(ALLOWED),
        "BENCH_HASHED_KEY": HASHED,
        "BENCH_HMAC_KEY": SECRET,
        "LD_LIBRARY_PATH": sysconfig.get_config_var("LIBDIR") or "",  # it is linked with libpython
    }
    return _start([program, "start", *exporter, *arguments], address, folder, environment)


def _free_address() -> str:
    with socket.create_server(("127.0.0.1", 0)) as server:
        return f"127.0.0.1:{server.getsockname()[1]}"


def _start(
    command: list[Any], address: str, folder: Path, environment: dict[str, str] | None = None
) -> Collector:
    """Starts a peer and waits until it takes connections."""
    log = folder / "output"
    with log.open("w") as output:
        process = subprocess.Popen(
            command, stdout=output, stderr=output, text=True, env=os.environ | (environment or {})
        )
    deadline = time.monotonic() + 30
    while process.poll() is None and time.monotonic() < deadline:
        with socket.socket() as client:
            host, _, port = address.partition(":")
            if client.connect_ex((host, int(port))) == 0:
                return Collector(process, address)
        time.sleep(0.05)
    process.kill()
    process.wait()
    last = (log.read_text().strip() or "it says nothing").splitlines()[-1]
    raise Missing(f"it does not start: {last}")


@contextmanager
def ended(collector: Collector) -> Iterator[Collector]:
    """Ends it, by its id, when the block ends."""
    try:
        yield collector
    finally:
        collector.process.send_signal(signal.SIGTERM)
        try:
            collector.process.wait(20)
        except subprocess.TimeoutExpired:
            collector.process.kill()
            collector.process.wait()
        if collector.process.stdout:
            collector.process.stdout.close()


PEERS = (
    Peer("OTel Collector", "two", start_otelcol),
    Peer("Rotel + Python", "two", partial(start_rotel, redact=True)),
    Peer("Rotel", "none", start_rotel),
)
