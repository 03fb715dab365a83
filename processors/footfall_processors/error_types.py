"""Exceptions, HTTP statuses and foreign error types → the normalised error types.

Only the *kind* of a failure is ever kept; its message and stack never are.

How a request was answered says how it went, whoever measured it:

| HTTP status           | outcome                                                                  |
|-----------------------|--------------------------------------------------------------------------|
| below 400             | success                                                                  |
| 401, 403              | failure, `permission_denied` (status `denied`)                           |
| 408, 504              | failure, `provider_timeout` (status `timeout`)                           |
| 502, 503              | failure, `provider_unavailable`                                          |
| another from 500      | failure, by the class of the exception behind it                         |
| another from 400      | failure, by the class of the exception behind it, or `bad_request` if    |
|                       | the catalog declares that                                                |
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final

PROVIDER_UNAVAILABLE: Final = "provider_unavailable"
PROVIDER_TIMEOUT: Final = "provider_timeout"
TIMEOUT: Final = "timeout"
INVALID_PRESET: Final = "invalid_preset"
PERMISSION_DENIED: Final = "permission_denied"
UNEXPECTED_ERROR: Final = "unexpected_error"

ERROR_TYPES: Final = (
    PROVIDER_UNAVAILABLE,
    PROVIDER_TIMEOUT,
    TIMEOUT,
    INVALID_PRESET,
    PERMISSION_DENIED,
    UNEXPECTED_ERROR,
)

BAD_REQUEST: Final = "bad_request"
"""The error type of a request that the application refused; kept where a catalog declares it."""

STATUS_OF: Final = {PROVIDER_TIMEOUT: "timeout", TIMEOUT: "timeout", PERMISSION_DENIED: "denied"}
"""The status that an error type implies; `error` for the others."""

_KNOWN: Final = {
    "TimeoutException": PROVIDER_TIMEOUT,
    "ServerTimeoutError": PROVIDER_TIMEOUT,
    "ConnectTimeout": PROVIDER_TIMEOUT,
    "ReadTimeout": PROVIDER_TIMEOUT,
    "Timeout": PROVIDER_TIMEOUT,
    "deadline_exceeded": PROVIDER_TIMEOUT,
    "408": PROVIDER_TIMEOUT,
    "504": PROVIDER_TIMEOUT,
    "TimeoutError": TIMEOUT,
    "TimeoutExpired": TIMEOUT,
    "TooSlowError": TIMEOUT,
    "SoftTimeLimitExceeded": TIMEOUT,
    "ConnectionError": PROVIDER_UNAVAILABLE,
    "ConnectionRefusedError": PROVIDER_UNAVAILABLE,
    "ConnectionResetError": PROVIDER_UNAVAILABLE,
    "BrokenPipeError": PROVIDER_UNAVAILABLE,
    "ConnectError": PROVIDER_UNAVAILABLE,
    "NetworkError": PROVIDER_UNAVAILABLE,
    "TransportError": PROVIDER_UNAVAILABLE,
    "ClientConnectionError": PROVIDER_UNAVAILABLE,
    "gaierror": PROVIDER_UNAVAILABLE,
    "DiscordServerError": PROVIDER_UNAVAILABLE,
    "unavailable": PROVIDER_UNAVAILABLE,
    "502": PROVIDER_UNAVAILABLE,
    "503": PROVIDER_UNAVAILABLE,
    "PermissionError": PERMISSION_DENIED,
    "Forbidden": PERMISSION_DENIED,
    "401": PERMISSION_DENIED,
    "403": PERMISSION_DENIED,
}
_STATUS = re.compile("[1-5][0-9][0-9]")
_REFUSED = re.compile("4[0-9][0-9]")
LEAVES: Final = 64
"""How many errors of a group are looked at."""
_DEPTH = 16
"""How many causes of an exception are looked at (chains may be circular)."""
_EXCEPTIONS: Final = BaseExceptionGroup.exceptions
"""What a group holds, as Python keeps it: a class of the host's may answer otherwise, or fail."""


def normalise(value: str, extra: Iterable[str] = ()) -> str:
    """A foreign `error.type` (semantic conventions: a class name or a status code) → a normalised one.

    Args:
        value: What the sender wrote.
        extra: Further error types that the catalog declares.

    Returns:
        One of ERROR_TYPES or `extra`; `unexpected_error` for anything unknown.
    """
    if value in ERROR_TYPES or value in extra:
        return value
    known = _KNOWN.get(value.rpartition(".")[2])
    if known is None and BAD_REQUEST in extra and _REFUSED.fullmatch(value):
        return BAD_REQUEST
    return known or UNEXPECTED_ERROR


def http_status(value: Any) -> int | None:
    """An HTTP status code as senders write it, a number or its three digits; None for anything else."""
    if isinstance(value, str):
        return int(value) if _STATUS.fullmatch(value) else None
    if isinstance(value, bool) or not isinstance(value, int | float) or not 100 <= value <= 599:
        return None
    return int(value) if value == int(value) else None


def http_error(status: int) -> str | None:
    """The error type of a request that was answered with this HTTP status; None of a success."""
    if status < 400:
        return None
    return _KNOWN.get(str(status)) or (BAD_REQUEST if status < 500 else UNEXPECTED_ERROR)


def is_vague(error: str | None) -> bool:
    """Whether an error type says so little that the class of an exception says more, if it is known."""
    return error in (None, BAD_REQUEST, UNEXPECTED_ERROR)


def error_type(
    error: BaseException, mapping: Mapping[type[BaseException], str] | None = None
) -> str:
    """An exception → its normalised error type.

    The exception, its base classes and then its explicit causes are tried in turn: first against
    `mapping`, then against well-known class names. A group is what its errors are, if they are all the
    same.

    Args:
        error: The exception; its message is not read.
        mapping: The application's own exception classes and their error types.
    """
    current: BaseException | None = error
    for _ in range(_DEPTH):
        if current is None:
            break
        for cls in type(current).__mro__:
            found = (mapping or {}).get(cls) or _KNOWN.get(cls.__name__)
            if found:
                return found
        if isinstance(current, BaseExceptionGroup):
            kinds = {error_type(each, mapping) for each in leaves(current)}
            if len(kinds) == 1 and kinds != {UNEXPECTED_ERROR}:
                return kinds.pop()
        current = current.__cause__
    return UNEXPECTED_ERROR


def leaves(group: BaseExceptionGroup[Any]) -> Iterator[BaseException]:
    """The errors of a group and of the groups in it, at most LEAVES of them: the first ones."""
    waiting: list[BaseException] = [group]
    left = LEAVES
    while waiting and left:
        error = waiting.pop()
        if isinstance(error, BaseExceptionGroup):
            waiting += reversed(_EXCEPTIONS.__get__(error)[:left])
        else:
            left -= 1
            yield error
