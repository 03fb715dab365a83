"""Every number that the SDK keeps, behind one lock, and its way out as cumulative counters.

Counting is a dictionary's increment. OpenTelemetry reads the totals when it exports them, so an export
that is lost is made good by the next one.

The lock is for the host's threads, and the courier takes it nowhere: a signal handler that waits for the
courier may have interrupted the thread that holds it. So the courier copies each dictionary in one step, and
the numbers that it writes are its own.
"""

from collections.abc import Iterable, Mapping
from functools import partial

from opentelemetry.metrics import CallbackOptions, Meter, Observation

from footfall import _threads
from footfall._ends import fork
from footfall._log import Warnings
from footfall._recording.plan import Key, Plan
from footfall_processors import names
from footfall_processors.catalog import DROPPED, EMITTED, Drop

_COUNT = "count"


class Counters:
    """The numbers of one client.

    Args:
        plans: Every declared event.
        capacity: How many spans may wait for the exporter.
        warnings: Where warnings go.
    """

    def __init__(self, plans: Mapping[str, Plan], capacity: int, warnings: Warnings) -> None:
        self.warnings = warnings
        self._lock = _threads.lock()
        fork.watch(self)
        self._plans = plans
        self._capacity = capacity
        self._admitted = 0
        self._taken = self._lost = 0  # the courier's
        self._drops: dict[Drop, int] = {}

    def forked(self) -> None:
        """In the child of a fork: another thread may have held the locks, and a block may be open."""
        self._lock, self.warnings = _threads.lock(), Warnings()

    def add(self, plan: Plan, key: Key, number: int = 1) -> None:
        """Counts occurrences that travel as counts."""
        with self._lock:
            plan.emitted += number
            plan.count(key, number)

    def admit(self, plan: Plan, key: Key, sampled: bool) -> bool:
        """Counts one observation, and says whether it travels as a span.

        It does when it was `sampled` and the queue has room; otherwise it travels as a count.
        """
        with self._lock:
            plan.emitted += 1
            if sampled and self._admitted - self._taken < self._capacity:
                self._admitted += 1
                return True
            plan.count(key, 1)
        if sampled:
            self.drop(Drop.QUEUE_FULL)
            self.warnings.warn(
                Drop.QUEUE_FULL,
                "footfall: the queue of %d spans is full; until there is room, uses are counted"
                " without durations and values (OTEL_BSP_MAX_QUEUE_SIZE)",
                self._capacity,
            )
        return False

    def taken(self, number: int) -> None:
        """Notes that the exporter has taken spans from the queue."""
        self._taken += number

    def lost(self, number: int) -> None:
        """Counts spans that the collector did not take."""
        self._lost += number

    def drop(self, reason: Drop) -> None:
        """Counts what could not be sent as it was."""
        with self._lock:
            self._drops[reason] = self._drops.get(reason, 0) + 1

    def dropped(self) -> dict[Drop, int]:
        """What could not be sent so far, by reason."""
        drops = dict(self._drops)
        return {**drops, Drop.EXPORT_FAILED: self._lost} if self._lost else drops

    def total(self) -> int:
        """How many occurrences there were so far."""
        return sum(plan.emitted for plan in self._plans.values())

    def register(self, meter: Meter) -> None:
        """Makes one observable counter per event, and the two of Footfall itself."""
        for plan in self._plans.values():
            meter.create_observable_counter(plan.name, [partial(self._counted, plan)])
        meter.create_observable_counter(EMITTED, [self._emitted])
        meter.create_observable_counter(DROPPED, [self._dropped])

    def _counted(self, plan: Plan, _: CallbackOptions) -> Iterable[Observation]:
        return [Observation(number, plan.labels(key)) for key, number in dict(plan.counts).items()]

    def _emitted(self, _: CallbackOptions) -> Iterable[Observation]:
        emitted = {plan.name: plan.emitted for plan in self._plans.values() if plan.emitted}
        return [
            Observation(number, {names.ACTION: _COUNT, "emitted_event": name})
            for name, number in emitted.items()
        ]

    def _dropped(self, _: CallbackOptions) -> Iterable[Observation]:
        return [
            Observation(number, {names.ACTION: _COUNT, "drop_reason": str(reason)})
            for reason, number in self.dropped().items()
        ]
