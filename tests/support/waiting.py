"""Waiting for what another task, thread or process does and does not tell."""

import asyncio
import time
from collections.abc import Callable
from inspect import isawaitable
from typing import Any

SECONDS, PAUSE = 30.0, 0.02


async def until(condition: Callable[[], Any], seconds: float = SECONDS) -> None:
    """Lets others run until a condition holds, which may be asked with or without `await`.

    Raises:
        TimeoutError: It did not within so many seconds.
    """
    async with asyncio.timeout(seconds):
        while not await _holds(condition):  # noqa: ASYNC110  # nobody tells
            await asyncio.sleep(PAUSE)


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
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(PAUSE)
    return True
