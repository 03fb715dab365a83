"""Who sends beside an attack: a small request every few milliseconds, over both protocols in turn."""

import asyncio
import ssl
import time
from typing import NamedTuple

import grpc
import httpx
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

EXPORT = "/opentelemetry.proto.collector.trace.v1.TraceService/Export"
EVERY_S, PATIENT_S, SPANS = 0.05, 10.0, 10


class Answer(NamedTuple):
    """One request's end.

    Attributes:
        seconds: How long it took.
        problem: Why it was not taken; empty when it was.
    """

    seconds: float
    problem: str


def request(number: int) -> bytes:
    """Spans that no other request has."""
    message = ExportTraceServiceRequest()
    group = message.resource_spans.add()
    group.resource.attributes.add(key="service.name").value.string_value = "honest"
    now = time.time_ns()
    for each in range(SPANS):
        begin = now + number * SPANS + each
        span = group.scope_spans.add().spans.add(name="faults.seen", start_time_unix_nano=begin)
        span.end_time_unix_nano = begin
        span.trace_id = begin.to_bytes(16, "big")
    return message.SerializeToString()


def send(rpc: str, web: str, seconds: float, authority: str | None) -> list[Answer]:
    """Runs in a process of its own; all answers.

    Args:
        rpc: host:port of OTLP/gRPC.
        web: host:port of OTLP/HTTP.
        seconds: For how long.
        authority: The file with the certificate of OTLP/HTTP; plain text without.
    """
    return asyncio.run(_send(rpc, web, seconds, authority))


async def _send(rpc: str, web: str, seconds: float, authority: str | None) -> list[Answer]:
    verify = ssl.create_default_context(cafile=authority) if authority else False
    url = f"{'https' if authority else 'http'}://{web}/v1/traces"
    answers: list[Answer] = []

    async def over_http(body: bytes) -> str:
        # A connection each: those who come anew are the ones that are kept out.
        async with httpx.AsyncClient(verify=verify, timeout=PATIENT_S) as client:
            headers = {"content-type": "application/x-protobuf"}
            answer = await client.post(url, content=body, headers=headers)
            return "" if answer.status_code == 200 else f"HTTP {answer.status_code}"

    async def over_grpc(body: bytes) -> str:
        await method(body, timeout=PATIENT_S)
        return ""

    async def one(number: int) -> None:
        begun, how = time.monotonic(), (over_http, over_grpc)[number % 2]
        try:
            problem = await how(request(number))
        except grpc.aio.AioRpcError as error:
            problem = f"gRPC {error.code().name}"
        except httpx.TransportError as error:
            problem = f"HTTP {type(error).__name__}"
        answers.append(Answer(time.monotonic() - begun, problem))

    async with grpc.aio.insecure_channel(rpc) as channel, asyncio.TaskGroup() as group:
        method: grpc.aio.UnaryUnaryMultiCallable[bytes, bytes] = channel.unary_unary(EXPORT)
        for number in range(int(seconds / EVERY_S)):
            group.create_task(one(number))
            await asyncio.sleep(EVERY_S)
    return answers
