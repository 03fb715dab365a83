"""Asks every rule that is on what it finds, one after the other: one that cannot be asked keeps its state."""

import datetime as dt
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property, partial
from typing import Any, Final, TypeVar

import psycopg
from psycopg import Connection

from footfall_exporters.postgres.alerts import facts, rates, refusals, shares
from footfall_exporters.postgres.alerts.counts import Counts, Reading, p95_ms
from footfall_exporters.postgres.alerts.finding import Finding
from footfall_exporters.postgres.alerts.rules import RULES, Thresholds
from footfall_exporters.postgres.connecting import LOOKING
from footfall_exporters.postgres.queries import query

USE: Final = replace(LOOKING, name="footfall alerts", statement="10s")
LOOKED: Final = "looked"
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Looked:
    """What came of asking a rule.

    Attributes:
        rule: Its name.
        seconds: How long it took.
        outcome: `LOOKED`, or why nothing is known.
        findings: What is so.
    """

    rule: str
    seconds: float
    outcome: str
    findings: Sequence[Finding] = ()

    @property
    def is_known(self) -> bool:
        """Whether it could be asked."""
        return self.outcome == LOOKED


class Looking:
    """Asks the rules of one store.

    Args:
        thresholds: From where on they find something.
        off: Names of rules that are not asked.
        advice: Of losses.
    """

    def __init__(self, thresholds: Thresholds, off: Iterable[str], advice: facts.Advice) -> None:
        self._thresholds, self._advice = thresholds, advice
        self._rules = [name for name in RULES if name not in set(off)]
        self._reading = Reading()
        self._series, self._failures, self._slow = (Once() for _ in range(3))

    def look(self, connection: Connection, now: dt.datetime) -> list[Looked]:
        """What each rule finds.

        Args:
            connection: Of the owner, in autocommit mode.
            now: By Postgres' clock, UTC.
        """
        asked = self._asked(_Store(connection, now, self._reading))
        return [_answer(name, asked[name]) for name in self._rules]

    def _asked(self, store: "_Store") -> Mapping[str, Callable[[], Iterator[Finding]]]:
        limits, connection, now = self._thresholds, store.connection, store.now
        return {
            "low_event_rate": lambda: rates.low_event_rate(
                store.counts, self._before(store.counts), limits.low_event_rate
            ),
            "no_events": lambda: self._no_events(store),
            "failure_share": lambda: self._failure_share(store.counts),
            "latency_p95": lambda: self._latency_p95(store),
            "losses": lambda: facts.losses(store.lost, limits.losses, self._advice),
            "refused_requests": lambda: refusals.refused_requests(
                refusals.busiest(connection, now), limits.refused_requests, self._advice
            ),
            "expired_events": lambda: facts.expired_events(
                store.lost, limits.expired_events, lambda: facts.expired(connection)
            ),
            "housekeeping_overdue": lambda: facts.housekeeping_overdue(connection),
            "subscriber_behind": lambda: facts.subscriber_behind(
                connection, limits.subscriber_minutes
            ),
            "certificate_ending": lambda: facts.certificate_ending(
                connection, now, limits.certificate_days
            ),
        }

    def _before(self, counts: Counts) -> Mapping[str, rates.Series]:
        return self._series.of(counts.former, lambda: rates.former(counts))

    def _failure_share(self, counts: Counts) -> Iterator[Finding]:
        past = self._failures.of(counts.former, lambda: shares.past_failures(counts))
        return shares.failure_share(counts, past, self._thresholds.failure_times)

    def _latency_p95(self, store: "_Store") -> Iterator[Finding]:
        found = self._reading.durations(store.connection, store.now)
        past = self._slow.of(found.former, lambda: shares.past_durations(found.former))
        p95 = partial(p95_ms, store.connection, store.now)
        products, times = store.counts.products, self._thresholds.latency_times
        return shares.latency_p95(found.present, past, products, times, p95)

    def _no_events(self, store: "_Store") -> Iterator[Finding]:
        """How long pauses are is asked only where there is a long one: it costs more."""
        minutes = self._thresholds.no_events_minutes
        _, last = store.connection.execute(query("pulse_last")).fetchone() or (None, None)
        if last is None or store.now - last < dt.timedelta(minutes=minutes):
            return
        found = store.connection.execute(query("alerts_silence")).fetchone()
        if found is not None:
            silence = rates.Silence(last, *found)
            yield from rates.no_events(store.counts, self._before(store.counts), silence, minutes)


class Once:
    """What is reckoned of something once, for as long as it is the same."""

    def __init__(self) -> None:
        self._key: Any = None
        self._made: Any = None

    def of(self, key: object, make: Callable[[], T]) -> T:
        """What was made of it, or is now."""
        if key is not self._key:
            self._made, self._key = make(), key
        made: T = self._made
        return made


class _Store:
    """What several rules ask for, read once a look."""

    def __init__(self, connection: Connection, now: dt.datetime, reading: Reading) -> None:
        self.connection, self.now, self._reading = connection, now, reading

    @cached_property
    def counts(self) -> Counts:
        return self._reading.counts(self.connection, self.now)

    @cached_property
    def lost(self) -> facts.Losses:
        return facts.lost(self.connection, self.now)


def _answer(rule: str, ask: Callable[[], Iterator[Finding]]) -> Looked:
    began = time.monotonic()
    try:
        found, outcome = list(ask()), LOOKED
    except psycopg.Error as error:
        found, outcome = [], f"failed: {type(error).__name__}"
    return Looked(rule, time.monotonic() - began, outcome, found)
