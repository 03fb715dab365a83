"""What OpenTelemetry's exporters log about our exports goes to `footfall`'s DEBUG, and to nobody else."""

import logging
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from opentelemetry.context import (
    _SUPPRESS_INSTRUMENTATION_KEY,
    attach,
    detach,
    set_value,
)

from footfall._log import log


class Quiet(logging.Filter):
    """Turns what OpenTelemetry's exporters log about our exports into `footfall`'s DEBUG.

    They log an error for every batch while a collector is away. What they log about exports of the
    host's own is not touched.
    """

    def __init__(self) -> None:
        super().__init__()
        self._thread = threading.local()

    @contextmanager
    def exporting(self) -> Iterator[None]:
        """What this thread logs inside the block is about our export, and no instrumentation traces it."""
        token = attach(set_value(_SUPPRESS_INSTRUMENTATION_KEY, True))
        self._thread.exporting = True
        try:
            yield
        finally:
            self._thread.exporting = False
            detach(token)

    def watch(self, exporter: object) -> None:
        """Filters an exporter's loggers, named for the modules of its classes, and those of its transport."""
        logging.getLogger("urllib3.connectionpool").addFilter(self)
        for cls in type(exporter).__mro__:
            if cls.__module__.startswith("opentelemetry.exporter"):
                logging.getLogger(cls.__module__).addFilter(self)

    def filter(self, record: logging.LogRecord) -> bool:
        """Lets a record pass unless it is about our export."""
        if not getattr(self._thread, "exporting", False):
            return True
        log.debug("%s", record.getMessage())
        return False


quiet = Quiet()


@contextmanager
def quietly(exporter: object) -> Iterator[None]:
    """What `exporter` logs inside the block goes to `footfall`'s DEBUG."""
    quiet.watch(exporter)
    with quiet.exporting():
        yield
