"""Why the HTTP API does not take a request: one word for machines, one sentence for people."""

from collections.abc import Mapping
from enum import StrEnum
from typing import Any, Final, NamedTuple

from footfall_collector.receivers.refusals import Answer
from footfall_collector.telemetry.instruments import Refused


class Problem(StrEnum):
    """The word; each has its status."""

    NO_VIEWER = "no_viewer"
    FORBIDDEN = "forbidden"
    DISABLED = "telemetry_disabled"
    NOT_FOUND = "not_found"
    INVALID_EVENT = "invalid_event"
    INVALID_REQUEST = "invalid_request"
    TOO_LARGE = "too_large"
    MEDIA_TYPE = "unsupported_media_type"
    CONFLICT = "idempotency_conflict"
    RATE_LIMITED = "rate_limited"
    UNAVAILABLE = "unavailable"
    INVALID_RATING = "invalid_rating"
    FEATURE_DISABLED = "feature_disabled"


_MEANS: Final[dict[Problem, tuple[int, Refused]]] = {
    Problem.NO_VIEWER: (401, Refused.KEY),
    Problem.FORBIDDEN: (403, Refused.SERVICE),
    Problem.DISABLED: (404, Refused.PATH),
    Problem.NOT_FOUND: (404, Refused.PATH),
    Problem.INVALID_EVENT: (400, Refused.INVALID),
    Problem.INVALID_REQUEST: (400, Refused.INVALID),
    Problem.TOO_LARGE: (413, Refused.TOO_LARGE),
    Problem.MEDIA_TYPE: (415, Refused.MEDIA_TYPE),
    Problem.CONFLICT: (422, Refused.INVALID),
    Problem.RATE_LIMITED: (429, Refused.RATE),
    Problem.UNAVAILABLE: (503, Refused.UNAVAILABLE),
    Problem.INVALID_RATING: (400, Refused.INVALID),
    Problem.FEATURE_DISABLED: (404, Refused.PATH),
}
_OF_STATUS: Final = {status: problem for problem, (status, _) in reversed(_MEANS.items())}


class ApiAnswer(NamedTuple):
    """What is said to a client whose request is not taken; plain data, which may be kept.

    Attributes:
        problem: The word.
        text: The sentence.
        status: HTTP's.
        reason: As the metrics count it.
        headers: What goes with it.
        numbers: What else is said in the long form.
    """

    problem: Problem
    text: str
    status: int
    reason: Refused
    headers: Mapping[str, str] = {}
    numbers: Mapping[str, Any] = {}


class ApiError(Exception):  # an answer, not a fault
    """A request that is not taken.

    Args:
        problem: The word.
        text: What is wrong and what would be right; nothing of what was sent.
        retry_after: Seconds, when sending it again makes sense.
        headers: What goes with the answer beside that.
        numbers: See `ApiAnswer`.

    Attributes:
        answer: What the client is told.
    """

    def __init__(
        self,
        problem: Problem,
        text: str,
        *,
        retry_after: float | None = None,
        headers: Mapping[str, str] | None = None,
        numbers: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__(text)
        status, reason = _MEANS[problem]
        sent = _headers(status, retry_after) | dict(headers or {})
        self.answer = ApiAnswer(problem, text, status, reason, sent, numbers or {})


def stopping() -> ApiAnswer:
    """To a client whose request a stopping server does not wait for."""
    headers = _headers(503, 1.0)
    text = "the collector is stopping"
    return ApiAnswer(Problem.UNAVAILABLE, text, 503, Refused.UNAVAILABLE, headers)


def of(answer: Answer) -> ApiAnswer:
    """What OTLP's answer to the same is here."""
    problem = _OF_STATUS.get(answer.http, Problem.INVALID_REQUEST)
    headers = _headers(answer.http, answer.retry_after)
    return ApiAnswer(problem, answer.status.message, answer.http, answer.reason, headers)


def _headers(status: int, retry_after: float | None) -> dict[str, str]:
    found = {} if retry_after is None else {"retry-after": str(max(1, round(retry_after)))}
    return found | ({"www-authenticate": "Bearer"} if status == 401 else {})
