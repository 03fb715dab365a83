"""How an observation went, where its sender says a part of it: each part follows from the others."""

from collections.abc import Collection
from typing import NamedTuple

from footfall_processors import names
from footfall_processors.error_types import (
    PERMISSION_DENIED,
    STATUS_OF,
    TIMEOUT,
    UNEXPECTED_ERROR,
    is_vague,
    normalise,
)

_MISSING = {"denied": PERMISSION_DENIED, "timeout": TIMEOUT}


class Said(NamedTuple):
    """What was said of an observation.

    Attributes:
        failed: Whether its span's status is ERROR (False where it is OK); None where it is left open.
        status: `feature.status`, if it was said.
        error: A normalised error type, if one was said.
        answer: The error type that follows from an HTTP status, empty of a success; None without one.
    """

    failed: bool | None
    status: str | None = None
    error: str | None = None
    answer: str | None = None


def went_wrong(said: Said) -> bool:
    """Whether it failed: what the span leaves open, `feature.status` tells, then answer and error."""
    if said.failed is not None:
        return said.failed
    if said.status is not None:
        return said.status != "ok"
    return bool(said.answer) or said.error is not None


def outcome(action: str, said: Said, error_types: Collection[str]) -> tuple[str, str | None]:
    """Status and error type of what has this action.

    Args:
        action: One of the event's.
        said: What was said.
        error_types: Those that the catalog declares.
    """
    status, error = said.status, _error(said, error_types)
    bad = action == names.FAILURE or (went_wrong(said) and action != names.SUCCESS)
    if status is None or (status == "ok" and action == names.FAILURE):
        status = STATUS_OF.get(error or "", "error") if bad else "ok"
    if status == "ok":
        return status, None
    return status, error or _MISSING.get(status, UNEXPECTED_ERROR)


def _error(said: Said, error_types: Collection[str]) -> str | None:
    """The error type that was said, or else follows from the answer to a request."""
    if not said.answer or said.status is not None or said.error in error_types:
        return said.error
    if is_vague(said.answer) and not is_vague(said.error):
        return said.error
    return normalise(said.answer, error_types)
