"""What the pipeline hands to an exporter: one request's observations, counts and losses.

Everything in here has passed the policy; nothing raw is left. Rows are kept as columns (one list per
field, all of the same length), which is the cheapest thing to build and to encode in Python.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from footfall_processors.losses import REJECTED, Loss
from footfall_processors.values import Value


@dataclass(frozen=True, slots=True, eq=False)
class Dimension:
    """A combination of the low-cardinality fields, stored once (DESIGN, `feature_dims`).

    The policy makes each combination once, so dimensions are compared by identity.

    Attributes:
        enums: The catalog's enum attributes as sorted (name, value) pairs.
    """

    event: str
    surface: str
    feature: str
    action: str
    status: str
    error_type: str | None
    service: str | None
    service_version: str | None
    environment: str | None
    enums: tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True, eq=False)
class Shape:
    """What all rows made by one plan share.

    Attributes:
        dimension: Their dimension.
        sample_rate: The share of observations that the sender kept, (0, 1].
        columns: Catalog attributes of the event that are values, in the order of a row's values.
    """

    dimension: Dimension
    sample_rate: float
    columns: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Point:
    """One exported state of a cumulative counter (OTLP metrics data model, "Sums").

    Attributes:
        stream: 16 bytes that stand for the sender's instance and the counter's start time.
        series: 16 bytes that stand for the stream and the counted dimension.
        dimension: What is counted.
        start_us: Start of the cumulation, µs since the Unix epoch.
        time_us: When it was read, µs since the Unix epoch.
        value: Occurrences since the start.
    """

    stream: bytes
    series: bytes
    dimension: Dimension
    start_us: int
    time_us: int
    value: int


Counts = Mapping[tuple[int, Dimension], int]
"""(hour as µs since the Unix epoch, dimension) → occurrences."""


@dataclass(frozen=True, slots=True)
class Batch:
    """One request, decoded and cleaned.

    Attributes:
        digest: 16 bytes that are equal for equal requests; the ledger's key.
        signal: `traces` or `metrics`.
        times: µs since the Unix epoch, one per row.
        durations: Milliseconds, or None for an instant.
        shapes: The row's constant part.
        values: The row's values in the order of `shape.columns`; None where missing.
        counts: Occurrences by hour and dimension, rows included.
        points: Cumulative counters, whose increments the store works out.
        losses: What was dropped, by reason.
    """

    digest: bytes
    signal: str
    times: Sequence[int] = ()
    durations: Sequence[int | None] = ()
    shapes: Sequence[Shape] = ()
    values: Sequence[tuple[Value | None, ...]] = ()
    counts: Counts = field(default_factory=dict)
    points: Sequence[Point] = ()
    losses: Mapping[Loss, int] = field(default_factory=dict)

    @property
    def rejected(self) -> int:
        """How many declared observations were refused: the number in `partial_success`."""
        return sum(count for reason, count in self.losses.items() if reason in REJECTED)
