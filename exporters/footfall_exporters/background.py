"""Work that goes on beside a context."""

import asyncio
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager, suppress
from typing import Any


@asynccontextmanager
async def beside(work: Coroutine[Any, Any, None], name: str | None = None) -> AsyncIterator[None]:
    """Runs as long as the context lasts, and is cancelled and waited for at its end.

    Args:
        work: What is done.
        name: Of its task.
    """
    task = asyncio.create_task(work, name=name)
    try:
        yield
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task
