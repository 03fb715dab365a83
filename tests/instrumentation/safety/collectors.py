"""A place where a collector should be, which does what it is told: TCP, in front of a real receiver."""

import socket
import threading
from contextlib import contextmanager, suppress
from random import Random

STATES = ["up", "away", "garbage", "hanging"]
"""It passes everything on; refuses connections; answers nonsense; takes connections and says nothing."""


class Place:
    """One port of loopback; `become()` ends its connections and changes what it does.

    Args:
        receiver: The URL of the real receiver.
    """

    def __init__(self, receiver):
        self._receiver = ("127.0.0.1", int(receiver.rpartition(":")[2]))
        self._held = socket.socket()  # nobody else gets the port while it is away
        self._held.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        self._held.bind(("127.0.0.1", 0))
        self.endpoint = f"http://127.0.0.1:{self._held.getsockname()[1]}"
        self._listener, self._open = None, []

    def become(self, state):
        self.close()
        if state != "away":
            self._listener = socket.socket()
            self._listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
            self._listener.bind(self._held.getsockname())
            self._listener.listen(64)
            threading.Thread(target=self._accept, args=(self._listener, state), daemon=True).start()

    def close(self):
        """Ends what is open, so that nobody goes on with an old connection."""
        opened, self._open = self._open, []
        for each in [*opened, *filter(None, [self._listener])]:
            with suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)
            each.close()
        self._listener = None

    def _accept(self, listener, state):
        with suppress(OSError):
            while True:
                connection, _ = listener.accept()
                self._open.append(connection)
                if state == "up":
                    there = socket.create_connection(self._receiver)
                    self._open.append(there)
                    self._thread(self._pass, connection, there)
                    self._thread(self._pass, there, connection)
                elif state == "garbage":
                    self._thread(self._answer, connection)

    def _thread(self, target, *args):
        threading.Thread(target=target, args=args, daemon=True).start()

    def _pass(self, source, target):
        with suppress(OSError):
            while data := source.recv(65536):
                target.sendall(data)
            target.shutdown(socket.SHUT_WR)

    def _answer(self, connection):
        with suppress(OSError):
            connection.recv(65536)
            connection.sendall(Random(7).randbytes(4096))
            connection.shutdown(socket.SHUT_RDWR)


@contextmanager
def place(receiver):
    """A place in front of a receiver, for as long as a `with` block lasts."""
    made = Place(receiver)
    try:
        yield made
    finally:
        made.close()
        made._held.close()
