"""How a block ended: exception → error type, or None for a success (A3, A4).

Every block that was entered ends with exactly one outcome, so that invokes = successes + failures:

| what leaves the block                | outcome                                                    |
|--------------------------------------|------------------------------------------------------------|
| nothing                              | success                                                    |
| Exception                            | failure, by `configure(errors=...)`, then by A4's rules    |
| CancelledError, KeyboardInterrupt    | failure, `timeout`: whoever asked stopped waiting          |
| GeneratorExit                        | success: the consumer had enough                           |
| SystemExit with code 0 or None       | success: a command that ends its program                   |
| SystemExit with another code         | failure                                                    |

What `errors` says about a class wins over this table.
"""

import asyncio
from collections.abc import Mapping
from typing import Final

from footfall_processors.errors import PROVIDER_TIMEOUT, error_type

Errors = Mapping[type[BaseException], str]

_INTERRUPTED: Final = (asyncio.CancelledError, KeyboardInterrupt)


def failure(error: BaseException, errors: Errors) -> str | None:
    """The error type of what left a block, or None when it counts as a success.

    Args:
        error: What left the block; its message is never read.
        errors: The application's own exception classes and their error types.
    """
    if not any(cls in errors for cls in type(error).__mro__):
        if isinstance(error, _INTERRUPTED):
            return PROVIDER_TIMEOUT
        if isinstance(error, GeneratorExit):
            return None
        if isinstance(error, SystemExit) and error.code in (None, 0):
            return None
    return error_type(error, errors)
