"""A request of traces, or of logs, → a `Batch`: the hot path.

    bytes ── wire.columns ── columns ── memo.Atoms, memo.Plans ── one plan per span ── Batch

The work is done a column at a time, so that most of it happens in C (`map`, `zip`, `Counter`, slices);
what the spans have in common is decided once and remembered. What is decided is defined by
`Policy.classify` and `Policy.judge` alone; tests compare this module, span by span, with a plain walk
over the official classes that calls the two directly.
"""

import datetime as dt
import time
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from functools import partial
from itertools import repeat
from operator import add, attrgetter, sub
from typing import Any

from footfall_collector.decoding import logs, posts, wire
from footfall_collector.decoding.attributes import Aligned
from footfall_collector.decoding.budget import Budget
from footfall_collector.decoding.found import Found, digest, is_other
from footfall_collector.decoding.memo import Outcome
from footfall_collector.decoding.part import Part, observers, rows, split
from footfall_collector.decoding.plans import Contexts, Plan, Plans
from footfall_collector.decoding.posts import Post
from footfall_collector.decoding.turns import Work
from footfall_exporters.postgres.spans import span_ids
from footfall_processors import Attribute, Batch, Loss, Policy, Service, Type
from footfall_processors.batch import HOUR_US
from footfall_processors.hashing import Salts
from footfall_processors.names import DURATION
from footfall_processors.window import FUTURE_US

SLICE, SLICE_BYTES = 2000, 2**18
"""Spans, and bytes of them, handled at a stretch; between slices the event loop runs (about 5 ms)."""
SMALLEST = 100
"""Spans in a slice, however long they take."""
SPAN = 80
"""Bytes that an encoded span takes beside its length."""
MOST_TEXT = 2**21
"""Characters of a request that are searched for personal data: some 10 s when it is made to be slow."""
MOST_ATTRIBUTES = 4_000_000
"""In a request: what size alone allows would take minutes of CPU time."""
LONGEST_MS = 2**31 - 1
OUTSIDE = -1
"""In place of an hour: outside the window in which events are accepted (docs/design.md, "The window")."""

_refused = attrgetter("refused")


class Pipeline:
    """Decodes requests under one catalog.

    Args:
        policy: The compiled catalog.
        salts: For hashed attributes, by period.
        clock: Unix time in nanoseconds; decides on the window and on expiry.
        budget: Of its memos; one of its own unless given.
    """

    def __init__(
        self,
        policy: Policy,
        salts: Salts,
        clock: Callable[[], int] = time.time_ns,
        budget: Budget | None = None,
    ) -> None:
        self.policy = policy
        self.contexts = Contexts(policy, salts, budget or Budget())
        self.clock = clock
        self._columns = partial(wire.columns, kinds=bool(policy.spans))
        limits = policy.catalog.attributes.get(DURATION, Attribute(type=Type.INT))
        self._shortest = max(int(limits.min or 0), 0)
        self._longest = min(int(limits.max or LONGEST_MS), LONGEST_MS)

    async def traces(
        self,
        body: bytes,
        sender: bytes = b"",
        groups: wire.Groups | None = None,
        identities: bytes | None = None,
        services: Collection[str] = (),
        take: wire.Take = wire.take_nothing,
    ) -> Batch:
        """An encoded ExportTraceServiceRequest as a batch.

        Args:
            body: Decompressed.
            sender: As for `digest`.
            groups: What the body says, when it is not protobuf.
            identities: The key under which spans are named, where they are told apart one by one.
            services: The `service.name`s that the sender may send for; all without any.
            take: Is told how many bytes a long request has in memory beside its body; may raise.

        Raises:
            google.protobuf.message.DecodeError: it is not one; nothing of it is kept.
            wire.TooLarge: it has too many parts; nothing of it is kept.
        """
        columns = self._columns if identities is None else partial(self._columns, ids=True)
        return await self._batch(
            "traces", columns, body, sender, groups, services, take, identities
        )

    async def logs(
        self,
        body: bytes,
        sender: bytes = b"",
        groups: wire.Groups | None = None,
        services: Collection[str] = (),
        take: wire.Take = wire.take_nothing,
    ) -> Batch:
        """An encoded ExportLogsServiceRequest as a batch, whose records are read as spans without length.

        Arguments and errors are those of `traces`.
        """
        return await self._batch("logs", logs.columns, body, sender, groups, services, take)

    async def posts(
        self,
        resource: bytes,
        posted: Sequence[Post],
        sender: bytes = b"",
        services: Collection[str] = (),
    ) -> Batch:
        """Events that were posted as a batch, as if they were log records; what names it is its caller's.

        Args:
            resource: Encoded; empty for none.
            posted: The events; few enough for one slice.
            sender: As for `digest`.
            services: As for `traces`.
        """
        groups = [(resource, b"", posted)]
        return await self._batch(
            "logs", posts.columns, b"", sender, groups, services, wire.take_nothing
        )

    async def _batch(
        self,
        signal: str,
        columns: Callable[[Sequence[Any]], wire.Columns],
        body: bytes,
        sender: bytes,
        groups: Iterable[tuple[bytes, bytes, Sequence[Any]]] | None,
        services: Collection[str],
        take: wire.Take,
        identities: bytes | None = None,
    ) -> Batch:
        found = Found(quantities=self.policy.quantities, identities=identities)
        async with Work() as work:
            await self._add_all(found, work, columns, body, sender, groups, services, take)
        return Batch(
            digest=digest(f"/v1/{signal}", sender, body),
            signal=signal,
            rows=found.rows,
            counts=found.counts,
            losses=+found.losses,
            layout=self.policy.layout,
            bounds=(min(found.times), max(found.times)) if found.times else None,
            identified=found.identified,
            misnamed=found.misnamed,
        )

    async def _add_all(
        self,
        found: Found,
        work: Work,
        columns: Callable[[Sequence[Any]], wire.Columns],
        body: bytes,
        sender: bytes,
        groups: Iterable[tuple[bytes, bytes, Sequence[Any]]] | None,
        services: Collection[str],
        take: wire.Take,
    ) -> None:
        """Adds a request's spans, slice by slice."""
        now_us = self.clock() // 1000
        stretch = attributes = text = 0
        searched = self.contexts.searched
        for resource, _, spans in wire.groups(body) if groups is None else groups:
            said = self.contexts.said(resource)
            service, lost = self.policy.admit(said.service, sender, now_us)
            found.losses.update(said.losses + lost)
            before = len(found.rows)
            # A small request is one slice; measuring each span would cost a hundredth of it.
            size = SLICE if len(body) <= SLICE_BYTES else _slice(spans)
            if len(spans) > SLICE:
                take(SPAN * len(spans))
            start = 0
            while start < len(spans):
                if stretch >= size:
                    stretch = 0
                    if await work.pause():
                        size = max(size // 2, SMALLEST)
                part = spans[start : start + size]
                start += size
                stretch += len(part)
                read = columns(part)
                attributes += read.attributes.number + len(part)  # a span takes time as well
                if attributes > MOST_ATTRIBUTES:
                    raise wire.TooLarge(MOST_ATTRIBUTES, "attributes")
                searched_before = searched.characters
                self._add(found, service, read, now_us)
                text += searched.characters - searched_before
                if text > MOST_TEXT:
                    raise wire.TooLarge(MOST_TEXT, "characters of text")
            found.misnamed |= len(found.rows) > before and is_other(said.name, services)

    def _add(self, found: Found, service: Service, columns: wire.Columns, now_us: int) -> None:
        """Adds one scope's spans, hour by hour: counts are kept per hour, salts per day."""
        found.losses[Loss.MALFORMED] += columns.malformed
        if not columns.names:
            return
        found.identified &= columns.identified
        part = self._part(columns)
        if found.identities is not None:
            part.spans = span_ids(found.identities, columns.ids, part.times)
        first, last = min(part.times), max(part.times)
        low, high = now_us - self.policy.past_us, now_us + FUTURE_US
        today = dt.datetime.fromtimestamp(now_us / 1e6, dt.UTC).date()
        if low <= first and last <= high and first // HOUR_US == last // HOUR_US:  # nearly always
            found.times += first, last
            self._add_hour(found, part, self.contexts.plans(service, first, today))
            return
        by_hour: dict[int, list[int]] = {}
        for index, moment in enumerate(part.times):
            hour = moment // HOUR_US if low <= moment <= high else OUTSIDE
            by_hour.setdefault(hour, []).append(index)
        outside = by_hour.pop(OUTSIDE, [])
        for index in outside:
            plans = self.contexts.plans(service, now_us, today).form(part.form)
            plan = plans[part.keys[index]]
            found.losses[plan.refused or Loss.OUT_OF_WINDOW] += 1
        for hour, indexes in by_hour.items():
            within = part.take(indexes)
            found.times += min(within.times), max(within.times)
            self._add_hour(found, within, self.contexts.plans(service, hour * HOUR_US, today))

    def _part(self, columns: wire.Columns) -> Part:
        """The spans with their attributes classified."""
        known, attributes, size = self.contexts.atoms, columns.attributes, len(columns.names)
        name = columns.names[0]
        same_name = columns.names.count(name) == size
        outcome = self._outcomes(columns)
        if isinstance(attributes, Aligned):
            traits = [
                name if same_name else iter(columns.names),
                outcome,
                *map(known.column, attributes.places),
            ]
            form, keys = split(known, traits, size)
        else:
            stops = attributes.stops
            atoms = tuple(map(known.__getitem__, attributes.encoded))
            groups = map(atoms.__getitem__, map(slice, [0, *[s + 1 for s in stops[:-1]]], stops))
            outcomes = [outcome] * size if isinstance(outcome, int) else outcome
            spans = zip(columns.names, outcomes, groups, strict=True)
            form, keys = (), [(name, outcome, *group) for name, outcome, group in spans]
        return Part(
            form=form,
            keys=keys,
            times=[end // 1000 for end in columns.ends],
            spreads=list(map(sub, columns.ends, columns.starts)),
            attributes=attributes,
        )

    def _outcomes(self, columns: wire.Columns) -> Outcome | Iterator[Outcome]:
        """How each span ended and what observed it; one for all if they are alike."""
        origins = observers(columns.kinds)
        if not any(columns.statuses):
            return origins if isinstance(origins, int) else iter(origins)
        codes = map(self.contexts.statuses.__getitem__, columns.statuses)
        if not origins:
            return codes
        return map(add, codes, repeat(origins) if isinstance(origins, int) else origins)

    def _add_hour(self, found: Found, part: Part, plans: Plans) -> None:
        """Adds spans of one hour."""
        chosen = list(map(plans.form(part.form).__getitem__, part.keys))
        tally = Counter(chosen)
        if min(part.spreads) < 0 or any(map(_refused, tally)):
            chosen, tally, part = self._without_refused(found, part, chosen)
        if not chosen:
            return
        hour = part.times[0] // HOUR_US * HOUR_US
        found.count(hour, tally)
        durations = self._durations(part, chosen, tally)
        found.rows.extend(rows(part, chosen, durations, {plan.values for plan in tally}))

    def _without_refused(
        self, found: Found, part: Part, chosen: list[Plan]
    ) -> tuple[list[Plan], Counter[Plan], Part]:
        """Leaves out, and counts, spans that are refused or end before they start."""
        kept: list[int] = []
        for index, (plan, spread) in enumerate(zip(chosen, part.spreads, strict=True)):
            if plan.refused is not None:
                found.losses[plan.refused] += 1
            elif spread < 0:
                found.losses[Loss.MALFORMED] += 1
            else:
                kept.append(index)
        chosen = [chosen[index] for index in kept]
        return chosen, Counter(chosen), part.take(kept)

    def _durations(
        self, part: Part, chosen: Sequence[Plan], tally: Iterable[Plan]
    ) -> list[int | None]:
        """Milliseconds, rounded; None for an instant, whose span has no length."""
        durations: list[int | None] = [
            (spread + 500_000) // 1_000_000 if spread else None for spread in part.spreads
        ]
        if self._shortest or max(part.spreads, default=0) > self._longest * 1_000_000:
            durations = [None if d is None else self._clamp(d) for d in durations]
        if any(plan.duration for plan in tally):
            for index, plan in enumerate(chosen):
                if plan.duration is not None:
                    [[said]] = plan.duration.columns(part.attributes.take([index]), 1)
                    durations[index] = self._clamp(said) if isinstance(said, int) else None
        return durations

    def _clamp(self, duration: int) -> int:
        return min(max(duration, self._shortest), self._longest)


def _slice(spans: Sequence[bytes]) -> int:
    """How many spans are handled at a stretch: fewer when they are long."""
    average = sum(map(len, spans)) // max(len(spans), 1)
    return min(SLICE, max(SLICE_BYTES // max(average, 1), 1))
