"""What is decorated but no function comes back as it is, and is told of while developing."""

import contextlib
import functools
import logging
import unittest.mock
from collections.abc import Iterator

import click
import discord
import pytest
from discord import app_commands
from discord.ext import commands, tasks

from footfall import Client
from instrumentation.orders import observed


class Counter:
    """Can be called, and has a method besides."""

    def __call__(self) -> int:
        return 1

    def reset(self) -> None: ...


class Limited:
    """Can be called, and has state."""

    def __init__(self) -> None:
        self.limit = 3

    def __call__(self) -> int:
        return self.limit


class Slotted:
    __slots__ = ("limit",)

    def __call__(self) -> int:
        return 1


class Proxy:
    """Answers everything, as proxies of clients and settings do."""

    def __getattr__(self, name: str) -> object:
        return self

    def __call__(self) -> int:
        return 1


def cached(function):
    """As cachetools and others do it: a function that carries functions."""

    @functools.wraps(function)
    def wrapper():
        return function()

    wrapper.cache_clear = lambda: None
    return wrapper


class Shop:
    @functools.cached_property
    def stock(self) -> int:
        return 1

    @functools.lru_cache  # noqa: B019
    def price(self) -> int:
        return 1

    @functools.singledispatchmethod
    def buy(self, what: object) -> None: ...

    part = functools.partialmethod(price)
    name = property(lambda self: "")


async def beat() -> None: ...


async def slash(interaction: discord.Interaction) -> None: ...


async def menu(interaction: discord.Interaction, member: discord.Member) -> None: ...


async def prefix(context: commands.Context) -> None: ...


async def hybrid(context: commands.Context) -> None: ...


def view_of_a_click_command() -> None: ...


def items() -> Iterator[int]:
    yield 1


OBJECTS = {
    "an object with a method": Counter(),
    "an object with state": Limited(),
    "an object with slots": Slotted(),
    "an object that answers everything": Proxy(),
    "a class": Counter,
    "an exception": ValueError,
    "a builtin class": dict,
    "lru_cache": functools.lru_cache(view_of_a_click_command),
    "lru_cache of a coroutine function": functools.cache(beat),
    "singledispatch": functools.singledispatch(view_of_a_click_command),
    "a function that carries functions": cached(view_of_a_click_command),
    "a method of lru_cache": Shop().price,
    "cached_property": vars(Shop)["stock"],
    "singledispatchmethod": vars(Shop)["buy"],
    "partialmethod": vars(Shop)["part"],
    "property": vars(Shop)["name"],
    "staticmethod of lru_cache": staticmethod(functools.lru_cache(view_of_a_click_command)),
    "classmethod of an object": classmethod(Counter()),
    "partial of a class": functools.partial(dict, a=1),
    "partial of lru_cache": functools.partial(functools.lru_cache(view_of_a_click_command)),
    "a mock": unittest.mock.MagicMock(),
    "a mock of a function": unittest.mock.Mock(spec=view_of_a_click_command),
    "an asynchronous mock": unittest.mock.AsyncMock(),
    "tasks.loop": tasks.loop(seconds=1)(beat),
    "a slash command": app_commands.command()(slash),
    "a prefix command": commands.command()(prefix),
    "a context menu": app_commands.context_menu()(menu),
    "a hybrid command": commands.hybrid_command()(hybrid),
    "a group": commands.group()(prefix),
    "a click command": click.command()(view_of_a_click_command),
    "a click group": click.group()(view_of_a_click_command),
    "a fixture": pytest.fixture(items),
    "a context manager": contextlib.nullcontext(),
    "None": None,
    "a number": 5,
    "a list": [],
}


@pytest.mark.parametrize("name", OBJECTS)
def test_what_is_no_function_comes_back_as_it_is(name, client, received):
    thing = OBJECTS[name]
    before = dict(getattr(thing, "__dict__", {}))
    assert client.feature("shop.order")(thing) is thing
    assert Client(strict=True).feature("shop.order")(thing) is thing
    assert dict(getattr(thing, "__dict__", {})) == before
    assert observed(client, received) == []


def told(caplog):
    return [r.getMessage() for r in caplog.records if r.name == "footfall"]


def hint(event, kind):
    return (
        f'footfall: @feature("{event}") is not measured: it stands above something that is no function'
        f" ({kind}) and stays as it is; put it below the other decorators, on the function itself"
    )


def test_it_is_told_of_once_while_developing_whenever_it_was_decorated(catalog, received, caplog):
    client = Client(strict=True)
    for _ in range(3):
        client.feature("shop.order")(OBJECTS["a slash command"])
    client.feature("shop.visit")(Counter())
    for _ in range(2):
        client.configure(catalog, received.endpoint, enabled=True, environment="dev")
    client.feature("shop.order")(OBJECTS["tasks.loop"])
    client.feature("shop.order")(OBJECTS["tasks.loop"])
    client.shutdown(0)
    assert sorted(told(caplog)) == sorted(
        [
            hint("shop.order", "discord.app_commands.commands.Command"),
            hint("shop.visit", f"{__name__}.Counter"),
            hint("shop.order", "discord.ext.tasks.Loop"),
        ]
    )
    assert {r.levelno for r in caplog.records} == {logging.WARNING}


@pytest.mark.parametrize("environment", [None, "production"])
def test_elsewhere_nothing_is_said(environment, catalog, received, caplog):
    client = Client(strict=True)
    client.feature("shop.order")(Counter())
    client.configure(catalog, received.endpoint, enabled=True, environment=environment)
    client.feature("shop.order")(Counter())
    client.shutdown(0)
    assert told(caplog) == []


def test_what_is_decorated_without_end_does_not_fill_the_memory():
    client = Client(strict=True)
    for number in range(1_000):
        client.feature(f"shop.order{number}")(Counter())
    assert len(client._lifecycle._unmeasured) <= 64


def test_objects_at_work_are_what_their_owners_need(client):
    measured = client.feature("shop.order")
    measured(OBJECTS["lru_cache"]).cache_clear()
    assert measured(OBJECTS["singledispatch"]).register(int, lambda _: 1)

    class Cog(commands.Cog):
        @measured
        @commands.command()
        async def order(self, context): ...

        @measured
        @app_commands.command()
        async def buy(self, interaction: discord.Interaction): ...

    assert [one.name for one in Cog().get_commands()] == ["order"]
    assert [one.name for one in Cog().get_app_commands()] == ["buy"]
    group = click.Group()
    group.add_command(measured(OBJECTS["a click command"]), "order")
    assert group.get_command(None, "order") is OBJECTS["a click command"]
