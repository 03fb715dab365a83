import asyncio
import contextlib
import io
import logging
import ssl
import subprocess

import httpx
import pytest
from prometheus_client.openmetrics.parser import text_string_to_metric_families as open_families
from prometheus_client.parser import text_string_to_metric_families as families

from footfall_collector.config.schema import OperatorConfig
from footfall_collector.errors import StartError
from footfall_collector.receivers import operator
from footfall_collector.receivers.operator import NotReady
from footfall_collector.telemetry.telemetry import Telemetry

KEY = "ffk_operators"
SECRET = "planted-7f3a9c"
NO_TLS = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
PAGES = ("/metrics", "/healthz", "/readyz")
LOOPBACK = "127.0.0.1:0"


class Operator:
    def __init__(self, address, client, reasons, telemetry):
        self.address, self.client, self.telemetry = address, client, telemetry
        self.reasons = reasons

    async def get(self, path, **headers):
        return await self.client.get(
            path, headers={k.replace("_", "-"): v for k, v in headers.items()}
        )

    async def raw(self, request):
        """The whole answer to bytes that no client library would send."""
        reader, writer = await asyncio.open_connection(*self.address.split(":"))
        writer.write(request)
        writer.write_eof()
        try:
            return await asyncio.wait_for(reader.read(), 5)
        finally:
            writer.close()
            await writer.wait_closed()


@contextlib.asynccontextmanager
async def serving(endpoint=LOOPBACK, authorised=None, tls=None, verify=NO_TLS):
    reasons, telemetry = set(), Telemetry("1.2.3", ["postgres"])
    config = OperatorConfig(endpoint=endpoint)
    async with operator.serve(config, telemetry, lambda: reasons, authorised, tls) as address:
        scheme = "https" if tls else "http"
        address = address.replace("0.0.0.0", "127.0.0.1")
        async with httpx.AsyncClient(base_url=f"{scheme}://{address}", verify=verify) as client:
            yield Operator(address, client, reasons, telemetry)


@pytest.fixture
async def served():
    async with serving() as found:
        yield found


def knows_the_key(token):
    return token == KEY


async def test_metrics_are_in_prometheus_text(served):
    with served.telemetry.request("traces", "http"):
        pass
    answer = await served.get("/metrics")
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "text/plain; version=0.0.4; charset=utf-8"
    found = {s.name: s.value for f in families(answer.text) for s in f.samples if s.value}
    assert found["otelcol_receiver_requests_total"] == 1


ACCEPTED = [
    "application/openmetrics-text",
    # As Prometheus 3 sends it.
    "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.5,"
    "text/plain;version=0.0.4;q=0.3,*/*;q=0.1",
    f"application/openmetrics-text; version={SECRET}",
]


async def test_metrics_are_in_openmetrics_for_those_who_ask(served):
    for accept in ACCEPTED:
        answer = await served.get("/metrics", accept=accept)
        kind = "application/openmetrics-text; version=1.0.0; charset=utf-8"
        assert answer.headers["content-type"] == kind
        assert answer.text.endswith("# EOF\n")
        assert {f.name for f in open_families(answer.text)} >= {"otelcol_process_uptime"}


async def test_it_is_alive_whether_or_not_it_is_ready(served):
    served.reasons.add(NotReady.STORE)
    answer = await served.get("/healthz")
    assert (answer.status_code, answer.json()) == (200, {"alive": True})


async def test_it_is_ready_when_nothing_is_against_it(served):
    answer = await served.get("/readyz")
    assert (answer.status_code, answer.json()) == (200, {"ready": True, "reasons": []})


async def test_it_says_why_it_is_not_ready_and_what_to_do(served):
    for reason in NotReady:
        served.reasons.add(reason)
        answer = await served.get("/readyz")
        assert answer.status_code == 503
        assert answer.json()["ready"] is False
        (found,) = answer.json()["reasons"]
        assert found["reason"] == reason.value
        assert len(found["advice"]) > 10
        served.reasons.clear()
        assert (await served.get("/readyz")).status_code == 200


async def test_every_reason_is_listed(served):
    served.reasons |= {NotReady.STORE, NotReady.DRAINING}
    answer = (await served.get("/readyz")).json()
    assert [why["reason"] for why in answer["reasons"]] == ["draining", "store_unreachable"]


async def test_there_is_nothing_else_and_nothing_can_be_changed(served):
    for path in ("/", "/metrics/", "/v1/traces", f"/{SECRET}"):
        answer = await served.get(path)
        assert answer.status_code == 404
        assert SECRET not in answer.text
    for method in ("POST", "PUT", "DELETE", "OPTIONS"):
        assert (await served.client.request(method, "/metrics")).status_code == 405


# Who may ask


async def test_requests_that_name_this_machine_are_answered(served):
    for host in [
        "localhost",
        "LocalHost:8888",
        "127.0.0.1",
        "127.0.0.1:1",
        "127.8.8.8",
        "[::1]:8888",
    ]:
        for path in PAGES:
            assert (await served.get(path, host=host)).status_code == 200, host


OTHER_HOSTS = [
    "attacker.example",
    "attacker.example:8888",
    "127.0.0.1.attacker.example",
    "localhost.attacker.example",
    "10.0.0.1",
    "0.0.0.0",
    "[::2]",
    "[::1",
    "[]",
    "",
    SECRET,
]


async def test_requests_that_name_another_host_are_refused(served):
    for host in OTHER_HOSTS:
        for path in (*PAGES, "/elsewhere"):
            answer = await served.get(path, host=host)
            assert answer.status_code == 421, host
            assert "otelcol" not in answer.text
            assert SECRET not in answer.text


async def test_requests_that_name_no_host_or_two_are_refused(served):
    none = await served.raw(b"GET /metrics HTTP/1.0\r\n\r\n")
    two = await served.raw(
        b"GET /metrics HTTP/1.1\r\nhost: localhost\r\nhost: attacker.example\r\n\r\n"
    )
    for answer in (none, two):
        assert answer.split(b" ")[1].startswith(b"4")
        assert b"otelcol" not in answer


@pytest.mark.parametrize("endpoint", ["0.0.0.0:0", "[::]:0"])
async def test_it_does_not_start_where_others_can_reach_it_without_keys(endpoint):
    with pytest.raises(StartError, match=r"keys_file.*127\.0\.0\.1"):
        async with serving(endpoint):
            pytest.fail("it started")


@pytest.mark.parametrize("endpoint", [LOOPBACK, "0.0.0.0:0"])
async def test_with_keys_all_but_probes_needs_an_operators(endpoint):
    async with serving(endpoint, knows_the_key) as served:
        for path in ("/metrics", "/elsewhere", "/", "/readyz/", "//readyz"):
            for authorization in ("", "Bearer", f"Bearer {SECRET}", f"Basic {KEY}", KEY):
                answer = await served.get(path, authorization=authorization)
                assert answer.status_code == 401
                assert answer.headers["www-authenticate"] == "Bearer"
                assert SECRET not in answer.text
            assert (await served.get(path)).status_code == 401
            wanted = 200 if path == "/metrics" else 404
            answer = await served.get(path, authorization=f"Bearer {KEY}", host="metrics.example")
            assert answer.status_code == wanted


async def test_a_probe_without_a_key_is_told_whether_and_not_why():
    async with serving(authorised=knows_the_key) as served:
        served.reasons.add(NotReady.STORE)
        answer = await served.get("/readyz", host="10.0.0.7")
        assert (answer.status_code, answer.json()) == (503, {"ready": False})
        assert (await served.get("/healthz", host="10.0.0.7")).status_code == 200
        answer = await served.get("/readyz", authorization=f"Bearer {KEY}")
        assert [each["reason"] for each in answer.json()["reasons"]] == [NotReady.STORE]


async def test_every_answer_has_the_security_headers(served):
    async with serving(authorised=knows_the_key) as closed:
        answers = [await served.get(path) for path in (*PAGES, "/nothing")]
        answers += [await served.get("/metrics", host="attacker.example")]
        answers += [await closed.get("/metrics")]
        for answer in answers:
            assert answer.headers["cache-control"] == "no-store"
            assert answer.headers["x-content-type-options"] == "nosniff"
            assert answer.headers["content-security-policy"].startswith("default-src 'none'")
            assert answer.headers["cross-origin-resource-policy"] == "same-origin"
            assert answer.headers["referrer-policy"] == "no-referrer"
            assert "server" not in answer.headers
            assert "access-control-allow-origin" not in answer.headers


def make_certificate(folder):
    key, certificate = folder / "key.pem", folder / "cert.pem"
    arguments = (
        "req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 -subj /CN=footfall"
        f" -addext subjectAltName=IP:127.0.0.1 -keyout {key} -out {certificate}"
    )
    subprocess.run(["openssl", *arguments.split()], check=True, capture_output=True)
    return key, certificate


async def test_it_speaks_tls(tmp_path):
    key, certificate = make_certificate(tmp_path)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    trusting = ssl.create_default_context(cafile=certificate)
    async with serving(tls=context, verify=trusting) as served:
        assert (await served.get("/healthz")).status_code == 200


async def test_a_port_that_is_taken_is_said_plainly(served):
    with pytest.raises(StartError, match="in use"):
        async with serving(served.address):
            pytest.fail("it started")


# What stays


async def test_nothing_of_a_request_is_logged_counted_or_answered(served):
    written = io.StringIO()
    handler = logging.StreamHandler(written)
    root = logging.getLogger()
    loggers = [
        root,
        *(logging.getLogger(n) for n in ("uvicorn.error", "uvicorn.access", "asyncio")),
    ]
    before = [each.level for each in loggers]
    root.addHandler(handler)
    for each in loggers:
        each.setLevel(logging.DEBUG)
    try:
        secret = SECRET.encode()
        planted = {"authorization": f"Bearer {SECRET}", "cookie": SECRET, "x-a": SECRET}
        answers = [
            (await served.client.get(f"/{SECRET}?{SECRET}={SECRET}", headers=planted)).text,
            (await served.client.get(f"/readyz?{SECRET}", headers=planted)).text,
            (await served.client.post("/metrics", content=secret, headers=planted)).text,
            (await served.raw(b"GET /" + secret + b" HTTP/9\r\n\r\n")).decode(),
            (await served.raw(secret + b"\x00\r\n" + secret + b"\r\n\r\n")).decode(),
            (await served.raw(b"GET /metrics HTTP/1.1\r\n" + secret + b"\r\n\r\n")).decode(),
            (await served.get("/metrics")).text,
        ]
    finally:
        root.removeHandler(handler)
        for each, level in zip(loggers, before, strict=True):
            each.setLevel(level)
    # httpx, which is the client here, logs what it asks for.
    ours = [line for line in written.getvalue().splitlines() if "HTTP Request" not in line]
    assert not [line for line in ours if SECRET in line and "httpcore" not in line.lower()]
    assert not [answer for answer in answers if SECRET in answer]
