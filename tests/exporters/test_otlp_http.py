import pytest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from exporters.otlp_backend import SECRET, requests, send_all
from exporters.otlp_batches import NOW, batch, dimension, one_row
from footfall_exporters.contracts import PartlyRejected, Rejected, Unavailable
from footfall_exporters.http import OPERATOR_WAIT, PAGE_WAIT
from footfall_exporters.otlp import OtlpHttpConfig
from support.http_server import serving, status


@pytest.mark.parametrize("slash", ["", "/"])
async def test_the_path_of_its_signal_stands_before_a_query(catalog, slash):
    """Some backends want the key in it."""
    sent = batch(one_row(), counts={(NOW, dimension("shop.ping")): 4})
    async with serving() as server:
        endpoint = f"{server.url}/otlp{slash}?key={SECRET}&url=a/b?c/"
        await send_all(catalog, sent, endpoint, kind=OtlpHttpConfig)
    assert [request.target for request in server.requests] == [
        f"/otlp/v1/{signal}?key={SECRET}&url=a/b?c/" for signal in ("traces", "metrics")
    ]


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
        (status(200, "Content-Type: text/html; charset=utf-8"), Unavailable, PAGE_WAIT),
        (status(202, "Content-Type: application/xhtml+xml"), Unavailable, PAGE_WAIT),
        (b"", Unavailable, 1),
    ],
    ids=["400", "413", "429", "503", "502", "401", "a login page", "another page", "hangs up"],
)
async def test_http_answers_are_final_or_to_be_tried_again(catalog, reply, error, hint):
    async with serving() as server:
        server.answer = lambda _: reply
        with pytest.raises(error) as caught:
            await send_all(catalog, batch(one_row()), server.url, kind=OtlpHttpConfig)
    assert getattr(caught.value, "retry_after", None) == hint


@pytest.mark.parametrize(
    ("answer", "refused"),
    [
        (b"\x0a\x02\x08\x05", True),
        (b'{"partialSuccess": {"rejectedSpans": "5", "new": 1}}', True),
        (b' {"partialSuccess": {"rejectedSpans": 5}}', True),
        (
            '{"partialSuccess": {"rejectedSpans": 5, "errorMessage": "café"}}'.encode("latin-1"),
            True,
        ),
        ('{"status": "angenommen für später"}'.encode("latin-1"), False),
        (b'{"partialSuccess": {"errorMessage": "look"}}', False),
        (b'{"status": "ok"}', False),
        (b"{", False),
        (b"<html>", False),
        (b"", False),
    ],
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
