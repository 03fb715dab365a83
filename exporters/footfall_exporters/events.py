"""A batch as plain events, for backends that take events one by one in JSON.

An *observation* is a row. A *count* says how often something happened beyond the rows, in one hour: it has
`hour` and a `quantity`. Summing `quantity` over both gives exact counts.
"""

import datetime as dt
import uuid
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import msgspec

from footfall_processors import Batch, Catalog, Dimension, Rows, Value, column_name

Field = str | int | float | bool
OWN = "footfall."
"""How the names of Footfall's own events begin; its bookkeeping is nobody else's business."""
EPOCH = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)


class Counted(msgspec.Struct):
    """Of an encoded event, or of what it has it in: how many occurrences it stands for."""

    quantity: int


class _WithProperties(msgspec.Struct):
    properties: Counted


class _Posted(msgspec.Struct):
    batch: list[_WithProperties]


encode = msgspec.json.Encoder(order="deterministic").encode
"""Compact JSON: the same bytes for the same value, in every process."""


@dataclass(frozen=True, slots=True)
class Event:
    """One observation, or one count.

    Attributes:
        id: A UUID; equal whenever the batch is turned into events.
        name: The event's name in the catalog.
        time_us: µs since the Unix epoch; of a count, when its hour began.
        fields: Surface, feature, action, status, error type, service and its version, environment and
            duration (ms), as far as there are any; `quantity`; of a count, `hour` as well.
        attributes: What the catalog declares, by column name; a pseudonym and a uuid as uuid text.
    """

    id: str
    name: str
    time_us: int
    fields: dict[str, Field]
    attributes: dict[str, Field]

    @property
    def time(self) -> str:
        """RFC 3339, UTC, with all its microseconds."""
        return timestamp(self.time_us)

    def as_dict(self) -> dict[str, object]:
        """As the JSON log and the webhook write it."""
        named: dict[str, object] = {"event_id": self.id, "event": self.name, "time": self.time}
        return named | self.fields | {"attributes": self.attributes}


class Events:
    """Turns batches into events.

    Args:
        catalog: What is no longer declared in it stays out.
        pseudonyms: Whether hashed attributes are among the attributes.
    """

    def __init__(self, catalog: Catalog, pseudonyms: bool) -> None:
        self._names = {
            name: column_name(name, attribute)
            for name, attribute in catalog.attributes.items()
            if pseudonyms or attribute.hash is None
        }
        self._declared = {name: event.attributes for name, event in catalog.events.items()}

    def attributes(self, event: str) -> list[str]:
        """The names of the attributes that an event may have here, sorted."""
        return sorted(self._names[n] for n in self._declared.get(event, ()) if n in self._names)

    def of(self, batch: Batch) -> Iterator[Event]:
        """Everything there is to send of a batch, in an order that is always the same."""
        yield from self.observations(batch)
        yield from self.counts(batch)

    def observations(self, batch: Batch) -> Iterator[Event]:
        """The rows, in order."""
        first = 0
        for rows in batch.rows:
            yield from self._rows(batch, rows, first)
            first += len(rows.times)

    def counts(self, batch: Batch) -> Iterator[Event]:
        """The occurrences beyond the rows, sorted; their ids go on where those of the rows end."""
        found = [
            (hour, _key(dimension), number, dimension)
            for (hour, dimension), number in batch.beyond_rows().items()
            if not dimension.event.startswith(OWN)
        ]
        found.sort(key=lambda count: count[:3])
        for ordinal, (hour, _, number, dimension) in enumerate(found, start=batch.size):
            yield Event(
                id=str(batch.event_id(ordinal)),
                name=dimension.event,
                time_us=hour,
                fields=_fields(dimension) | {"hour": timestamp(hour), "quantity": number},
                attributes=self._enums(dimension),
            )

    def _rows(self, batch: Batch, rows: Rows, first: int) -> Iterator[Event]:
        columns = [
            (self._names[name], column)
            for shape in rows.shapes[:1]  # all have the same
            for name, column in zip(shape.columns, rows.values, strict=True)
            if name in self._names
        ]
        for at, (time, duration, shape) in enumerate(
            zip(rows.times, rows.durations, rows.shapes, strict=True)
        ):
            dimension = shape.dimension
            if dimension.event.startswith(OWN):
                continue
            took = {} if duration is None else {"duration_ms": duration}
            values = ((name, column[at]) for name, column in columns)
            plain = {name: _plain(value) for name, value in values if value is not None}
            yield Event(
                id=str(batch.event_id(first + at)),
                name=dimension.event,
                time_us=time,
                fields=_fields(dimension) | took | {"quantity": shape.quantity},
                attributes=self._enums(dimension) | plain,
            )

    def _enums(self, dimension: Dimension) -> dict[str, Field]:
        return {name: value for name, value in dimension.enums if name in self._names}


def occurrences(request: bytes) -> int:
    """How many occurrences a request tells of that has a `batch` of events with `properties`."""
    found = msgspec.json.decode(request, type=_Posted)
    return sum(event.properties.quantity for event in found.batch)


def split(
    items: Iterable[bytes], most: int, size: int, largest: int | None = None
) -> Iterator[list[msgspec.Raw]]:
    """Encoded items in parts for one request each, in order.

    Args:
        items: JSON values.
        most: Items of a part.
        size: Bytes of a part, commas included.
        largest: An item of more bytes, which the backend may refuse, is a part by itself; `size` without.
    """
    largest = size if largest is None else largest
    part: list[msgspec.Raw] = []
    used = 0
    alone = False
    for item in items:
        too_large = len(item) > largest
        if part and (alone or too_large or len(part) == most or used + len(item) + 1 > size):
            yield part
            part, used = [], 0
        part.append(msgspec.Raw(item))
        used += len(item) + 1
        alone = too_large
    if part:
        yield part


def timestamp(time_us: int) -> str:
    """µs since the Unix epoch as RFC 3339, UTC."""
    return (EPOCH + dt.timedelta(microseconds=time_us)).isoformat().replace("+00:00", "Z")


def _key(d: Dimension) -> tuple[object, ...]:
    optional = (d.error_type or "", d.service or "", d.service_version or "", d.environment or "")
    return (d.event, d.surface, d.feature, d.action, d.status, *optional, d.enums)


def _fields(d: Dimension) -> dict[str, Field]:
    named = {
        "surface": d.surface,
        "feature": d.feature,
        "action": d.action,
        "status": d.status,
        "error_type": d.error_type,
        "service": d.service,
        "service_version": d.service_version,
        "environment": d.environment,
    }
    return {name: value for name, value in named.items() if value}


def _plain(value: Value) -> Field:
    return str(uuid.UUID(bytes=value)) if isinstance(value, bytes) else value
