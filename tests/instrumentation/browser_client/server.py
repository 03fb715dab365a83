"""A telemetry server on loopback that holds a client to two contracts, and fails on command.

Events: POST /telemetry/events {"events": [1..50]}, each {event, ts, session_id, ...} of at most 4 KB; unknown
keys are stripped, a `body` key rejects the event, a batch with nothing valid is 400. Counts: POST
/telemetry/ingest {"event", "count"}. Both know a request that is sent again by its Idempotency-Key.
"""

import json
import re
import socket
import struct
import sys
import threading
import uuid
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from importlib.resources import files
from typing import Any

from instrumentation.servers import serving

MODULE = files("footfall") / "browser" / "footfall.min.js"
EVENTS = {"prompt_copied", "vault.search_performed", "prompts.create", "share.viewed"}
COUNTED = {"suggestion_shown", "suggestion_accepted"}
FIELDS = {
    "prompt_id": str,
    "version": str,
    "source": str,
    "variant": str,
    "latency_ms": int,
    "result_count": int,
    "filter_hash": str,
    "query_len": int,
}
TS = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z")


@dataclass
class Request:
    """One request as it came."""

    path: str
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


@dataclass
class Telemetry:
    """What the server was sent, what it took, and how it is to fail.

    Attributes:
        failing: None, "hang", "reset", "garbage", "late" (takes the request, never answers), or a status.
        requests: Every POST, whatever came of it.
        events: Taken, in order of arrival.
        counts: Taken.
        dropped: The highest `dropped` of each session.
        answers: The status of every request that was looked at.
        broken: How a contract was broken.
    """

    origin: str = ""
    failing: str | int | None = None
    retry_after: int | None = None
    page: str = "<!doctype html><title>test</title>"
    page_headers: dict[str, str] = field(default_factory=dict)
    requests: list[Request] = field(default_factory=list)
    events: list[dict[str, Any]] = field(default_factory=list)
    counts: Counter[str] = field(default_factory=Counter)
    dropped: Counter[str] = field(default_factory=Counter)
    answers: list[int] = field(default_factory=list)
    broken: list[str] = field(default_factory=list)
    keys: set[str] = field(default_factory=set)
    stop: threading.Event = field(default_factory=threading.Event)
    changed: threading.Condition = field(default_factory=threading.Condition)

    def wait(self, condition: Callable[["Telemetry"], bool], seconds: float = 8) -> None:
        """Until it holds."""
        with self.changed:
            assert self.changed.wait_for(lambda: condition(self), seconds), (
                self.answers,
                self.broken,
            )

    def take(self, request: Request) -> tuple[int, dict[str, Any]]:
        """Status and body of the answer; a broken contract is noted."""
        try:
            answer = self._take(request)
        except (AssertionError, KeyError, TypeError, ValueError) as error:
            self.broken.append(repr(error))
            answer = 400, {}
        self.answers.append(answer[0])
        return answer

    def _take(self, request: Request) -> tuple[int, dict[str, Any]]:
        key = request.headers["idempotency-key"]
        assert uuid.UUID(key).version == 4
        assert request.headers["content-type"] == "application/json"
        again = key in self.keys
        if request.path == "/telemetry/ingest":
            return self._count(request.json, key, again)
        return self._batch(request.json, key, again)

    def _count(self, sent: Any, key: str, again: bool) -> tuple[int, dict[str, Any]]:
        assert sent.keys() == {"event", "count"}
        if sent["event"] not in COUNTED:
            return 400, {"ok": False, "error": "invalid_event"}
        if not again:
            self.counts[sent["event"]] += min(max(int(sent["count"]), 1), 50)
            self.keys.add(key)
        return 200, {"ok": True}

    def _batch(self, sent: Any, key: str, again: bool) -> tuple[int, dict[str, Any]]:
        if not 1 <= len(sent["events"]) <= 50:
            return 400, {"error": "invalid_batch"}
        valid = [
            {k: event[k] for k in event.keys() & KNOWN} for event in sent["events"] if ok(event)
        ]
        if not valid:
            return 400, {"accepted": 0, "rejected": len(sent["events"])}
        if not again:
            self.events += valid
            self.keys.add(key)
            session = valid[0]["session_id"]
            self.dropped[session] = max(self.dropped[session], sent.get("dropped", 0))
        return 200, {"accepted": len(valid), "rejected": len(sent["events"]) - len(valid)}


KNOWN = {"event", "ts", "session_id", *FIELDS}


def ok(event: Any) -> bool:
    """Whether the contract accepts an event."""
    return (
        event["event"] in EVENTS
        and "body" not in event
        and TS.fullmatch(event["ts"]) is not None
        and datetime.fromisoformat(event["ts"]).tzinfo is not None
        and uuid.UUID(event["session_id"]).version == 4
        and len(json.dumps(event, ensure_ascii=False).encode()) <= 4096
        and all(isinstance(event[k], kind) for k, kind in FIELDS.items() if k in event)
    )


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    telemetry: Telemetry

    def do_GET(self) -> None:
        path = self.path.partition("?")[0]
        if path == "/footfall.js":
            self._answer(200, MODULE.read_bytes(), "text/javascript", ANY_ORIGIN)
        elif path.startswith("/page"):
            page = self.telemetry.page.encode()
            self._answer(200, page, "text/html; charset=utf-8", self.telemetry.page_headers)
        else:
            self._answer(404)

    def do_OPTIONS(self) -> None:
        allow = {"Access-Control-Allow-Headers": "content-type, idempotency-key"}
        self._answer(204, headers=ANY_ORIGIN | allow | {"Access-Control-Max-Age": "60"})

    def do_POST(self) -> None:
        telemetry = self.telemetry
        body = self.rfile.read(int(self.headers["Content-Length"]))
        headers = {name.lower(): value for name, value in self.headers.items()}
        request = Request(self.path, headers, body)
        with telemetry.changed:
            failing = telemetry.failing
            telemetry.requests.append(request)
            taken = telemetry.take(request) if failing in (None, "late") else None
            telemetry.changed.notify_all()
        self.close_connection = self.close_connection or failing is not None
        match failing:
            case int():
                hint = {"Access-Control-Expose-Headers": "Retry-After", **ANY_ORIGIN}
                if telemetry.retry_after is not None:
                    hint["Retry-After"] = str(telemetry.retry_after)
                self._answer(failing, b"\xff<html>no", headers=hint)
            case "hang" | "late":
                telemetry.stop.wait(30)
            case "garbage":
                self.wfile.write(b"\x00\xffHTTP? \r\n\r\n" * 50)
            case "reset":
                linger = struct.pack("ii", 1, 0)
                self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
            case None:
                assert taken is not None
                status, answer = taken
                self._answer(status, json.dumps(answer).encode(), headers=ANY_ORIGIN)

    def _answer(
        self,
        status: int,
        body: bytes = b"",
        kind: str = "application/json",
        headers: dict[str, str] | None = None,
    ) -> None:
        self.send_response(status)
        for name, value in {"Content-Type": kind, **(headers or {})}.items():
            self.send_header(name, value)
        if status != 204:
            self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None: ...


ANY_ORIGIN = {"Access-Control-Allow-Origin": "*"}


class Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 256

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that went away is no error of the server's."""
        if not isinstance(sys.exception(), ConnectionError):
            super().handle_error(request, client_address)


@contextmanager
def telemetry_server() -> Iterator[Telemetry]:
    """A server on a port, and so an origin, of its own."""
    telemetry = Telemetry()
    handler = type("Handler", (Handler,), {"telemetry": telemetry})
    with serving(Server(("127.0.0.1", 0), handler)) as telemetry.origin:
        yield telemetry
        telemetry.stop.set()
