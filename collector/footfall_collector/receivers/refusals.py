"""What is said to a sender whose request is not taken: google.rpc.Status, the same for every protocol.

Source: OTLP specification, "Failures". What can be sent again later says when
(docs/metrics.md, "Why a request is refused").
"""

import random
from typing import NamedTuple

from google.protobuf.duration_pb2 import Duration
from google.rpc import code_pb2, error_details_pb2, status_pb2

from footfall_collector.telemetry.instruments import Refused

WRONG_PORT = "this port takes OTLP over HTTP; send gRPC to the port of OTLP/gRPC, usually 4317"
"""To a gRPC client; it goes as it is into HTTP/2."""


class Answer(NamedTuple):
    """What the sender is told; plain data, which may be kept where an exception may not.

    Attributes:
        status: google.rpc.Status with code, message and details.
        http: The HTTP status.
        reason: As the metrics count it.
        retry_after: Seconds, when sending it again makes sense.
        key: The name of the sender's key, where the key is known and may not be used now.
    """

    status: status_pb2.Status
    http: int
    reason: Refused
    retry_after: float | None = None
    key: str = ""


class Refusal(Exception):  # an answer, not a fault
    """A request that is not stored.

    It holds the request, through the frames of its traceback: whoever catches it keeps its answer alone.

    Attributes:
        answer: What the sender is told.
    """

    def __init__(self, answer: Answer) -> None:
        super().__init__(answer.status.message)
        self.answer = answer


def invalid(message: str, http: int = 400, reason: Refused = Refused.INVALID) -> Refusal:
    """INVALID_ARGUMENT with a BadRequest detail: the sender must not send it again."""
    status = status_pb2.Status(code=code_pb2.INVALID_ARGUMENT, message=message)
    violation = error_details_pb2.BadRequest.FieldViolation(field="body", description=message)
    status.details.add().Pack(error_details_pb2.BadRequest(field_violations=[violation]))
    return Refusal(Answer(status, http, reason))


def too_large(what: str) -> Refusal:
    """RESOURCE_EXHAUSTED without a hint: only smaller requests help."""
    message = f"{what}; send smaller batches"
    status = status_pb2.Status(code=code_pb2.RESOURCE_EXHAUSTED, message=message)
    return Refusal(Answer(status, 413, Refused.TOO_LARGE))


def unauthenticated(message: str, key: str = "") -> Refusal:
    """UNAUTHENTICATED: no key, or none that is known."""
    status = status_pb2.Status(code=code_pb2.UNAUTHENTICATED, message=message)
    return Refusal(Answer(status, 401, Refused.KEY, key=key))


def denied(message: str) -> Refusal:
    """PERMISSION_DENIED: the key is known and does not allow this."""
    status = status_pb2.Status(code=code_pb2.PERMISSION_DENIED, message=message)
    return Refusal(Answer(status, 403, Refused.SERVICE))


def too_many(seconds: float, key: str = "") -> Refusal:
    """RESOURCE_EXHAUSTED with RetryInfo: the key's requests of this minute are used up."""
    message = "this key has sent all the requests that it may send in a minute"
    status = status_pb2.Status(code=code_pb2.RESOURCE_EXHAUSTED, message=message)
    status.details.add().Pack(retry_info(seconds))
    return Refusal(Answer(status, 429, Refused.RATE, seconds, key))


def unavailable(message: str, seconds: float, reason: Refused = Refused.UNAVAILABLE) -> Refusal:
    """UNAVAILABLE with RetryInfo: the sender should send it again."""
    status = status_pb2.Status(code=code_pb2.UNAVAILABLE, message=message)
    status.details.add().Pack(retry_info(seconds))
    return Refusal(Answer(status, 503, reason, seconds))


def internal() -> Refusal:
    """UNAVAILABLE: a fault of ours; the sender would drop its data on INTERNAL."""
    return unavailable("internal error", 5.0, Refused.INTERNAL)


def overloaded() -> Refusal:
    """UNAVAILABLE: too much is in flight. The hint differs from sender to sender, so that they spread."""
    seconds = random.uniform(0.5, 2.5)  # noqa: S311  # it guards nothing
    return unavailable("the collector is busy", seconds, Refused.ADMISSION)


def retry_info(seconds: float) -> error_details_pb2.RetryInfo:
    """The hint when to send again."""
    delay = Duration()
    delay.FromMilliseconds(round(seconds * 1000))
    return error_details_pb2.RetryInfo(retry_delay=delay)
