"""How Footfall survives a fault of its own: it is reported, and the host goes on.

One way for all (docs/design.md, "The promises"): `with guarded(report)`. A report names the class of an
error, and never repeats its message, which may be personal. What is meant to end a program or a task passes:
what is no `Exception` (KeyboardInterrupt, SystemExit, CancelledError, GreenletExit), and what a handler of a
signal raises that has interrupted our code (the time limits of RQ and Celery, an order to end).

The measured path catches by itself, as a block costs more there than an `except`, and reports the same;
`tests/instrumentation/test_guard.py` has the names of its functions.
"""

import signal
from collections.abc import Callable
from functools import partial, wraps
from types import CodeType, TracebackType
from typing import Any, Concatenate, NoReturn, ParamSpec, TypeVar

from footfall._log import Warnings, log
from footfall._settings import ConfigurationError

S = TypeVar("S")
P = ParamSpec("P")
Report = Callable[[Exception], object]


class guarded:  # as `contextlib.suppress`
    """A block whose faults are reported and go no further; what follows it is done after one as well.

    Args:
        report: Is told of a fault. What it raises leaves the block (`Client(strict=True)`).

    Example:
        >>> def first(items):
        ...     with guarded(at_debug("first()")):
        ...         return items[0]
        ...     return None  # there was none
    """

    __slots__ = ("_report",)

    def __init__(self, report: Report) -> None:
        self._report = report

    def __enter__(self) -> None:
        return None

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> bool:
        if not isinstance(error, Exception) or is_of_a_signal(error):
            return False
        self._report(error)
        return True


def at_debug(where: str) -> Report:
    """A report to the logger's DEBUG, of what is counted or told in another way already.

    Args:
        where: What had the fault, in words.
    """

    def report(error: Exception) -> None:
        log.debug("%s in %s", type(error).__name__, where)

    return report


class StaysOff(Exception):  # no fault
    """Telemetry stays off in the child of a fork: its user has said no meanwhile, or it cannot start."""


class Faults:
    """What one client reports, to the logger `footfall`.

    Args:
        strict: Whether faults are raised as well; for tests of Footfall.

    Attributes:
        warnings: Where warnings go.
    """

    def __init__(self, *, strict: bool) -> None:
        self._strict = strict
        self.warnings = Warnings()

    def renew(self) -> None:
        """Forgets what was told; after a fork, its lock may be held for ever."""
        self.warnings = Warnings()

    def trouble(self, error: Exception) -> None:
        """Reports a fault in a call; what is no fault of ours passes."""
        let_pass(error)
        if isinstance(error, StaysOff):
            return
        if self._strict:
            _raise(error)
        self.warnings.warn(
            "internal", "footfall: %s in a call, which was ignored", type(error).__name__
        )

    def refuse(self, error: Exception) -> None:
        """Reports why telemetry stays off."""
        if isinstance(error, ConfigurationError):
            lines = "".join(f"\n  {mistake}" for mistake in error.mistakes)
            log.warning("footfall is off, nothing is sent; to turn it on, correct:%s", lines)
            return
        log.warning("footfall is off, nothing is sent: %s in configure()", type(error).__name__)
        if self._strict:
            _raise(error)

    def forgotten(self) -> None:
        """Reports, in development, that telemetry is off because nobody has turned it on."""
        message = (
            "footfall is off, nothing is sent: TELEMETRY_ENABLED is not set; `true` turns it on, `false`"
            " ends this reminder"
        )
        self.warnings.warn("forgotten", message)


def is_of_a_signal(error: BaseException) -> bool:
    """Whether the handler of a signal has raised it, between two instructions of whatever runs."""
    trace = error.__traceback__
    if trace is None or trace.tb_next is None:  # raised where it was caught: nobody need be asked
        return False
    codes = {_code_of(signal.getsignal(number)) for number in signal.valid_signals()} - {None}
    while trace is not None and trace.tb_frame.f_code not in codes:
        trace = trace.tb_next
    return trace is not None


def let_pass(error: Exception) -> None:
    """Raises it again if it is of a signal handler's."""
    if is_of_a_signal(error):
        _raise(error)


def _code_of(handler: Any) -> CodeType | None:
    while isinstance(handler, partial):
        handler = handler.func
    if not callable(handler) or isinstance(handler, type):
        return None
    for called in (getattr(handler, "__func__", handler), type(handler).__call__):
        if isinstance(code := getattr(called, "__code__", None), CodeType):
            return code
    return None


def _raise(error: Exception) -> NoReturn:
    try:
        raise error
    finally:
        del error


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
