"""TCP, where that is asked for: one login that may come in, and the socket where clients expect it."""

import os
from collections.abc import Mapping
from dataclasses import dataclass

from footfall_exporters.embedded.identity import Identity
from footfall_exporters.embedded.layout import PORT, Layout

LOGIN = "grafana"
"""Who may come in over TCP: a reader, made by the store (readers.py)."""
NO_TCP: Mapping[str, str] = {"listen_addresses": "", "port": str(PORT)}
_RULES = f"""\
# Written at every start. Over TCP nobody comes in but {LOGIN}, with its password.
local all      all     scram-sha-256
host  footfall {LOGIN} all scram-sha-256
"""


@dataclass(frozen=True, slots=True)
class Listening:
    """Where the server listens besides its socket.

    Attributes:
        host: An address of this machine, or 0.0.0.0 for all of them.
        port: From 1 on.
    """

    host: str
    port: int


def settings(layout: Layout, listening: Listening | None) -> Mapping[str, str]:
    """What the server is told about it."""
    if listening is None:
        return NO_TCP
    return {
        "listen_addresses": listening.host,
        "port": str(listening.port),
        "hba_file": str(layout.rules),
    }


def arrange(layout: Layout, identity: Identity, listening: Listening | None) -> None:
    """What a start needs: the rules; and the usual name of the socket, which Postgres names by the port.

    The caller holds the lock: what sockets there are, are of former servers.

    Raises:
        OSError: Something cannot be written.
    """
    for former in layout.sockets.glob(".s.PGSQL.*"):
        former.unlink()
    if listening is None:
        return
    flags = os.O_WRONLY | os.O_TRUNC
    with open(identity.open_file(layout.rules, flags), "w", encoding="ascii") as file:
        file.write(_RULES)
    if listening.port != PORT:
        layout.socket.symlink_to(layout.socket_of(listening.port).name)
