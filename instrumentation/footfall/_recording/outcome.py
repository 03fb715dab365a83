"""How a block ended: exception → error type, or None for a success.

Every block that was entered ends with exactly one outcome, so that invokes = successes + failures:

| what leaves the block                | outcome                                                    |
|--------------------------------------|------------------------------------------------------------|
| nothing                              | success                                                    |
| Exception                            | failure, by `configure(errors=...)`, then by class name    |
| a cancellation, KeyboardInterrupt    | failure, `timeout`: whoever asked stopped waiting          |
| GeneratorExit                        | success: the consumer had enough                           |
| SystemExit with code 0 or None       | success: a command that ends its program                   |
| SystemExit with another code         | failure                                                    |
| a group of exceptions                | what they are, if they are all the same; otherwise failure |
| what fails when it is looked at      | failure, `unexpected_error` (`Recorder.failure`)           |

A cancellation is known by the name of its class, so that no framework is imported for it: those of asyncio,
anyio, trio, curio and `concurrent.futures`, and a web framework's word for a client that has left.
What `errors` says about a class wins over this table.
"""

from collections.abc import Mapping
from typing import Final

from footfall_processors.error_types import TIMEOUT, UNEXPECTED_ERROR, error_type, leaves

Errors = Mapping[type[BaseException], str]

_INTERRUPTED: Final = frozenset(
    ("CancelledError", "Cancelled", "ClientDisconnect", "KeyboardInterrupt")
)


def failure(error: BaseException, errors: Errors) -> str | None:
    """The error type of what left a block, or None when it counts as a success.

    Args:
        error: What left the block; its message is never read.
        errors: The application's own exception classes and their error types.
    """
    if not any(cls in errors for cls in type(error).__mro__):
        if is_one_of(error, _INTERRUPTED):
            return TIMEOUT
        if isinstance(error, GeneratorExit):
            return None
        if isinstance(error, SystemExit) and error.code in (None, 0):
            return None
        if isinstance(error, BaseExceptionGroup):
            kinds = {failure(each, errors) for each in leaves(error)}
            if len(kinds) == 1 and kinds != {UNEXPECTED_ERROR}:
                return kinds.pop()
    return error_type(error, errors)


def is_one_of(error: BaseException, classes: frozenset[str]) -> bool:
    """Whether an exception, or each of a group, is of one of these classes or of one derived from them."""
    if isinstance(error, BaseExceptionGroup):
        return all(is_one_of(each, classes) for each in leaves(error))
    return any(cls.__name__ in classes for cls in type(error).__mro__)
