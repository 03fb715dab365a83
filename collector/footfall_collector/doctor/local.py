"""What `footfall doctor` sees on this machine: files, certificates, the spool, the listeners."""

import datetime as dt
import http.client
import json
import shutil
import socket
from collections.abc import Iterator, Mapping
from contextlib import closing
from pathlib import Path

from footfall_collector.config.config import Config
from footfall_collector.config.schema import TlsConfig
from footfall_collector.doctor.checks import Check, count, ok, problem, warning
from footfall_collector.receivers.sockets import split
from footfall_exporters.spool import SpoolConfig
from footfall_exporters.spool_file import Damaged, waiting
from footfall_processors import Catalog
from footfall_processors.document import DocumentError

OPERATOR = "the operator's listener"
SOON = dt.timedelta(days=30)
"""Before something expires."""
TIMEOUT = 3.0
"""Seconds that a listener may take to answer."""
FULL = 0.8
"""The share of the spool from which on it is a problem."""
LOW, EMPTY = 2 * 2**30, 2**29
"""Bytes free on a disk below which it is a warning, and a problem."""


def catalog_checks(catalog: Catalog, today: dt.date) -> Iterator[Check]:
    """Events that are over, or will be soon."""
    ends = {name: event.expires for name, event in catalog.events.items() if event.expires}
    for name, end in sorted(ends.items(), key=lambda item: (item[1], item[0])):
        owner = catalog.events[name].owner or "its owner"
        advice = f"ask {owner}: renew `expires` in the catalog, or take the event out of the code"
        if end < today:
            yield warning("catalog", f"{name} expired on {end} and is refused", advice)
        elif end - today <= SOON:
            yield warning("catalog", f"{name} expires on {end}", advice)
    own = sum(1 for event in catalog.events.values() if event.surface != "footfall")
    yield ok("catalog", f"{count(own, 'event')} of {', '.join(catalog.products)}")


def key_checks(file: str, today: dt.date) -> Iterator[Check]:
    """Keys that are over, or will be soon."""
    from footfall_collector.security import keys

    try:
        entries = keys.read(file)
    except DocumentError as error:
        for mistake in error.mistakes:
            yield problem("keys", str(mistake), "correct the keys file; `footfall keys` writes it")
        return
    if not entries:
        advice = "make one with `footfall keys new`"
        yield problem("keys", f"{Path(file).name} has no key: nobody may send", advice)
        return
    for name, entry in entries.items():
        advice = "make a new one with `footfall keys new`, hand it out, then revoke this one"
        if entry.expires and entry.expires < today:
            yield warning("keys", f"the key {name} expired on {entry.expires}", advice)
        elif entry.expires and entry.expires - today <= SOON:
            yield warning("keys", f"the key {name} expires on {entry.expires}", advice)
    yield ok("keys", f"{count(len(entries), 'key')} in {Path(file).name}")


def listeners(config: Config) -> dict[str, tuple[str, TlsConfig | None]]:
    """What is listened on: name → (endpoint, TLS)."""
    found = {
        "OTLP/gRPC": config.grpc,
        "OTLP/HTTP": config.http,
        OPERATOR: config.service.operator,
    }
    return {name: (each.endpoint, each.tls) for name, each in found.items() if each is not None}


def certificate_checks(config: Config, now: dt.datetime) -> Iterator[Check]:
    """Certificates that cannot be used, or will not be for long."""
    from footfall_collector.errors import StartError
    from footfall_collector.security.tls import Tls

    for name, (_, tls) in listeners(config).items():
        if tls is None:
            continue
        try:
            end = Tls(tls, name).expires
        except StartError as error:
            advice = error.advice or "put a valid certificate there"
            yield problem("certificates", error.found, advice)
            continue
        found = f"{name}: the certificate is valid until {end:%Y-%m-%d}"
        if end - now <= SOON:
            advice = "renew it; the collector reads it again on SIGHUP"
            yield warning("certificates", found, advice)
        else:
            yield ok("certificates", found)


def spool_checks(config: SpoolConfig) -> Iterator[Check]:
    """What waits on disk, and whether there is room."""
    try:
        there = waiting(Path(config.directory))
    except Damaged:
        advice = (
            "run it as the collector's user; if it stays, stop the collector and move the file away"
        )
        yield problem("spool", "its file cannot be read", advice)
        return
    if there is None:
        yield ok("spool", "it was never needed")
        return
    found = f"{count(there.requests, 'request')} waiting, {there.size / 2**20:.1f} of {config.max_mib} MiB"
    advice = "start Postgres, or see the collector's log for why it does not take them"
    if there.size >= FULL * config.max_mib * 2**20:
        yield problem("spool", found, advice)
    elif there.requests:
        yield warning("spool", found, advice)
    else:
        yield ok("spool", found)
    yield disk_check("spool", Path(config.directory))


def disk_check(area: str, directory: Path) -> Check:
    """How much room is left where a directory is."""
    usage = shutil.disk_usage(directory)
    found = f"{usage.free / 2**30:.1f} GiB of {usage.total / 2**30:.1f} GiB free on its disk"
    advice = "make room, keep fewer days (exporters.postgres.retention_days), or use a larger disk"
    if usage.free < EMPTY:
        return problem(area, found, advice)
    return warning(area, found, advice) if usage.free < LOW else ok(area, found)


def listener_checks(config: Config) -> Iterator[Check]:
    """Whether the collector answers. When nothing does, it may be meant to be so: it is not running."""
    there = {n: at for n, at in listeners(config).items() if split(at[0])[1]}
    closed = {name: _closed(endpoint) for name, (endpoint, _) in there.items()}
    none = bool(closed) and all(closed.values())
    for name, (endpoint, tls) in there.items():
        if closed[name]:
            found = f"{name}: nothing listens on {endpoint}"
            advice = "start the collector with `footfall up`, or read its log"
            yield (warning if none else problem)("listeners", found, advice)
        elif name == "OTLP/gRPC" and tls is None:
            yield _grpc_health(name, endpoint)
        elif name == OPERATOR and tls is None:
            yield _ready(name, endpoint)
        else:
            yield ok("listeners", f"{name}: {endpoint} is open")


def _reachable(endpoint: str) -> tuple[str, int]:
    """Where a listener on all addresses is met from here."""
    host, port = split(endpoint)
    return {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host), port  # noqa: S104


def _closed(endpoint: str) -> bool:
    try:
        socket.create_connection(_reachable(endpoint), TIMEOUT).close()
    except OSError:
        return True
    return False


def _grpc_health(name: str, endpoint: str) -> Check:
    import grpc
    from grpc_health.v1 import health_pb2

    host, port = _reachable(endpoint)
    target = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
    with grpc.insecure_channel(target) as channel:
        call = channel.unary_unary(
            "/grpc.health.v1.Health/Check",
            request_serializer=health_pb2.HealthCheckRequest.SerializeToString,
            response_deserializer=health_pb2.HealthCheckResponse.FromString,
        )
        try:
            said = call(health_pb2.HealthCheckRequest(), timeout=TIMEOUT)
        except grpc.RpcError as error:
            if error.code() is grpc.StatusCode.UNIMPLEMENTED:
                return ok("listeners", f"{name}: {endpoint} is open")
            advice = "another program may listen there; look with `ss -ltnp`"
            return problem("listeners", f"{name}: {endpoint} does not speak gRPC", advice)
    if said.status == health_pb2.HealthCheckResponse.SERVING:
        return ok("listeners", f"{name}: {endpoint} serves")
    return problem(
        "listeners",
        f"{name}: {endpoint} refuses requests now",
        "read the collector's log, or /readyz",
    )


def _ready(name: str, endpoint: str) -> Check:
    """What /readyz says; one that asks for a key is there, and says no more."""
    host, port = _reachable(endpoint)
    try:
        with closing(http.client.HTTPConnection(host, port, timeout=TIMEOUT)) as connection:
            connection.request("GET", "/readyz")
            answer = connection.getresponse()
            status, body = answer.status, answer.read(65536)
    except (OSError, http.client.HTTPException):
        advice = "another program may listen there; look with `ss -ltnp`"
        return problem("listeners", f"{name}: {endpoint} does not speak HTTP", advice)
    if status != 503:
        return ok("listeners", f"{name}: {endpoint} {'is ready' if status == 200 else 'is open'}")
    reasons = _reasons(body)
    found = f"{name}: not ready ({', '.join(reasons) or 'it does not say why'})"
    return problem("listeners", found, "; ".join(reasons.values()) or "read the collector's log")


def _reasons(body: bytes) -> Mapping[str, str]:
    """The reasons in an answer of /readyz that are ours, with what to do."""
    from footfall_collector.receivers.operator import ADVICE

    try:
        said = {each["reason"] for each in json.loads(body)["reasons"]}
    except (ValueError, KeyError, TypeError):
        return {}
    return {str(reason): advice for reason, advice in ADVICE.items() if reason in said}
