"""Long requests take turns with everything else: between slices of their work the event loop runs.

A few kilobytes can stand for seconds of work. What has worked for longer than `LONG_S` rests between its
slices, so that all of that kind together have half of the loop's time, and others' small requests the rest.
"""

import asyncio
import time
from typing import Self

LONG_S = 0.1
"""Seconds of work after which a request is a long one."""
SLICE_S = 0.01
"""Seconds that a slice should take at most."""
_long: set["Work"] = set()


class Work:
    """What is done of one request, slice by slice; a context, whose end is that of the work."""

    def __init__(self) -> None:
        self._worked = 0.0
        self._begun = time.perf_counter()

    def __enter__(self) -> Self:
        """Begins the first slice."""
        self._begun = time.perf_counter()
        return self

    def __exit__(self, *_: object) -> None:
        """Ends the last one."""
        _long.discard(self)

    async def pause(self) -> bool:
        """Ends a slice, and returns when the next one may begin; whether it should be a smaller one."""
        took = time.perf_counter() - self._begun
        self._worked += took
        if self._worked > LONG_S:
            _long.add(self)
        # With n of them, each works 1/(2n) of the time.
        await asyncio.sleep(took * (2 * len(_long) - 1) if self in _long else 0)
        self._begun = time.perf_counter()
        return took > SLICE_S
