"""A server of a prompt manager on loopback: a page with a Copy button, and POST /psr as its contract has it.

A rating is `{"prompt_id", "version"?, "rating": 1..5, "note"? of at most 280 characters, "source"}`, of the
viewer whom a cookie names. The answer is `{"avg_rating", "total_ratings"}`, both null while it does not say.
"""

import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.client import HTTPConnection
from http.cookies import SimpleCookie
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from instrumentation.browser_client.tools import MODULE
from instrumentation.servers import serving

SOURCES = {"copy", "duplicate", "manual", "other"}
KNOWN = {"prompt_id", "version", "rating", "note", "source"}
POLICY = (
    "default-src 'none'; script-src 'self' 'nonce-page'; style-src 'nonce-page'; connect-src 'self'; "
    "form-action 'none'; require-trusted-types-for 'script'; trusted-types 'none'"
)
"""As strict as a page can be."""
PAGE = """<!doctype html><html lang="en"><title>Prompts</title>
<meta name="viewport" content="width=device-width">
<style nonce="page">
:root { color-scheme: light dark; font-family: system-ui, sans-serif }
body { margin: 2rem }
main p { max-width: 34rem; line-height: 1.5 }
</style>
<main><h1>Summarise a meeting</h1>
<p>Sum up the notes below in five bullet points: what was decided, who does what until when, and what is
still open. Leave out small talk.</p>
<button id="copy">Copy</button> <footfall-psr></footfall-psr> <button id="next">Next prompt</button>
</main>
<script type="module" nonce="page">
import { offer } from "/psr.js";
window.offer = offer;
window.prompt_id = "p1";
window.shown = [];
document.getElementById("copy").onclick = () => shown.push(offer({promptId: prompt_id, version: "3"}));
</script>"""


@dataclass
class Ratings:
    """What was posted, and how the server answers.

    Attributes:
        posted: The path and the body of every POST.
        cookies: What was sent along with them.
        answer: The body of the answer; None sends what is no JSON.
        status: The answer's.
        seconds: How long it takes.
        broken: How the contract was broken.
        collector: host:port of one that keeps the ratings, behind this site; its answer is the site's then.
    """

    origin: str = ""
    posted: list[tuple[str, dict[str, Any]]] = field(default_factory=list)
    cookies: list[str | None] = field(default_factory=list)
    answer: dict[str, Any] | None = field(
        default_factory=lambda: {"avg_rating": None, "total_ratings": None}
    )
    status: int = 200
    seconds: float = 0
    broken: list[str] = field(default_factory=list)
    collector: str = ""

    def take(self, path: str, body: Any, headers: Any) -> None:
        """Notes a rating, and whether it is one."""
        self.posted.append((path, body))
        self.cookies.append(headers["Cookie"])
        keeps = (
            body.keys() <= KNOWN
            and isinstance(body["prompt_id"], str)
            and body["rating"] in (1, 2, 3, 4, 5)
            and 0 < len(body.get("note", "-")) <= 280
            and body["source"] in SOURCES
            and headers["Content-Type"] == "application/json"
            and headers["Referer"] is None
        )
        if not keeps:
            self.broken.append(str(body))


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    ratings: Ratings

    def do_GET(self) -> None:
        if self.path == "/psr.js":
            self._answer(200, (MODULE / "psr.min.js").read_bytes(), "text/javascript")
        elif self.path == "/":
            self._answer(200, PAGE.encode(), "text/html; charset=utf-8")
        else:
            self._answer(404, b"", "text/plain")

    def do_POST(self) -> None:
        ratings = self.ratings
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        ratings.take(self.path, body, self.headers)
        time.sleep(ratings.seconds)
        if ratings.collector:
            self._answer(*self._kept(ratings.collector, body), "application/json")
            return
        answer = b"<html>no" if ratings.answer is None else json.dumps(ratings.answer).encode()
        self._answer(ratings.status, answer, "application/json")

    def _kept(self, collector: str, body: Any) -> tuple[int, bytes]:
        """What the collector says, which trusts this site to know who its viewers are."""
        viewer = SimpleCookie(self.headers["Cookie"])["viewer"].value
        headers = {"Content-Type": "application/json", "X-Viewer": viewer}
        connection = HTTPConnection(collector, timeout=30)
        connection.request("POST", self.path, json.dumps(body), headers)
        answer = connection.getresponse()
        try:
            return answer.status, answer.read()
        finally:
            connection.close()

    def _answer(self, status: int, body: bytes, kind: str) -> None:
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.send_header("Content-Security-Policy", POLICY)
        self.send_header("Set-Cookie", "viewer=v1")
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None: ...


class Server(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A page that gives up goes away."""


@contextmanager
def rating_server() -> Iterator[Ratings]:
    """A server with an origin of its own."""
    ratings = Ratings()
    with serving(Server(("127.0.0.1", 0), type("Handler", (Handler,), {"ratings": ratings}))) as it:
        ratings.origin = it
        yield ratings
