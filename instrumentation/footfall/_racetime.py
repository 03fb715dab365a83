"""How the commands and methods of a racetime-bot handler are measured; see `footfall.racetime`.

racetime-bot answers `!seed open` by looking up `ex_seed` on the room's handler, calling it, and swallowing
what it raises. So a command is measured where it is looked up: inherited, overridden or added later, it
passes there, `super().ex_seed(...)` does not, and the rest of the class stays as it is.
"""

import functools
import inspect
from collections.abc import Callable, Coroutine, Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from contextvars import ContextVar
from types import MethodType
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from racetime_bot import (  # type: ignore[import-untyped]
    RaceHandler,
    can_moderate,
    can_monitor,
    monitor_cmd,
)

from footfall._client import Client
from footfall._feature import Feature
from footfall._guard import at_debug, guarded
from footfall._wrapping.wrap import is_function, partial_of
from footfall_processors.catalog import Catalog
from footfall_processors.matching import Match, rules

if TYPE_CHECKING:
    from footfall._recording.recorder import Recorder

KIND: Final = "racetime"
COMMAND: Final = "ex_"
_RESTRICTED: Final = monitor_cmd(lambda: None).__code__
"""What racetime-bot puts around commands that not everybody may give: one code, whoever may."""

_running: ContextVar[tuple[tuple[object, str], ...]] = ContextVar("footfall_racetime", default=())
"""The handlers and events of the uses that surround this code."""


def instrument(handler: type, client: Client) -> None:
    """See `footfall.racetime.instrument_racetime`."""
    looked_up: Any = handler
    if getattr(looked_up.__getattribute__, "__module__", None) != __name__:
        looked_up.__getattribute__ = _lookup(handler, client)


def _lookup(handler: Any, client: Client) -> Callable[[Any, str], Any]:
    """A `__getattribute__` that hands out what has a rule measured, and the rest as it is."""
    names = _Names(client)
    own = vars(handler).get("__getattribute__")

    def __getattribute__(self: Any, name: str) -> Any:
        found = own(self, name) if own else super(handler, self).__getattribute__(name)
        with guarded(client.trouble):
            match = names.find(name)
            return found if match is None else _measured(client, match, self, found)
        return found

    return __getattribute__


class _Names:
    """Which event an attribute of a handler stands for, by the catalog that is in force."""

    def __init__(self, client: Client) -> None:
        self._client = client
        self._methods: tuple[Recorder | None, Mapping[str, Match]] = (None, {})

    def find(self, name: str) -> Match | None:
        recorder = self._client.recorder
        if recorder is None:
            return None
        if name.startswith(COMMAND):
            return self._client.match(KIND, name.removeprefix(COMMAND))
        known, methods = self._methods
        if known is not recorder:
            methods = _methods(recorder.catalog)
            self._methods = recorder, methods
        return methods.get(name)


def _methods(catalog: Catalog) -> dict[str, Match]:
    """What rules say about methods; `*` is about commands alone, or it would mean every method."""
    named = {text[:-2]: match for text, match in rules(catalog, KIND) if text.endswith("()")}
    return {n: m for n, m in named.items() if n[:1] != "_" and not hasattr(RaceHandler, n)}


def _measured(client: Client, match: Match, handler: object, found: Any) -> Any:
    """A method, still bound, or another function, each call of which is one use; the rest as it is."""
    if isinstance(found, MethodType):
        return MethodType(_measured(client, match, handler, found.__func__), found.__self__)
    if type(found) is functools.partial:
        return partial_of(_measured(client, match, handler, found.func), found)
    if not is_function(found):
        return found
    use = _Use(client, match, handler, found)
    return use.coroutine() if inspect.iscoroutinefunction(found) else use.plain()


class _Use(NamedTuple):
    """How a callable of a handler is used.

    Attributes:
        client: Where to send.
        match: Its event, and what a use that went well is called.
        handler: Whose it is.
        function: The callable.
    """

    client: Client
    match: Match
    handler: object
    function: Callable[..., Any]

    def coroutine(self) -> Callable[..., Any]:
        """The coroutine function, measured until it is done."""

        @functools.wraps(self.function)
        async def measured(*args: Any, **kwargs: Any) -> Any:
            if self._is_part():
                return await self.function(*args, **kwargs)
            with self._begin(args), self._inside():
                return await self.function(*args, **kwargs)

        return measured

    def plain(self) -> Callable[..., Any]:
        """The function, measured until it returns, or until what it returns is done."""

        @functools.wraps(self.function)
        def measured(*args: Any, **kwargs: Any) -> Any:
            if self._is_part():
                return self.function(*args, **kwargs)
            with ExitStack() as use:
                this = use.enter_context(self._begin(args))
                with self._inside():
                    result = self.function(*args, **kwargs)
                if inspect.iscoroutine(result):
                    return self._rest(use.pop_all(), result)
                return this._until(result, set())

        return measured

    async def _rest(self, use: ExitStack, coroutine: Coroutine[Any, Any, Any]) -> Any:
        with use, self._inside():
            return await coroutine

    def _is_part(self) -> bool:
        """Whether this handler is at this event already."""
        return any(
            handler is self.handler and event == self.match.event
            for handler, event in _running.get()
        )

    def _begin(self, args: tuple[Any, ...]) -> Feature:
        feature = self.client.feature(self.match.event, self.match.action)
        with guarded(at_debug("a command")):  # a function may be unusual in any way
            if _is_refused(self.function, args[-1]):
                feature.deny()
        return feature

    @contextmanager
    def _inside(self) -> Iterator[None]:
        token = _running.set((*_running.get(), (self.handler, self.match.event)))
        try:
            yield
        finally:
            with suppress(ValueError):  # a coroutine that nobody finished is closed from elsewhere
                _running.reset(token)


def _is_refused(function: Callable[..., Any], message: Any) -> bool:
    """Whether racetime-bot will answer that only monitors, or moderators, may give this command."""

    def refuses(layer: Any) -> bool:
        if getattr(layer, "__code__", None) is not _RESTRICTED:
            return False
        held = [cell.cell_contents for cell in layer.__closure__]
        return any(may in held and not may(message) for may in (can_monitor, can_moderate))

    return refuses(inspect.unwrap(function, stop=refuses))
