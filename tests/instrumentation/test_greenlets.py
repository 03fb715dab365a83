"""Hosts whose threads are greenlets: while telemetry waits for something, all of them go on."""

import json
import socket
from pathlib import Path

import pytest

from instrumentation import programs

PROGRAM = Path(__file__).with_name("greenlets.py")
MOMENTS = [
    "before the import",
    "after the import",
    "after configure()",
    "after a use",
    "after a fork",
]


@pytest.fixture
def away():
    """An endpoint where nobody listens."""
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        yield f"http://127.0.0.1:{held.getsockname()[1]}"


@pytest.fixture
def hanging():
    """An endpoint that takes connections and never says a word."""
    with socket.create_server(("127.0.0.1", 0), backlog=64) as server:
        yield f"http://127.0.0.1:{server.getsockname()[1]}"


@pytest.mark.parametrize("moment", MOMENTS)
@pytest.mark.parametrize("library", ["gevent", "eventlet"])
def test_no_greenlet_waits_for_a_collector(
    catalog, received, received_http, away, hanging, library, moment
):
    collectors = [
        f"{protocol}={place}={patience}"
        for protocol, there in (("grpc", received), ("http/protobuf", received_http))
        for place, patience in ((there.endpoint, 5), (away, 0.2), (hanging, 0.2))
    ]
    done = programs.run(
        "-W", "ignore", PROGRAM, library, moment, catalog, *collectors,
        OTEL_BSP_SCHEDULE_DELAY="20", OTEL_METRIC_EXPORT_INTERVAL="100",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "Traceback" not in done.stderr
    assert "did not take" in done.stderr, "what our thread has to say is said by the host's"
    saw = json.loads(done.stdout)
    assert saw["flushed"] == saw["stopped"] == [True, False, False] * 2
    assert saw["longest"] < 0.5
    for each in (received, received_http):
        assert each.count("shop.order", feature_action="invoke") == 20
        assert [span["event"] for span in each.observations()].count("shop.order") == 20
