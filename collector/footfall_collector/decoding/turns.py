"""Long requests take turns with everything else: between slices of their work the event loop runs.

A few kilobytes can stand for seconds of work. What has worked for longer than `LONG_S`, or for `STRETCH_S`
without a pause, rests between its slices, so that all of that kind together have half of the loop's time, and
others' small requests the rest.
"""

import asyncio
import time
from typing import Self

LONG_S, STRETCH_S = 0.1, 0.03
"""Seconds of work, in all and at a stretch, after which a request is a long one."""
SLICE_S = 0.01
"""Seconds that a slice should take at most."""
_long: set["Work"] = set()


class Work:
    """What is done of one request, slice by slice; an asynchronous context, whose end is that of the work.

    A long one rests at its end, too, whether it is refused or not: its sender may have another.
    """

    def __init__(self) -> None:
        self._worked = 0.0
        self._begun = time.perf_counter()

    async def __aenter__(self) -> Self:
        """Begins the first slice."""
        self._begun = time.perf_counter()
        return self

    async def __aexit__(self, kind: type[BaseException] | None, *_: object) -> None:
        """Ends the last one."""
        try:
            if kind is not asyncio.CancelledError and (rest := self._rest()):
                await asyncio.sleep(rest)
        finally:
            _long.discard(self)

    def begin(self) -> None:
        """Begins a slice anew, after something else was waited for: that was no work."""
        self._begun = time.perf_counter()

    async def pause(self) -> bool:
        """Ends a slice, and returns when the next one may begin; whether it should be a smaller one."""
        worked = self._worked
        await asyncio.sleep(self._rest())
        self._begun = time.perf_counter()
        return self._worked - worked > SLICE_S

    def _rest(self) -> float:
        """Seconds to rest after the slice that ends now."""
        took = time.perf_counter() - self._begun
        self._worked += took
        if self._worked > LONG_S or took > STRETCH_S:
            _long.add(self)
        # With n of them, each works 1/(2n) of the time.
        return took * (2 * len(_long) - 1) if self in _long else 0.0
