"""OTLP/gRPC: requests arrive as bytes and stay bytes until the pipeline looks at them."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

import grpc

from footfall_collector.config import MAX_BYTES
from footfall_collector.receivers.intake import Intake, Refusal, Signal, retry_info
from footfall_collector.receivers.listen import StartError, open_socket, split

GRACE = 5.0
"""Seconds that requests under way get when the server stops."""
OPTIONS = [
    ("grpc.so_reuseport", 0),  # a second collector on the port must fail, not share it silently
    ("grpc.http2.max_frame_size", 2**20),  # 16 KiB frames cost more than their content
]


@asynccontextmanager
async def serve(
    endpoint: str, intake: Intake, signals: Sequence[Signal], max_bytes: int = MAX_BYTES
) -> AsyncIterator[str]:
    """Serves until the context ends, then lets requests under way finish; yields host:port.

    Args:
        endpoint: host:port; port 0 takes a free one.
        intake: Takes the requests.
        signals: Which are served.
        max_bytes: Of one request, after decompression.

    Raises:
        StartError: the port cannot be had.
    """
    open_socket(
        endpoint, "OTLP/gRPC"
    ).close()  # gRPC would add its own lines to the one that matters
    server = grpc.aio.server(options=[*OPTIONS, ("grpc.max_receive_message_length", max_bytes)])
    server.add_generic_rpc_handlers(tuple(_handler(intake, signal) for signal in signals))
    host, _ = split(endpoint)
    try:
        port = server.add_insecure_port(endpoint)
    except RuntimeError:
        raise StartError.bind(endpoint, "OTLP/gRPC") from None
    await server.start()
    try:
        yield f"{host}:{port}"
    finally:
        await server.stop(GRACE)


def _handler(intake: Intake, signal: Signal) -> grpc.GenericRpcHandler:
    async def export(request: bytes, context: grpc.aio.ServicerContext[bytes, bytes]) -> bytes:
        try:
            return (await intake.export(signal, request)).SerializeToString()
        except Refusal as refusal:
            metadata = [("grpc-status-details-bin", refusal.status.SerializeToString())]
            if refusal.retry_after is not None:
                # opentelemetry-python reads the hint from here, other clients from the status.
                hint = retry_info(refusal.retry_after).SerializeToString()
                metadata.append(("google.rpc.retryinfo-bin", hint))
            context.set_trailing_metadata(tuple(metadata))
            context.set_code(_CODES[refusal.status.code])
            context.set_details(refusal.status.message)
            return b""

    method: grpc.RpcMethodHandler[bytes, bytes] = grpc.unary_unary_rpc_method_handler(export)
    return grpc.method_handlers_generic_handler(signal.service, {"Export": method})


_CODES = {code.value[0]: code for code in grpc.StatusCode}
