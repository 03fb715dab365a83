"""What a use of a feature is made of: msgspec's struct, which is made faster than an object of a class.

msgspec cannot be imported in an isolated sub-interpreter (Python 3.12 and later). Telemetry stays off there,
and a plain class is enough.
"""

import sys
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from msgspec import Struct
else:
    try:
        from msgspec import Struct
    except ImportError:
        sys.modules["msgspec._core"] = None  # the next attempt would fail otherwise (3.12)

        class Struct:
            """Fields by position, and msgspec's options, which mean nothing here."""

            _fields: tuple[str, ...] = ()

            def __init_subclass__(cls, **options: Any) -> None:
                cls._fields = tuple(dict.fromkeys((*cls._fields, *cls.__annotations__)))

            def __init__(self, *values: Any) -> None:
                vars(self).update(zip(self._fields, values, strict=False))


__all__ = ["Struct"]
