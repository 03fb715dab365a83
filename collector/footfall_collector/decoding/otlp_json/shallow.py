"""JSON without what is nested deeper than anything that is read, where there is too much of it for msgspec.

msgspec goes into what it skips as well, and gives up after some 950 brackets within each other. Whatever is
so deep is in a field that nobody reads, and costs itself. It is left out in one pass over the bytes, which
looks at brackets alone: that they match, and nothing else, is checked of what is left out.
"""

import re
from typing import Final

from footfall_collector.decoding import wire
from footfall_collector.decoding.turns import Work

DEEPEST: Final = 200
"""Brackets within each other of which the innermost are emptied. Lists and maps that are opened because they
tell counters apart (`values.DEEPEST`) end at 145, whatever else is read at 14."""
MOST: Final = 2_500_000
"""Brackets in such a request, more than any other may have; to look at each takes half a microsecond."""
SLICE: Final = 20_000
"""Brackets looked at at a stretch; between slices the event loop runs (10 ms)."""
_BRACKET: Final = re.compile(rb'(?:[^"\[\]{}]++|"(?:[^"\\]++|\\.)*+")*+[\[\]{}]', re.DOTALL)
"""Whatever comes before a bracket, and it; none in a text counts."""
_CLOSING: Final = {ord("["): ord("]"), ord("{"): ord("}")}


async def emptied(body: bytes, work: Work) -> bytes:
    """A document in which lists and objects are empty that are within so many others (`DEEPEST`).

    Raises:
        ValueError: its brackets do not match.
        wire.TooLarge: it has more than `MOST`.
    """
    kept, expected = bytearray(), bytearray()
    begin = at = looked = 0
    while found := _BRACKET.match(body, at):
        at = found.end()
        looked += 1
        if looked % SLICE == 0:
            await work.pause()
        if looked > MOST:
            raise wire.TooLarge(MOST, "brackets of JSON that is nested deep")
        if closing := _CLOSING.get(body[at - 1]):
            expected.append(closing)
            if len(expected) == DEEPEST:
                kept += memoryview(body)[begin:at]
        elif not expected or expected.pop() != body[at - 1]:
            raise ValueError
        elif len(expected) == DEEPEST - 1:
            begin = at - 1
    if expected:
        raise ValueError
    return bytes(kept + memoryview(body)[begin:])
