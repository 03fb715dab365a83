"""A bot is the same with Footfall and without it: what it says, logs, looks like, returns and raises."""

import asyncio
import gc
import inspect
import logging

import pytest
from racetime_bot import RaceHandler

from footfall import Client
from footfall.racetime import instrument_racetime
from instrumentation.racetime_bot_room.room import (
    COMMAND,
    GENERATE,
    OK,
    ROOM,
    Seeds,
    observed,
    outcomes,
    seeds,
)


async def test_a_room_is_the_same_with_and_without_us(play, client, caplog):
    caplog.set_level(logging.INFO)
    commands = (
        "!seed open",
        "!seed none",
        "!seed",
        "!lock",
        {"text": "!lock", "is_monitor": True},
        "!nothing",
        "!error key",
    )

    async def run(handler):
        caplog.clear()
        said = await play(handler, *commands)
        errors = [r.exc_info and (r.exc_info[0], str(r.exc_info[1])) for r in caplog.records]
        return said, [(r.name, r.levelname, r.getMessage()) for r in caplog.records], errors

    plain = await run(seeds())
    assert len(plain[0]) == 3
    assert sum(1 for error in plain[2] if error) == 3
    off = instrument_racetime(seeds(), client=Client(strict=True))
    assert await run(off) == plain
    assert await run(instrument_racetime(seeds(), client=client)) == plain


def test_a_handler_looks_as_it_did(instrument, client):
    handler = instrument(seeds())(logging.getLogger(), None, {})
    plain = Seeds(logging.getLogger(), None, {})
    methods = dict(inspect.getmembers(handler, inspect.ismethod))
    del methods["__getattribute__"]
    assert list(methods) == [name for name, _ in inspect.getmembers(plain, inspect.ismethod)]
    for name in methods:
        measured, method = getattr(handler, name), getattr(plain, name)
        assert measured.__self__ is handler
        for look in (inspect.iscoroutinefunction, inspect.signature, inspect.getdoc):
            assert look(measured) == look(method), name
        assert (measured.__name__, measured.__module__) == (method.__name__, method.__module__)
    assert vars(handler) == {**vars(plain), "logger": handler.logger}


async def test_what_commands_return_and_raise_passes_through(instrument, client, received):
    class Handler(RaceHandler):
        async def ex_return(self, *args, **kwargs):
            return args, kwargs

        def generate_seed(self, error):
            raise error

        async def ex_raise(self, error):
            raise error

    handler = instrument(Handler)(logging.getLogger(), None, {})
    assert await handler.ex_return(1, word=2) == ((1,), {"word": 2})
    for error in (ValueError("a"), KeyboardInterrupt(), SystemExit(3), asyncio.CancelledError()):
        with pytest.raises(type(error)) as sync:
            handler.generate_seed(error)
        with pytest.raises(type(error)) as waited:
            await handler.ex_raise(error)
        assert sync.value is waited.value is error
        assert error.__cause__ is error.__context__ is None
    assert len(observed(client, received)) == 9


def test_attributes_that_do_not_exist_are_missed_as_before(instrument, client):
    class Handler(RaceHandler):
        def __getattr__(self, name):
            if name == "ex_dynamic":
                return "found"
            raise AttributeError(f"no {name} here")

    handler = instrument(Handler)(logging.getLogger(), None, {})
    assert handler.ex_dynamic == "found"
    with pytest.raises(AttributeError, match=r"^no ex_other here$"):
        _ = handler.ex_other


@pytest.mark.parametrize("where", ["in the class", "behind it"])
async def test_a_lookup_of_the_handlers_own_is_kept(instrument, client, received, play, where):
    def renaming(base):
        class Renaming(base):
            def __getattribute__(self, name):
                return super().__getattribute__("ex_seed" if name == "ex_roll" else name)

        return Renaming

    if where == "in the class":
        handler = instrument(renaming(seeds()))
    else:
        handler = type("Handler", (instrument(seeds()), renaming(RaceHandler)), {})
    assert await play(handler, "!roll open") == ["https://example.org/open"]
    assert outcomes(client, received) == [(GENERATE, "ok"), (COMMAND, "ok")]


@pytest.mark.parametrize("unusual", [None, int, "Handler", 7, RaceHandler])
def test_what_is_no_handler_class_is_returned_as_it_is(unusual, monkeypatch):
    monkeypatch.setattr(RaceHandler, "__getattribute__", RaceHandler.__getattribute__)
    assert instrument_racetime(unusual, client=Client()) is unusual


async def test_a_command_that_nobody_finishes_does_no_harm(instrument, client, received):
    class Handler(RaceHandler):
        async def ex_wait(self, args, message):
            await asyncio.sleep(60)

    handler = instrument(Handler)(logging.getLogger(), None, {})
    waiting = handler.ex_wait([], {})
    asyncio.get_running_loop().call_soon(waiting.send, None)  # begins in one context
    await asyncio.sleep(0)
    waiting.close()  # and ends in another
    del waiting
    gc.collect()
    assert observed(client, received) == [ROOM | OK]
