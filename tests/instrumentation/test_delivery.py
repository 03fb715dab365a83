import contextlib
import gzip
import logging
import os
import random
import signal
import socket
import ssl
import subprocess
import sys
import textwrap
import threading
import time

import grpc
import pytest
from opentelemetry.exporter.otlp.proto.grpc.metric_exporter import OTLPMetricExporter
from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor, SpanExporter, SpanExportResult

import footfall
from instrumentation.programs import python

PROGRAM = """
    import os, sys, time
    import footfall
    footfall.configure({catalog!r}, {endpoint!r}, enabled=True)
    for _ in range(3):
        with footfall.feature("shop.order", provider="smz3"):
            pass
    print("ready", flush=True)
    {more}
"""


def program(catalog, endpoint, more="", **variables):
    code = textwrap.dedent(PROGRAM).format(catalog=str(catalog), endpoint=endpoint, more=more)
    return subprocess.Popen(
        [sys.executable, "-c", code],
        env=os.environ | variables,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


@pytest.fixture
def closed_port():
    """An endpoint where nobody listens, and nobody else can."""
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        yield f"http://127.0.0.1:{held.getsockname()[1]}"


@pytest.fixture
def black_hole():
    """An endpoint that takes connections and never says a word."""
    with socket.create_server(("127.0.0.1", 0), backlog=64) as server:
        yield f"http://127.0.0.1:{server.getsockname()[1]}"


@contextlib.contextmanager
def answering(answer):
    """An endpoint that does `answer(connection)` with everybody who comes."""

    def serve():
        with contextlib.suppress(OSError):
            while True:
                connection, _ = server.accept()
                with connection, contextlib.suppress(OSError):
                    connection.settimeout(1)
                    answer(connection)

    with socket.create_server(("127.0.0.1", 0), backlog=64) as server:
        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        yield server.getsockname()[1]
        server.shutdown(socket.SHUT_RDWR)
        thread.join(5)


@pytest.fixture
def garbage():
    """An endpoint that answers nonsense."""

    def answer(connection):
        connection.recv(65536)
        connection.sendall(random.Random(7).randbytes(4096))

    with answering(answer) as port:
        yield f"http://127.0.0.1:{port}"


@pytest.fixture
def drip():
    """An endpoint that answers, a byte at a time, for as long as anybody listens."""

    def answer(connection):
        connection.recv(65536)
        for byte in b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n" + b"x" * 40:
            connection.sendall(bytes([byte]))
            time.sleep(0.02)

    with answering(answer) as port:
        yield f"http://127.0.0.1:{port}"


@pytest.fixture
def broken_tls(garbage):
    """An endpoint that should speak TLS and does not."""
    return garbage.replace("http://", "https://")


@pytest.fixture
def untrusted_tls(tmp_path):
    """An endpoint that speaks TLS with a certificate that nobody trusts."""
    key, certificate = tmp_path / "key.pem", tmp_path / "certificate.pem"
    names = ("-subj", "/CN=127.0.0.1", "-addext", "subjectAltName=IP:127.0.0.1")
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
         "-days", "2", "-keyout", key, "-out", certificate, *names],
        check=True, capture_output=True,
    )  # fmt: skip
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)

    def answer(connection):
        with contextlib.suppress(ssl.SSLError):
            context.wrap_socket(connection, server_side=True).close()

    with answering(answer) as port:
        yield f"https://127.0.0.1:{port}"


@pytest.mark.parametrize("compression", ["", "gzip"])
def test_http_carries_the_same_as_grpc(connect, received_http, compression):
    client = connect(
        received_http.endpoint + "/", protocol="http/protobuf", compression=compression or "none"
    )
    with client.feature("shop.order", provider="smz3"):
        pass
    assert client.flush()
    if compression:
        for bodies in (received_http.traces, received_http.metrics):
            bodies[:] = [gzip.decompress(body) for body in bodies]
    (found,) = received_http.observations()
    assert found["feature.action"] == "success"
    assert received_http.count("shop.order", feature_action="invoke", provider="smz3") == 1
    assert {h["content-type"] for h in received_http.headers} == {"application/x-protobuf"}


def test_everything_is_exported_by_itself_after_a_while(connect, received, monkeypatch):
    monkeypatch.setenv("OTEL_BSP_SCHEDULE_DELAY", "20")
    monkeypatch.setenv("OTEL_METRIC_EXPORT_INTERVAL", "20")
    client = connect(received.endpoint)
    client.event("shop.order")
    client.count("shop.order")
    deadline = time.monotonic() + 5
    while not (received.traces and received.metrics) and time.monotonic() < deadline:
        time.sleep(0.01)
    assert len(received.spans()) == 1
    assert received.count("shop.order") == 1


@pytest.mark.parametrize(
    ("protocol", "fixture", "refusal"),
    [
        ("grpc", "received", grpc.StatusCode.PERMISSION_DENIED),
        ("http/protobuf", "received_http", 403),
    ],
)
def test_a_failed_export_is_counted_per_observation_and_warned_about_once(
    connect, request, caplog, protocol, fixture, refusal
):
    received = request.getfixturevalue(fixture)
    client = connect(received.endpoint, protocol=protocol)
    received.status = refusal
    for _ in range(3):
        client.event("shop.order")
        client.event("shop.order")
        assert not client.flush()
    received.status = None
    client.event("shop.visit")
    assert client.flush()
    assert received.dropped() == {"export_failed": 6}
    assert received.emitted() == {"shop.order": 6, "shop.visit": 1}
    assert received.count("shop.order") == 0, "what failed may have arrived: it is not sent again"
    ours = [r for r in caplog.records if r.name == "footfall" and r.levelno >= logging.WARNING]
    assert len(ours) == 1, "one about observations and counters, as it is for one reason"
    assert caplog.records == ours, "OpenTelemetry's own are kept out of the host's log"


def test_the_reason_of_a_failure_is_found_at_debug(connect, received, caplog):
    caplog.set_level(logging.DEBUG, "footfall")
    client = connect(received.endpoint)
    received.status = grpc.StatusCode.PERMISSION_DENIED
    client.event("shop.order")
    assert not client.flush()
    debug = [r.getMessage() for r in caplog.records if r.levelno == logging.DEBUG]
    assert any("PERMISSION_DENIED" in message for message in debug)


def test_what_opentelemetry_logs_about_the_hosts_own_exports_is_untouched(
    connect, received, caplog
):
    connect(received.endpoint)
    received.status = grpc.StatusCode.PERMISSION_DENIED
    provider = TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(SimpleSpanProcessor(OTLPSpanExporter(received.endpoint)))
    provider.get_tracer("app").start_span("app").end()
    provider.shutdown()
    assert any("PERMISSION_DENIED" in r.getMessage() for r in caplog.records)


class Broken(SpanExporter):
    def export(self, spans: object) -> SpanExportResult:
        raise RuntimeError("with a secret")


def test_an_exporter_that_raises_has_failed(connect, received, caplog):
    caplog.set_level(logging.DEBUG, "footfall")
    metrics = OTLPMetricExporter(received.endpoint)
    client = connect("", exporters=footfall.Exporters(Broken(), metrics))
    client.event("shop.order")
    assert not client.flush()
    assert received.dropped() == {"export_failed": 1}
    assert "RuntimeError" in caplog.text
    assert "secret" not in caplog.text


@pytest.mark.parametrize("protocol", ["grpc", "http/protobuf"])
@pytest.mark.parametrize(
    "place", ["closed_port", "black_hole", "garbage", "drip", "broken_tls", "untrusted_tls"]
)
def test_a_collector_that_is_away_does_not_slow_the_host(
    connect, monkeypatch, request, place, protocol
):
    monkeypatch.setenv("OTEL_BSP_SCHEDULE_DELAY", "10")
    monkeypatch.setenv("OTEL_METRIC_EXPORT_INTERVAL", "10")
    monkeypatch.setenv("OTEL_BSP_MAX_QUEUE_SIZE", "500")
    client = connect(request.getfixturevalue(place), protocol=protocol)
    slow = 0
    for _ in range(3000):
        before = time.perf_counter()
        with client.feature("shop.order", provider="smz3"):
            pass
        slow += time.perf_counter() - before > 0.25
    assert slow <= 10, "no call waits for the network (a few may wait for a processor)"
    for stop in (client.flush, client.shutdown):
        before = time.monotonic()
        assert not stop(0.3)
        assert time.monotonic() - before < 8, "a wait for a collector takes 10 s"


def test_flush_gives_up_after_its_timeout_and_the_next_one_succeeds(client, received):
    received.held = True
    client.event("shop.order")
    before = time.monotonic()
    assert not client.flush(0.2)
    assert 0.15 < time.monotonic() - before < 8
    received.held = False
    received.hold.set()
    assert client.flush()
    assert len(received.spans()) == 1


def test_shutdown_sends_everything_and_ends_its_threads(connect, received):
    before = set(threading.enumerate())
    client = connect(received.endpoint)
    for _ in range(1500):
        client.event("shop.order")
    client.count("shop.order", 2)
    assert client.shutdown()
    assert len(received.spans()) == 1500
    assert received.count("shop.order") == 2
    ours = [t for t in threading.enumerate() if t.name.startswith(("footfall", "Otel"))]
    for thread in set(ours) - before:
        thread.join(20)
        assert not thread.is_alive()


def test_shutdown_that_gives_up_ends_what_was_being_exported(connect, black_hole):
    before = set(threading.enumerate())
    client = connect(black_hole)
    client.event("shop.order")
    assert not client.shutdown(0.2)
    ours = [t for t in threading.enumerate() if t.name.startswith(("footfall", "Otel"))]
    for thread in set(ours) - before:
        thread.join(8)  # an export that is not ended takes 10 s
        assert not thread.is_alive()


def test_a_program_that_ends_sends_everything(catalog, received):
    with program(catalog, received.endpoint) as process:
        out, err = process.communicate(timeout=20)
    assert (process.returncode, out, err) == (0, "ready\n", "")
    assert len(received.spans()) == 3
    assert received.count("shop.order", feature_action="invoke") == 3


@pytest.mark.parametrize("protocol", ["grpc", "http/protobuf"])
def test_a_program_ends_in_time_when_nobody_answers(catalog, black_hole, protocol):
    with program(catalog, black_hole, FOOTFALL_PROTOCOL=protocol) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        before = time.monotonic()
        _, err = process.communicate(timeout=20)
    assert time.monotonic() - before < 9
    assert process.returncode == 0
    assert "Traceback" not in err


def test_a_program_that_fails_or_is_interrupted_is_not_changed(catalog, received):
    with program(catalog, received.endpoint, "raise SystemExit(3)") as process:
        process.communicate(timeout=20)
    assert process.returncode == 3
    with program(catalog, received.endpoint, "time.sleep(30)") as process:
        assert process.stdout is not None
        process.stdout.readline()
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=20)
    assert process.returncode in (-signal.SIGINT, 130)
    assert err.rstrip().endswith("KeyboardInterrupt")
    assert len(received.spans()) == 6


def test_a_signal_handler_may_call_at_any_moment(catalog, received):
    """The lock is reentrant: a handler runs between any two steps of the call that it interrupts."""
    code = f"""
        import signal, time, footfall
        footfall.configure({str(catalog)!r}, {received.endpoint!r}, enabled=True)
        signal.signal(signal.SIGALRM, lambda *_: footfall.count("shop.visit"))
        signal.setitimer(signal.ITIMER_REAL, 0.0005, 0.0005)
        deadline = time.monotonic() + 0.5
        while time.monotonic() < deadline:
            footfall.count("shop.order")
        signal.setitimer(signal.ITIMER_REAL, 0)
    """
    python(code)
    assert received.count("shop.order") > 0
    assert received.count("shop.visit") > 50


def test_a_signal_handler_may_make_mistakes_while_one_is_told(catalog, received):
    code = f"""
        import logging, signal, footfall

        class Slow(logging.Handler):
            def emit(self, record): ...

        def handler(*_):
            footfall.event(f"made up {{next(numbers)}}")

        import itertools
        numbers = itertools.count()
        logging.getLogger("footfall").addHandler(Slow())
        logging.getLogger("footfall").propagate = False
        signal.signal(signal.SIGALRM, handler)
        signal.setitimer(signal.ITIMER_REAL, 0.0002, 0.0002)
        footfall.configure({str(catalog)!r}, {received.endpoint!r}, enabled=True, environment="dev")
        for number in range(4000):
            footfall.event(f"undeclared {{number}}")
        signal.setitimer(signal.ITIMER_REAL, 0)
        print("done")
    """
    assert python(code) == "done\n"
