"""What is done with a span, decided once for all that are alike (docs/design.md, "The hot path")."""

import datetime as dt
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from opentelemetry.proto.trace.v1.trace_pb2 import Status

from footfall_collector.decoding import memo, otlp
from footfall_collector.decoding.attributes import Attributes
from footfall_collector.decoding.budget import Budget
from footfall_collector.decoding.memo import (
    ORIGIN,
    TRAIT,
    Atoms,
    Form,
    Outcome,
    Searched,
    Statuses,
    Trait,
    Values,
)
from footfall_processors import (
    Atom,
    Attribute,
    Dimension,
    Loss,
    Policy,
    Service,
    Shape,
    Type,
    Value,
    Verdict,
    period,
)
from footfall_processors.atoms import Origin
from footfall_processors.batch import DAY_US
from footfall_processors.hashing import Salts
from footfall_processors.names import DURATION, SERVICE_NAME
from footfall_processors.window import REACH

_FAILED: dict[int, bool | None] = {
    Status.STATUS_CODE_UNSET: None,
    Status.STATUS_CODE_OK: False,
    Status.STATUS_CODE_ERROR: True,
}
PLAN = 600
"""Bytes that a plan, a form or what picks values takes, with what only it refers to."""
DAYS = 2 * REACH.days
"""Days whose hashes are remembered at once: twice as many as events are accepted over."""


@dataclass(frozen=True, slots=True, eq=False)
class Plan:
    """What is done with every span that has this name, outcome and these classes of attributes.

    Attributes:
        refused: Why such a span is not stored, or None.
        shape: The constant part of its row.
        values: Picks its row's values.
        duration: Picks its duration, when an attribute gives it.
        losses: Attributes dropped from each such span.
    """

    refused: Loss | None
    shape: Shape
    values: "Extract"
    duration: "Extract | None"
    losses: tuple[tuple[Loss, int], ...]


class Plans:
    """Plans for the spans of one service whose times share every salt.

    Attributes:
        atoms: The classes of attributes.
    """

    def __init__(
        self,
        policy: Policy,
        service: Service,
        today: dt.date,
        values: Mapping[str, Mapping[str, Values]],
        atoms: Atoms,
        budget: Budget,
    ) -> None:
        self._policy, self._service, self._today = policy, service, today
        self._values, self.atoms, self._budget = values, atoms, budget
        self._forms: dict[Form, FormPlans] = {}
        self._extracts: dict[tuple[tuple[int, ...], tuple[str, ...], str], Extract] = {}

    def form(self, form: Form) -> "FormPlans":
        """The plans of the spans that have these traits in common."""
        plans = self._forms.get(form)
        if plans is None:
            plans = FormPlans(self, form)
            if memo.is_short(form):
                self.remember(form)
                self._forms[form] = plans
        return plans

    def remember(self, traits: Sequence[object]) -> None:
        """Counts something that is remembered by these traits."""
        name = traits[0] if traits else b""
        self._budget.take(
            PLAN + TRAIT * len(traits) + (len(name) if isinstance(name, bytes) else 0)
        )

    def make(self, name: bytes, outcome: Outcome, atoms: Sequence[Atom]) -> Plan:
        """What becomes of a span with these traits."""
        verdict = self._policy.judge(
            self._service,
            name.decode("utf-8", "replace"),
            _FAILED[outcome % (1 << ORIGIN)],
            atoms,
            self._today,
            Origin(outcome >> ORIGIN),
        )
        return self._plan(verdict, len(atoms))

    def _plan(self, verdict: Verdict, size: int) -> Plan:
        if verdict.shape is None:
            return Plan(verdict.refused, NO_SHAPE, NOTHING, None, ())
        names = verdict.shape.columns
        product = self._policy.catalog.owners.get(verdict.shape.dimension.event, "")
        values = self._values[product]
        # Positions count from where the span's attributes stop, backwards; 0 stands for absent.
        at = tuple(position - size if position >= 0 else 0 for position in verdict.positions)
        unsalted = sum(at < 0 and values[n].unsalted for n, at in zip(names, at, strict=True))
        losses = verdict.losses + (((Loss.SALT_MISSING, unsalted),) if unsalted else ())
        duration = None
        if verdict.duration_at >= 0:
            duration = self._extract((verdict.duration_at - size,), (DURATION,), product)
        return Plan(None, verdict.shape, self._extract(at, names, product), duration, losses)

    def _extract(
        self, positions: tuple[int, ...], names: tuple[str, ...], product: str
    ) -> "Extract":
        """The same object for the same work, so that spans that share it can be handled together."""
        known = self._extracts.get((positions, names, product))
        if known is None:
            self.remember(names)
            known = Extract(positions, tuple(self._values[product][name] for name in names))
            self._extracts[positions, names, product] = known
        return known


class FormPlans(dict[tuple[Trait, ...], Plan]):
    """The traits in which spans of one form differ → plan.

    Among them an attribute can stand for its class (see `Atoms.column`), which saves looking it up: it is
    classified when a combination is new, and remembered only as one of the few that are usual.
    """

    def __init__(self, plans: Plans, form: Form) -> None:
        super().__init__()
        self._plans, self._form = plans, form
        # Where attributes begin: after the name, which is bytes as well.
        self._first = 0 if form and form[0] is not None else 1

    def __missing__(self, differing: tuple[Trait, ...]) -> Plan:
        known, attributes = self._plans.atoms, differing[self._first :]
        sent = {each for each in attributes if isinstance(each, bytes)}
        if sent:
            classes = [known[each] if isinstance(each, bytes) else each for each in attributes]
            plan = self[*differing[: self._first], *classes]
            if not known.usual.keys() >= sent:
                known.note_mixed(self._form)
                return plan
            # Not the request's own objects, but one of each for all keys.
            shared = [known.usual[each] if isinstance(each, bytes) else each for each in attributes]
            differing = (*differing[: self._first], *shared)
        else:
            rest = iter(differing)
            traits: Any = [next(rest) if each is None else each for each in self._form] or differing
            name, outcome, *atoms = traits
            plan = self._plans.make(name, outcome, atoms)
        if memo.is_short(differing):
            self._plans.remember(differing)
            self[differing] = plan
        return plan


@dataclass(frozen=True, slots=True, eq=False)
class Extract:
    """Picks values out of spans' attributes.

    Attributes:
        positions: Where each value stands, from the end of the span's attributes; 0 when absent.
        memos: What is stored for it.
    """

    positions: tuple[int, ...]
    memos: tuple[Values, ...]

    def columns(self, attributes: Attributes, size: int) -> list[list[Value | None]]:
        """The values, by column, of so many spans with these attributes."""
        return [
            list(map(values.__getitem__, attributes.at(position))) if position else [None] * size
            for position, values in zip(self.positions, self.memos, strict=True)
        ]


NOTHING = Extract((), ())
NO_SHAPE = Shape(Dimension("", "", "", "", "", None, None, None, None, ()), 1.0, ())


class Said(NamedTuple):
    """What a resource says of its service.

    Attributes:
        service: As it may be stored.
        losses: Why something of it may not.
        name: As it was sent; in memory only.
    """

    service: Service
    losses: tuple[Loss, ...]
    name: object


class Contexts:
    """The plans in use, by service and day; salts, and so hashes, change with the day.

    Args:
        policy: The compiled catalog.
        salts: Replaced as a whole by `use_salts` when salts were made or destroyed.
        budget: What all memos of the process share.
    """

    LIMIT = 512

    def __init__(self, policy: Policy, salts: Salts, budget: Budget) -> None:
        self._budget = budget
        self.atoms = Atoms(policy, budget)
        self.statuses = Statuses(budget)
        self.searched = Searched()
        self._policy, self._salts = policy, salts
        self._services: dict[bytes, Said] = {}
        self._plans: dict[tuple[Service, int, dt.date], Plans] = {}
        self._values: dict[int, dict[str, dict[str, Values]]] = {}
        budget.share(self._forget)

    def use_salts(self, salts: Salts) -> None:
        """Uses other salts from now on; what was hashed with the earlier ones is forgotten."""
        if salts != self._salts:
            self._salts = salts
            self._plans.clear()
            self._values.clear()

    def said(self, resource: bytes) -> "Said":
        """What an encoded resource says of its service."""
        found = self._services.get(resource)
        if found is None:
            if len(self._services) >= self.LIMIT:
                self._services.clear()
            attributes = otlp.resource_attributes(resource)
            found = Said(*self._policy.service(attributes), attributes.get(SERVICE_NAME))
            if len(resource) <= 64 * memo.LONGEST:
                self._budget.take(2 * len(resource))  # what it names, too
                self._services[resource] = found
        return found

    def plans(self, service: Service, time_us: int, today: dt.date) -> Plans:
        """The plans for a service's events of one day."""
        key = (service, time_us // DAY_US, today)
        if key not in self._plans:
            if len(self._plans) >= self.LIMIT:
                self._plans.clear()
            self._budget.take(PLAN)
            values = self._day_values(time_us)
            self._plans[key] = Plans(self._policy, service, today, values, self.atoms, self._budget)
        return self._plans[key]

    def _forget(self) -> None:
        self._services.clear()
        self._plans.clear()
        for day in self._values.values():
            for product in day.values():
                for values in product.values():  # requests in flight go on with these
                    values.clear()

    def _day_values(self, time_us: int) -> dict[str, dict[str, Values]]:
        """By product and attribute; products share what is not hashed, or shared on purpose."""
        day = time_us // DAY_US
        if day not in self._values:
            if len(self._values) >= DAYS:
                self._values.clear()
                self._plans.clear()
            self._values[day] = self._new_values(time_us)
        return self._values[day]

    def _new_values(self, time_us: int) -> dict[str, dict[str, Values]]:
        catalog, made = self._policy.catalog, dict[tuple[str, str], Values]()
        found: dict[str, dict[str, Values]] = {}
        for product in {"", *catalog.owners.values()}:
            found[product] = {}
            for name, attribute in catalog.attributes.items():
                if attribute.type is Type.ENUM:
                    continue
                key = name, catalog.bound(product, name) if attribute.hash else ""
                if key not in made:
                    salt, relay = self._salt(attribute, time_us), self._policy.relay
                    made[key] = Values(
                        name,
                        attribute,
                        salt,
                        self.searched,
                        self._budget,
                        relay=relay,
                        product=key[1],
                    )
                found[product][name] = made[key]
        return found

    def _salt(self, attribute: Attribute, time_us: int) -> bytes | None:
        return self._salts.get(period(attribute.hash, time_us)) if attribute.hash else None
