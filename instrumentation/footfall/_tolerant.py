"""A call that refuses arguments it does not have as it refuses others: by a warning."""

from collections.abc import Callable
from functools import wraps
from typing import Any, Concatenate, ParamSpec, TypeVar

S = TypeVar("S")
P = ParamSpec("P")


def tolerant(
    refuse: Callable[[S, str], None],
) -> Callable[[Callable[Concatenate[S, P], None]], Callable[Concatenate[S, P], None]]:
    """Hands what Python says about a call that does not fit its signature to `refuse(self, text)`."""

    def decorate(
        method: Callable[Concatenate[S, P], None],
    ) -> Callable[Concatenate[S, P], None]:
        @wraps(method)
        def call(self: S, /, *args: Any, **options: Any) -> None:
            try:
                method(self, *args, **options)
            except TypeError as error:
                if error.__traceback__ is None or error.__traceback__.tb_next is not None:
                    raise  # it is from inside
                refuse(self, str(error))

        return call

    return decorate
