"""What `footfall doctor` hears from the listeners of a collector on this machine."""

import http.client
import json
import socket
from collections.abc import Iterator, Mapping
from contextlib import closing

from footfall_collector.config.config import Config
from footfall_collector.config.schema import TlsConfig
from footfall_collector.doctor.checks import Check, ok, problem
from footfall_collector.receivers.sockets import split

OPERATOR = "the operator's listener"
TIMEOUT = 3.0
"""Seconds that a listener may take to answer."""


def listeners(config: Config) -> dict[str, tuple[str, TlsConfig | None]]:
    """What is listened on: name → (endpoint, TLS)."""
    found = {
        "OTLP/gRPC": config.grpc,
        "OTLP/HTTP": config.http,
        OPERATOR: config.service.operator,
    }
    return {name: (each.endpoint, each.tls) for name, each in found.items() if each is not None}


def closed(config: Config) -> dict[str, bool]:
    """Of the listeners whose port is known, which nobody serves."""
    there = {name: endpoint for name, (endpoint, _) in listeners(config).items()}
    return {name: _closed(each) for name, each in there.items() if split(each)[1]}


def listener_checks(config: Config, closed: Mapping[str, bool]) -> Iterator[Check]:
    """Whether the collector answers.

    Args:
        config: Which listeners it has.
        closed: As the function says.
    """
    there = listeners(config)
    advice = "start the collector with `footfall up`, or read its log"
    if closed and all(closed.values()):
        nowhere = ", ".join(there[name][0] for name in closed)
        yield problem("listeners", f"no collector runs here: nothing listens on {nowhere}", advice)
        return
    for name in closed:
        endpoint, tls = there[name]
        if closed[name]:
            yield problem("listeners", f"{name}: nothing listens on {endpoint}", advice)
        elif name == "OTLP/gRPC" and tls is None:
            yield _grpc_health(name, endpoint)
        elif name == OPERATOR and tls is None:
            yield _ready(name, endpoint)
        else:
            yield ok("listeners", f"{name}: {endpoint} is open")


def reachable(endpoint: str) -> tuple[str, int]:
    """Where a listener on all addresses is met from here."""
    host, port = split(endpoint)
    return {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host), port  # noqa: S104


def _closed(endpoint: str) -> bool:
    try:
        socket.create_connection(reachable(endpoint), TIMEOUT).close()
    except OSError:
        return True
    return False


def _grpc_health(name: str, endpoint: str) -> Check:
    import grpc
    from grpc_health.v1 import health_pb2

    host, port = reachable(endpoint)
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
    host, port = reachable(endpoint)
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
