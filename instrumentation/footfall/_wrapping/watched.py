"""Objects that are awaited or iterated in their own way, watched until that ends.

Python looks for `__await__` and its like in the class alone, and whoever made the object may look for any
attribute of it. So the object stays, and is given a class derived from its own until its use has ended. It
says of itself that it is of its own class, so that copies, pickles and what it makes of `self.__class__` are.
"""

from abc import ABCMeta
from collections.abc import Callable, Generator
from typing import TYPE_CHECKING, Any, Final, Generic

from footfall._guard import guarded

if TYPE_CHECKING:
    from footfall._feature import Measured

Until = Callable[["Measured", Any], Any]

_MARK: Final = "_watched_by_footfall"
_set_class: Final = vars(object)["__class__"].__set__


class _Watch:
    """The use of one object.

    Args:
        use: It ends with the object.
        base: The object's class.
        until: What is done with an iterator of the object's.

    Attributes:
        cls: The class that the object has meanwhile.
    """

    def __init__(self, use: "Measured", base: Any, until: Until) -> None:
        self._use = use
        self._base = base
        self.until = until
        about: dict[str, Any] = {
            name: getattr(base, name) for name in ("__module__", "__qualname__")
        }
        about |= {"__slots__": (), _MARK: True, "__class__": property(lambda _: base)}
        ways = {name: way(self, getattr(base, name)) for name, way in _WAYS if hasattr(base, name)}
        about["__del__"] = _gone(self, getattr(base, "__del__", None))
        self.cls: Any = type(base)(base.__name__, (base,), {**about, **ways})

    def resume(self) -> None:
        if self._use.later:  # an object that the first has made of its class may outlast the use
            self._use._resume()

    def pause(self) -> None:
        self._use._pause()

    def end(self, watched: Any, error: BaseException | None) -> None:
        self._use._end(error)
        self.release(watched)

    def release(self, watched: Any) -> None:
        if type(watched) is self.cls:
            _set_class(watched, self._base)

    def reduce(self, watched: Any, protocol: int) -> Any:
        """What `copy` and `pickle` ask for: of the object's own class."""
        _set_class(watched, self._base)
        try:
            return watched.__reduce_ex__(protocol)
        finally:
            _set_class(watched, self.cls)

    def hand_over(self, watched: Any, iterator: Any) -> Any:
        """The iterator, which the use now ends with; the object may be iterated again, unmeasured."""
        self.release(watched)
        self._use.later, made = False, iterator
        with guarded(self._use.client.trouble):
            made = self.until(self._use, iterator)
        if not self._use.later:
            self._use._end(None)
        return made


def watch(use: "Measured", result: Any, until: Until) -> bool:
    """Makes `use` end with `result`; False where that is not possible.

    Args:
        use: The use, which goes on.
        result: What is to be awaited or iterated.
        until: What is done with an iterator of it.
    """
    base = type(result)
    if _MARK in vars(base) or not _takes_subclasses(base):  # watched already: the host has but one
        return False
    try:
        object.__setattr__(result, "__class__", _Watch(use, base, until).cls)
    except (TypeError, AttributeError):  # an extension's class, or one that says it is another
        return False
    return True


def _takes_subclasses(base: Any) -> bool:
    """Whether nobody learns of a class derived from it: a metaclass or a hook may do anything with it."""
    hook = getattr(base.__init_subclass__, "__func__", None)
    known = (None, getattr(Generic.__init_subclass__, "__func__", None))
    return type(base) in (type, ABCMeta) and hook in known


def _await(watch: _Watch, original: Any) -> Any:
    def __await__(self: Any) -> Generator[Any, Any, Any]:
        watch.resume()
        try:
            value = yield from original(self)
        except BaseException as error:
            watch.end(self, error)
            raise
        watch.end(self, None)
        return value

    return __await__


def _aiter(watch: _Watch, original: Any) -> Any:
    def __aiter__(self: Any) -> Any:
        iterator = original(self)
        return iterator if iterator is self else watch.hand_over(self, iterator)

    return __aiter__


def _anext(watch: _Watch, original: Any) -> Any:
    async def __anext__(self: Any) -> Any:
        watch.resume()
        try:
            return await original(self)
        except StopAsyncIteration:
            watch.end(self, None)
            raise
        except BaseException as error:
            watch.end(self, error)
            raise
        finally:
            watch.pause()

    return __anext__


def _aenter(watch: _Watch, original: Any) -> Any:
    async def __aenter__(self: Any) -> Any:
        try:
            return await original(self)
        except BaseException as error:
            watch.end(self, error)
            raise

    return __aenter__


def _aexit(watch: _Watch, original: Any) -> Any:
    async def __aexit__(self: Any, kind: Any, error: BaseException | None, trace: Any) -> Any:
        try:
            handled = await original(self, kind, error, trace)
        except BaseException as another:
            watch.end(self, another)
            raise
        watch.end(self, error)
        return handled

    return __aexit__


def _step(watch: _Watch, original: Any) -> Any:
    """`send` and `throw` of a coroutine that is written by hand: tasks run it by these."""

    def step(self: Any, *args: Any) -> Any:
        watch.resume()
        try:
            return original(self, *args)
        except StopIteration:
            watch.end(self, None)
            raise
        except BaseException as error:
            watch.end(self, error)
            raise

    return step


def _reduce(watch: _Watch, original: Any) -> Any:
    def __reduce_ex__(self: Any, protocol: int) -> Any:
        return watch.reduce(self, protocol)

    return __reduce_ex__


def _gone(watch: _Watch, original: Any) -> Any:
    def __del__(self: Any) -> None:
        watch.end(self, None)
        if original is not None:
            original(self)

    return __del__


_WAYS: Final = (
    ("__await__", _await),
    ("__aiter__", _aiter),
    ("__anext__", _anext),
    ("__aenter__", _aenter),
    ("__aexit__", _aexit),
    ("send", _step),
    ("throw", _step),
    ("__reduce_ex__", _reduce),
)
