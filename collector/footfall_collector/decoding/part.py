"""Spans of one resource as columns: what they have in common, in what they differ, and their rows.

A part of the hot path (`spans.py`).
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from operator import attrgetter

from opentelemetry.proto.trace.v1.trace_pb2 import Span

from footfall_collector.decoding.attributes import Attributes
from footfall_collector.decoding.memo import ORIGIN, Atoms, Form, Outcome, Trait
from footfall_collector.decoding.plans import Extract, Plan
from footfall_processors import Rows
from footfall_processors.atoms import Origin

_SPAN, _SERVER = Origin.SPAN << ORIGIN, Origin.SERVER << ORIGIN
_shape = attrgetter("shape")


@dataclass(slots=True)
class Part:
    """Some spans of one resource, as columns of equal length."""

    form: Form
    keys: list[tuple[Trait, ...]]
    times: list[int]
    spreads: list[int]
    attributes: Attributes
    spans: Sequence[bytes] = ()

    def take(self, indexes: Sequence[int]) -> "Part":
        """The spans at these positions."""
        return Part(
            form=self.form,
            keys=[self.keys[i] for i in indexes],
            times=[self.times[i] for i in indexes],
            spreads=[self.spreads[i] for i in indexes],
            attributes=self.attributes.take(indexes),
            spans=[self.spans[i] for i in indexes] if self.spans else (),
        )


def observers(kinds: Sequence[int]) -> Outcome | list[Outcome]:
    """What observed each span, as part of its outcome."""
    servers = kinds.count(Span.SPAN_KIND_SERVER)
    if servers == 0:
        return _SPAN if kinds else 0
    if servers == len(kinds):
        return _SERVER
    return [_SERVER if kind == Span.SPAN_KIND_SERVER else _SPAN for kind in kinds]


def split(
    known: Atoms, traits: Sequence[Trait | Sequence[bytes] | Iterator[Trait]], size: int
) -> tuple[Form, list[tuple[Trait, ...]]]:
    """What spans have in common, and in what each of them differs."""
    # Not `Iterator`, which takes a microsecond to find out whether something is one.
    form = tuple(trait if isinstance(trait, Trait) else None for trait in traits)
    differing = [trait for trait in traits if not isinstance(trait, Trait)]
    if known.mixes(form):
        differing = [map(known.__getitem__, t) if isinstance(t, list) else t for t in differing]
    return form, list(zip(*differing, strict=True)) if differing else [()] * size


def rows(
    part: Part, chosen: list[Plan], durations: list[int | None], extracts: set[Extract]
) -> Iterator[Rows]:
    """The spans' rows; those whose values are extracted alike together."""
    shapes = list(map(_shape, chosen))
    if len(extracts) == 1:
        (extract,) = extracts
        values = extract.columns(part.attributes, len(shapes))
        yield Rows(part.times, durations, shapes, values, part.spans)
        return
    groups: dict[Extract, list[int]] = {}
    for index, plan in enumerate(chosen):
        groups.setdefault(plan.values, []).append(index)
    for extract, indexes in groups.items():
        yield Rows(
            times=[part.times[i] for i in indexes],
            durations=[durations[i] for i in indexes],
            shapes=[shapes[i] for i in indexes],
            values=extract.columns(part.attributes.take(indexes), len(indexes)),
            spans=[part.spans[i] for i in indexes] if part.spans else (),
        )
