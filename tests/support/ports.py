"""Ports that are free now and are still free when a program of a test has started.

The system gives ports of its own range to every connection and to whoever asks for port 0; one that was
found there may be somebody else's a moment later. These lie below that range, and two workers of pytest
have different ones.
"""

import os
import re
import socket
from itertools import count
from typing import Final

FIRST: Final = 12_000
PER_WORKER: Final = 2_000
WORKERS: Final = 10
"""12000 to 31999: Linux gives ports from 32768, other systems from 49152."""
_turns: Final = count(os.getpid())


def free_port() -> int:
    """A port of loopback at which nobody listens; no worker is given it twice in 2,000 calls."""
    worker = re.search(r"\d+", os.environ.get("PYTEST_XDIST_WORKER", ""))
    first = FIRST + PER_WORKER * (int(worker[0]) % WORKERS if worker else WORKERS - 1)
    for turn in _turns:
        port = first + turn * 7 % PER_WORKER
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
        return port
    raise AssertionError("unreachable: `_turns` has no end")


def listens(address: str) -> bool:
    """Whether somebody takes connections at a HOST:PORT."""
    host, _, port = address.rpartition(":")
    with socket.socket() as probe:
        return probe.connect_ex((host, int(port))) == 0
