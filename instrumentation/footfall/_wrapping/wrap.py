"""Functions that measure themselves: `@feature("...")` on every kind of function.

| what is decorated                             | what becomes of it                                     |
|-----------------------------------------------|--------------------------------------------------------|
| a function, of every kind                     | a function of the same kind                            |
| a method, `staticmethod`, `classmethod`,      | the same around the measured function                  |
| `functools.partial`                           |                                                        |
| a builtin                                     | an object that is called: it binds to no instance      |
| an object that can be called, and no more     | its `__call__`, measured                               |
| anything else                                 | stays as it is, and is told while developing           |

Anything else: classes, whatever has attributes or methods of its own besides `__call__` (`lru_cache`,
commands of discord.py and click, loops and tasks of queues, fixtures, mocks), and functions that carry
functions of their own (`singledispatch`, retries, caches). A function in their place would have none of
these, and whoever looks for them would silently find nothing.
"""

import inspect
from collections.abc import Callable, Mapping
from functools import WRAPPER_ASSIGNMENTS, partial, update_wrapper
from types import (
    BuiltinFunctionType,
    ClassMethodDescriptorType,
    FunctionType,
    MethodDescriptorType,
    MethodType,
    MethodWrapperType,
    WrapperDescriptorType,
    coroutine,
)
from typing import TYPE_CHECKING, Any, Final, TypeVar

from footfall._guard import let_pass
from footfall._wrapping.steps import AsyncSteps, Steps

if TYPE_CHECKING:
    from footfall._client import Client
    from footfall._feature import Feature

F = TypeVar("F", bound=Callable[..., Any])
Use = Callable[[], "Feature"]
Any_ = Callable[..., Any]

_BINDING: Final = (MethodDescriptorType, WrapperDescriptorType, ClassMethodDescriptorType)
_FREE: Final = (BuiltinFunctionType, MethodWrapperType)
_OF_A_CALLABLE: Final = frozenset(
    ("__annotate_func__", "__annotations__", "__annotations_cache__", "__call__", "__dict__", "__doc__",
     "__firstlineno__", "__init__", "__module__", "__qualname__", "__slots__", "__static_attributes__",
     "__weakref__")
)  # fmt: skip
"""What the class of an object defines that can be called, and no more."""


class _Free:
    """Stands for a builtin, which is no method of a class that has it; a partial becomes one in Python 3.14.

    Args:
        function: What is called.
    """

    def __init__(self, function: Any_) -> None:
        self._function = function

    def __call__(self, /, *args: Any, **kwargs: Any) -> Any:
        return self._function(*args, **kwargs)


def wrap(
    client: "Client", event: str, action: str | None, attributes: Mapping[str, Any], target: F
) -> F:
    """`target`, each call of which is one use of `event`; the same object if it is no function.

    Whether telemetry is on is asked per call: modules are imported, and functions decorated, before
    the program calls `configure()`.
    """
    measured = _measured(client, partial(client.feature, event, action, **attributes), target)
    if measured is None:
        kind = type(target)
        client.unmeasured(event, f"{kind.__module__}.{kind.__qualname__}")
        return target
    return measured  # type: ignore[no-any-return]


def is_function(target: object) -> bool:
    """Whether a function may stand in the place of `target`: nothing else is to be found on it.

    Only its type is asked: objects that answer everything (mocks, proxies) would say what they like.
    """
    if type(target) is not FunctionType:
        return type(target) in (*_FREE, *_BINDING)
    own = vars(target).items()
    return not any(
        callable(value) and not isinstance(value, type)
        for name, value in own
        if not name.startswith("__")
    )


def _measured(client: "Client", use: Use, target: Any) -> Any:
    """What stands for `target`; None where it is to stay as it is."""
    kind = type(target)
    if is_function(target):
        function = _function(client, use, target)
        return update_wrapper(_Free(function), target) if kind in _FREE else function
    if kind in (staticmethod, classmethod):
        inner = _measured(client, use, target.__func__)
        return None if inner is None else kind(inner)
    if kind is MethodType:
        inner = _measured(client, use, target.__func__)
        return None if inner is None else MethodType(inner, target.__self__)
    if kind is partial:
        inner = _measured(client, use, target.func)
        return None if inner is None else partial_of(inner, target)
    if _is_only_called(target):
        return MethodType(_function(client, use, kind.__call__), target)
    return None


def partial_of(function: Any_, target: "partial[Any]") -> "partial[Any]":
    """`target`, with another function in it."""
    made = partial(function, *target.args, **target.keywords)
    vars(made).update(vars(target))
    return made


def _is_only_called(target: object) -> bool:
    """Whether an object of a class of Python's has a `__call__`, and nothing else that could be missed."""
    kind = type(target)
    if type(kind) is not type or type(vars(kind).get("__call__")) is not FunctionType:
        return False
    defined = {name for cls in kind.__mro__[:-1] for name in vars(cls)}
    return defined <= _OF_A_CALLABLE and not getattr(target, "__dict__", None)


def _function(client: "Client", use: Use, function: Any_) -> Any_:
    """A function of the same kind that says of itself what `function` says.

    It has its globals too: some frameworks look there for the names in its annotations. So whatever the
    wrappers below need are variables of their own, and none is looked for among the host's.
    """
    make = next((make for test, make in _KINDS if test(function)), _plain)
    made: Any = make(client, use, function)
    around = getattr(function, "__globals__", made.__globals__)
    made = FunctionType(made.__code__, around, made.__name__, None, made.__closure__)
    return update_wrapper(made, function, WRAPPER_ASSIGNMENTS)


def _plain(client: "Client", use: Use, function: Any_) -> Any_:
    at_once: set[type] = set()
    kind_of, fault, passes = type, Exception, let_pass

    def measured(*args: Any, **kwargs: Any) -> Any:
        if client.recorder is None:
            return function(*args, **kwargs)
        with use() as this:
            result = function(*args, **kwargs)
            try:
                if kind_of(result) in at_once:
                    return result
            except fault as error:  # its class has no hash
                passes(error)
            return this._until(result, at_once)

    return measured


def _coroutine(client: "Client", use: Use, function: Any_) -> Any_:
    async def measured(*args: Any, **kwargs: Any) -> Any:
        if client.recorder is None:
            return await function(*args, **kwargs)
        with use():
            return await function(*args, **kwargs)

    return measured


def _generator(client: "Client", use: Use, function: Any_) -> Any_:
    run = Steps

    def measured(*args: Any, **kwargs: Any) -> Any:
        with use() as this:
            inner = run(this, function(*args, **kwargs))
            while inner.advance():
                with inner:
                    inner.sent = yield inner.item
            return inner.result

    return measured


def _awaitable_generator(client: "Client", use: Use, function: Any_) -> Any_:
    """A function of `types.coroutine`: its generators are awaited, as one."""

    def measured(*args: Any, **kwargs: Any) -> Any:
        with use():
            return (yield from function(*args, **kwargs))

    return coroutine(measured)


def _async_generator(client: "Client", use: Use, function: Any_) -> Any_:
    run = AsyncSteps

    async def measured(*args: Any, **kwargs: Any) -> Any:
        with use() as this:
            inner = run(this, function(*args, **kwargs))
            while await inner.advance():
                with inner:
                    inner.sent = yield inner.item

    return measured


def _is_awaitable_generator(function: Any_) -> bool:
    code = getattr(function, "__code__", None)
    return bool(code and code.co_flags & inspect.CO_ITERABLE_COROUTINE)


_KINDS: Final = (
    (inspect.iscoroutinefunction, _coroutine),
    (inspect.isasyncgenfunction, _async_generator),
    (_is_awaitable_generator, _awaitable_generator),
    (inspect.isgeneratorfunction, _generator),
)
