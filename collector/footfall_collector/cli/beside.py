"""`footfall up --live`: what comes in, shown beside the collector that runs in this process.

A thread of its own looks at the store, as `footfall tail` does; the receivers do nothing for it.
"""

import logging
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console

from footfall_collector.cli.live import Lines, Screen
from footfall_collector.cli.watching import Watch, follow

_LAST_S = 5.0
"""Seconds that a look may take which was begun when the collector was told to stop."""


class Beside:
    """Shows a store in a terminal, where there is one, with the log above it.

    Args:
        err: Whether on standard error, because standard output belongs to an exporter.
    """

    def __init__(self, *, err: bool) -> None:
        self._err, self._console = err, Console(stderr=err)
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None

    def begin(self, dsn: str) -> None:
        """Shows this store from now on."""
        self._thread = threading.Thread(target=self._run, args=[dsn], name="live", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Stops looking, before the store does; waits for nothing."""
        self._stop.set()

    def __enter__(self) -> None:
        """Shows nothing yet."""

    def __exit__(self, *_: object) -> None:
        """Waits until the terminal is as it was."""
        self.stop()
        if self._thread is not None:
            self._thread.join(_LAST_S)
            if self._thread.is_alive():
                self._console.show_cursor()

    def _run(self, dsn: str) -> None:
        if self._console.is_terminal and not (self._err and sys.stdout.isatty()):
            with Screen(self._console).open() as screen, _log_above(screen):
                follow(Watch(dsn), screen, self._stop)
        else:
            follow(Watch(dsn), Lines(err=self._err), self._stop)


class _Above:
    """A stream whose lines appear above what stands still in a terminal."""

    def __init__(self, screen: Screen) -> None:
        self._screen = screen

    def write(self, text: str) -> None:
        self._screen.say(text)

    def flush(self) -> None:
        """They are printed within a second."""


@contextmanager
def _log_above(screen: Screen) -> Iterator[None]:
    """The log's lines, where it goes to a terminal: they would tear the table apart."""
    handlers = [
        handler
        for handler in logging.getLogger().handlers
        if isinstance(handler, logging.StreamHandler) and handler.stream.isatty()
    ]
    before = [handler.setStream(_Above(screen)) for handler in handlers]
    try:
        yield
    finally:
        for handler, stream in zip(handlers, before, strict=True):
            handler.setStream(stream)
