"""Requests that take long leave the event loop to others between slices of their work."""

import asyncio
import time

import pytest

from collector.spans import NOW_US, SALTS
from footfall_collector.decoding import metrics, otlp_json, spans, turns
from footfall_collector.decoding.spans import Pipeline
from footfall_collector.decoding.turns import Work
from footfall_processors import Policy


def field(number, content):
    """A length-delimited field."""
    size, head = len(content), bytearray([number << 3 | 2])
    while size > 127:
        head.append(size & 127 | 128)
        size >>= 7
    return bytes([*head, size]) + content


def busy(seconds):
    end = time.perf_counter() + seconds
    while time.perf_counter() < end:
        pass


@pytest.mark.parametrize("number", [1, 4])
async def test_those_that_take_long_have_half_of_the_time_together(number):
    worked = 0.0

    async def work():
        nonlocal worked
        async with Work() as own:
            for _ in range(16 // number + 4):
                begun = time.perf_counter()
                busy(turns.STRETCH_S * 0.8)
                worked += time.perf_counter() - begun
                await own.pause()

    begun = time.perf_counter()
    await asyncio.gather(*(work() for _ in range(number)))
    # Until it has taken long, a request works without rest.
    free = number * turns.LONG_S * 1.4
    assert worked - free < 0.6 * (time.perf_counter() - begun - free)


async def test_short_work_does_not_rest_and_large_slices_are_told():
    async with Work() as own:
        assert not await own.pause()
        busy(2 * turns.SLICE_S)
        assert await own.pause()
        begun = time.perf_counter()
        await own.pause()
        assert time.perf_counter() - begun < turns.LONG_S


async def test_what_takes_long_rests_at_its_end_even_when_it_is_refused():
    begun = time.perf_counter()

    async def refused():
        async with Work():
            busy(2 * turns.STRETCH_S)
            raise ValueError("refused")

    with pytest.raises(ValueError, match="refused"):
        await refused()
    assert time.perf_counter() - begun >= 4 * turns.STRETCH_S
    assert not turns._long


async def test_waiting_for_something_is_no_work():
    async with Work() as own:
        await asyncio.sleep(2 * turns.LONG_S)
        own.begin()
        begun = time.perf_counter()
    assert time.perf_counter() - begun < turns.LONG_S


async def turns_of_others(awaitable):
    """How often the loop came round meanwhile."""
    task, rounds = asyncio.ensure_future(awaitable), 0
    while not task.done():
        rounds += 1
        await asyncio.sleep(0)
    await task
    return rounds


@pytest.mark.parametrize("signal", ["traces", "logs"])
async def test_others_have_their_turn_while_many_items_are_read(catalog, signal):
    pipe = Pipeline(Policy(catalog), SALTS, lambda: NOW_US * 1000)
    body = field(1, field(2, b"\x12\x00" * 30_000))
    assert await turns_of_others(getattr(pipe, signal)(body)) >= 30_000 / spans.SLICE


async def test_others_have_their_turn_while_many_data_points_are_read(catalog):
    time_now = (NOW_US * 1000).to_bytes(8, "little")
    points = b"".join(field(1, b"\x19" + time_now) for _ in range(5000))
    # Of Sum: the points, delta, monotonic.
    metric = field(1, b"shop.ping") + field(7, points + b"\x10\x01\x18\x01")
    body = field(1, field(2, field(2, metric)))
    decoding = metrics.decode(Policy(catalog), body, NOW_US, key=b"k" * 32)
    assert await turns_of_others(decoding) >= 5000 / metrics.SLICE


async def test_what_many_spans_take_in_memory_is_counted(catalog):
    pipe = Pipeline(Policy(catalog), SALTS, lambda: NOW_US * 1000)
    taken = []
    for number in (spans.SLICE, 5000):
        await pipe.traces(field(1, field(2, b"\x12\x00" * number)), take=taken.append)
    assert taken == [5000 * spans.SPAN]


async def test_others_have_their_turn_while_json_is_read():
    for odd in (b"{}", b"{},null"):
        body = b'{"resourceSpans":[{"scopeSpans":[{"spans":[' + b"{}," * 9000 + odd + b"]}]}]}"
        assert await turns_of_others(otlp_json.groups("traces", body)) > 4
