"""OTLP/gRPC: requests arrive as bytes and stay bytes until the pipeline looks at them."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

import grpc

from footfall_collector.config.schema import GrpcConfig
from footfall_collector.decoding.decoder import Decoder
from footfall_collector.receivers import health, refusals
from footfall_collector.receivers.grpc_reader import Reader
from footfall_collector.receivers.intake import Intake
from footfall_collector.receivers.refusals import Answer, Refusal, retry_info
from footfall_collector.receivers.sockets import cannot_listen, most_connections, open_socket, split
from footfall_collector.security.tls import Tls
from footfall_collector.telemetry.instruments import Refused
from footfall_collector.telemetry.telemetry import Request, Telemetry
from footfall_collector.telemetry.trace_context import HEADER, TraceContext, current
from footfall_exporters.background import beside

GRACE = 5.0
"""Seconds that requests in flight get when the server stops."""
ANSWER_S = 1.0
"""Seconds in which the rest is told to retry."""
_Calls = set[asyncio.Task[object]]
OPTIONS: list[tuple[str, int]] = [
    ("grpc.http2.max_frame_size", 2**20),  # 16 KiB frames cost more than their content
    ("grpc.max_concurrent_streams", 256),  # a connection's
    ("grpc.max_metadata_size", 16 * 2**10),
    ("grpc.absolute_max_metadata_size", 16 * 2**10),
    ("grpc.server_handshake_timeout_ms", 5_000),
    ("grpc.keepalive_time_ms", 60_000),  # a peer that is gone without a word is noticed
    ("grpc.keepalive_timeout_ms", 20_000),
    ("grpc.max_connection_idle_ms", 900_000),
    ("grpc.http2.min_ping_interval_without_data_ms", 10_000),
]
_Context = grpc.aio.ServicerContext[bytes, bytes]


@asynccontextmanager
async def serve(
    config: GrpcConfig,
    intake: Intake,
    decoders: Sequence[Decoder],
    tls: Tls | None = None,
    *,
    shared: bool = False,
) -> AsyncIterator[str]:
    """Serves until the context ends, then lets requests in flight finish; yields host:port.

    Args:
        config: Where, and how large a request may be.
        intake: Takes the requests.
        decoders: Of the signals that are served.
        tls: The listener's; plain text without.
        shared: Whether other processes listen on the same port.

    Raises:
        StartError: the port cannot be had.
    """
    largest = config.max_recv_msg_size_mib * 2**20
    server = grpc.aio.server(
        options=[
            *OPTIONS,
            # A second collector on the port must fail, not share it silently.
            ("grpc.so_reuseport", int(shared)),
            ("grpc.max_receive_message_length", largest),
            ("grpc.max_allowed_incoming_connections", most_connections()),
        ]
    )
    reader, calls = Reader(largest), _Calls()
    server.add_generic_rpc_handlers(
        tuple(_handler(intake, decoder, reader, calls) for decoder in decoders)
    )
    state = health.add(server, [decoder.signal.service for decoder in decoders])
    server.add_generic_rpc_handlers((_Nowhere(intake.telemetry),))
    port = _listen(server, config.endpoint, tls, shared=shared)
    await server.start()
    state.ready(True)
    async with beside(reader.watch()):
        try:
            yield f"{split(config.endpoint)[0]}:{port}"
        finally:
            state.drain()
            stopping = asyncio.create_task(server.stop(GRACE + ANSWER_S))
            await asyncio.wait({stopping}, timeout=GRACE)
            for call in calls:
                call.cancel()
            await stopping


def _listen(server: grpc.aio.Server, endpoint: str, tls: Tls | None, *, shared: bool) -> int:
    # gRPC would add its own lines to the one that matters.
    open_socket(endpoint, "OTLP/gRPC", shared=shared).close()
    try:
        if tls is None:
            return server.add_insecure_port(endpoint)
        return server.add_secure_port(endpoint, tls.grpc_credentials())
    except RuntimeError:
        raise cannot_listen(endpoint, "OTLP/gRPC") from None


def _handler(
    intake: Intake, decoder: Decoder, reader: Reader, calls: _Calls
) -> grpc.GenericRpcHandler:
    # On the wire a stream of one is a unary request; so it is not read before it may come in. It is read
    # through the context: the iterator would be left unfinished, and keep the request until it is collected.
    async def export(_: AsyncIterator[bytes], context: _Context) -> bytes:
        call = asyncio.current_task()
        assert call is not None  # noqa: S101  # gRPC makes one for each
        with intake.telemetry.request(decoder.signal.name, "grpc") as seen:
            calls.add(call)
            try:
                return await _export(intake, decoder, context, seen, reader)
            except Refusal as refusal:
                answer = refusal.answer
            except asyncio.CancelledError:
                if context.cancelled():  # the sender has left
                    raise
                # A stopping server waits no longer; CANCELLED would say that the sender wanted it so.
                answer = refusals.unavailable("the collector is stopping", 1.0).answer
            finally:
                calls.discard(call)
            code = _CODES[answer.status.code]
            seen.refused(answer.reason, code.name, answer.key)
            await intake.gate.pause(answer)
            context.set_trailing_metadata(_trailers(answer))
            context.set_code(code)
            context.set_details(answer.status.message)
            return b""

    method: grpc.RpcMethodHandler[bytes, bytes] = grpc.stream_unary_rpc_method_handler(export)
    return grpc.method_handlers_generic_handler(decoder.signal.service, {"Export": method})


class _Nowhere(grpc.GenericRpcHandler):
    """Answers calls of methods that nobody has as gRPC does, and counts them; is asked last."""

    def __init__(self, counting: Telemetry) -> None:
        self._counting = counting

    def service(
        self, handler_call_details: grpc.HandlerCallDetails
    ) -> "grpc.RpcMethodHandler[bytes, bytes]":
        """A handler for any method."""

        async def refuse(_: AsyncIterator[bytes], context: _Context) -> bytes:
            self._counting.refused(Refused.PATH, "grpc")
            context.set_code(grpc.StatusCode.UNIMPLEMENTED)
            context.set_details("there is no such method here")
            return b""

        return grpc.stream_unary_rpc_method_handler(refuse)


async def _export(
    intake: Intake,
    decoder: Decoder,
    context: _Context,
    seen: Request,
    reader: Reader,
) -> bytes:
    metadata = dict(context.invocation_metadata() or ())
    current.set(TraceContext(_text(metadata.get(HEADER))))
    key = intake.gate.key(_text(metadata.get("authorization")))
    seen.key = key.name if key else ""
    with intake.gate.open(key.id if key else context.peer()) as passage:
        response = await intake.export(
            decoder, await reader.read(context, passage), seen, key=key, take=passage.grow
        )
        return response.SerializeToString()


def _text(value: str | bytes | None) -> str | None:
    return value if isinstance(value, str) else None


def _trailers(answer: Answer) -> tuple[tuple[str, bytes], ...]:
    details = ("grpc-status-details-bin", answer.status.SerializeToString())
    if answer.retry_after is None:
        return (details,)
    # opentelemetry-python reads the hint from here, other clients from the status.
    hint = retry_info(answer.retry_after).SerializeToString()
    return details, ("google.rpc.retryinfo-bin", hint)


_CODES = {code.value[0]: code for code in grpc.StatusCode}
