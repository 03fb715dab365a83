"""Logging set up as a collector does, and back: what is changed is the whole process's."""

import io
import json
import logging
import os
import warnings

import pytest

from footfall_collector.config.schema import LogsConfig
from footfall_collector.telemetry import logging as diagnostics


class Log:
    def __init__(self):
        self.stream = io.StringIO()

    @property
    def text(self):
        return self.stream.getvalue()

    @property
    def lines(self):
        return [json.loads(line) for line in self.text.splitlines()]


@pytest.fixture
def logged():
    """Sets the process's logging up as the collector does, and back."""
    root, footfall = logging.getLogger(), logging.getLogger("footfall")
    before = root.handlers[:], root.level, footfall.level, logging.raiseExceptions
    shown, verbosity = warnings.showwarning, os.environ.get("GRPC_VERBOSITY")
    written = Log()

    def logged(encoding="json", level="info"):
        diagnostics.configure(LogsConfig(encoding=encoding, level=level), written.stream)
        return written

    yield logged
    root.handlers[:] = before[0]
    root.setLevel(before[1])
    footfall.setLevel(before[2])
    logging.raiseExceptions, warnings.showwarning = before[3], shown
    if verbosity is None:
        os.environ.pop("GRPC_VERBOSITY", None)
