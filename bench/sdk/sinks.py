"""What answers the libraries of bench/sdk as their servers would, on loopback, and counts what arrives."""

import gzip
import json
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import Span

PROJECT = {"project_name": "bench", "project_url": "http://127.0.0.1/"}


class Sink:
    """One library's server.

    Attributes:
        http: Its port for HTTP.
        udp: Its port for UDP.
        uses: How many uses have arrived.
    """

    def __init__(self, http: int, udp: int) -> None:
        self.http, self.udp = http, udp
        self.uses = 0
        self._lock = threading.Lock()

    def take(self, path: str, body: bytes) -> None:
        """Counts the uses in a request."""
        with self._lock:
            self.uses += uses(path, body)


def uses(path: str, body: bytes) -> int:
    """The uses in a request of any of them."""
    if path.endswith("/v1/traces"):
        request = ExportTraceServiceRequest.FromString(body)
        return sum(
            span.name == "discord.generator" and not _pending(span)
            for part in request.resource_spans
            for scope in part.scope_spans
            for span in scope.spans
        )
    if path.startswith("/batch"):
        return len(json.loads(body)["batch"])
    if path.endswith("/envelope/"):
        # The envelope's own header, then of each item its header and the item.
        headers = body.split(b"\n")[1::2]
        return sum(json.loads(line)["type"] == "transaction" for line in headers if line)
    return 0


def _pending(span: Span) -> bool:
    """Whether logfire tells of a span that goes on; it tells again when that is over."""
    values = (a.value.string_value for a in span.attributes if a.key == "logfire.span_type")
    return "pending_span" in values


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, request: object, client_address: object) -> None:
        """A library that was ended resets its connections; what did not arrive is noticed elsewhere."""


@contextmanager
def sink() -> Iterator[Sink]:
    """A server that listens, until the block ends."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        wbufsize = -1  # an answer is one packet, for which nobody waits
        disable_nagle_algorithm = True

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            if self.headers.get("Content-Encoding") == "gzip":
                body = gzip.decompress(body)
            found.take(self.path.partition("?")[0], body)
            otlp = self.path.startswith("/v1/")
            self._answer(b"" if otlp else b'{"status": "Ok", "id": "0"}')

        def do_GET(self) -> None:
            self._answer(json.dumps(PROJECT).encode())

        def _answer(self, body: bytes) -> None:
            self.send_response(200)
            kind = "json" if body else "x-protobuf"
            self.send_header("Content-Type", f"application/{kind}")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:
            """Says nothing."""

    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as udp:
        udp.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4 << 20)
        udp.bind(("127.0.0.1", 0))
        server = _Server(("127.0.0.1", 0), Handler)
        found = Sink(server.server_port, udp.getsockname()[1])
        threading.Thread(target=server.serve_forever, daemon=True).start()
        threading.Thread(target=_datagrams, args=(udp, found), daemon=True).start()
        try:
            yield found
        finally:
            server.shutdown()
            server.server_close()


def _datagrams(udp: socket.socket, found: Sink) -> None:
    while True:
        try:
            udp.recv(65_536)
        except OSError:  # closed
            return
        found.uses += 1
