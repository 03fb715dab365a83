"""What is stored, by plain SQL, and what arrived behind, by the file of the Collector there."""

import json
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from foreign.processes import Footfall

SEEN, COUNTED = "foreign.seen", "foreign.counted"
Tally = dict[tuple[str, str], int]
"""By service and event."""


@dataclass
class Figures:
    """One side's account.

    Attributes:
        spans: Observations.
        counts: What was counted beyond them.
        emitted: `footfall.emitted`, by service and the event it counts.
        twice: Spans that came more than once, with the same ids; only a file tells.
    """

    spans: Tally = field(default_factory=dict)
    counts: Tally = field(default_factory=dict)
    emitted: Tally = field(default_factory=dict)
    twice: int = 0


def stored(footfall: Footfall) -> Figures:
    """What the store holds."""
    spans = _tally(
        footfall, "SELECT service, event, count(*)::int FROM reporting.events GROUP BY 1, 2"
    )
    usage = _tally(
        footfall, "SELECT service, event, sum(count)::int FROM reporting.usage GROUP BY 1, 2"
    )
    emitted = _tally(
        footfall,
        "SELECT d.service, d.emitted_event, sum(c.count)::int FROM footfall.feature_counts c"
        " JOIN footfall.feature_dims d ON d.id = c.dim_id"
        " WHERE d.event = 'footfall.emitted' GROUP BY 1, 2",
    )
    beyond = {key: number - spans.get(key, 0) for key, number in usage.items()}
    return Figures(spans, {key: number for key, number in beyond.items() if number}, emitted)


def completeness(footfall: Footfall) -> dict[str, float]:
    """Stored beside emitted, by event."""
    rows = footfall.sql(
        "SELECT event, sum(stored)::float8 / nullif(sum(emitted)::float8, 0)"
        " FROM reporting.completeness GROUP BY 1"
    )
    return {event: ratio for event, ratio in rows if ratio is not None}


def losses(footfall: Footfall) -> dict[tuple[str, str], int]:
    """What was not stored, by signal and reason."""
    rows = footfall.sql(
        "SELECT signal, reason, sum(count)::int FROM reporting.losses GROUP BY 1, 2"
    )
    return {(signal, reason): number for signal, reason, number in rows}


def dropped(footfall: Footfall) -> dict[str, int]:
    """What Footfall's SDK counted as dropped, by service."""
    rows = footfall.sql(
        "SELECT d.service, sum(c.count)::int FROM footfall.feature_counts c"
        " JOIN footfall.feature_dims d ON d.id = c.dim_id WHERE d.event = 'footfall.dropped' GROUP BY 1"
    )
    return {service or "": number for service, number in rows}


def _tally(footfall: Footfall, statement: str) -> Tally:
    return {(service or "", event): number for service, event, number in footfall.sql(statement)}


def arrived(output: Path) -> Figures:
    """What the Collector behind has written."""
    ids: dict[tuple[str, str], set[tuple[str, str]]] = defaultdict(set)
    last: dict[tuple[str, ...], tuple[int, int]] = {}
    spans = 0
    for service, kind, record in _records(output):
        if kind == "span":
            spans += 1
            ids[service, record["name"]].add((record["traceId"], record["spanId"]))
            continue
        for point in record["sum"]["dataPoints"]:
            attributes = {
                a["key"]: a["value"].get("stringValue") for a in point.get("attributes", ())
            }
            stream = (service, record["name"], json.dumps(attributes, sort_keys=True))
            value = int(point.get("asInt", 0)) or round(point.get("asDouble", 0))
            last[stream] = max(last.get(stream, (0, 0)), (int(point["timeUnixNano"]), value))
    figures = Figures({key: len(each) for key, each in ids.items()})
    figures.twice = spans - sum(figures.spans.values())
    for (service, name, values), (_, value) in last.items():
        counted = json.loads(values).get("emitted_event") or name
        tally = figures.emitted if name == "footfall.emitted" else figures.counts
        tally[service, counted] = tally.get((service, counted), 0) + value
    return figures


def _records(output: Path) -> Iterator[tuple[str, str, dict[str, Any]]]:
    """Service, `span` or `metric`, and the record; a last line that is not complete is left out."""
    for line in output.read_text().split("\n")[:-1] if output.exists() else ():
        request = json.loads(line)
        for group in request.get("resourceSpans", ()):
            for scope in group["scopeSpans"]:
                yield from ((_service(group), "span", span) for span in scope["spans"])
        for group in request.get("resourceMetrics", ()):
            for scope in group["scopeMetrics"]:
                yield from ((_service(group), "metric", metric) for metric in scope["metrics"])


def _service(group: dict[str, Any]) -> str:
    attributes = {a["key"]: a["value"] for a in group["resource"].get("attributes", ())}
    return str(attributes.get("service.name", {}).get("stringValue", ""))
