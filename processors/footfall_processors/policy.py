"""The catalog compiled to decisions: what an attribute is worth, and what a span becomes.

Two plain functions define it all. `Policy.classify` looks at one attribute, `Policy.judge` at the
classes of all attributes of one span or counter. Both are pure and give one object per distinct
class and shape, so that the collector may remember them by the raw bytes
(docs/design.md, "The hot path"). The order is fixed: allowlist → redact → hash → clamp.
"""

import datetime as dt
import re
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from footfall_processors import names, window
from footfall_processors.atoms import (
    FIXED,
    LOOP,
    NOBODY,
    REQUEST,
    UNDECLARED,
    Atom,
    Origin,
    Role,
    Service,
    Verdict,
)
from footfall_processors.batch import Dimension, Shape
from footfall_processors.catalog import Catalog, Event, Type, column_name
from footfall_processors.combinations import Sender
from footfall_processors.error_types import http_error, http_status, normalise
from footfall_processors.hashing import unmarked
from footfall_processors.losses import Loss
from footfall_processors.matching import Candidates, Spans
from footfall_processors.outcome import Said, outcome, went_wrong
from footfall_processors.services import Services
from footfall_processors.sources import meanings
from footfall_processors.values import clean, hashable, is_text

DIMENSIONS = 100_000
"""Combinations that are remembered; senders that come and go make more in the course of time."""
MOST_AT_ONCE = 50
"""Occurrences that one observation may stand for (R-number B1)."""
MOST_HOPS = 8
"""Stores and gateways that something may come through; what has come through more goes in a circle."""
_PATH = re.compile(r"[0-9a-f]{16}(,[0-9a-f]{16})*")


class Policy:
    """A catalog's decisions.

    Args:
        catalog: With its built-in events.
        relay: Whether the senders are collectors of ours, which have hashed already: what is marked as one
            (`hashing.marked`) under an attribute with `hash` is its pseudonym. Nobody else may send one.
        origin: The marker of this store or gateway; what carries it has been here before.
        quantities: Whether an observation may stand for several: of a sender who says so, nothing is known.
        past: How old an event may be.

    Attributes:
        past_us: The same in µs.
        spans: The rules that match spans of other instrumentations; false when there are none.
    """

    def __init__(
        self,
        catalog: Catalog,
        *,
        relay: bool = False,
        origin: str = "",
        quantities: bool = False,
        past: dt.timedelta = window.PAST,
    ) -> None:
        self.catalog, self.relay, self.origin = catalog, relay, origin
        self.quantities, self.past_us = quantities, past // dt.timedelta(microseconds=1)
        self.layout = {name: column_name(name, a) for name, a in catalog.attributes.items()}
        self._meanings = meanings(catalog)
        self._atoms: dict[tuple[object, ...], Atom] = {}
        self._dimensions: dict[tuple[object, ...], Dimension] = {}
        self._shapes: dict[tuple[Dimension, float, int], Shape] = {}
        self._services = Services(catalog)
        self._senders: dict[bytes, Sender] = {}
        self._actions = {a for e in catalog.events.values() for a in e.actions}
        self.spans = Spans(catalog)
        self._fixed_roles = (
            FIXED
            | (REQUEST if self.spans.requests else {})
            | ({names.QUANTITY: Role.QUANTITY} if quantities else {})
        )
        self._events: dict[str, _Meant] = {}
        for name, event in catalog.events.items():
            self._events[name] = _Meant(name, event)
            for action in event.actions:  # senders may name both as one
                self._events.setdefault(f"{name}.{action}", _Meant(name, event, action))

    def classify(self, key: str, value: Any) -> Atom:
        """The class of one attribute; the same object for the same class.

        Args:
            key: The attribute's key as sent.
            value: str, int, float, bool, bytes, list, dict or None as decoded.
        """
        role = self._fixed_roles.get(key)
        if role is not None:
            kept = self._fixed(role, value)
            return self._atom(role, key, kept, valid=kept is not None)
        meant = self._meanings.get(key)
        if meant is None:
            return UNDECLARED
        if len(meant) == 1:
            return self._declared(meant[0], key, value)
        among = tuple(self._declared(name, key, value) for name in meant)
        return self._atom(Role.EITHER, key, among=among)

    def _declared(self, name: str, key: str, value: Any) -> Atom:
        """The class that it has as the attribute of this name."""
        attribute, source = self.catalog.attributes[name], key if key != name else ""
        if attribute.type is Type.ENUM:
            chosen = clean(attribute, value)
            return self._atom(Role.ENUM, name, chosen, valid=chosen is not None, source=source)
        if attribute.hash:
            good = hashable(value) or (self.relay and unmarked(value) is not None)
        elif attribute.type is Type.STRING:
            good = is_text(value)
        else:
            good = clean(attribute, value) is not None
        return self._atom(Role.COLUMN, name, None, valid=good, source=source)

    def named(self, event: str, key: str) -> str:
        """The attribute that a key stands for in an event; the key itself where it stands for none."""
        carried = self.catalog.events[event].attributes
        return next((name for name in self._meanings.get(key, ()) if name in carried), key)

    def service(self, resource: Mapping[str, Any]) -> tuple[Service, tuple[Loss, ...]]:
        """The service fields of a resource, and why some were dropped."""
        path, unreadable = self._path(resource.get(names.ORIGIN))
        if path == LOOP:
            return Service(relayed_from=LOOP), ()
        about = self._services.about(resource)
        ours = resource.get(names.DISTRO) == names.OWN_SDK
        distro = names.OWN_SDK if ours else None
        service = Service(about.name, about.version, about.environment, path, distro)
        return service, about.losses + (Loss.RESOURCE_VALUE,) * unreadable

    def admit(
        self, service: Service, sender: bytes, now_us: int
    ) -> tuple[Service, tuple[Loss, ...]]:
        """What is kept of a service, of which one sender may name so many; and what is lost by it.

        Args:
            service: As `service` returned it.
            sender: What distinguishes senders; empty where they are not told apart.
            now_us: µs since the Unix epoch.
        """
        if service == NOBODY or service.relayed_from == LOOP:
            return service, ()
        known = self._senders.get(sender)
        if known is None:
            known = self._senders[sender] = Sender()
        if known.keeps(service, now_us):
            return service, ()
        plain = service._replace(version=None)
        if not known.keeps_name(plain, now_us):
            return NOBODY, (Loss.RESOURCE_LIMIT,)
        return plain, (Loss.RESOURCE_LIMIT,) * (plain != service)

    def _path(self, sent: Any) -> tuple[str | None, bool]:
        """The markers that a resource carries, LOOP in a circle; whether they cannot be read."""
        if sent is None or not isinstance(sent, str) or not _PATH.fullmatch(sent):
            return None, sent is not None
        hops = sent.split(",")
        return LOOP if self.origin in hops or len(hops) > MOST_HOPS else sent, False

    def judge(
        self,
        service: Service,
        name: str,
        failed: bool | None,
        atoms: Sequence[Atom],
        today: dt.date,
        origin: Origin = Origin.OTHER,
    ) -> Verdict:
        """What becomes of a span (or a counter's point) with these attributes.

        Args:
            service: From its resource.
            name: The span's name, or the metric's.
            failed: Whether the span's status is ERROR (False where it is OK); None where it is left open,
                and its attributes tell.
            atoms: The classes of its attributes, in their order.
            today: The collector's date (UTC), which decides on expiry.
            origin: What observed it.
        """
        if service.relayed_from == LOOP:
            return Verdict(refused=Loss.LOOP)
        fixed = _first_sent(atoms)
        meant = self._events.get(name) or self._matched(name, fixed, origin)
        if meant is None:
            return Verdict(refused=Loss.UNDECLARED_EVENT)
        event = meant.event
        if event.expires is not None and today > event.expires:
            return Verdict(refused=Loss.EXPIRED_EVENT)
        said = Said(failed, *map(fixed.get, (Role.STATUS, Role.ERROR_TYPE, Role.HTTP_STATUS)))
        action = fixed.get(Role.ACTION, meant.action or _action(meant, went_wrong(said)))
        if action not in event.actions:
            return Verdict(refused=Loss.UNDECLARED_ACTION)
        status, error = outcome(action, said, self.catalog.error_types)
        atoms = [_of_event(event, atom) for atom in atoms]
        positions, losses = self._positions(event, atoms)
        enums = tuple(
            (key, str(atoms[at].value))
            for key in self.catalog.enums(event)
            if (at := positions.get(key, -1)) >= 0
        )
        who, path = service[:3], service[3:]
        key = (meant.name, event.surface, event.feature, action, status, error, *who, enums, *path)
        share, quantity = fixed.get(Role.SAMPLE_RATE) or 1.0, fixed.get(Role.QUANTITY) or 1
        shape = self._shape(key, share, event, quantity)
        return Verdict(
            shape=shape,
            positions=tuple(positions.get(c, -1) for c in shape.columns),
            duration_at=positions.get(names.DURATION, -1),
            losses=losses,
        )

    def _matched(self, name: str, fixed: Mapping[Role, Any], origin: Origin) -> "_Meant | None":
        """The event that a rule says a span stands for whose name is no event's."""
        if origin is Origin.OTHER or not self.spans:
            return None
        method = fixed.get(Role.HTTP_METHOD) if origin is Origin.SERVER else None
        routes = fixed.get(Role.HTTP_ROUTE)
        if routes is None:
            routes = self.spans.requests.named(name)
        match = self.spans.find(name, method, routes)
        if match is None:
            return None
        return _Meant(match.event, self.catalog.events[match.event], success=match.action)

    def _positions(
        self, event: Event, atoms: Sequence[Atom]
    ) -> tuple[dict[str, int], tuple[tuple[Loss, int], ...]]:
        """Where the event's attributes stand, and what is lost of the others; their own names come first."""
        positions: dict[str, int] = {}
        losses: dict[Loss, int] = {}
        seen: set[str] = set()
        for at, atom in sorted(enumerate(atoms), key=lambda each: each[1].source != ""):
            reason = _objection(event, atom, seen)
            if reason is not None:
                losses[reason] = losses.get(reason, 0) + 1
            elif atom.role in (Role.ENUM, Role.COLUMN):
                positions[atom.name] = at
            seen.add(atom.name)
        return positions, tuple(sorted(losses.items()))

    def _fixed(self, role: Role, value: Any) -> "str | float | Candidates | None":
        """The few values that a fixed field may have; None for any other."""
        if role is Role.SAMPLE_RATE:
            good = isinstance(value, float | int) and not isinstance(value, bool) and 0 < value <= 1
            return sampled_share(float(value)) if good else None
        if role is Role.QUANTITY:
            good = isinstance(value, int) and not isinstance(value, bool) and value > 0
            return min(value, MOST_AT_ONCE) if good else None
        if role is Role.HTTP_STATUS:
            return None if (status := http_status(value)) is None else http_error(status) or ""
        if not isinstance(value, str):
            return None
        if role is Role.HTTP_ROUTE:
            return self.spans.requests.candidates(value)
        if role is Role.HTTP_METHOD:
            return value if value in self.spans.requests.methods else ""
        if role is Role.ERROR_TYPE:
            return normalise(value, self.catalog.error_types)
        if role is Role.ACTION:
            return value if value in self._actions else None
        if role is Role.STATUS:
            return value if value in names.STATUSES else None
        return ""

    def _atom(
        self,
        role: Role,
        name: str,
        value: Any = None,
        *,
        valid: bool = True,
        source: str = "",
        among: tuple[Atom, ...] = (),
    ) -> Atom:
        identity = (name, value, valid, source, among)
        atom = self._atoms.get(identity)
        if atom is None:
            atom = self._atoms[identity] = Atom(role, *identity)
        return atom

    def _shape(
        self, key: tuple[Any, ...], sample_rate: float, event: Event, quantity: int
    ) -> Shape:
        dimension = self._dimensions.get(key)
        if len(self._dimensions) >= DIMENSIONS:  # stores know them by what they say
            self._dimensions.clear()
            self._shapes.clear()
        if dimension is None:
            dimension = self._dimensions[key] = Dimension(*key)
        shape = self._shapes.get((dimension, sample_rate, quantity))
        if shape is None:
            shape = Shape(dimension, sample_rate, self.catalog.columns(event), quantity)
            self._shapes[dimension, sample_rate, quantity] = shape
        return shape


class _Meant(NamedTuple):
    """What a name, or a rule, stands for.

    Attributes:
        name: The event's name.
        event: The event.
        action: The action that the name says.
        success: What a use that went well is called, if the rule says it.
    """

    name: str
    event: Event
    action: str | None = None
    success: str | None = None


def sampled_share(share: float) -> float:
    """A share of observations, [0, 1], in thousandths: what is said of a rate is what was drawn by."""
    return max(round(share, 3), 0.001) if share > 0 else 0.0


def _of_event(event: Event, atom: Atom) -> Atom:
    """The class that an attribute has for this event."""
    if not atom.among:
        return atom
    return next((each for each in atom.among if each.name in event.attributes), UNDECLARED)


def _objection(event: Event, atom: Atom, seen: set[str]) -> Loss | None:
    """Why an attribute is dropped from this event, or None."""
    if atom.role is Role.UNDECLARED:
        return Loss.UNDECLARED_ATTRIBUTE
    if atom.role in (Role.ENUM, Role.COLUMN) and atom.name not in event.attributes:
        return Loss.UNDECLARED_ATTRIBUTE
    if atom.name in seen:
        return Loss.DUPLICATE_ATTRIBUTE
    if not atom.valid:
        return Loss.WRONG_TYPE if atom.role is Role.COLUMN else Loss.ENUM_VALUE
    return None


def _first_sent(atoms: Sequence[Atom]) -> dict[Role, Any]:
    """The fixed fields that were sent, None where not valid; of a repeated key the first counts."""
    fixed: dict[Role, Any] = {}
    for atom in atoms:
        if atom.role not in (Role.UNDECLARED, Role.ENUM, Role.COLUMN, Role.EITHER):
            fixed.setdefault(atom.role, atom.value)
    return fixed


def _action(meant: _Meant, failed: bool) -> str | None:
    """The action when none was said: as the span's outcome tells, else the only one there is."""
    event = meant.event
    outcome = names.FAILURE if failed else meant.success or names.SUCCESS
    if outcome in event.actions:
        return outcome
    if meant.success is not None:
        return meant.success
    return event.actions[0] if len(event.actions) == 1 else None
