import asyncio
import shutil
import subprocess
import time
from contextlib import suppress

import grpc
import pytest
from google.rpc import code_pb2, error_details_pb2, status_pb2
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)

from exporters.otlp_backend import SECRET, backend, opened, requests, send_all
from exporters.otlp_batches import NOW, batch, dimension, one_row
from footfall_exporters.contracts import PartlyRejected, Rejected, Unavailable
from footfall_exporters.http import LONGEST_WAIT, OPERATOR_WAIT
from footfall_processors import Rows, Shape

# gRPC


@pytest.mark.parametrize("compression", ["gzip", "none"])
async def test_grpc_sends_what_it_says_with_headers(catalog, compression):
    sent = batch(one_row(), counts={(NOW, dimension("shop.ping")): 4})
    traces, metrics = await requests(catalog, sent)
    async with backend() as server:
        headers = {"Authorization": f"Bearer {SECRET}", "x-tenant": "shop"}
        await send_all(
            catalog, sent, f"http://{server.endpoint}", compression=compression, headers=headers
        )
    assert [kind for kind, _ in server.received] == ["t", "m"]
    assert ExportTraceServiceRequest.FromString(server.received[0][1]) == traces[0]
    assert ExportMetricsServiceRequest.FromString(server.received[1][1]) == metrics[0]
    for metadata in server.metadata:
        assert metadata["authorization"] == f"Bearer {SECRET}"
        assert metadata["x-tenant"] == "shop"


async def test_grpc_compresses_unless_told_not_to(catalog):
    shape = Shape(dimension(), 1.0, ("note",))
    sent = batch(Rows([NOW] * 400, [1] * 400, [shape] * 400, [["x" * 200] * 400]))
    sizes = {c: await size_on_the_wire(catalog, sent, c) for c in ("gzip", "none")}
    assert 0 < sizes["gzip"] < 20_000 < 50_000 < sizes["none"]


async def size_on_the_wire(catalog, sent, compression):
    """How much a server gets that reads and never answers (HTTP/2 lets 64 kB through without one)."""
    sizes, connections = [], []

    async def read(reader, writer):
        connections.append(asyncio.current_task())
        writer.write(b"\x00\x00\x00\x04\x00\x00\x00\x00\x00")  # SETTINGS without any
        while part := await reader.read(65536):
            sizes.append(len(part))
        writer.close()
        await writer.wait_closed()

    server = await asyncio.start_server(read, "127.0.0.1", 0)
    async with server:
        endpoint = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        with pytest.raises(Unavailable):
            await send_all(catalog, sent, endpoint, compression=compression, timeout=0.5)
        await asyncio.gather(*connections)
    return sum(sizes)


def info(seconds):
    found = error_details_pb2.RetryInfo()
    found.retry_delay.FromMilliseconds(round(seconds * 1000))
    return found


def details(seconds):
    found = status_pb2.Status(code=code_pb2.UNAVAILABLE)
    found.details.add().Pack(error_details_pb2.BadRequest())
    found.details.add().Pack(info(seconds))
    return found.SerializeToString()


FINAL = {"UNKNOWN", "INVALID_ARGUMENT", "NOT_FOUND", "ALREADY_EXISTS", "FAILED_PRECONDITION", "INTERNAL",
         "RESOURCE_EXHAUSTED"}  # fmt: skip
"""As OTLP's table has them; those about the key or the address are kept as well."""
MENDED = {"UNAUTHENTICATED", "PERMISSION_DENIED", "UNIMPLEMENTED"}


@pytest.mark.parametrize(
    "code", [c for c in grpc.StatusCode if c is not grpc.StatusCode.OK], ids=lambda c: c.name
)
async def test_every_grpc_status_is_final_or_to_be_tried_again(catalog, code):
    async with backend() as server:
        server.aborting(code)
        wanted = Rejected if code.name in FINAL else Unavailable
        with pytest.raises(wanted) as caught:
            await send_all(catalog, batch(one_row()), f"http://{server.endpoint}")
    assert code.name in str(caught.value)
    assert SECRET not in str(caught.value)
    assert caught.value.__cause__ is None
    if code.name in MENDED:
        assert caught.value.retry_after == OPERATOR_WAIT


@pytest.mark.parametrize("code", [grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.RESOURCE_EXHAUSTED])
@pytest.mark.parametrize(
    "trailer",
    [
        ("google.rpc.retryinfo-bin", info(7.25).SerializeToString()),
        ("grpc-status-details-bin", details(7.25)),
    ],
    ids=["alone", "in the status"],
)
async def test_retry_info_is_honoured_wherever_it_stands(catalog, code, trailer):
    async with backend() as server:
        server.aborting(code, trailer)
        with pytest.raises(Unavailable) as caught:
            await send_all(catalog, batch(one_row()), f"http://{server.endpoint}")
    assert caught.value.retry_after == 7.25


@pytest.mark.parametrize(
    ("seconds", "waited"), [(7200, LONGEST_WAIT), (2**63 - 1, LONGEST_WAIT), (-1, 0), (-(2**63), 0)]
)
async def test_retry_info_of_any_length_is_a_wait_of_an_hour_at_most(catalog, seconds, waited):
    found = error_details_pb2.RetryInfo()
    found.retry_delay.seconds = seconds
    async with backend() as server:
        trailer = ("google.rpc.retryinfo-bin", found.SerializeToString())
        server.aborting(grpc.StatusCode.UNAVAILABLE, trailer)
        with pytest.raises(Unavailable) as caught:
            await send_all(catalog, batch(one_row()), f"http://{server.endpoint}")
    assert caught.value.retry_after == waited


@pytest.mark.parametrize("trailer", ["google.rpc.retryinfo-bin", "grpc-status-details-bin"])
async def test_a_hint_that_cannot_be_read_is_none(catalog, trailer):
    async with backend() as server:
        server.aborting(grpc.StatusCode.UNAVAILABLE, (trailer, b"\xff\xff\xff"))
        with pytest.raises(Unavailable) as caught:
            await send_all(catalog, batch(one_row()), f"http://{server.endpoint}")
    assert caught.value.retry_after == 1.0


async def test_a_grpc_backend_that_delays_is_given_up_in_time(catalog):
    async with backend() as server:
        server.answer = lambda kind, context: asyncio.sleep(30)
        began = time.monotonic()
        with pytest.raises(Unavailable, match="DEADLINE_EXCEEDED"):
            await send_all(catalog, batch(one_row()), f"http://{server.endpoint}", timeout=0.3)
        assert time.monotonic() - began < 5


async def test_a_grpc_backend_that_is_away_is_found_when_it_is_back(catalog):
    async with backend() as server:
        endpoint = server.endpoint
    async with opened(catalog, f"http://{endpoint}") as subscriber:
        [request] = subscriber.requests(batch(one_row()))
        with pytest.raises(Unavailable, match="UNAVAILABLE"):
            await subscriber.send(request)
        async with backend(address=endpoint) as server, asyncio.timeout(15):
            while not server.received:
                with suppress(Unavailable):
                    await subscriber.send(request)
                await asyncio.sleep(0.1)


async def test_a_partly_refused_request_says_how_much_and_repeats_nothing(catalog):
    async def partly(kind, context):
        response = ExportTraceServiceResponse()
        response.partial_success.rejected_spans = 3
        response.partial_success.error_message = SECRET
        return response

    async with backend() as server:
        server.answer = partly
        with pytest.raises(PartlyRejected, match="refused 3 of its events") as caught:
            await send_all(catalog, batch(one_row()), f"http://{server.endpoint}")
    assert SECRET not in str(caught.value)


async def test_a_warning_is_no_refusal(catalog):
    async def warn(kind, context):
        response = ExportTraceServiceResponse()
        response.partial_success.error_message = "the end is near"
        return response

    async with backend() as server:
        server.answer = warn
        await send_all(catalog, batch(one_row()), f"http://{server.endpoint}")
    assert len(server.received) == 1


# TLS


def openssl(folder, *arguments):
    subprocess.run(["openssl", *arguments], cwd=folder, check=True, capture_output=True)


@pytest.fixture(scope="module")
def certificates(tmp_path_factory):
    if shutil.which("openssl") is None:
        pytest.skip("needs the command openssl")
    folder = tmp_path_factory.mktemp("certificates")
    key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2"]
    for name in ("server", "client", "stranger"):
        openssl(folder, "req", "-x509", *key, "-keyout", f"{name}.key", "-out", f"{name}.pem",
                "-subj", f"/CN={name}", "-addext", "subjectAltName=IP:127.0.0.1")  # fmt: skip
    return folder


def server_credentials(folder, client=None):
    pair = ((folder / "server.key").read_bytes(), (folder / "server.pem").read_bytes())
    ca = (folder / f"{client}.pem").read_bytes() if client else None
    return grpc.ssl_server_credentials([pair], ca, require_client_auth=client is not None)


@pytest.mark.parametrize("scheme", ["https://", ""])
async def test_grpc_over_tls_trusts_what_it_is_told_to(catalog, certificates, scheme):
    tls = {"ca_file": str(certificates / "server.pem")}
    async with backend(server_credentials(certificates)) as server:
        await send_all(catalog, batch(one_row()), scheme + server.endpoint, tls=tls)
        assert len(server.received) == 1
        tls = {"ca_file": str(certificates / "stranger.pem")}
        with pytest.raises(Unavailable):
            await send_all(catalog, batch(one_row()), scheme + server.endpoint, tls=tls)
        with pytest.raises(Unavailable):
            await send_all(catalog, batch(one_row()), scheme + server.endpoint)
    assert len(server.received) == 1


async def test_grpc_shows_its_certificate(catalog, certificates):
    tls = {"ca_file": str(certificates / "server.pem")}
    shown = {
        f"{part}_file": str(certificates / f"client.{end}")
        for part, end in (("cert", "pem"), ("key", "key"))
    }
    async with backend(server_credentials(certificates, "client")) as server:
        with pytest.raises(Unavailable):
            await send_all(catalog, batch(one_row()), server.endpoint, tls=tls)
        await send_all(catalog, batch(one_row()), server.endpoint, tls=tls | shown)
    assert len(server.received) == 1
