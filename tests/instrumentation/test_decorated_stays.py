"""What a decorated function still says of itself, and to whom: frameworks, inspect, pickle, type checkers."""

from __future__ import annotations

import asyncio
import copy
import functools
import inspect
import math
import operator
import pickle
import subprocess
import sys
import types
import typing
import weakref
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import discord
import fastapi
import httpx
import pytest
from discord import app_commands
from discord.ext import commands
from pydantic import BaseModel, validate_call

import footfall
from footfall._client import default
from instrumentation.orders import SUCCESS, observed

measure = footfall.feature("shop.order")  # of a client that nobody configures


class Item(BaseModel):
    name: str


def plain(item: Item, *, number: int = 2) -> Item:
    """Returns it."""
    return item


async def later(item: Item) -> Item:
    return item


def items(item: Item) -> Iterator[Item]:
    yield item


async def items_later(item: Item) -> AsyncIterator[Item]:
    yield item


@types.coroutine
def awaited(item: Item) -> Iterator[None]:
    yield
    return item


FUNCTIONS = [plain, later, items, items_later, awaited]


@measure
def at_the_top(number: int) -> int:
    return number + 1


@pytest.mark.parametrize("function", FUNCTIONS, ids=lambda f: f.__name__)
def test_a_function_says_of_itself_what_it_said_before(function):
    measured = measure(function)
    assert type(measured) is types.FunctionType
    assert measured.__globals__ is function.__globals__
    assert inspect.signature(measured) == inspect.signature(function)
    assert inspect.signature(measured, eval_str=True) == inspect.signature(function, eval_str=True)
    assert typing.get_type_hints(measured) == typing.get_type_hints(function)
    assert inspect.get_annotations(measured, eval_str=True)["item"] is Item
    assert inspect.getsource(measured) == inspect.getsource(function)
    for ask in (
        inspect.iscoroutinefunction,
        inspect.isgeneratorfunction,
        inspect.isasyncgenfunction,
        asyncio.iscoroutinefunction,
        lambda f: bool(f.__code__.co_flags & inspect.CO_ITERABLE_COROUTINE),
        lambda f: (f.__name__, f.__qualname__, f.__module__, f.__doc__),
    ):
        assert ask(measured) == ask(function)
    assert measured.__code__.co_names == tuple(
        name for name in measured.__code__.co_names if not hasattr(__builtins__, name)
    )


@pytest.mark.parametrize("function", FUNCTIONS, ids=lambda f: f.__name__)
def test_it_needs_nothing_of_the_module_whose_globals_it_has(function, client, received):
    """A host's own name for `StopIteration` or `recorder` must not be taken for Python's or ours."""
    made = types.FunctionType(function.__code__, {"__builtins__": {}}, function.__name__)
    measured = client.feature("shop.order")(made)

    async def drive():
        if function is items_later:
            return [item async for item in measured(1)]
        return await measured(1)

    if function in (plain, items):
        found = measured(1, number=2) if function is plain else next(measured(1))
        assert found == 1
    else:
        assert asyncio.run(drive()) in (1, [1])
    assert observed(client, received) == [SUCCESS]


def test_attributes_are_kept():
    def view(): ...

    view.csrf_exempt, view.view_class = True, Item
    measured = measure(view)
    assert measured is not view
    assert (measured.csrf_exempt, measured.view_class) == (True, Item)
    assert measured.__wrapped__ is view


def test_methods_partials_and_builtins_stay_what_they_are(client, received):
    use = client.feature("shop.order")

    class Shop:
        def order(self, number: int) -> tuple[Shop, int]:
            return self, number

        hypot = use(math.hypot)

        @use
        @staticmethod
        def of_none(number: int) -> int:
            return number

        @use
        @classmethod
        def of_class(cls, number: int) -> type:
            return cls

    shop = Shop()
    method = use(shop.order)
    assert type(method) is types.MethodType
    assert method.__self__ is shop
    assert method(3) == (shop, 3)
    assert str(inspect.signature(method)) == "(number: 'int') -> 'tuple[Shop, int]'"
    part = functools.partial(plain, number=5)
    part.mark = 1
    measured = use(part)
    assert type(measured) is functools.partial
    assert (measured.keywords, measured.mark) == (part.keywords, 1)
    assert measured.func.__wrapped__ is plain
    assert inspect.signature(measured) == inspect.signature(part)
    assert measured("x") == "x"
    assert (type(vars(Shop)["of_none"]), type(vars(Shop)["of_class"])) == (
        staticmethod,
        classmethod,
    )
    assert (shop.of_none(1), Shop.of_class(1)) == (1, Shop)
    assert shop.hypot(3, 4) == 5, "a builtin binds to no instance"
    assert use(len)([1, 2]) == 2
    assert inspect.signature(use(len)) == inspect.signature(len)
    assert (use(len).__name__, use(len).__wrapped__) == ("len", len)
    assert use("abc".upper)() == "ABC"
    assert use(str.upper)("abc") == "ABC"
    assert use((3).__add__)(4) == 7
    assert use(operator.add)(3, 4) == 7
    weakref.ref(use(len))
    assert len(observed(client, received)) == 10


def test_an_object_that_is_only_called_is_measured_and_stays_itself(client, received):
    class Order:
        async def __call__(self, number: int) -> Order:
            await asyncio.sleep(0.05)
            return self

    class Shop:
        order = client.feature("shop.order")(Order())

    measured = client.feature("shop.order")(one := Order())
    assert measured.__self__ is one
    assert asyncio.run(measured(1)) is one
    assert isinstance(asyncio.run(Shop().order(1)), Order)
    assert inspect.iscoroutinefunction(measured), "frameworks ask before they call"
    assert str(inspect.signature(measured)) == "(number: 'int') -> 'Order'"
    assert observed(client, received) == [SUCCESS] * 2
    assert all(s.end_time_unix_nano - s.start_time_unix_nano > 45e6 for s in received.spans())


def test_it_can_be_pickled_and_copied():
    assert pickle.loads(pickle.dumps(at_the_top)) is at_the_top
    assert pickle.loads(pickle.dumps(functools.partial(at_the_top, 3)))() == 4
    assert copy.deepcopy(at_the_top) is at_the_top


@pytest.mark.parametrize("function", FUNCTIONS, ids=lambda f: f.__name__)
def test_it_can_be_sent_by_value_with_all_that_it_needs(function, client):
    """As cloudpickle does it, for joblib, Dask and Ray, with functions of a script."""
    for measured in (measure(function), client.feature("shop.order", provider="smz3")(function)):
        needs = [cell.cell_contents for cell in measured.__closure__]
        there = pickle.loads(pickle.dumps(needs))
        assert [type(each) for each in there] == [type(each) for each in needs]
    other = pickle.loads(pickle.dumps(client))
    assert other is not client
    assert not other.on
    other.event("shop.visit")
    assert pickle.loads(pickle.dumps(default)) is copy.deepcopy(default) is default


async def test_frameworks_resolve_its_annotations():
    app = fastapi.FastAPI()
    app.post("/plain")(plain)
    app.post("/measured")(measure(plain))
    app.post("/later")(measure(later))
    transport = httpx.ASGITransport(app)
    async with httpx.AsyncClient(transport=transport, base_url="http://test") as http:
        for path in ("plain", "measured", "later"):
            answer = await http.post(f"/{path}", json={"name": "a"})
            assert answer.json() == {"name": "a"}
    assert validate_call(measure(plain))({"name": "a"}) == Item(name="a")

    class Cog(commands.Cog):
        @app_commands.command()
        @measure
        async def buy(self, interaction: discord.Interaction, number: int) -> None: ...

        @commands.command()
        @measure
        async def sell(self, context: commands.Context, number: int) -> None: ...

    cog = Cog()
    (slash,), (prefix,) = cog.get_app_commands(), cog.get_commands()
    assert slash.parameters[0].type is discord.AppCommandOptionType.integer
    assert prefix.clean_params["number"].annotation is int


TYPED = """
from typing import Any, AsyncIterator, Iterator, assert_type
import functools
import footfall
@footfall.feature("shop.order")
def plain(a: int, *, b: str = "") -> float: return 1.0
@footfall.feature("shop.order")
async def later(a: int) -> float: return 1.0
@footfall.feature("shop.order")
def items(a: int) -> Iterator[int]: yield a
@footfall.feature("shop.order")
async def items_later(a: int) -> AsyncIterator[int]: yield a
@footfall.feature("shop.order")
@functools.lru_cache
def cached(a: int) -> float: return 1.0
class Shop:
    @footfall.feature("shop.order")
    def order(self, a: int) -> float: return 1.0
    @footfall.feature("shop.order")
    @classmethod
    def of_class(cls, a: int) -> float: return 1.0
    @footfall.feature("shop.order")
    @staticmethod
    def of_none(a: int) -> float: return 1.0
async def use() -> None:
    assert_type(plain(1, b="x"), float)
    assert_type(await later(1), float)
    assert_type(items(1), Iterator[int])
    assert_type(items_later(1), AsyncIterator[int])
    cached.cache_clear()
    assert_type(Shop().order(1), float)
    assert_type(Shop.of_class(1), float)
    assert_type(Shop.of_none(1), float)
    assert_type(footfall.feature("shop.order")(len)([]), int)
    plain("x")  # type: ignore[arg-type]
    plain(1, c=1)  # type: ignore[call-arg]
"""

# What Footfall is made of is not looked at, which would take most of the time.
MYPY = """
[mypy]
strict = true
follow_imports = silent
[mypy-discord.*,fastapi.*,flask.*,footfall_processors.*,msgspec.*,opentelemetry.*,racetime_bot.*,yaml.*]
follow_imports = skip
"""


def test_a_type_checker_sees_the_types_of_the_function(tmp_path):
    (tmp_path / "typed.py").write_text(TYPED)
    (tmp_path / "mypy.ini").write_text(MYPY)
    command = [sys.executable, "-m", "mypy", "--cache-dir", tmp_path / "cache"]
    done = subprocess.run(
        [*command, "typed.py"], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout
    assert Path(footfall.__file__).with_name("py.typed").exists()
