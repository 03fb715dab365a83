"""Spans: what all of ours have in common, and what those of other instrumentations say."""

import datetime as dt
import time
from collections.abc import Mapping
from typing import Any, Final, NamedTuple

from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.util.instrumentation import InstrumentationScope
from opentelemetry.trace import Status, StatusCode, TraceFlags

from footfall_processors import names
from footfall_processors.atoms import Service
from footfall_processors.batch import Dimension
from footfall_processors.policy import Policy

SCOPE: Final = InstrumentationScope("footfall")
SAMPLED: Final = TraceFlags(TraceFlags.SAMPLED)
OK: Final = Status(StatusCode.UNSET)
ERROR: Final = Status(StatusCode.ERROR)

_FIXED: Final = frozenset(
    (names.SURFACE, names.FEATURE, names.ACTION, names.STATUS, names.ERROR_TYPE, names.SAMPLE_RATE,
     names.HTTP_STATUS, names.HTTP_STATUS_OLD)
)  # fmt: skip
_FAILED: Final = {StatusCode.OK: False, StatusCode.ERROR: True}


class KeptSpan(ReadableSpan):
    """A span whose export is retried until the collector takes it."""


class Foreign(NamedTuple):
    """A span of another instrumentation.

    Attributes:
        dimension: What it counts as.
        attributes: Those that it has besides, unchecked.
        start: When it began, ns since the Unix epoch.
        end: When it ended.
    """

    dimension: Dimension
    attributes: Mapping[str, Any]
    start: int
    end: int


def read(span: ReadableSpan, policy: Policy) -> Foreign | None:
    """What a span of another instrumentation says; None for what no catalog declares.

    The collector's own policy says what it is; expiry is left to the collector itself.
    """
    given = dict(span.attributes or {})
    atoms = [policy.classify(key, value) for key, value in given.items()]
    failed = _FAILED.get(span.status.status_code)
    shape = policy.judge(Service(), span.name, failed, atoms, dt.date.min).shape
    if shape is None:
        return None
    end = span.end_time or time.time_ns()
    start = min(span.start_time or end, end)  # a clock that was set meanwhile is right now
    event = shape.dimension.event
    named = {policy.named(event, key): v for key, v in given.items() if key not in _FIXED}
    ours = {key: value for key, value in given.items() if key in named}  # wins over another key's
    return Foreign(shape.dimension, named | ours, start, end)
