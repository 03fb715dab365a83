import asyncio
import hashlib
import shutil
import subprocess
import sys
import time
import uuid
from contextlib import asynccontextmanager, suppress
from functools import partial

import grpc
import msgspec
import pytest
from google.rpc import code_pb2, error_details_pb2, status_pb2
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import (
    ExportMetricsServiceRequest,
    ExportMetricsServiceResponse,
)
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)

from conftest import CATALOG
from footfall_exporters.contracts import Rejected, Settings, Unavailable
from footfall_exporters.http import OPERATOR_WAIT
from footfall_exporters.otlp import OtlpConfig, OtlpHttpConfig, PartlyRejected
from footfall_processors import Batch, Dimension, Point, Rows, Shape
from support.batches import HOUR, batch_of
from support.http_server import serving, status

NOW = 1_760_000_000_123_456
SECRET = "s3cr3t-0123456789"
EXPORT = {
    "t": "/opentelemetry.proto.collector.trace.v1.TraceService/Export",
    "m": "/opentelemetry.proto.collector.metrics.v1.MetricsService/Export",
}
DIGEST = b"digest of 16 byt"
GUILD, SEED = bytes(range(16)), uuid.UUID("12345678-1234-5678-1234-567812345678")


def dimension(
    event="shop.order",
    action="success",
    status="ok",
    error=None,
    who=("shop", "1.2", "production"),
    **enums,
):
    fixed = (event, "web", event.rpartition(".")[2], action, status, error, *who)
    return Dimension(*fixed, tuple(sorted(enums.items())))


def one_row(columns=(), values=(), duration=83, rate=1.0, of=None):
    return Rows([NOW], [duration], [Shape(of or dimension(), rate, columns)], [[v] for v in values])


batch = partial(batch_of, digest=DIGEST)


def counted(event="shop.order", number=5, hour=NOW // HOUR * HOUR, **fields):
    return batch(counts={(hour, dimension(event, **fields)): number}, signal="metrics")


def event_id(ordinal, digest=DIGEST):
    return hashlib.sha256(b"footfall event\0" + digest + ordinal.to_bytes(8, "big")).digest()[:16]


@asynccontextmanager
async def opened(catalog, endpoint="http://127.0.0.1:1", kind=OtlpConfig, **options):
    config = msgspec.convert({"endpoint": endpoint, "timeout": 5, **options}, kind)
    async with config.open(Settings(catalog)) as subscriber:
        yield subscriber


async def requests(catalog, sent, **options):
    """What is sent for a batch, by the official classes: trace requests, metric requests."""
    async with opened(catalog, **options) as subscriber:
        found = list(subscriber.requests(sent))
    return (
        [ExportTraceServiceRequest.FromString(r[1:]) for r in found if r[:1] == b"t"],
        [ExportMetricsServiceRequest.FromString(r[1:]) for r in found if r[:1] == b"m"],
    )


def attributes(pairs):
    return [(kv.key, getattr(kv.value, kv.value.WhichOneof("value"))) for kv in pairs]


def spans(request):
    return [
        (attributes(group.resource.attributes), span)
        for group in request.resource_spans
        for scope in group.scope_spans
        for span in scope.spans
    ]


# What is sent


async def test_a_row_becomes_a_span_with_everything_that_is_stored_of_it(catalog):
    columns = ("attempts", "guild_id", "note", "ranked", "ratio", "seed")
    values = (-7, GUILD, "grüße", True, 0.25, SEED.bytes)
    of = dimension(
        "shop.survey", "failure", "timeout", "provider_timeout", mode="zurück", provider="smr"
    )
    sent = batch(one_row(columns, values, rate=0.125, of=of))
    [request], metrics = await requests(catalog, sent, pseudonyms=True)
    [(resource, span)] = spans(request)
    assert metrics == []
    assert resource == [
        ("service.name", "shop"),
        ("service.version", "1.2"),
        ("deployment.environment.name", "production"),
    ]
    assert attributes(span.attributes) == [
        ("feature.surface", "web"),
        ("feature.name", "survey"),
        ("feature.action", "failure"),
        ("feature.status", "timeout"),
        ("error.type", "provider_timeout"),
        ("mode", "zurück"),
        ("provider", "smr"),
        ("feature.sample_rate", 0.125),
        ("attempts", -7),
        ("guild_id", b"footfall" + GUILD),
        ("note", "grüße"),
        ("ranked", True),
        ("ratio", 0.25),
        ("seed", str(SEED)),
    ]
    assert (span.name, span.kind, span.status.code) == ("shop.survey", 1, 2)
    assert (span.start_time_unix_nano, span.end_time_unix_nano) == (
        NOW * 1000 - 83 * 10**6,
        NOW * 1000,
    )
    assert (span.trace_id, span.span_id) == (event_id(0), event_id(0)[:8])
    assert request.resource_spans[0].scope_spans[0].scope.name == "footfall"


async def test_pseudonyms_stay_here_unless_they_are_asked_for(catalog):
    sent = batch(one_row(("guild_id", "note", "seed"), (GUILD, "a note", SEED.bytes)))
    kept = {}
    for pseudonyms in (False, True):
        [request], _ = await requests(catalog, sent, pseudonyms=pseudonyms)
        kept[pseudonyms] = [key for key, _ in attributes(spans(request)[0][1].attributes)][4:]
    assert kept == {False: ["note", "seed"], True: ["guild_id", "note", "seed"]}


@pytest.mark.parametrize(
    ("duration", "length"), [(None, 0), (0, 1), (1, 10**6), (2**31 - 1, (2**31 - 1) * 10**6)]
)
async def test_a_duration_is_the_spans_length_and_none_is_not_zero(catalog, duration, length):
    [request], _ = await requests(catalog, batch(one_row(duration=duration)))
    [(_, span)] = spans(request)
    assert span.end_time_unix_nano - span.start_time_unix_nano == length


async def test_what_is_missing_is_not_sent(catalog):
    of = dimension(who=(None, None, None))
    [request], _ = await requests(
        catalog, batch(one_row(("attempts", "note"), (None, None), of=of))
    )
    [(resource, span)] = spans(request)
    assert resource == []
    keys = [key for key, _ in attributes(span.attributes)]
    assert keys == ["feature.surface", "feature.name", "feature.action", "feature.status"]
    assert span.status.code == 1


async def test_rows_are_sent_250_at_a_time_each_with_its_own_id_and_service(catalog):
    services = [dimension(who=(name, None, None)) for name in ("a", "b", "c" * 40)]
    shapes = [Shape(of, 1.0, ("note",)) for of in services]
    size = 617
    sent = Rows(
        [NOW] * size, [1] * size, [shapes[n % 3] for n in range(size)], [["x" * 200] * size]
    )
    found, _ = await requests(catalog, batch(sent))
    assert [len(spans(request)) for request in found] == [250, 250, 117]
    assert [len(request.resource_spans) for request in found] == [3, 3, 3]
    ids = {span.trace_id: dict(who)["service.name"] for r in found for who, span in spans(r)}
    assert ids == {event_id(n): services[n % 3].service for n in range(size)}


async def test_occurrences_beyond_the_rows_are_delta_sums_with_one_metric_per_event(catalog):
    hour, order = NOW // HOUR * HOUR, dimension()
    failed = dimension(action="failure", status="error", error="out_of_stock", provider="smr")
    ping = dimension("shop.ping", "invoke", who=("api", None, None))
    own = dimension("footfall.emitted", "count", who=("api", None, None), emitted_event="shop.ping")
    counts = {
        (hour, failed): 2,
        (hour, order): 40,
        (hour - HOUR, order): 3,
        (hour, ping): 7,
        (hour, own): 9,
    }
    rows = Rows([NOW] * 2, [1] * 2, [Shape(order, 1.0, ())] * 2, [])
    _, [request] = await requests(catalog, batch(rows, counts=counts))
    found = {}
    for group in request.resource_metrics:
        service = dict(attributes(group.resource.attributes))["service.name"]
        assert "service.instance.id" not in dict(attributes(group.resource.attributes))
        names = [metric.name for scope in group.scope_metrics for metric in scope.metrics]
        assert len(names) == len(set(names))
        for metric in (m for scope in group.scope_metrics for m in scope.metrics):
            assert (metric.sum.is_monotonic, metric.sum.aggregation_temporality) == (True, 1)
            for point in metric.sum.data_points:
                since = point.start_time_unix_nano
                assert 0 <= point.time_unix_nano - since < 10**9
                named = (service, metric.name, since // 1000, *attributes(point.attributes))
                found[named] = point.as_int

    def ok(feature, action):
        fixed = {"surface": "web", "name": feature, "action": action, "status": "ok"}
        return tuple((f"feature.{key}", value) for key, value in fixed.items())

    out = (*ok("order", "failure")[:3], ("feature.status", "error"), ("error.type", "out_of_stock"))
    assert found == {
        ("shop", "shop.order", hour, *ok("order", "success")): 40,
        ("shop", "shop.order", hour - HOUR, *ok("order", "success")): 3,
        ("shop", "shop.order", hour, *out, ("provider", "smr")): 2,
        ("api", "shop.ping", hour, *ok("ping", "invoke")): 7,
        (
            "api",
            "footfall.emitted",
            hour,
            *ok("emitted", "count"),
            ("emitted_event", "shop.ping"),
        ): 9,
    }


async def test_two_batches_points_of_one_series_have_times_of_their_own(catalog):
    """Many backends keep one point of a series and time."""
    times = set()
    for digest in (b"a" * 16, b"b" * 16):
        sent = Batch(digest, "metrics", counts={(NOW // HOUR * HOUR, dimension()): 1})
        _, [request] = await requests(catalog, sent)
        [point] = request.resource_metrics[0].scope_metrics[0].metrics[0].sum.data_points
        times.add(point.time_unix_nano)
    assert len(times) == 2


async def test_cumulative_counters_stay_cumulative_and_their_series_apart(catalog):
    of = dimension("shop.ping", "invoke")
    points = [
        Point(bytes([n]) * 16, bytes([n, 9]) * 8, of, NOW - HOUR, NOW + n, 10 + n) for n in range(3)
    ]
    _, [request] = await requests(catalog, batch(points=points, signal="metrics"))
    found = {}
    for group in request.resource_metrics:
        [metric] = group.scope_metrics[0].metrics
        assert (metric.name, metric.sum.aggregation_temporality) == ("shop.ping", 2)
        [point] = metric.sum.data_points
        instance = dict(attributes(group.resource.attributes))["service.instance.id"]
        found[instance] = (point.start_time_unix_nano, point.time_unix_nano, point.as_int)
    expected = {
        (bytes([n]) * 16).hex(): ((NOW - HOUR) * 1000, (NOW + n) * 1000, 10 + n) for n in range(3)
    }
    assert found == expected


async def test_a_backend_that_takes_traces_alone_is_sent_them_alone(catalog):
    sent = batch(one_row(), counts={(NOW, dimension("shop.ping")): 4})
    for signals, sizes in (
        (["traces"], (1, 0)),
        (["metrics"], (0, 1)),
        (["traces", "metrics"], (1, 1)),
    ):
        found = await requests(catalog, sent, signals=signals)
        assert tuple(map(len, found)) == sizes


PROGRAM = """
import hashlib, sys
sys.path[:0] = {path!r}
from exporters import test_otlp_export as test
from footfall_exporters.otlp_encode import trace_requests
from footfall_exporters.otlp_sums import metric_requests
from footfall_processors import load_catalog
sent = test.everything()
catalog = load_catalog({catalog!r})
hashed = hashlib.sha256()
for request in [*trace_requests(sent, catalog, True), *metric_requests(sent)]:
    hashed.update(request)
print(hashed.hexdigest())
"""


def everything():
    """A batch with some of all there is."""
    of = [dimension(who=(name, None, None), provider="smr") for name in "abc"]
    shapes = [Shape(each, 0.5, ("guild_id", "note")) for each in of]
    rows = Rows([NOW + n for n in range(30)], [1] * 30, [shapes[n % 3] for n in range(30)],
                [[GUILD] * 30, [str(n) for n in range(30)]])  # fmt: skip
    counts = {(NOW // HOUR * HOUR - n % 4 * HOUR, each): 5 + n for n, each in enumerate(of * 4)}
    points = [Point(bytes([n]) * 16, b"s" * 16, each, NOW, NOW, n) for n, each in enumerate(of)]
    return batch(rows, counts=counts, points=points)


def test_another_process_makes_the_same_bytes():
    program = PROGRAM.format(path=sys.path, catalog=str(CATALOG))
    made = {
        subprocess.run(
            [sys.executable, "-c", program],
            env={"PYTHONHASHSEED": seed},
            capture_output=True,
            check=True,
        ).stdout
        for seed in ("1", "2")
    }
    assert len(made) == 1
    assert len(made.pop()) == 65


# gRPC


class Backend:
    """An OTLP/gRPC server. `answer`, awaited with (request, context), returns or aborts."""

    def __init__(self):
        self.received, self.metadata = [], []
        self.answer = self.taken

    async def taken(self, kind, context):
        return (ExportTraceServiceResponse if kind == "t" else ExportMetricsServiceResponse)()

    async def export(self, kind, request, context):
        self.received.append((kind, request))
        self.metadata.append(dict(context.invocation_metadata()))
        return (await self.answer(kind, context)).SerializeToString()

    def aborting(self, code, *trailers):
        async def answer(kind, context):
            await context.abort(code, f"what was sent: {SECRET}", trailers)

        self.answer = answer


@asynccontextmanager
async def backend(credentials=None, address="127.0.0.1:0"):
    server, found = grpc.aio.server(), Backend()
    for kind, method in EXPORT.items():
        service, name = method[1:].split("/")
        handler = grpc.unary_unary_rpc_method_handler(partial(found.export, kind))
        server.add_generic_rpc_handlers(
            (grpc.method_handlers_generic_handler(service, {name: handler}),)
        )
    port = (
        server.add_secure_port(address, credentials)
        if credentials
        else server.add_insecure_port(address)
    )
    found.endpoint = f"127.0.0.1:{port}"
    await server.start()
    try:
        yield found
    finally:
        await server.stop(None)


async def send_all(catalog, sent, endpoint, **options):
    async with opened(catalog, endpoint, **options) as subscriber:
        for request in subscriber.requests(sent):
            await subscriber.send(request)


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


# HTTP


async def test_http_posts_protobuf_to_the_path_of_its_signal(catalog):
    sent = batch(one_row(), counts={(NOW, dimension("shop.ping")): 4})
    traces, metrics = await requests(catalog, sent)
    async with serving() as server:
        server.answer = lambda _: status(200)
        headers = {"Authorization": SECRET}
        await send_all(catalog, sent, f"{server.url}/otlp/", kind=OtlpHttpConfig, headers=headers)
    first, second = server.requests
    assert (first.target, second.target) == ("/otlp/v1/traces", "/otlp/v1/metrics")
    assert {r.headers["content-type"] for r in server.requests} == {"application/x-protobuf"}
    assert {r.headers["authorization"] for r in server.requests} == {SECRET}
    assert ExportTraceServiceRequest.FromString(first.body) == traces[0]
    assert ExportMetricsServiceRequest.FromString(second.body) == metrics[0]


@pytest.mark.parametrize(
    ("reply", "error", "hint"),
    [
        (status(400), Rejected, None),
        (status(413), Rejected, None),
        (status(429, "Retry-After: 9"), Unavailable, 9),
        (status(503, "Retry-After: 4"), Unavailable, 4),
        (status(502), Unavailable, 1),
        (status(401), Unavailable, OPERATOR_WAIT),
        (b"", Unavailable, 1),
    ],
    ids=["400", "413", "429", "503", "502", "401", "hangs up"],
)
async def test_http_answers_are_final_or_to_be_tried_again(catalog, reply, error, hint):
    async with serving() as server:
        server.answer = lambda _: reply
        with pytest.raises(error) as caught:
            await send_all(catalog, batch(one_row()), server.url, kind=OtlpHttpConfig)
    assert getattr(caught.value, "retry_after", None) == hint


@pytest.mark.parametrize(
    ("answer", "refused"), [(b"\x0a\x02\x08\x05", True), (b"<html>", False), (b"", False)]
)
async def test_http_partial_success_is_read_and_what_is_no_otlp_answer_says_nothing(
    catalog, answer, refused
):
    async with serving() as server:
        server.answer = lambda _: status(200, body=answer)
        sending = send_all(catalog, batch(one_row()), server.url, kind=OtlpHttpConfig)
        if refused:
            with pytest.raises(PartlyRejected, match="refused 5 of its events"):
                await sending
        else:
            await sending


# Configuration


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"endpoint": "collector"}, "host:port"),
        ({"endpoint": "ftp://host:1"}, "host:port"),
        ({"endpoint": "http://user@host:4317/path"}, "host:port"),
        ({"headers": {"grpc-timeout": "1"}}, "grpc-"),
        ({"headers": {"key-bin": "1"}}, "-bin"),
        ({"headers": {"key": "a\nb"}}, "printable"),
        ({"signals": ["logs"]}, "logs"),
        ({"timeout": 0}, "> 0"),
        ({"compression": "zstd"}, "zstd"),
    ],
)  # fmt: skip
def test_a_wrong_configuration_is_refused(wrong, said):
    schema = msgspec.json.schema(OtlpConfig)
    with pytest.raises(msgspec.ValidationError) as caught:
        msgspec.convert({"endpoint": "http://localhost:4317"} | wrong, OtlpConfig)
    assert said in str(caught.value) or said in str(schema)


def test_a_configuration_does_not_show_its_headers():
    config = OtlpConfig(endpoint="http://localhost:4317", headers={"authorization": SECRET})
    assert SECRET not in repr(config)
    assert SECRET not in repr(OtlpHttpConfig(endpoint="http://localhost", headers={"a": SECRET}))


async def test_a_certificate_that_cannot_be_read_is_named_at_the_start(catalog, tmp_path):
    missing = str(tmp_path / "ca.pem")
    with pytest.raises(ValueError, match=r"ca\.pem cannot be read: No such file"):
        async with opened(catalog, "https://localhost:4317", tls={"ca_file": missing}):
            pass


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
