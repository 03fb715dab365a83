"""The client while telemetry is on: calls become counts and finished spans.

A span is built once, when everything about it is known, with declared fields only. It belongs to no
trace of the application and is never the current span, so that neither can be joined with the other.
"""

import time
from collections.abc import Iterable, Mapping
from random import Random
from typing import Any, Final

from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan, SpanProcessor
from opentelemetry.trace import SpanContext

from footfall._guard import let_pass
from footfall._recording import hints
from footfall._recording.counters import Counters
from footfall._recording.outcome import Errors, failure
from footfall._recording.plan import Plan
from footfall._recording.receipt import under
from footfall._recording.spans import ERROR, OK, SAMPLED, SCOPE, KeptSpan, read
from footfall_processors import names
from footfall_processors.catalog import Catalog, Drop
from footfall_processors.document import nearest
from footfall_processors.error_types import ERROR_TYPES, STATUS_OF, UNEXPECTED_ERROR, normalise
from footfall_processors.matching import KINDS, Matcher
from footfall_processors.policy import Policy

LARGEST: Final = 1_000_000_000
"""The largest number that one `count()` may add: sums stay within OTLP's 64 bits."""
LONGEST_MS: Final = 7 * 86_400_000
"""Milliseconds that an observation may take: what began earlier, the collector would not take."""


class Recorder:
    """Turns calls into counts and spans.

    Attributes:
        surroundings: What every event carries that declares it.
        is_telling: Whether rules that fit no route are still to be told of.

    Args:
        catalog: The catalog, whose policy judges spans of other instrumentations.
        plans: Every declared event, compiled.
        counters: The client's numbers.
        errors: The application's exception classes and their error types.
        resource: What is said about the service; nothing else is.
        queue: Takes finished spans; it never blocks.
        developing: Whether mistakes in calls are told to the developer, by name, on the logger.
    """

    def __init__(
        self,
        catalog: Catalog,
        plans: Mapping[str, Plan],
        counters: Counters,
        errors: Errors,
        resource: Resource,
        queue: SpanProcessor,
        developing: bool = False,
    ) -> None:
        self.plans = plans
        self.counters = counters
        self.catalog = catalog
        self.surroundings: Mapping[str, Any] = {}
        self.matchers = {kind: Matcher(catalog, kind) for kind in KINDS}
        self._errors = errors
        self._policy = Policy(catalog)
        self._resource = resource
        self._queue = queue
        self._developing = self.is_telling = developing
        self._random = Random()  # noqa: S311  # its own: a host that seeds `random` is not disturbed

    def plan(self, event: str) -> Plan | None:
        """The plan of a declared event; an undeclared one is counted as dropped."""
        try:
            plan = self.plans.get(event)
        except Exception as error:  # the measured path
            let_pass(error)
            plan = None  # not even hashable
        if plan is None:
            self.counters.drop(Drop.UNDECLARED_EVENT)
            if self._developing:
                hints.undeclared_event(self.counters.warnings, event, self.plans)
        return plan

    def named(self, event: str, action: str | None) -> tuple[Plan | None, str | None]:
        """The plan of an event that may be named together with its action, and the action."""
        if action is None and isinstance(event, str) and event not in self.plans:
            base, _, last = event.rpartition(".")
            plan = self.plans.get(base)
            if plan is not None and last in plan.actions:
                return plan, last
            if plan is not None and self._developing and nearest(last, plan.actions):
                self.counters.drop(Drop.UNDECLARED_EVENT)
                hints.undeclared_action(self.counters.warnings, base, last, plan.actions)
                return None, action
        return self.plan(event), action

    def check(self, plan: Plan, attributes: Mapping[str, Any]) -> dict[str, Any]:
        """The attributes that may be sent; the others are counted as dropped (None means not given)."""
        kept: dict[str, Any] = {}
        checks = plan.checks
        around = under(self.surroundings) if plan.has_receipt else self.surroundings
        if around:
            declared = {n: value for n, value in around.items() if n in checks}
            attributes = {**declared, **attributes}
        for name, value in attributes.items():
            if value is None:
                continue
            check = checks.get(name)
            if check is None:
                self.counters.drop(Drop.UNDECLARED_ATTRIBUTE)
                if self._developing:
                    hints.undeclared_attribute(self.counters.warnings, plan.name, name, checks)
                continue
            try:
                good = check(value)
            except Exception as error:  # the measured path
                let_pass(error)
                good = None  # the value's own methods failed
            if good is None:
                self.counters.drop(Drop.WRONG_TYPE)
                if self._developing:
                    attribute = self.catalog.attributes[name]
                    hints.wrong_type(self.counters.warnings, plan.name, name, attribute)
            else:
                kept[name] = good
        return kept

    def started(self, plan: Plan, kept: Mapping[str, Any]) -> None:
        """Counts the start of a block."""
        if plan.invokes:
            self.counters.add(plan, plan.key(names.INVOKE, None, None, kept))

    def failure(self, error: Any) -> str | None:
        """The error type of an exception or of a word; None when it counts as a success.

        An exception that fails when it is looked at costs its class, and not the use.
        """
        if issubclass(type(error), BaseException):
            try:
                return failure(error, self._errors)
            except Exception as fault:  # the measured path
                let_pass(fault)
                return UNEXPECTED_ERROR  # its own class failed
        if issubclass(type(error), str):
            word = str.__str__(error)
            found = normalise(word, self.catalog.error_types)
            if self._developing and found == UNEXPECTED_ERROR != word:
                known = (*ERROR_TYPES, *self.catalog.error_types)
                hints.unknown_error(self.counters.warnings, word, known)
            return found
        return UNEXPECTED_ERROR

    def unmeasured(self, event: str, kind: str) -> None:
        """Tells that something of this kind, which is no function, was decorated."""
        if self._developing:
            hints.unmeasured(self.counters.warnings, event, kind)

    def tell_of_rules(self, offered: Iterable[str]) -> None:
        """Tells of the catalog's rules that fit none of these routes, once.

        Args:
            offered: Methods and templates, such as `GET /seeds/{id}`; `*` is any method.
        """
        if self.is_telling and (routes := sorted(set(offered))):
            self.is_telling = False
            hints.rules_without_route(self.counters.warnings, self.catalog, routes)

    def _no_action(self, plan: Plan, action: object) -> None:
        """Counts as dropped what has an action that its event does not declare, or needs one."""
        self.counters.drop(Drop.UNDECLARED_EVENT)
        if self._developing:
            hints.undeclared_action(self.counters.warnings, plan.name, action, plan.actions)

    def ended(
        self,
        plan: Plan,
        action: str | None,
        error: str | None,
        kept: dict[str, Any],
        length: int,
    ) -> None:
        """Sends the observation of a block that has just ended.

        Its end is read from the clock, its start is computed: a clock that was set meanwhile is right now.

        Args:
            plan: Its event.
            action: What it is called unless it failed (None: `success`), or unless a failure has no
                name of its own.
            error: Its error type, or None for a success.
            kept: Its attributes, checked.
            length: How long it took, ns; an observation that took time has one of at least 1.
        """
        if action is None:
            chosen = plan.success if error is None else plan.failure
        else:
            failed = plan.actions.get(names.FAILURE) if error is not None else None
            chosen = failed or plan.actions.get(action)
        if chosen is None:
            self._no_action(plan, action)
            return
        now = time.time_ns()
        self._observe(plan, chosen, error, kept, now - (length or 1), now)

    def length(self, milliseconds: float) -> int:
        """A duration as ns; what is none is counted as dropped."""
        if type(milliseconds) not in (int, float) or not 0 <= milliseconds <= LONGEST_MS:
            self.counters.drop(Drop.WRONG_TYPE)
            return 0
        return int(milliseconds * 1_000_000)

    def instant(
        self,
        event: str,
        action: str | None,
        attributes: Mapping[str, Any],
        *,
        error: str | None = None,
        length: int = 0,
        keep: bool = False,
    ) -> None:
        """Sends an observation that is over.

        Args:
            event: An event, or an event and its action.
            action: Its action; None is `success`, or `failure` with an error type.
            attributes: As given.
            error: Its error type, if it failed.
            length: How long it took, ns; 0 for an instant.
            keep: Whether to retry until the collector takes it.
        """
        plan, action = self.named(event, action)
        if plan is None:
            return
        if action is None:
            chosen = plan.success if error is None else plan.failure
        else:
            chosen = plan.actions.get(action)
        if chosen is None:
            self._no_action(plan, action)
            return
        if error is None and chosen == names.FAILURE:
            error = UNEXPECTED_ERROR
        now = time.time_ns()
        kept = self.check(plan, attributes)
        kind = KeptSpan if keep else ReadableSpan
        self._observe(plan, chosen, error, kept, now - length, now, kind=kind)

    def count(
        self, event: str, number: int, action: str | None, attributes: Mapping[str, Any]
    ) -> None:
        """Counts occurrences; of the attributes only enums are kept."""
        plan, action = self.named(event, action)
        if plan is None:
            return
        chosen = plan.success if action is None else plan.actions.get(action)
        if chosen is None:
            self._no_action(plan, action)
        elif type(number) is not int or not 0 < number <= LARGEST:
            self.counters.drop(Drop.WRONG_TYPE)
        else:
            kept = self.check(plan, attributes)
            self.counters.add(plan, plan.key(chosen, None, None, kept), number)

    def adopt(self, span: ReadableSpan) -> None:
        """Sends a span of another instrumentation, if it is a declared event, rebuilt."""
        found = read(span, self._policy)
        plan = None if found is None else self.plans.get(found.dimension.event)
        if found is None or plan is None:
            self.counters.drop(Drop.UNDECLARED_EVENT)
            return
        kept, judged = self.check(plan, found.attributes), found.dimension
        self._observe(
            plan, judged.action, judged.error_type, kept, found.start, found.end, judged.status
        )

    def _observe(
        self,
        plan: Plan,
        action: str,
        error: str | None,
        kept: dict[str, Any],
        start: int,
        end: int,
        status: str | None = None,
        kind: type[ReadableSpan] = ReadableSpan,
    ) -> None:
        """Lets one observation travel: as a span, or as a count.

        `status` is None where the error type tells it.
        """
        if status is None:
            status = "ok" if error is None else STATUS_OF.get(error, "error")
        sampled = plan.rate >= 1.0 or self._random.random() < plan.rate
        if not self.counters.admit(plan, plan.key(action, status, error, kept), sampled):
            return
        attributes = {**plan.fixed, names.ACTION: action, names.STATUS: status, **kept}
        if error is not None:
            attributes[names.ERROR_TYPE] = error
        if plan.rate < 1.0:
            attributes[names.SAMPLE_RATE] = plan.rate
        bits = self._random.getrandbits
        span = kind(
            plan.name,
            SpanContext(bits(128) or 1, bits(64) or 1, False, SAMPLED),
            resource=self._resource,
            attributes=attributes,
            status=OK if error is None else ERROR,
            start_time=max(start, 0),  # a clock that was never set says 1970
            end_time=end,
            instrumentation_scope=SCOPE,
        )
        self._queue.on_end(span)
