"""What `feature()` returns: a context manager and a decorator in one.

Each call makes one small object. While telemetry is off it is a plain `Feature`, which does nothing
and must cost less than half a microsecond: hence a struct, which is made faster than an object of a
class, and `gc=False`: nothing that an attribute may hold can refer back to it.
"""

import time
from collections.abc import Callable, Mapping
from contextvars import ContextVar
from types import GeneratorType, TracebackType
from typing import TYPE_CHECKING, Any, Final, Self, TypeVar

from footfall import _threads
from footfall._guard import guarded
from footfall._wrapping.wrap import wrap

if TYPE_CHECKING:
    from footfall._client import Client
    from footfall._recording.plan import Plan
    from footfall._recording.recorder import Recorder

# Where telemetry cannot be on, a plain class is enough. msgspec is not asked for there: an isolated
# sub-interpreter (Python 3.12 and later) refuses it, and some releases abort at their end if it was tried.
if TYPE_CHECKING or _threads.may_start():
    from msgspec import Struct
else:

    class Struct:
        """Fields by position, and msgspec's options, which mean nothing here."""

        _fields: tuple[str, ...] = ()

        def __init_subclass__(cls, **options: Any) -> None:
            cls._fields = tuple(dict.fromkeys((*cls._fields, *cls.__annotations__)))

        def __init__(self, *values: Any) -> None:
            vars(self).update(zip(self._fields, values, strict=False))


F = TypeVar("F", bound=Callable[..., Any])
Kinds = set[type]


class Feature(Struct, eq=False, gc=False):
    """One use of a feature; this one is used while telemetry is off, and does nothing.

    One object measures one block. For the next block call `feature()` again; the decorator does so
    for every call of the function.
    """

    client: "Client"
    event: str
    action: str | None
    attributes: Mapping[str, Any]

    def set(self, /, **attributes: Any) -> None:
        """Adds attributes that are known only inside the block, or replaces given ones.

        Example:
            >>> import footfall
            >>> with footfall.feature("discord.generator") as use:
            ...     use.set(provider="smz3")
        """

    def fail(self, error: str | BaseException = "unexpected_error") -> None:
        """Marks the use as failed although no exception leaves the block.

        Args:
            error: A declared error type, or an exception, of which only the type is kept.

        Example:
            >>> import footfall
            >>> with footfall.feature("discord.generator") as use:
            ...     use.fail("invalid_preset")
        """

    def deny(self) -> None:
        """Marks the use as denied: the user may not do this."""
        self.fail("permission_denied")

    def _pause(self) -> "Measured | None":
        """Leaves the context, as a generator does between two items.

        Returns:
            The use inside this one that was the current one, and is left too.
        """
        return None

    def _resume(self, inside: "Measured | None" = None) -> None:
        """Comes back to it, or to another, with what `_pause()` has returned."""

    def _until(self, result: Any, at_once: Kinds) -> Any:
        """What the caller gets for what a decorated function returned.

        Args:
            result: What it returned.
            at_once: Classes of what is over when it is returned; to look at a class takes time.
        """
        return result

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        return None

    async def __aenter__(self) -> Self:
        return self.__enter__()

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.__exit__(kind, error, trace)

    def __call__(self, function: F, /) -> F:
        """Decorates a function: each call is one use.

        Functions, coroutine functions, generators (measured from the first item to the last),
        asynchronous generators and methods of all kinds are decorated, also partial ones and builtins;
        they stay what they are. A plain function that returns something to be awaited is measured until
        that has ended. What is not a function, a class or a command of a bot for example, or has
        functions of its own, is returned as it is; while developing, a warning says so.
        """
        with guarded(self.client.trouble):
            return wrap(self.client, self.event, self.action, self.attributes, function)
        return function


class Measured(Feature, eq=False):
    """A use that is measured.

    Attributes:
        recorder: The client's, when the use was made.
        plan: Its event; None while it has not begun, or when the event is not declared.
        kept: Its attributes, checked.
        error: Its error type, once it has failed.
        clock: When it began, ns by a clock that cannot be set.
        outer: The use around it.
        going: Whether it has begun and not ended.
        later: Whether it goes on when the decorated function has returned.
    """

    recorder: "Recorder"
    plan: "Plan | None" = None
    kept: dict[str, Any] = {}  # noqa: RUF012  # a struct copies it
    error: str | None = None
    clock: int = 0
    outer: "Measured | None" = None
    going: bool = False
    later: bool = False

    def set(self, /, **attributes: Any) -> None:
        """Adds attributes; see `Feature.set`."""
        if self.plan is not None:
            try:
                self.kept |= self.recorder.check(self.plan, attributes)
            except Exception as error:  # the measured path
                self.client.trouble(error)

    def fail(self, error: str | BaseException = "unexpected_error") -> None:
        """Marks the use as failed; see `Feature.fail`."""
        try:
            self.error = self.recorder.failure(error)
        except Exception as trouble:  # the measured path
            self.client.trouble(trouble)

    def __enter__(self) -> Self:
        try:
            recorder = self.recorder
            plan = self.plan = recorder.plan(self.event)
            if plan is not None:
                self.kept = recorder.check(plan, self.attributes)
                if self.action is None:
                    recorder.started(plan, self.kept)
        except Exception as error:  # the measured path
            self.client.trouble(error)
        self._resume()
        self.clock = time.perf_counter_ns()
        return self

    def _pause(self) -> "Measured | None":
        """Leaves the context; see `Feature._pause`."""
        inside = use = _current.get()
        while use is not None and use is not self:
            use = use.outer
        if use is self:
            _current.set(self.outer)
        self.outer = None  # keeps no other use alive
        return inside if use is self and inside is not self else None

    def _resume(self, inside: "Measured | None" = None) -> None:
        """Becomes the current use, or the one inside it that was."""
        outer = _current.get()
        # A context that was copied inside a use (a callback, a task) still names it when it is over.
        self.outer = outer if outer is not None and outer.going else None
        self.going = True
        _current.set(self if inside is None or not inside.going else inside)

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        length = time.perf_counter_ns() - self.clock
        if _current.get() is self:
            _current.set(self.outer)
        self.outer = None
        if not self.going or (self.later and error is None):
            return
        self.going = False
        plan = self.plan
        if plan is None:
            return
        try:
            if error is not None and self.error is None:
                self.error = self.recorder.failure(error)
            self.recorder.ended(plan, self.action, self.error, self.kept, length)
        except Exception as trouble:  # the measured path
            self.client.trouble(trouble)

    def _until(self, result: Any, at_once: Kinds) -> Any:
        """What the caller gets; of what ends later, the use goes on until then."""
        try:
            if _ends_later(type(result)):
                from footfall._wrapping.later import until

                return until(self, result)
            if len(at_once) < _REMEMBERED and _is_hashed_by_identity(type(result)):
                at_once.add(type(result))
        except Exception as error:  # the measured path
            self.client.trouble(error)
        return result

    def _end(self, error: BaseException | None) -> None:
        """Ends what went on when the decorated function had returned."""
        self.later = False
        self.__exit__(None, error, None)


def _ends_later(kind: type) -> bool:
    ways = ("__await__", "__aiter__", "add_done_callback")
    return kind is GeneratorType or any(hasattr(kind, way) for way in ways)


def _is_hashed_by_identity(kind: type) -> bool:
    meta = type(kind)
    return meta.__hash__ is type.__hash__ and meta.__eq__ is type.__eq__


_REMEMBERED: Final = 32
"""Classes of results that are remembered of each decorated function."""

_current: ContextVar[Measured | None] = ContextVar("footfall_current", default=None)


def current() -> Feature:
    """The innermost use that is going on here: to add what only the inside of it knows.

    The instrumentations of web frameworks and bots measure a handler from outside; inside it, this is
    its use. Where nothing is measured, it is a use that does nothing.

    Example:
        >>> import footfall
        >>> @footfall.feature("discord.generator")
        ... def generate(provider: str) -> None:
        ...     footfall.current().set(provider=provider)
    """
    use = _current.get()
    return use if use is not None and use.going else _NOBODYS


class _Nobodys(Feature, eq=False):
    """A use that nobody began; it has no client."""

    def __call__(self, function: F, /) -> F:
        """Leaves the function as it is."""
        return function


_NOBODYS = _Nobodys(None, "", None, {})  # type: ignore[arg-type]
