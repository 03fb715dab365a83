"""Sockets that listen, as they are accepted from."""

import socket

import pytest

from footfall_collector.receivers.sockets import open_socket


@pytest.mark.parametrize("shared", [False, True])
def test_what_is_written_to_a_connection_is_sent_at_once(shared):
    """An answer is written in two parts; a client may put off acknowledging the first for 40 ms."""
    with (
        open_socket("127.0.0.1:0", "the listener", shared=shared) as listener,
        socket.create_connection(listener.getsockname()),
        listener.accept()[0] as accepted,
    ):
        assert accepted.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
