"""Waiting for what another task, thread or process does and does not tell."""

import asyncio
import time
from collections.abc import Callable
from inspect import isawaitable
from typing import Any

SECONDS = 30.0


def _pause(begun: float) -> float:
    """Seconds until a condition is asked again: a fifth of what it took so far, as asking has its price."""
    return min(max((time.monotonic() - begun) / 5, 0.01), 0.25)


async def until(condition: Callable[[], Any], seconds: float = SECONDS) -> None:
    """Lets others run until a condition holds, which may be asked with or without `await`.

    Raises:
        TimeoutError: It did not within so many seconds.
    """
    begun = time.monotonic()
    async with asyncio.timeout(seconds):
        while not await _holds(condition):  # noqa: ASYNC110  # nobody tells
            await asyncio.sleep(_pause(begun))


async def _holds(condition: Callable[[], Any]) -> Any:
    found = condition()
    return await found if isawaitable(found) else found


def wait_until(condition: Callable[[], Any], seconds: float = SECONDS) -> None:
    """Holds this thread until a condition holds.

    Raises:
        TimeoutError: It did not within so many seconds.
    """
    if not happens(condition, seconds):
        raise TimeoutError


def happens(condition: Callable[[], Any], seconds: float = SECONDS) -> bool:
    """Whether a condition comes to hold within so many seconds."""
    begun = time.monotonic()
    while not condition():
        if time.monotonic() > begun + seconds:
            return False
        time.sleep(_pause(begun))
    return True
