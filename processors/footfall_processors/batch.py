"""What the pipeline hands to an exporter: one request's observations, counts and losses.

Everything in here has passed the policy; nothing raw is left. Rows are kept as columns, from the wire
to the COPY, which is the cheapest thing to build and to encode in Python.
"""

import hashlib
import uuid
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from footfall_processors.losses import REJECTED, Loss
from footfall_processors.values import Value

HOUR_US = 3_600_000_000
DAY_US = 24 * HOUR_US


@dataclass(frozen=True, slots=True, eq=False)
class Dimension:
    """A combination of the low-cardinality fields, stored once.

    The policy makes each combination once, so dimensions are compared by identity.

    Attributes:
        enums: The catalog's enum attributes as sorted (name, value) pairs.
        relayed_from: The markers of the stores and gateways that it came through, joined by commas, the
            first one first; None from its sender.
        telemetry_distro: `footfall` when its sender is Footfall's SDK, which keeps a tally; None for others.
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
    relayed_from: str | None = None
    telemetry_distro: str | None = None


@dataclass(frozen=True, slots=True, eq=False)
class Shape:
    """What all rows made by one plan share.

    Attributes:
        dimension: Their dimension.
        sample_rate: The share of observations that the sender kept, (0, 1].
        columns: Catalog attributes of the event that are values, in the order of a row's values.
        quantity: How many occurrences each row stands for.
    """

    dimension: Dimension
    sample_rate: float
    columns: tuple[str, ...]
    quantity: int = 1


@dataclass(frozen=True, slots=True)
class Rows:
    """Observations with the same attributes, as columns of equal length.

    Attributes:
        times: µs since the Unix epoch.
        durations: Milliseconds, or None for an instant.
        shapes: The row's constant part; all have the same `columns`.
        values: A column for each of `columns`; None where a value is missing.
        spans: 16 bytes that stand for each row's span, where spans are told apart one by one; else empty.
    """

    times: Sequence[int]
    durations: Sequence[int | None]
    shapes: Sequence[Shape]
    values: Sequence[Sequence[Value | None]]
    spans: Sequence[bytes] = ()

    def take(self, positions: Sequence[int]) -> "Rows":
        """The rows at these positions."""
        return Rows(
            times=[self.times[at] for at in positions],
            durations=[self.durations[at] for at in positions],
            shapes=[self.shapes[at] for at in positions],
            values=[[column[at] for at in positions] for column in self.values],
            spans=[self.spans[at] for at in positions] if self.spans else (),
        )


@dataclass(frozen=True, slots=True)
class Point:
    """One exported state of a cumulative counter (OTLP metrics data model, "Sums").

    Attributes:
        stream: 16 bytes that stand for the resource: one sender.
        series: 16 bytes that stand for all that tells it apart from the sender's others: scope, metric,
            attributes. With the start it is one run.
        dimension: What is counted.
        start_us: Start of the cumulation, µs since the Unix epoch; unknown when it is 0, or `time_us`.
        time_us: When it was read, µs since the Unix epoch. May be before the start: clocks are set back.
        value: Occurrences since the start.
    """

    stream: bytes
    series: bytes
    dimension: Dimension
    start_us: int
    time_us: int
    value: int


@dataclass(frozen=True, slots=True)
class Delta:
    """What a sender counted of a dimension in a time of its own (OTLP metrics data model, "Temporality").

    Attributes:
        stream: 16 bytes that stand for the sender's instance.
        dimension: What is counted.
        start_us: Start of that time, µs since the Unix epoch; 0 when the sender did not say.
        time_us: Its end.
        hours: Occurrences by hour (µs since the Unix epoch).
    """

    stream: bytes
    dimension: Dimension
    start_us: int
    time_us: int
    hours: Counter[int]


Counts = Mapping[tuple[int, Dimension], int]
"""(hour as µs since the Unix epoch, dimension) → occurrences."""


@dataclass(frozen=True, slots=True)
class Batch:
    """One request, decoded and cleaned.

    Attributes:
        digest: 16 bytes that are equal for equal requests; the ledger's key.
        signal: `traces`, `metrics` or `logs`.
        rows: The observations; a row's ordinal is its position in all of them.
        counts: Occurrences by hour and dimension, rows included.
        points: Cumulative counters, whose increments the store works out.
        losses: What was dropped, by reason.
        layout: Attribute → column, under the catalog by which it was decoded; the catalog in force may have
            changed since, and hash what it kept. Empty for whichever is in force.
        window: In which time (µs since the Unix epoch, start and end) the counts beyond the rows were stored.
            Those of later batches begin where it ends or later, whenever the occurrences were.
        deltas: What of `counts` came as deltas, as it came: for who passes it on without storing it.
        origin: The marker of the store or gateway that passes it on; empty while it does not.
        bounds: Between which times (µs since the Unix epoch, inclusive) the rows are, when that is known.
        identified: Whether equal bytes can only be a retry: its parts have ids that nobody else draws, or say
            what a sender has counted in all.
        content: 16 bytes that are equal for equal content, where its sender named the request: nothing else
            is taken under that name. Empty where the digest is of the content.
        misnamed: Whether it speaks for a service that its sender's key is not for; it is refused then.
    """

    digest: bytes
    signal: str
    rows: Sequence[Rows] = ()
    counts: Counts = field(default_factory=dict)
    points: Sequence[Point] = ()
    losses: Mapping[Loss, int] = field(default_factory=dict)
    layout: Mapping[str, str] = field(default_factory=dict)
    window: tuple[int, int] | None = None
    deltas: Sequence[Delta] = ()
    origin: str = ""
    bounds: tuple[int, int] | None = field(default=None, compare=False)
    identified: bool = True
    content: bytes = b""
    misnamed: bool = field(default=False, compare=False)

    @property
    def size(self) -> int:
        """How many rows it has."""
        return sum(len(rows.times) for rows in self.rows)

    def event_id(self, ordinal: int) -> uuid.UUID:
        """What names a row wherever it is sent: derived from the batch and the row's position in it."""
        named = hashlib.sha256(b"footfall event\0" + self.digest + ordinal.to_bytes(8, "big"))
        return uuid.UUID(bytes=named.digest()[:16])

    def beyond_rows(self, *, one_each: bool = False) -> Counts:
        """The counts without the rows: occurrences that were not observed one by one.

        Args:
            one_each: Whether a row is passed on as one occurrence, whatever it stands for.
        """
        counts = Counter(self.counts)
        for rows in self.rows:
            for time, shape in zip(rows.times, rows.shapes, strict=True):
                number = 1 if one_each else shape.quantity
                counts[time // HOUR_US * HOUR_US, shape.dimension] -= number
        return +counts

    @property
    def rejected(self) -> int:
        """How many declared observations were refused: the number in `partial_success`."""
        return sum(count for reason, count in self.losses.items() if reason in REJECTED)
