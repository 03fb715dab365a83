"""Hosts whose threads are greenlets: while telemetry waits for something, all of them go on."""

import json
import re
import socket
import subprocess
import textwrap
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from footfall._threads import Event
from instrumentation import programs, tls
from instrumentation.servers import serving

PROGRAM = Path(__file__).with_name("greenlets.py")
LATE = ["after configure()", "after a use"]
"""When threads run already: gevent's first hubs in two threads may then wait for each other for ever, because
it imports modules under locks that it has replaced. Whoever patches so late is warned of that by gevent."""
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


LISTENING = """
    import _thread, sys

    main = _thread.get_ident()

    def note(event, arguments):
        if event == "import" and _thread.get_ident() != main:
            print("imported", arguments[0], file=sys.stderr, flush=True)

    sys.addaudithook(note)
    sys.argv = sys.argv[1:]
    exec(compile(open(sys.argv[0]).read(), sys.argv[0], "exec"))
"""


@pytest.mark.parametrize("library", ["gevent", "eventlet"])
def test_no_thread_beside_greenlets_imports_anything(
    catalog, received, received_http, away, library
):
    """It would hold a lock that greenlets replaced: now and then a host came to a standstill for ever.

    What the libraries themselves import there is theirs.
    """
    collectors = [
        f"grpc={received.endpoint}=5", f"http/protobuf={received_http.endpoint}=5",
        f"grpc={away}=0.2", f"http/protobuf={away}=0.2",
    ]  # fmt: skip
    done = programs.run(
        "-W", "ignore", "-c", textwrap.dedent(LISTENING), PROGRAM, library, "after a fork", catalog,
        *collectors, OTEL_BSP_SCHEDULE_DELAY="20", OTEL_METRIC_EXPORT_INTERVAL="100",
    )  # fmt: skip
    assert json.loads(done.stdout)["flushed"][:2] == [1, 1], done.stderr
    found = set(re.findall(r"imported (\S+)", done.stderr))
    assert {n for n in found if not n.startswith(library)} <= {"_threading_local", "grp", "gc"}


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
    for _ in range(3 if moment in LATE else 1):
        for each in (received, received_http):
            each.traces.clear()
            each.metrics.clear()
        with suppress(subprocess.TimeoutExpired):
            done = programs.run(
                "-W", "ignore", PROGRAM, library, moment, catalog, *collectors,
                OTEL_BSP_SCHEDULE_DELAY="20", OTEL_METRIC_EXPORT_INTERVAL="100", timeout=40,
            )  # fmt: skip
            break
    assert done.returncode == 0, done.stderr
    assert "Traceback" not in done.stderr
    assert "nothing is sent to" in done.stderr, "what our thread has to say is said by the host's"
    saw = json.loads(done.stdout)
    assert saw["flushed"] == saw["stopped"] == [True, False, False] * 2
    assert saw["longest"] < 2, "a wait for a collector takes 10 s"
    for each in (received, received_http):
        assert each.count("shop.order", feature_action="invoke") == 20
        assert [span["event"] for span in each.observations()].count("shop.order") == 20


@pytest.fixture(scope="module")
def certificate(tmp_path_factory):
    return tls.make(tmp_path_factory.mktemp("certificate"), "here", "IP:127.0.0.1")


class Takes(BaseHTTPRequestHandler):
    def do_POST(self):
        self.server.sizes.append(len(self.rfile.read(int(self.headers["Content-Length"]))))
        self.send_response(200)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *args): ...


@pytest.mark.parametrize(
    ("library", "moment", "trusted"),
    [
        *(("gevent", moment, True) for moment in MOMENTS[::2]),
        *(("eventlet", MOMENTS[1], trusted) for trusted in (True, False)),
        ("gevent", MOMENTS[1], False),
    ],
)
def test_tls_works_over_http_whenever_it_is_patched(
    catalog, certificate, tmp_path, library, moment, trusted
):
    server = ThreadingHTTPServer(("127.0.0.1", 0), Takes)
    server.sizes = []
    tls.secure(server, certificate)
    other = tls.make(tmp_path, "other", "IP:127.0.0.1")
    with serving(server) as url:
        done = programs.run(
            "-W", "ignore", PROGRAM, library, moment, catalog,
            f"http/protobuf={url.replace('http:', 'https:')}={5 if trusted else 0.7}",
            FOOTFALL_CERTIFICATE=str((certificate if trusted else other).certificate),
        )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["flushed"] == [trusted]
    assert bool(server.sizes) == trusted
    assert ("its TLS certificate is not trusted" in done.stderr) != trusted
    assert "Traceback" not in done.stderr


ENDS = """
from gevent import monkey; monkey.patch_all()
import footfall
footfall.configure({catalog!r}, {away!r}, enabled=True)
footfall.event("shop.visit")
footfall.flush(0.3)
footfall.shutdown(0.01)
"""


@pytest.mark.parametrize("protocol", ["grpc", "http/protobuf"])
def test_a_process_ends_well_while_an_export_is_tried_again(catalog, away, protocol):
    code = ENDS.format(catalog=str(catalog), away=away)
    done = programs.run("-c", code, FOOTFALL_PROTOCOL=protocol)
    assert done.returncode == 0, (
        "a loop of gevent's in our thread ends it by SIGSEGV, every other time"
    )
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("protocol", ["grpc", "http/protobuf"])
def test_exporters_wait_with_an_event_of_ours(connect, away, monkeypatch, protocol):
    monkeypatch.setenv("FOOTFALL_PROTOCOL", protocol)
    delivery = connect(away)._lifecycle._delivery
    for exporter in (delivery._spans._exporter, delivery._metrics._exporter):
        owner = exporter if protocol == "grpc" else exporter._client
        name = "_shutdown_in_progress" if protocol == "grpc" else "_shutdown_event"
        assert isinstance(getattr(owner, name), Event)
