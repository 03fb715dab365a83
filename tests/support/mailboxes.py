"""Those to whom something is sent: a web server that takes what is posted, and a mail server, both real."""

import email
import email.policy
import json
import socketserver
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class Webhook(ThreadingHTTPServer):
    """Keeps what is posted; answers `status`, and `answer`."""

    def __init__(self):
        super().__init__(("127.0.0.1", 0), _Posted)
        self.taken, self.asked, self.status, self.answer = [], 0, 200, b""

    @property
    def url(self):
        return f"json://127.0.0.1:{self.server_port}/planted-token-7f3a9c"


class _Posted(BaseHTTPRequestHandler):
    def do_POST(self):
        body = self.rfile.read(int(self.headers["content-length"]))
        self.server.asked += 1
        if self.server.status == 200:
            self.server.taken.append(json.loads(body))
        self.send_response(self.server.status)
        self.send_header("content-length", str(len(self.server.answer)))
        self.end_headers()
        self.wfile.write(self.server.answer)

    def log_message(self, *_):
        """Says nothing."""


class Mail(socketserver.ThreadingTCPServer):
    """Takes mail, as RFC 5321 has it, without extensions."""

    daemon_threads = True

    def __init__(self):
        super().__init__(("127.0.0.1", 0), _Delivery)
        self.taken = []

    @property
    def url(self):
        port = self.server_address[1]
        return f"mailto://127.0.0.1:{port}?from=till@example.org&to=team@example.org&mode=insecure"


class _Delivery(socketserver.StreamRequestHandler):
    def handle(self):
        self._say("220 test")
        while line := self.rfile.readline():
            word = line.split()[0].upper() if line.split() else b""
            if word == b"DATA":
                self._say("354 go on")
                self.server.taken.append(
                    email.message_from_bytes(b"".join(self._lines()), policy=email.policy.default)
                )
            self._say("221 bye" if word == b"QUIT" else "250 ok")
            if word == b"QUIT":
                return

    def _lines(self):
        while (line := self.rfile.readline()) not in (b".\r\n", b""):
            yield line.removeprefix(b".")

    def _say(self, text):
        self.wfile.write(f"{text}\r\n".encode())


@contextmanager
def serving(server) -> Iterator:
    thread = threading.Thread(target=server.serve_forever, args=[0.02])
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
