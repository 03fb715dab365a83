"""Why the HTTP API does not take a request: one word for machines, one sentence for people."""

from collections.abc import Mapping
from enum import StrEnum
from typing import Final

from footfall_collector.receivers.refusals import Answer
from footfall_collector.telemetry.instruments import Refused


class Problem(StrEnum):
    """The word; each has its status."""

    NO_VIEWER = "no_viewer"
    FORBIDDEN = "forbidden"
    DISABLED = "telemetry_disabled"
    INVALID_EVENT = "invalid_event"
    INVALID_REQUEST = "invalid_request"
    TOO_LARGE = "too_large"
    MEDIA_TYPE = "unsupported_media_type"
    CONFLICT = "idempotency_conflict"
    RATE_LIMITED = "rate_limited"
    UNAVAILABLE = "unavailable"


_MEANS: Final[dict[Problem, tuple[int, Refused]]] = {
    Problem.NO_VIEWER: (401, Refused.KEY),
    Problem.FORBIDDEN: (403, Refused.SERVICE),
    Problem.DISABLED: (404, Refused.PATH),
    Problem.INVALID_EVENT: (400, Refused.INVALID),
    Problem.INVALID_REQUEST: (400, Refused.INVALID),
    Problem.TOO_LARGE: (413, Refused.TOO_LARGE),
    Problem.MEDIA_TYPE: (415, Refused.MEDIA_TYPE),
    Problem.CONFLICT: (422, Refused.INVALID),
    Problem.RATE_LIMITED: (429, Refused.RATE),
    Problem.UNAVAILABLE: (503, Refused.UNAVAILABLE),
}
_OF_STATUS: Final = {status: problem for problem, (status, _) in reversed(_MEANS.items())}


class ApiError(Exception):  # an answer, not a fault
    """A request that is not taken.

    Args:
        problem: The word.
        text: What is wrong and what would be right; nothing of what was sent.
        status: Where it is not the word's own.
        reason: As the metrics count it, where it is not the word's own.
        retry_after: Seconds, when sending it again makes sense.
        headers: What goes with the answer beside that.
    """

    def __init__(
        self,
        problem: Problem,
        text: str,
        *,
        status: int | None = None,
        reason: Refused | None = None,
        retry_after: float | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(text)
        self.problem, self.text, self.retry_after = problem, text, retry_after
        usual, counted = _MEANS[problem]
        self.status, self.reason, self._headers = status or usual, reason or counted, headers or {}

    @property
    def headers(self) -> dict[str, str]:
        """What goes with the answer."""
        found = dict(self._headers)
        if self.retry_after is not None:
            found["retry-after"] = str(max(1, round(self.retry_after)))
        if self.status == 401:
            found["www-authenticate"] = "Bearer"
        return found


def of(answer: Answer) -> ApiError:
    """What OTLP's answer to the same is here."""
    problem = _OF_STATUS.get(answer.http, Problem.INVALID_REQUEST)
    return ApiError(
        problem,
        answer.status.message,
        status=answer.http,
        reason=answer.reason,
        retry_after=answer.retry_after,
    )
