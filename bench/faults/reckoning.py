"""What was sent, by the sender's journal, against what is stored, by plain SQL."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

import psycopg

SEEN, COUNTED = "faults.seen", "faults.counted"
KEY = "left(encode(uuid_send(sent_id), 'hex'), 24)"
"""A row's request, in SQL."""


@dataclass
class Request:
    """One request of spans.

    Attributes:
        size: Its spans.
        rejected: How many of them the answer said were refused; None without an answer.
        held: Attempts that came to nothing.
        refused: Whether it was refused for good.
    """

    size: int
    rejected: int | None = None
    held: int = 0
    refused: bool = False


@dataclass
class Journal:
    """What the sender knows.

    Attributes:
        traces: By request.
        metrics: The same; their size is 1.
        values: By request of metrics: the counter, and its value.
        whys: How often an attempt came to nothing, by reason.
    """

    traces: dict[str, Request] = field(default_factory=dict)
    metrics: dict[str, Request] = field(default_factory=dict)
    values: dict[str, tuple[str, int]] = field(default_factory=dict)
    whys: Counter[str] = field(default_factory=Counter)

    @property
    def requests(self) -> list[Request]:
        """All of them."""
        return [*self.traces.values(), *self.metrics.values()]

    def counters(self) -> tuple[int, int]:
        """What all counters together must have reached: acknowledged, and sent at all."""
        taken, sent = Counter[str](), Counter[str]()
        for key, (counter, value) in self.values.items():
            sent[counter] = max(sent[counter], value)
            if self.metrics[key].rejected == 0:
                taken[counter] = max(taken[counter], value)
        return taken.total(), sent.total()


def read(paths: Iterable[Path]) -> Journal:
    """The journals of senders, as one; a last line that is not complete is left out."""
    journal = Journal()
    for path in paths:
        for line in path.read_text().split("\n")[:-1]:
            _add(journal, line.split())
    return journal


def _add(journal: Journal, words: list[str]) -> None:
    what, key, *said = words
    if what == "sent" and said[0] == "traces":
        journal.traces[key] = Request(int(said[1]))
        return
    if what == "sent":
        journal.metrics[key] = Request(1)
        journal.values[key] = said[1], int(said[2])
        return
    request = journal.traces.get(key) or journal.metrics[key]
    match what:
        case "held":
            request.held += 1
            journal.whys[" ".join(said)] += 1
        case "refused":
            request.refused = True
            journal.whys["for good: " + " ".join(said)] += 1
        case "acknowledged":
            request.rejected = int(said[0])


@dataclass
class Stored:
    """What the database holds.

    Attributes:
        rows: By request: its rows, and its distinct ids.
        counts: Occurrences by event.
    """

    rows: dict[str | None, tuple[int, int]]
    counts: dict[str, int]


def look(dsn: str) -> Stored:
    """Reads it, past the collector."""
    with psycopg.connect(dsn) as connection:
        rows = connection.execute(
            f"SELECT {KEY}, count(*), count(DISTINCT sent_id)"
            " FROM footfall.feature_events GROUP BY 1"
        ).fetchall()
        counts = connection.execute(
            "SELECT d.event, sum(c.count)::bigint FROM footfall.feature_counts c"
            " JOIN footfall.feature_dims d ON d.id = c.dim_id GROUP BY 1"
        ).fetchall()
    return Stored({key: (number, distinct) for key, number, distinct in rows}, dict(counts))


@dataclass(frozen=True)
class Verdict:
    """The two compared; the unit is events unless it says otherwise.

    Attributes:
        requests: Requests sent.
        sent: Spans sent.
        stored: Spans stored.
        lost: Acknowledged, not named as refused, and not stored.
        duplicated: Stored more than once, the first time aside.
        foreign: Stored and never sent.
        rejected: Named as refused in an answer (partial success).
        rejected_stored: Named as refused, and stored all the same.
        retried: Requests that were not taken at the first attempt.
        retried_stored: Of those, requests that are stored, or were named as refused.
        unanswered: Requests without an answer at the end.
        unanswered_stored: Of those, requests that are stored; that is allowed.
        refused: Requests refused for good.
        no_hint: HTTP answers "come again" that did not say when.
        counters: Increments that are stored.
        counters_least: Increments that must be, by what was acknowledged.
        counters_most: Increments that were sent at all.
        counts: Spans by the hourly counts.
    """

    requests: int
    sent: int
    stored: int
    lost: int
    duplicated: int
    foreign: int
    rejected: int
    rejected_stored: int
    retried: int
    retried_stored: int
    unanswered: int
    unanswered_stored: int
    refused: int
    no_hint: int
    counters: int
    counters_least: int
    counters_most: int
    counts: int

    @property
    def faults(self) -> list[str]:
        """What must not be."""
        found = [
            f"{name}: {number:,}"
            for name, number in (
                ("acknowledged and lost", self.lost),
                ("duplicated", self.duplicated),
                ("stored and never sent", self.foreign),
                ("refused for good", self.refused),
                ("never answered", self.unanswered),
                ("retried and still not stored", self.retried - self.retried_stored),
                ("told to retry, not when", self.no_hint),
            )
            if number
        ]
        if not self.counters_least <= self.counters <= self.counters_most:
            span = f"{self.counters_least:,} to {self.counters_most:,}"
            found.append(f"counters: {self.counters:,} instead of {span}")
        if self.counts != self.stored:
            found.append(f"hourly counts: {self.counts:,} for {self.stored:,} rows")
        return found


def compare(journal: Journal, stored: Stored) -> Verdict:
    """The verdict; nothing is taken from the collector but what it stored."""
    none = (0, 0)
    answered = {k: r for k, r in journal.traces.items() if r.rejected is not None}
    distinct = {key: stored.rows.get(key, none)[1] for key in journal.traces}
    surplus = {k: distinct[k] + (r.rejected or 0) - r.size for k, r in answered.items()}
    unanswered = [k for k, r in journal.traces.items() if r.rejected is None]
    least, most = journal.counters()
    return Verdict(
        requests=len(journal.requests),
        sent=sum(request.size for request in journal.traces.values()),
        stored=sum(number for number, _ in stored.rows.values()),
        lost=sum(-n for n in surplus.values() if n < 0),
        duplicated=sum(number - each for number, each in stored.rows.values()),
        foreign=sum(n for key, (n, _) in stored.rows.items() if key not in journal.traces),
        rejected=sum(request.rejected or 0 for request in journal.requests),
        rejected_stored=sum(n for n in surplus.values() if n > 0),
        retried=sum(request.held > 0 for request in journal.traces.values()),
        retried_stored=sum(
            request.held > 0 and distinct[key] + (request.rejected or 0) >= request.size
            for key, request in journal.traces.items()
        ),
        unanswered=sum(r.rejected is None and not r.refused for r in journal.requests),
        unanswered_stored=sum(distinct[key] > 0 for key in unanswered),
        refused=sum(request.refused for request in journal.requests),
        no_hint=sum(n for why, n in journal.whys.items() if why.isdecimal()),
        counters=stored.counts.get(COUNTED, 0),
        counters_least=least,
        counters_most=most,
        counts=stored.counts.get(SEEN, 0),
    )
