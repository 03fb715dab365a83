import grpc
import httpx
import psycopg
import pytest
from google.rpc import code_pb2, error_details_pb2, status_pb2
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceResponse

from collector.listeners import http_before
from footfall_processors import Loss
from support.collectors import (
    both,
    configured,
    connected,
    counts,
    details,
    signals,
    status_of,
    trailer,
)
from support.otlp import PROTOBUF, one_ping, traces


@both
@signals
async def test_while_postgres_is_stopped_senders_are_told_to_retry_and_then_stored_once(
    catalog, own_server, own_database, protocol, signal
):
    body = one_ping(signal)
    async with connected(configured(catalog, own_database)) as client:
        await client.send(protocol, "traces", traces("shop.order"))
        own_server.stop()
        with pytest.raises((grpc.aio.AioRpcError, httpx.HTTPStatusError)) as refusal:
            await client.send(protocol, signal, body)
        if protocol == "grpc":
            assert refusal.value.code() is grpc.StatusCode.UNAVAILABLE
            status = status_pb2.Status.FromString(trailer(refusal.value, "grpc-status-details-bin"))
            hint = error_details_pb2.RetryInfo.FromString(
                trailer(refusal.value, "google.rpc.retryinfo-bin")
            )
            assert details(status)["RetryInfo"] == hint
        else:
            response = refusal.value.response
            assert response.status_code == 503
            assert int(response.headers["retry-after"]) >= 1
            status = status_of(response)
            hint = details(status)["RetryInfo"]
        assert status.code == code_pb2.UNAVAILABLE
        assert hint.retry_delay.ToMilliseconds() > 0
        own_server.start()
        for _ in range(2):
            await client.send(protocol, signal, body)
    with psycopg.connect(own_database) as connection:
        found = counts(lambda statement: connection.execute(statement).fetchall())
    assert found == {"shop.order.success": 1, "shop.ping.invoke": 1}


async def test_an_error_that_nobody_foresaw_is_answered_as_retryable_and_logged_without_its_message(
    caplog,
):
    async def consume(batch):
        raise LookupError(batch.digest.decode())

    async with (
        http_before(consume) as address,
        httpx.AsyncClient(base_url=f"http://{address}", verify=False) as http,
    ):
        response = await http.post("/v1/traces", content=b"walker@example.org", headers=PROTOBUF)
    assert response.status_code == 503
    assert "retry-after" in response.headers
    assert "LookupError" in caplog.text
    assert "in consume" in caplog.text  # where it happened
    assert "walker" not in caplog.text + response.text


async def test_a_retry_is_told_what_was_refused_the_first_time():
    async def known(batch):
        return {Loss.OUT_OF_WINDOW: 3, Loss.ENUM_VALUE: 1}

    async with (
        http_before(known) as address,
        httpx.AsyncClient(base_url=f"http://{address}", verify=False) as http,
    ):
        response = await http.post("/v1/traces", content=b"", headers=PROTOBUF)
    partial = ExportTraceServiceResponse.FromString(response.content).partial_success
    assert partial.rejected_spans == 3
    assert partial.error_message.startswith("out_of_window: 3 ")
