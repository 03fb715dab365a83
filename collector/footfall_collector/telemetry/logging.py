"""The collector's own log, and what is left behind when it fails: never anything that was sent.

Three rules make that hold, whatever a library or an exception has to say:

- Our own messages are written with their arguments; we know what they hold.
- A library's message is written as the literal text in its source code, without arguments. What a library
  has put together itself may quote anything, so only the place in the code is written.
- An exception is written as its type and the places it came through. Its message is written only when the
  class is one of ours.
"""

import asyncio
import ctypes
import errno
import faulthandler
import json
import logging
import os
import re
import resource
import sys
import threading
import time
import traceback
import warnings
from collections.abc import Iterator
from types import FrameType
from typing import IO, Any, TextIO

from footfall_collector.config.schema import LogsConfig
from footfall_collector.telemetry import trace_context

OURS = {
    "footfall",
    "footfall_collector",
    "footfall_exporters",
    "footfall_processors",
    "footfall_examples",
}
"""Our packages; our loggers are named after the first."""
TICK = 10.0
"""Seconds in which one place in the code may write so many lines; anybody can make a server complain."""
LINES_OF_OURS, LINES_OF_LIBRARIES = 200, 10
SELDOM = {"tick": 60.0, "most": 1}
"""For a line (`extra`) that says what the system lacks: anybody can use it up, and one a minute says it."""
EXHAUSTED = {
    errno.EMFILE: "this process has all the files open that it may have; raise `ulimit -n`",
    errno.ENFILE: "the system has too many files open; see fs.file-max",
    errno.ENOBUFS: "the system has no buffers left; see net.ipv4.tcp_mem",
    errno.ENOMEM: "the system has no memory left",
}
log = logging.getLogger("footfall.diagnostics")
PR_SET_DUMPABLE = 4
"""prctl(2)."""
MOST = 30
"""Of an exception's places, and of the exceptions that led to it."""
_SQLSTATE = re.compile("[0-9A-Z]{5}")
_COLOURS = {"WARNING": "\x1b[33m", "ERROR": "\x1b[31m", "CRITICAL": "\x1b[1;31m"}


def configure(config: LogsConfig, stream: IO[str] | None = None) -> None:
    """Directs every log record of the process, ours and the libraries', to one stream.

    Call it before grpc is imported: its core writes to standard error by itself, with senders' addresses.

    Args:
        config: The least severe level of ours; of libraries, warnings and what is worse are written.
        stream: Standard error unless given.
    """
    os.environ.setdefault("GRPC_VERBOSITY", "NONE")
    logging.raiseExceptions = False  # else what cannot be written is printed, arguments and all
    warnings.showwarning = _warn
    handler = logging.StreamHandler(stream)
    handler.addFilter(_withhold)
    handler.addFilter(_Sampling())
    colours = config.encoding == "console" and handler.stream.isatty()
    handler.setFormatter(_Json() if config.encoding == "json" else _Console(colours))
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(logging.WARNING)
    logging.getLogger("footfall").setLevel(config.level.upper())


def catch_all() -> None:
    """Makes what nobody caught, in any thread, a log record; a crash of the interpreter prints its stacks."""
    faulthandler.enable()  # places in the code only
    sys.excepthook = lambda _, error, __: _uncaught(error)
    sys.unraisablehook = lambda found: _uncaught(found.exc_value)
    threading.excepthook = lambda found: _uncaught(found.exc_value)


def on_loop_error(_: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
    """An event loop's exception handler (`set_exception_handler`): asyncio's own quotes calls' arguments."""
    error = context.get("exception")
    if isinstance(error, OSError) and error.errno in EXHAUSTED:
        name, advice = errno.errorcode[error.errno], EXHAUSTED[error.errno]
        log.error("no connection can be taken (%s): %s", name, advice, extra=SELDOM)
    else:
        _uncaught(error)


def no_core_dumps() -> None:
    """Keeps this process's memory, which holds raw requests for a moment, out of core dumps and debuggers.

    The limit alone would not do: Linux ignores it where a program takes the dumps (core(5)).
    """
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_DUMPABLE, 0, 0, 0, 0)


def _uncaught(error: BaseException | None) -> None:
    if not isinstance(error, KeyboardInterrupt | SystemExit):
        log.error("an error was not caught", exc_info=error)


def _warn(
    message: Warning | str,
    category: type[Warning],
    filename: str,
    lineno: int,
    file: TextIO | None = None,
    line: str | None = None,
) -> None:
    """Python's own shows the message, which may quote an object: a socket's shows its peer's address."""
    log.warning("%s at %s:%d", category.__name__, filename, lineno)


def _is_ours(name: str) -> bool:
    return name.partition(".")[0] in OURS


def _withhold(record: logging.LogRecord) -> bool:
    """Takes from a library's record all that its source code does not say literally; drops none."""
    if not _is_ours(record.name):
        if not _is_literal(record):
            record.msg = "(a message that may quote data is withheld)"
        record.args = None
    return True


def _is_literal(record: logging.LogRecord) -> bool:
    """Whether the code that is logging holds the message as a constant."""
    frame: FrameType | None = sys._getframe()
    while frame is not None:
        code = frame.f_code
        if (code.co_filename, code.co_name) == (record.pathname, record.funcName):
            return type(record.msg) is str and record.msg in code.co_consts
        frame = frame.f_back
    return False


class _Sampling(logging.Filter):
    """Drops a place's lines beyond so many a tick, and says how many with its first one later."""

    def __init__(self) -> None:
        super().__init__()
        self._ticks: dict[tuple[str, int], tuple[int, int]] = {}

    def filter(self, record: logging.LogRecord) -> bool:
        usual = LINES_OF_OURS if _is_ours(record.name) else LINES_OF_LIBRARIES
        most = getattr(record, "most", usual)
        place = record.pathname, record.lineno
        tick = int(record.created // getattr(record, "tick", TICK))
        before, count = self._ticks.get(place, (tick, 0))
        if before != tick:
            record.dropped = max(0, count - most)
            count = 0
        self._ticks[place] = tick, count + 1
        return count < most


def _message(record: logging.LogRecord) -> str:
    try:
        message = record.getMessage()
    except (TypeError, ValueError, KeyError):  # a mistake of ours, which must not hide the record
        message = str(record.msg)
    dropped = getattr(record, "dropped", 0)
    return f"{message} ({dropped} more were not written)" if dropped else message


def _errors(record: logging.LogRecord) -> Iterator[dict[str, Any]]:
    """A record's exception, those it groups and those that led to it; so many at most."""
    waiting = [record.exc_info[1] if record.exc_info else None]
    seen: set[int] = set()
    while waiting and len(seen) < MOST:
        error = waiting.pop(0)
        if error is None or id(error) in seen:
            continue
        seen.add(id(error))
        yield _describe(error)
        if isinstance(error, BaseExceptionGroup):
            waiting += error.exceptions
        waiting.append(
            error.__cause__ or (None if error.__suppress_context__ else error.__context__)
        )


def _describe(error: BaseException) -> dict[str, Any]:
    kind = type(error)
    found: dict[str, Any] = {"type": f"{kind.__module__}.{kind.__qualname__}"}
    if _is_ours(kind.__module__):
        found["message"] = str(error)
    if code := _code(error):
        found["code"] = code
    # Places only: a source line could be a literal with a secret, a frame's locals anything.
    walked = [*traceback.walk_tb(error.__traceback__)][-MOST:]
    found["where"] = [f"{f.f_code.co_filename}:{line} {f.f_code.co_name}" for f, line in walked]
    return found


def _code(error: BaseException) -> str | None:
    """What the system or Postgres calls the error: a name out of a list."""
    if isinstance(error, OSError) and error.errno is not None:
        return errno.errorcode.get(error.errno)
    state = getattr(error, "sqlstate", None)
    return state if isinstance(state, str) and _SQLSTATE.fullmatch(state) else None


class _Json(logging.Formatter):
    """One JSON object a line."""

    def format(self, record: logging.LogRecord) -> str:
        line: dict[str, Any] = {
            "time": _rfc3339(record.created),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": _message(record),
        }
        if context := trace_context.current.get():
            line |= {"trace_id": context.trace_id, "span_id": context.span_id}
        if not _is_ours(record.name):
            line["where"] = f"{record.pathname}:{record.lineno} {record.funcName}"
        if errors := list(_errors(record)):
            line["exceptions"] = errors
        return json.dumps(line)


class _Console(logging.Formatter):
    """A line of text; an exception's places follow, indented."""

    def __init__(self, colours: bool) -> None:
        super().__init__()
        self._colours = _COLOURS if colours else {}

    def format(self, record: logging.LogRecord) -> str:
        colour = self._colours.get(record.levelname)
        level = f"{colour}{record.levelname:8}\x1b[0m" if colour else f"{record.levelname:8}"
        parts = [_rfc3339(record.created), level, f"{record.name}:", _one_line(_message(record))]
        if not _is_ours(record.name):
            parts.append(f"({record.pathname}:{record.lineno})")
        if context := trace_context.current.get():
            parts.append(f"trace_id={context.trace_id}")
        lines = [" ".join(parts)]
        for error in _errors(record):
            said = error.get("message") or error.get("code") or "(message withheld)"
            lines.append(f"  {error['type']}: {_one_line(said)}")
            lines += (f"    {place}" for place in error["where"])
        return "\n".join(lines)


def _one_line(text: str) -> str:
    """A message that cannot pass for a line of its own, nor control a terminal."""
    return "".join(c if c.isprintable() else repr(c)[1:-1] for c in text)


def _rfc3339(seconds: float) -> str:
    """UTC with milliseconds (RFC 3339, section 5.6)."""
    return f"{time.strftime('%Y-%m-%dT%H:%M:%S', time.gmtime(seconds))}.{int(seconds * 1000) % 1000:03}Z"
