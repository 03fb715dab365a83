"""What all receivers share: bytes in, an answer out, whatever the protocol (OTLP specification 1.x)."""

import logging
import traceback
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace

from google.protobuf.duration_pb2 import Duration
from google.protobuf.message import DecodeError, Message
from google.rpc import code_pb2, error_details_pb2, status_pb2

from footfall_collector import otlp_json
from footfall_collector.pipeline import digest
from footfall_exporters.contracts import Rejected, Unavailable
from footfall_processors import REJECTED, Batch, Loss

log = logging.getLogger("footfall.receivers")
FIELDS = {
    "traces": "rejected_spans",
    "metrics": "rejected_data_points",
    "logs": "rejected_log_records",
}
_ADVICE = {
    Loss.EXPIRED_EVENT: "its `expires` date in the catalog has passed",
    Loss.OUT_OF_WINDOW: "times must be within 7 days before and 5 minutes after now",
    Loss.MALFORMED: "could not be parsed, or ends before it starts",
}


@dataclass(frozen=True, slots=True)
class Signal:
    """One OTLP signal.

    Attributes:
        name: `traces`, `metrics` or `logs`.
        service: The gRPC service's full name.
        response: Makes the response message.
        decode: An encoded request → a batch.
    """

    name: str
    service: str
    response: Callable[[], Message]
    decode: Callable[[bytes], Awaitable[Batch]]


class Refusal(Exception):  # an answer, not a fault
    """A request that is not stored.

    Attributes:
        status: google.rpc.Status with code, message and details.
        retry_after: Seconds, when sending it again makes sense.
    """

    def __init__(self, status: status_pb2.Status, retry_after: float | None = None) -> None:
        super().__init__(status.message)
        self.status, self.retry_after = status, retry_after


class Intake:
    """Decodes, stores and answers.

    Args:
        consume: The exporter's.
    """

    def __init__(self, consume: Callable[[Batch], Awaitable[None]]) -> None:
        self._consume = consume

    async def export(self, signal: Signal, body: bytes, *, json: bool = False) -> Message:
        """The Export*ServiceResponse, once everything accepted is durable.

        Args:
            signal: What is sent.
            body: Decompressed.
            json: Whether the body is OTLP/JSON; protobuf otherwise.

        Raises:
            Refusal: nothing of the request is stored. An unforeseen error is answered as retryable:
                the sender would drop its data on anything else.
        """
        try:
            batch = await (_from_json(signal, body) if json else signal.decode(body))
            await self._consume(batch)
        except DecodeError:
            raise Refusal(invalid("the body is not a valid OTLP request of this signal")) from None
        except Rejected as error:
            raise Refusal(invalid(str(error))) from None
        except Unavailable as error:
            raise unavailable(str(error), error.retry_after) from None
        except Exception as error:
            # Where it happened, not its message: that may quote what was sent.
            where = "".join(traceback.format_tb(error.__traceback__))
            log.error("a %s request failed: %s\n%s", signal.name, type(error).__name__, where)
            raise unavailable("internal error", 5.0) from None
        return _answer(signal, batch)


async def _from_json(signal: Signal, body: bytes) -> Batch:
    """As `signal.decode`; the ledger knows a request by its bytes as they were sent."""
    batch = await signal.decode(await otlp_json.protobuf(signal.name, body))
    return replace(batch, digest=digest(f"/v1/{signal.name}", b"", body))


def _answer(signal: Signal, batch: Batch) -> Message:
    response = signal.response()
    if batch.rejected:
        partial = getattr(response, "partial_success")  # noqa: B009  # every response has it
        setattr(partial, FIELDS[signal.name], batch.rejected)
        reasons = ((r, n) for r, n in sorted(batch.losses.items()) if r in REJECTED)
        partial.error_message = "; ".join(f"{r}: {n} ({_ADVICE[r]})" for r, n in reasons)
    return response


def invalid(message: str) -> status_pb2.Status:
    """INVALID_ARGUMENT with a BadRequest detail: the sender must not retry."""
    status = status_pb2.Status(code=code_pb2.INVALID_ARGUMENT, message=message)
    violation = error_details_pb2.BadRequest.FieldViolation(field="body", description=message)
    status.details.add().Pack(error_details_pb2.BadRequest(field_violations=[violation]))
    return status


def retry_info(seconds: float) -> error_details_pb2.RetryInfo:
    """The hint when to send again."""
    delay = Duration()
    delay.FromMilliseconds(round(seconds * 1000))
    return error_details_pb2.RetryInfo(retry_delay=delay)


def unavailable(message: str, seconds: float) -> Refusal:
    """UNAVAILABLE with RetryInfo: the sender should retry."""
    status = status_pb2.Status(code=code_pb2.UNAVAILABLE, message=message)
    status.details.add().Pack(retry_info(seconds))
    return Refusal(status, seconds)
