"""A thread with an event loop of its own: as good as a process of its own, for a bot."""

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import asynccontextmanager
from typing import Any


@asynccontextmanager
async def in_a_thread(
    main: Callable[[Future[None]], Coroutine[Any, Any, None]],
) -> AsyncIterator[None]:
    """Runs a coroutine function elsewhere, from when it is ready until the context ends.

    Args:
        main: Is given a future, and makes it done when it is ready; at the end it is cancelled.

    Raises:
        Exception: whatever `main` raised before it was ready.
    """
    runner, ready = asyncio.Runner(), Future[None]()
    loop = runner.get_loop()
    with ThreadPoolExecutor(max_workers=1) as thread:
        running = asyncio.get_running_loop().run_in_executor(thread, _run, runner)
        try:
            done = asyncio.wrap_future(asyncio.run_coroutine_threadsafe(main(ready), loop))
            await asyncio.wait((asyncio.wrap_future(ready), done), return_when="FIRST_COMPLETED")
            if done.done():
                done.result()
            yield
        finally:
            loop.call_soon_threadsafe(loop.stop)
            await running


def _run(runner: asyncio.Runner) -> None:
    with runner:  # which cancels what is left
        runner.get_loop().run_forever()
