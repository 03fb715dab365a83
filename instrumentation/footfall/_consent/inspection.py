"""What is kept on this machine for one product, taken apart: the decision, and `local` mode's requests."""

import datetime as dt
import json
import sqlite3
from base64 import b64decode
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, Final

from google.protobuf.json_format import MessageToDict
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import (
    ExportMetricsServiceRequest,
)
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from footfall._consent import state
from footfall._consent.consent import Consent
from footfall._consent.store import Dropped, Request, read
from footfall_processors.loading import load_catalog

_MESSAGES: Final[dict[str, Any]] = {
    "traces": ExportTraceServiceRequest,
    "metrics": ExportMetricsServiceRequest,
}
_IDS: Final = ("traceId", "spanId", "parentSpanId")


class InspectError(Exception):
    """There is nothing that can be shown; the message says why and what to do."""


class Inspection:
    """Everything about one product.

    Args:
        product: Its name; None for the only one there is.
        catalog: Its `events.yaml`, with which a decision is compared.
        folder: Where the program keeps everything, if it chose a folder itself.

    Attributes:
        product: The product's name.
        consent: `mode`, `decided` and `since`; with a catalog `outdated` and `changes` as well.
        requests: What is kept, oldest first.
        dropped: What later requests pushed out.

    Raises:
        InspectError: nothing is known of the product, or its file cannot be read.
        DocumentError: the catalog has mistakes.
    """

    def __init__(
        self, product: str | None = None, catalog: str | None = None, folder: Path | None = None
    ) -> None:
        loaded = load_catalog(catalog) if catalog else None
        self.product = product or (loaded.products[0] if loaded else _only_product(folder))
        self.consent = _decision(self.product, folder)
        if loaded:
            consent = Consent(self.product, loaded, folder)
            self.consent["outdated"] = consent.state().outdated
            self.consent["changes"] = consent.changes()
        self.requests: list[Request] = []
        self.dropped: list[Dropped] = []
        kept = state.store_path(self.product, folder)
        try:
            if kept is not None and kept.exists():
                self.requests, self.dropped = read(kept)
        except (sqlite3.Error, OSError) as error:
            raise InspectError(f"{kept} cannot be read: {error}") from None

    def observations(self) -> list[dict[str, Any]]:
        """What was observed: time (UTC), event, duration in milliseconds, attributes."""
        return [
            {
                "time": _moment(span.end_time_unix_nano / 1e9),
                "event": span.name,
                "ms": (span.end_time_unix_nano - span.start_time_unix_nano) // 1_000_000,
                "attributes": _values(span.attributes),
            }
            for part in self._parts("traces", "resource_spans")
            for scope in part.scope_spans
            for span in scope.spans
        ]

    def counts(self) -> list[dict[str, Any]]:
        """What was counted, added up over the processes: event, number, attributes."""
        total: Counter[tuple[str, str]] = Counter()
        for part in self._parts("metrics", "resource_metrics"):
            for metric in (metric for scope in part.scope_metrics for metric in scope.metrics):
                for point in metric.sum.data_points:
                    total[metric.name, json.dumps(_values(point.attributes))] += point.as_int
        return [
            {"event": event, "number": number, "attributes": json.loads(attributes)}
            for (event, attributes), number in total.items()
        ]

    def programs(self) -> list[dict[str, Any]]:
        """What is said about the programs that sent."""
        parts = [
            *self._parts("traces", "resource_spans"),
            *self._parts("metrics", "resource_metrics"),
        ]
        found = {json.dumps(_values(part.resource.attributes)): None for part in parts}
        return [json.loads(text) for text in found]

    def payloads(self) -> Iterator[dict[str, Any]]:
        """Each request as OTLP/JSON."""
        for request in self.requests:
            yield otlp_json(_message(request))

    def _parts(self, signal: str, field: str) -> Iterator[Any]:
        for request in self.requests:
            if request.signal == signal:
                yield from getattr(_message(request), field)


def otlp_json(message: Any) -> dict[str, Any]:
    """A request as OTLP/JSON: ids in hex, enums as numbers (OTLP 1.5, "JSON Protobuf Encoding")."""
    found: dict[str, Any] = MessageToDict(message, use_integers_for_enums=True)
    _hex_ids(found)
    return found


def _only_product(folder: Path | None) -> str:
    places = (state.state_path("*", folder), state.store_path("*", folder))
    found = sorted({p.stem for place in places if place for p in place.parent.glob(place.name)})
    if len(found) != 1:
        raise InspectError(
            f"there are several products: {', '.join(found)}; name one with --product"
            if found
            else "Footfall has kept nothing on this machine for this user."
        )
    return found[0]


def _decision(product: str, folder: Path | None) -> dict[str, Any]:
    """What was decided, without a catalog to compare it with."""
    path = state.state_path(product, folder)
    decision = ((state.read(path) if path else None) or state.Stored()).decision
    return {
        "mode": decision.mode if isinstance(decision, state.Granted) else "off",
        "decided": decision is not None,
        "since": decision.since.isoformat() if decision else None,
    }


def _moment(seconds: float) -> str:
    return dt.datetime.fromtimestamp(seconds, dt.UTC).isoformat(" ", "seconds")[:19]


def _message(request: Request) -> Any:
    return _MESSAGES[request.signal].FromString(request.body)


def _values(attributes: Iterable[Any]) -> dict[str, Any]:
    """Key-values as a dict; what the SDK sends are plain values."""
    return {
        each.key: getattr(each.value, each.value.WhichOneof("value") or "string_value")
        for each in sorted(attributes, key=lambda each: each.key)
    }


def _hex_ids(value: Any) -> None:
    """Turns the ids of a request, base64 as protobuf's own JSON has them, into hex, in place."""
    if isinstance(value, list):
        for item in value:
            _hex_ids(item)
    elif isinstance(value, dict):
        for name, item in value.items():
            if name in _IDS:
                value[name] = b64decode(item).hex()
            else:
                _hex_ids(item)
