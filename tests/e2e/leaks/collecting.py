"""A collector as its operator runs it, and everything that can be had of it afterwards."""

import datetime as dt
import os
import re
import secrets
import subprocess
from dataclasses import dataclass, field
from pathlib import Path

import psycopg
import yaml

from conftest import CATALOG
from e2e.leaks.planting import Book, Planted
from footfall_collector.security.keys import KeyEntry, digest, make_token
from footfall_collector.security.keys_file import changing
from support.http_server import OK, Request, Server, status
from support.ports import free_port
from support.up import FOOTFALL, Up

METRICS = Path("/dev/shm")
NOBODYS_GROUP = 65534


@dataclass
class Secrets:
    """What the operator has: none of it may be where it was not put.

    Attributes:
        password: The database's, made by the embedded server.
    """

    salt: str = field(default_factory=lambda: secrets.token_urlsafe(40))
    backend: str = field(default_factory=lambda: secrets.token_urlsafe(40))
    key: str = field(default_factory=make_token)
    bound: str = field(default_factory=make_token)
    slow: str = field(default_factory=make_token)
    operator: str = field(default_factory=make_token)
    password: str = ""

    def planted(self) -> dict[str, Planted]:
        return {name: Planted(f"operator / {name}", v, (v,)) for name, v in vars(self).items() if v}


class Collector(Up):
    """A running `footfall up` of two workers.

    Its group owns nothing else: of a process that may be dumped, /proc shows files of that group.

    Attributes:
        log: Its standard error.
        output: Its standard output.
        environment: All of its variables.
    """

    def __init__(self, config: Path, environment: dict[str, str]) -> None:
        self.log, self.output = config.with_name("log.jsonl"), config.with_name("output.txt")
        self.environment = environment
        with self.output.open("wb") as out, self.log.open("wb") as log:
            self.process = subprocess.Popen(
                [*FOOTFALL, "--config", str(config)],
                stdout=out,
                stderr=log,
                cwd=config.parent,
                env=environment,
                start_new_session=True,
                group=NOBODYS_GROUP if os.geteuid() == 0 else None,
            )


def environment(known: Secrets) -> dict[str, str]:
    """All that the collector gets of ours."""
    return {
        "PATH": os.environ["PATH"],
        "TELEMETRY_HASH_SALT": known.salt,
        "BACKEND_TOKEN": known.backend,
    }


def configure(home: Path, dsn: str, backend: str, known: Secrets) -> tuple[Path, str]:
    """Writes the configuration and the keys; also returns host:port of the operator's listener."""
    operator = f"127.0.0.1:{free_port()}"
    today = {"created": _TODAY}
    with changing(home / "keys.yaml") as entries:
        entries["all"] = KeyEntry(hash=_hash(known.key), **today)
        entries["bound"] = KeyEntry(hash=_hash(known.bound), services=("elsewhere",), **today)
        entries["slow"] = KeyEntry(hash=_hash(known.slow), requests_per_minute=1, **today)
    with changing(home / "operators.yaml") as entries:
        entries["me"] = KeyEntry(hash=_hash(known.operator), operator=True, **today)
    pipeline = {"exporters": ["postgres", "otlphttp", "logs"]}
    config = {
        "receivers": {"otlp": {
            "protocols": {
                "grpc": {"endpoint": "127.0.0.1:0", "max_recv_msg_size_mib": 1},
                "http": {
                    "endpoint": "127.0.0.1:0",
                    "max_request_body_size": 2**20,
                    "cors": {"allowed_origins": ["https://shop.example"]},
                },
            },
            "auth": {"keys_file": "keys.yaml"},
            "admission": {"request_limit_mib": LIMIT_MIB},
        }},
        "processors": {"footfall": {"catalog": str(CATALOG)}},
        "exporters": {
            "postgres": {
                "dsn": dsn,
                "spool": {"directory": "spool", "max_mib": 1},
            },
            "otlphttp": {
                "endpoint": backend,
                "headers": {"authorization": "Bearer ${env:BACKEND_TOKEN}"},
                "pseudonyms": True,
            },
            "logs": {"path": str(home / "events.jsonl"), "pseudonyms": True},
        },
        "service": {
            "pipelines": dict.fromkeys(("traces", "metrics", "logs"), pipeline),
            "operator": {"endpoint": operator, "keys_file": "operators.yaml"},
            "workers": 2,
            "telemetry": {"logs": {"level": "debug", "encoding": "json"}},
        },
    }  # fmt: skip
    path = home / "collector.yaml"
    path.write_text(yaml.safe_dump(config))
    return path, operator


LIMIT_MIB = 0.9
"""Of requests in flight; one of more than that, held open, keeps all others out."""


def misbehaving(server: Server) -> None:
    """Has a backend quote what it was sent in each way to refuse it, and then take everything."""
    turns = iter((503, 400, 500, 404))

    def answer(request: Request) -> bytes:
        code = next(turns, None) if request.target == "/v1/traces" else None
        return status(code, "Retry-After: 1", body=request.body) if code in (503, 400, 500) else OK

    server.answer = answer


async def sql(dsn: str, *statements: str) -> list[tuple]:
    """What the last statement returns."""
    async with await psycopg.AsyncConnection.connect(dsn, autocommit=True) as connection:
        for statement in statements:
            cursor = await connection.execute(statement)
        return await cursor.fetchall() if cursor.description else []


def read_all(*paths: Path) -> dict[str, bytes]:
    """Files, and those below folders, by name; sockets hold nothing."""
    files = [f for p in paths for f in ([p] if p.is_file() else sorted(p.rglob("*")))]
    return {str(file): file.read_bytes() for file in files if file.is_file()}


def shared_metrics() -> dict[str, bytes]:
    """The counters in memory that may be read: those of other collectors do no harm."""
    return read_all(*(p for p in METRICS.glob("footfall-metrics-*") if os.access(p, os.R_OK)))


@dataclass(frozen=True)
class Process:
    """What /proc says of a process of the collector.

    Attributes:
        environment: Its variables; None where that may not be read.
        dump_owner: Owner and group of what /proc shows of its memory.
        identity: Its effective user and group.
        core: Soft and hard limit of a core dump.
    """

    arguments: bytes
    environment: bytes | None
    dump_owner: tuple[int, int]
    identity: tuple[int, int]
    core: list[str]


def look_at(pid: int) -> Process:
    """See proc(5)."""
    proc = Path(f"/proc/{pid}")
    limits = re.search(r"Max core file size +(\S+) +(\S+)", (proc / "limits").read_text())
    ids = dict(line.split(":\t", 1) for line in (proc / "status").read_text().splitlines())
    assert limits
    try:
        found = (proc / "environ").read_bytes()
    except PermissionError:
        found = None
    owner = (proc / "environ").stat()
    return Process(
        (proc / "cmdline").read_bytes(),
        found,
        (owner.st_uid, owner.st_gid),
        (int(ids["Uid"].split()[1]), int(ids["Gid"].split()[1])),
        list(limits.groups()),
    )


@dataclass
class Evidence:
    """What was left behind.

    Attributes:
        codes: As `Senders` has them.
        places: What there is to search: by place, then by name.
        redacted: Notes in which something was replaced.
        hashed: How many stored events have a guild, a visitor, a team.
        processes: Those of the collector.
        operators: The environment that the operator gave it.
        status: Its exit status.
    """

    book: Book
    known: Secrets
    codes: dict[str, dict[tuple[str, str], set[str]]] = field(default_factory=dict)
    places: dict[str, dict[str, bytes]] = field(default_factory=dict)
    redacted: set[str] = field(default_factory=set)
    hashed: tuple[int, ...] = ()
    processes: list[Process] = field(default_factory=list)
    operators: dict[str, str] = field(default_factory=dict)
    status: int | None = None

    def keep(self, place: str, contents: dict[str, bytes]) -> None:
        self.places.setdefault(place, {}).update(contents)


def _hash(token: str) -> str:
    return f"sha256:{digest(token).hex()}"


_TODAY = dt.date(2026, 1, 1)
