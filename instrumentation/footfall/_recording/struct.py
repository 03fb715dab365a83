"""What a use of a feature is made of: msgspec's struct, which is made faster than an object of a class.

Where telemetry cannot be on, a plain class is enough. msgspec is not asked for there: an isolated
sub-interpreter (Python 3.12 and later) refuses it, and some releases abort at their end if it was only tried.
"""

from typing import TYPE_CHECKING, Any

from footfall import _threads

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


__all__ = ["Struct"]
