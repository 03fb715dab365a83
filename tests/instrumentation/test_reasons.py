"""Why nothing is sent, as a host reads it: real servers that are away, speak otherwise, or refuse."""

import contextlib
import logging
import socket
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import grpc
import pytest

from footfall import Flushed
from instrumentation import tls
from instrumentation.servers import serving

GRPC, HTTP = "grpc", "http/protobuf"


@pytest.fixture(scope="module")
def certificates(tmp_path_factory):
    """Signed by themselves, by the name that they are for."""
    folder = tmp_path_factory.mktemp("certificates")

    return {
        "right": tls.make(folder, "right", "IP:127.0.0.1"),
        "other": tls.make(folder, "other", "DNS:other.example.org"),
    }


@contextlib.contextmanager
def grpc_tls(files, client=None):
    key, certificate = (path.read_bytes() for path in files)
    with ThreadPoolExecutor(2) as pool:
        server = grpc.server(pool)
        root = client and client.read_bytes()
        credentials = grpc.ssl_server_credentials([(key, certificate)], root, root is not None)
        port = server.add_secure_port("127.0.0.1:0", credentials)
        server.start()
        yield port
        server.stop(None).wait()


class Refuses(BaseHTTPRequestHandler):
    def do_POST(self):
        self.rfile.read(int(self.headers["Content-Length"]))
        self.send_error(404)

    def log_message(self, *args): ...


@contextlib.contextmanager
def http_tls(files, client=None):
    server = ThreadingHTTPServer(("127.0.0.1", 0), Refuses)
    tls.secure(server, files, client)
    with serving(server) as url:
        yield int(url.rpartition(":")[2])


TLS = {GRPC: grpc_tls, HTTP: http_tls}


@pytest.mark.parametrize("protocol", [GRPC, HTTP])
def test_a_client_that_should_show_a_certificate(connect, certificates, caplog, protocol):
    key, certificate = certificates["other"]
    with TLS[protocol](certificates["right"], certificate) as port:
        url, trusted = f"https://127.0.0.1:{port}", certificates["right"][1]
        shown = {"client_certificate": certificate, "client_key": key}
        words = "nothing takes OTLP there"
        fail(connect, caplog, url, protocol, words, "path", certificate=trusted, **shown)
        caplog.clear()
        words, remedy = "the TLS handshake fails: ", "FOOTFALL_CLIENT_CERTIFICATE"
        fail(connect, caplog, url, protocol, words, remedy, certificate=trusted)


@contextlib.contextmanager
def nobody():
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        yield held.getsockname()[1]


@contextlib.contextmanager
def mute():
    with socket.create_server(("127.0.0.1", 0), backlog=64) as server:
        yield server.getsockname()[1]


def told(caplog):
    """The one warning about failures."""
    ours = [r.getMessage() for r in caplog.records if r.name == "footfall"]
    (text,) = [text for text in ours if "nothing is sent to" in text]
    assert len(ours) == 1, ours
    return text


def fail(connect, caplog, endpoint, protocol, words, remedy, **options):
    client = connect(endpoint, protocol=protocol, timeout=0.8, **options)
    for _ in range(2):
        client.event("shop.order")
        assert client.flush(6) is Flushed.NOT_DONE
    text = told(caplog)
    assert f"to {endpoint} (" in text
    assert words in text
    assert remedy in text


@pytest.mark.parametrize("protocol", [GRPC, HTTP])
@pytest.mark.parametrize(
    ("place", "words", "remedy"),
    [
        (nobody, "connection is refused", "footfall up"),
        (mute, "does not answer within", "firewall"),
    ],
)
def test_a_collector_that_is_away(connect, caplog, protocol, place, words, remedy):
    with place() as port:
        fail(connect, caplog, f"http://127.0.0.1:{port}", protocol, words, remedy)


@pytest.mark.parametrize("protocol", [GRPC, HTTP])
def test_a_name_that_is_none(connect, caplog, protocol):
    fail(connect, caplog, "http://footfall.invalid:4317", protocol, "cannot be resolved", "DNS")


def test_the_other_protocol(connect, received, received_http, caplog):
    words = "it speaks HTTP, not gRPC"
    fail(connect, caplog, received_http.endpoint, GRPC, words, "http/protobuf: configure(protocol")
    caplog.clear()
    words = "it speaks gRPC, not HTTP"
    fail(connect, caplog, received.endpoint, HTTP, words, "by grpc: configure(protocol")


@pytest.mark.parametrize("protocol", [GRPC, HTTP])
def test_certificates_that_are_not_trusted(connect, certificates, caplog, protocol):
    with TLS[protocol](certificates["right"]) as port:
        words = "its TLS certificate is not trusted: self"
        fail(connect, caplog, f"https://127.0.0.1:{port}", protocol, words, "configure(certificate")


@pytest.mark.parametrize("protocol", [GRPC, HTTP])
def test_certificates_for_another_name(connect, certificates, caplog, protocol):
    trusted = certificates["other"][1]
    with TLS[protocol](certificates["other"]) as port:
        words, remedy = "certificate is for another name", "name the host"
        url = f"https://127.0.0.1:{port}"
        fail(connect, caplog, url, protocol, words, remedy, certificate=trusted)


@pytest.mark.parametrize("protocol", [GRPC, HTTP])
def test_certificates_that_are_trusted_are_no_reason(connect, certificates, caplog, protocol):
    with TLS[protocol](certificates["right"]) as port:
        words = "nothing takes OTLP there"
        url, trusted = f"https://127.0.0.1:{port}", certificates["right"][1]
        fail(connect, caplog, url, protocol, words, "without a path", certificate=trusted)


@pytest.mark.parametrize("protocol", [GRPC, HTTP])
def test_tls_where_none_is_named(connect, certificates, caplog, protocol):
    with TLS[protocol](certificates["right"]) as port:
        fail(connect, caplog, f"http://127.0.0.1:{port}", protocol, "it expects TLS", "https://")


@pytest.mark.parametrize("protocol", [GRPC, HTTP])
def test_no_tls_where_it_is_named(connect, received, received_http, caplog, protocol):
    server = received if protocol == GRPC else received_http
    url = server.endpoint.replace("http:", "https:")
    fail(connect, caplog, url, protocol, "it does not speak TLS", "http://")


@pytest.mark.parametrize(
    ("status", "words", "remedy"),
    [
        (grpc.StatusCode.UNAUTHENTICATED, "refuses the key", "FOOTFALL_HEADERS"),
        (grpc.StatusCode.PERMISSION_DENIED, "may not send this", "service"),
        (grpc.StatusCode.UNIMPLEMENTED, "nothing takes OTLP there", "port for grpc"),
        (grpc.StatusCode.RESOURCE_EXHAUSTED, "too large", "TELEMETRY_BATCH_SIZE"),
        (grpc.StatusCode.UNAVAILABLE, "takes nothing at present", "footfall doctor"),
        (grpc.StatusCode.DATA_LOSS, "an error (DATA_LOSS)", "log"),
        (401, "refuses the key, or wants one (401)", "FOOTFALL_HEADERS"),
        (403, "may not send this (403)", "service"),
        (404, "nothing takes OTLP there (404)", "port for http/protobuf"),
        (413, "too large (413)", "TELEMETRY_BATCH_SIZE"),
        (503, "takes nothing at present (503)", "footfall doctor"),
        (500, "an error (500)", "log"),
    ],
)
def test_answers_that_refuse(connect, received, received_http, caplog, status, words, remedy):
    protocol, server = (HTTP, received_http) if isinstance(status, int) else (GRPC, received)
    server.status = status
    fail(connect, caplog, server.endpoint, protocol, words, remedy)


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_an_answer_that_names_another_address_is_not_followed(
    connect, received_http, caplog, status
):
    class Moved(Refuses):
        def do_POST(self):
            self.rfile.read(int(self.headers["Content-Length"]))
            self.send_response(status)
            self.send_header("Location", received_http.endpoint + self.path)
            self.send_header("Content-Length", "0")
            self.end_headers()

    with serving(ThreadingHTTPServer(("127.0.0.1", 0), Moved)) as url:
        key = {"headers": {"x-key": "secret"}}
        fail(connect, caplog, url, HTTP, f"elsewhere ({status})", "https://", **key)
    assert received_http.headers == received_http.traces == received_http.metrics == []


def test_a_page_for_people_is_no_answer_of_a_collector(connect, caplog):
    class Page(Refuses):
        def do_POST(self):
            self.rfile.read(int(self.headers["Content-Length"]))
            self.send_response(200)
            self.send_header("Content-Type", "text/html; charset=utf-8")
            self.send_header("Content-Length", "6")
            self.end_headers()
            self.wfile.write(b"<html>")

    with serving(ThreadingHTTPServer(("127.0.0.1", 0), Page)) as url:
        fail(connect, caplog, url, HTTP, "nothing takes OTLP there (text/html)", "path")


def test_each_reason_is_told_once_and_another_is_told(connect, received, caplog):
    client = connect(received.endpoint, timeout=0.8)
    for status in (grpc.StatusCode.UNAUTHENTICATED, grpc.StatusCode.PERMISSION_DENIED):
        received.status = status
        for _ in range(3):
            client.event("shop.order")
            client.flush()
    texts = [r.getMessage() for r in caplog.records if r.levelno >= logging.WARNING]
    assert ["UNAUTHENTICATED" in text for text in texts] == [True, False]
    received.status = None
    client.event("shop.order")
    assert client.flush() is Flushed.DONE
    assert received.dropped() == {"export_failed": 6}


@pytest.mark.parametrize("protocol", [GRPC, HTTP])
@pytest.mark.parametrize("place", [nobody, mute])
def test_developers_are_told_within_two_seconds(connect, caplog, protocol, place):
    with place() as port:
        before = time.monotonic()
        connect(f"http://127.0.0.1:{port}", protocol=protocol, environment="development")
        while not caplog.records and time.monotonic() - before < 10:
            time.sleep(0.02)
        assert time.monotonic() - before < 8, "two seconds, on a machine that has little to do"
        assert str(port) in told(caplog)


def test_developers_are_told_of_a_refused_key_before_the_first_use(connect, received_http, caplog):
    received_http.status = 401
    connect(received_http.endpoint, protocol=HTTP, environment="dev")
    deadline = time.monotonic() + 5
    while not caplog.records and time.monotonic() < deadline:
        time.sleep(0.02)
    assert "refuses the key" in told(caplog)


def test_developers_are_told_nothing_of_a_slow_collector_and_of_a_good_one(
    connect, received, received_http, caplog
):
    received.held = True
    connect(received.endpoint, environment="development")
    connect(received_http.endpoint, protocol=HTTP, environment="development")
    deadline = time.monotonic() + 5
    while any(t.name == "footfall-probe" for t in threading.enumerate()):
        assert time.monotonic() < deadline
        time.sleep(0.02)
    assert caplog.records == []
    assert received_http.traces == [b""], "an empty request"


def test_a_program_that_ends_says_why_its_last_uses_are_lost(connect, caplog):
    with nobody() as port:
        client = connect(f"http://127.0.0.1:{port}")
        client.event("shop.order")
        assert client.shutdown(0.3) is False
    assert "connection is refused" in told(caplog)


def test_what_may_be_secret_is_not_told(connect, received_http, monkeypatch, catalog, caplog):
    from footfall import Client

    port = received_http.endpoint.rpartition(":")[2]
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_PROTOCOL", "http/protobuf")
    monkeypatch.setenv(
        "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", f"http://user:pw7@127.0.0.1:{port}/token8?key=key9"
    )
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", f"http://127.0.0.1:{port}")
    caplog.set_level(logging.DEBUG, "footfall")
    received_http.status = 401
    client = Client(strict=True)
    client.configure(catalog, enabled=True)
    client.event("shop.order")
    assert client.flush() is Flushed.NOT_DONE
    client.shutdown(0.1)
    assert f"nothing is sent to http://127.0.0.1:{port} (http/protobuf)" in caplog.text
    for secret in ("pw7", "token8", "key9", "user:"):
        assert secret not in caplog.text
