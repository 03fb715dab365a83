"""Decisions remembered by the bytes they were made about (DESIGN, "The hot path").

Feature telemetry repeats itself: a handful of names, enums and services makes almost all of it. Each
memo is a dict whose `__missing__` asks the policy, so that a known answer costs one lookup in C. All
are bounded; a full one is emptied and fills again.
"""

import datetime as dt
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from footfall_collector import otlp, wire
from footfall_processors import (
    Atom,
    Attribute,
    Catalog,
    Dimension,
    Loss,
    Policy,
    Role,
    Service,
    Shape,
    Type,
    Value,
    Verdict,
    clean,
    hashable,
    keyed_hash,
    period,
)
from footfall_processors.hashing import Salts
from footfall_processors.names import DURATION
from footfall_processors.policy import UNDECLARED, is_pseudonym
from footfall_processors.values import looked_at

VALUES_PER_KEY = 4096
"""A key with more values than this is recognised by its key, and its values are not remembered."""
UNDECLARED_VALUES = 64
"""The same for a key that nobody declared: what may be personal is not kept, even in memory."""
ENTRIES = 65_536
LONGEST = 256
"""Bytes; what is longer (a query, a stack trace, a message) seldom comes again and is not remembered."""
DAY_US = 86_400_000_000
DAYS = 16
"""Days whose hashes are remembered at once; events are accepted over eight."""

STOP = Atom(Role.IMPLIED)
"""Stands for the mark after each span's attributes (`wire.MARK`)."""


class Atoms(dict[bytes, Atom]):
    """Encoded KeyValue → its class.

    Keys with many values would fill the memo with values that never come again. Such a key is instead
    recognised by its own bytes, together with the value's type where every value of that type is valid.
    """

    def __init__(self, policy: Policy) -> None:
        super().__init__({wire.MARK: STOP})
        self._policy = policy
        self._seen: dict[str, int] = {}
        self._undeclared: set[bytes] = set()
        self._valid: dict[tuple[bytes, bytes], Atom] = {}

    def column(self, encoded: Sequence[bytes]) -> Atom | Iterator[Atom]:
        """The classes of attributes that stand at the same place in spans of one form, or the class of all.

        They usually have the same key. When nobody declared it, their values need not be looked up.
        """
        first = encoded[0]
        prefix = first[: first[1] + 2] if len(first) > 1 else b""
        # What lies between two strings that begin alike begins like them.
        if prefix in self._undeclared and all(
            outermost(encoded).startswith(prefix) for outermost in (min, max)
        ):
            return UNDECLARED
        return map(self.__getitem__, encoded)

    def __missing__(self, encoded: bytes) -> Atom:
        """The class of an attribute that is not remembered by its value."""
        try:
            # An encoder writes `0a <length> <key> 12 <length> <type> …`.
            if encoded[: encoded[1] + 2] in self._undeclared:
                return UNDECLARED
        except IndexError:
            return self._learn(encoded, b"", b"")
        end = encoded[1] + 2
        prefix, tag = encoded[:end], encoded[end + 2 : end + 3]
        atom = self._valid.get((prefix, tag))
        # Values from 128 bytes have a length of two bytes, and their type one byte further on.
        if atom is not None and b"\x02" < encoded[end + 1 : end + 2] < b"\x80":
            return atom
        return self._learn(encoded, prefix, tag)

    def _learn(self, encoded: bytes, prefix: bytes, tag: bytes) -> Atom:
        key, value = otlp.key_value(encoded)
        atom = self._policy.classify(key, value)
        short = len(encoded) <= LONGEST
        if not short and prefix != _prefix(key):
            return atom
        if len(self) >= ENTRIES or len(self._seen) >= ENTRIES:
            self._forget()
        seen = self._seen[key] = self._seen.get(key, 0) + 1
        if short and seen <= (
            UNDECLARED_VALUES if atom.role is Role.UNDECLARED else VALUES_PER_KEY
        ):
            self[encoded] = atom
        elif prefix == _prefix(key):
            if atom.role is Role.UNDECLARED:
                self._undeclared.add(prefix)
            elif atom.role is Role.COLUMN and tag in _valid_tags(self._policy.catalog, key):
                self._valid[prefix, tag] = self._policy.classify(key, _SAMPLE[tag])
        return atom

    def _forget(self) -> None:
        self.clear()
        self._seen.clear()
        self._undeclared.clear()
        self[wire.MARK] = STOP


_STRING, _BOOL, _INT = b"\x0a", b"\x10", b"\x18"  # tags of AnyValue: string, bool, int
_SAMPLE: dict[bytes, object] = {_STRING: "x", _BOOL: True, _INT: 0}


def _prefix(key: str) -> bytes:
    """How a KeyValue with this key begins; empty when its length takes more than one byte."""
    encoded = key.encode("utf-8", "replace")
    return b"\x0a" + bytes([len(encoded)]) + encoded if len(encoded) < 128 else b""


def _valid_tags(catalog: Catalog, key: str) -> tuple[bytes, ...]:
    """The wire types all of whose (short) values are valid for a declared attribute."""
    attribute = catalog.attributes[key]
    if attribute.hash:
        return (_STRING, _INT)
    by_type = {Type.STRING: _STRING, Type.BOOL: _BOOL, Type.INT: _INT, Type.FLOAT: _INT}
    return tuple(filter(None, (by_type.get(attribute.type),)))


class Statuses(dict[bytes, bool]):
    """Encoded Status → whether it is ERROR. Messages, which are unbounded, are not remembered."""

    def __missing__(self, encoded: bytes) -> bool:
        failed = otlp.is_error(encoded)
        if len(self) < VALUES_PER_KEY and len(encoded) <= LONGEST:
            self[encoded] = failed
        return failed


@dataclass(slots=True)
class Searched:
    """How many characters were searched for personal data: by far the dearest thing that is done."""

    characters: int = 0


class Values(dict[bytes, Value | None]):
    """Encoded KeyValue → the value as it is stored, for one attribute and one salt period.

    A relay's pseudonyms need no salt, and are kept as they are.
    """

    def __init__(
        self,
        name: str,
        attribute: Attribute,
        salt: bytes | None,
        searched: Searched,
        *,
        relay: bool,
    ) -> None:
        super().__init__()
        self._searched = searched
        self._name, self._attribute, self._salt, self._relay = name, attribute, salt, relay
        self.unsalted = attribute.hash is not None and salt is None and not relay

    def __missing__(self, encoded: bytes) -> Value | None:
        value = otlp.key_value(encoded)[1]
        kept = self._hash(value) if self._attribute.hash else clean(self._attribute, value)
        if isinstance(kept, str) and isinstance(value, str):
            self._searched.characters += looked_at(self._attribute, value)
        if len(self) >= ENTRIES:
            self.clear()
        if len(encoded) <= LONGEST:
            self[encoded] = kept
        return kept

    def _hash(self, value: object) -> bytes | None:
        if self._relay and isinstance(value, bytes) and is_pseudonym(value):
            return value
        if self._salt is None or not hashable(value):
            return None
        return keyed_hash(self._salt, self._name, value)


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


Trait = bytes | bool | Atom
"""What a plan depends on: a span's encoded name, whether it failed, the class of each attribute."""
Form = tuple[Trait | None, ...]
"""The traits that some spans have in common, in this order; None where they differ, empty when they may
differ in their number."""


class Plans:
    """Plans for the spans of one service whose times share every salt."""

    def __init__(
        self, policy: Policy, service: Service, today: dt.date, values: Mapping[str, Values]
    ) -> None:
        self._policy, self._service, self._today = policy, service, today
        self._values = values
        self._forms: dict[Form, FormPlans] = {}
        self._learned = 0
        self._extracts: dict[tuple[tuple[int, ...], tuple[str, ...]], Extract] = {}

    def form(self, form: Form) -> "FormPlans":
        """The plans of the spans that have these traits in common."""
        plans = self._forms.get(form)
        if plans is None:
            plans = FormPlans(self, form)
            if len(form) <= LONGEST:
                self._learn()
                self._forms[form] = plans
        return plans

    def make(self, name: bytes, failed: bool, atoms: Sequence[Atom]) -> Plan:
        """What becomes of a span with these traits."""
        self._learn()
        text = name.decode("utf-8", "replace")
        verdict = self._policy.judge(self._service, text, failed, atoms, self._today)
        return self._plan(verdict, len(atoms))

    def _learn(self) -> None:
        """Makes room for another form or plan."""
        if self._learned >= ENTRIES:
            self._learned = 0
            self._forms.clear()
            self._extracts.clear()
        self._learned += 1

    def _plan(self, verdict: Verdict, size: int) -> Plan:
        if verdict.shape is None:
            return Plan(verdict.refused, NO_SHAPE, NOTHING, None, ())
        names = verdict.shape.columns
        # Positions count from where the span's attributes stop, backwards; 0 stands for absent.
        at = tuple(position - size if position >= 0 else 0 for position in verdict.positions)
        unsalted = sum(at < 0 and self._values[n].unsalted for n, at in zip(names, at, strict=True))
        losses = verdict.losses + (((Loss.SALT_MISSING, unsalted),) if unsalted else ())
        duration = None
        if verdict.duration_at >= 0:
            duration = self._extract((verdict.duration_at - size,), (DURATION,))
        return Plan(None, verdict.shape, self._extract(at, names), duration, losses)

    def _extract(self, positions: tuple[int, ...], names: tuple[str, ...]) -> "Extract":
        """The same object for the same work, so that spans that share it can be handled together."""
        known = self._extracts.get((positions, names))
        if known is None:
            known = Extract(positions, tuple(self._values[name] for name in names))
            self._extracts[positions, names] = known
        return known


class FormPlans(dict[tuple[Trait, ...], Plan]):
    """The traits in which spans of one form differ → plan."""

    def __init__(self, plans: Plans, form: Form) -> None:
        super().__init__()
        self._plans, self._form = plans, form

    def __missing__(self, differing: tuple[Trait, ...]) -> Plan:
        rest = iter(differing)
        traits: Any = [next(rest) if trait is None else trait for trait in self._form] or differing
        name, failed, *atoms = traits
        plan = self._plans.make(name, failed, atoms)
        if len(name) + len(atoms) <= LONGEST:
            if len(self) >= ENTRIES:
                self.clear()
            self[differing] = plan
        return plan


@dataclass(frozen=True, slots=True, eq=False)
class Extract:
    """Picks values out of all spans' attributes.

    Attributes:
        positions: Where each value stands, from where the span's attributes stop; 0 when absent.
        memos: What is stored for it.
    """

    positions: tuple[int, ...]
    memos: tuple[Values, ...]

    def columns(
        self, attributes: Sequence[bytes], stops: Sequence[int]
    ) -> list[list[Value | None]]:
        """The values, by column, of the spans whose attributes stop at these positions."""
        return [
            list(map(memo.__getitem__, _at(attributes, stops, position)))
            if position
            else [None] * len(stops)
            for position, memo in zip(self.positions, self.memos, strict=True)
        ]


def _at(attributes: Sequence[bytes], stops: Sequence[int], position: int) -> Sequence[bytes]:
    if isinstance(stops, range):
        return attributes[stops.start + position : stops.stop : stops.step]
    return [attributes[stop + position] for stop in stops]


NOTHING = Extract((), ())
NO_SHAPE = Shape(Dimension("", "", "", "", "", None, None, None, None, ()), 1.0, ())


class Contexts:
    """The plans in use, by service and day; salts, and so hashes, change with the day.

    Args:
        policy: The compiled catalog.
        salts: Replaced as a whole by `use_salts` when salts were made or destroyed.
    """

    LIMIT = 512

    def __init__(self, policy: Policy, salts: Salts) -> None:
        self.atoms = Atoms(policy)
        self.statuses = Statuses()
        self.searched = Searched()
        self._policy, self._salts = policy, salts
        self._services: dict[bytes, tuple[Service, int]] = {}
        self._plans: dict[tuple[Service, int, dt.date], Plans] = {}
        self._values: dict[int, dict[str, Values]] = {}

    def use_salts(self, salts: Salts) -> None:
        """Uses other salts from now on; what was hashed with the earlier ones is forgotten."""
        if salts != self._salts:
            self._salts = salts
            self._plans.clear()
            self._values.clear()

    def service(self, resource: bytes) -> tuple[Service, int]:
        """The service that an encoded resource names, and how many of its values were refused."""
        found = self._services.get(resource)
        if found is None:
            if len(self._services) >= self.LIMIT:
                self._services.clear()
            found = self._policy.service(otlp.resource_attributes(resource))
            if len(resource) <= 64 * LONGEST:
                self._services[resource] = found
        return found

    def plans(self, resource: bytes, time_us: int, today: dt.date) -> Plans:
        """The plans for a service's events of one day."""
        service = self.service(resource)[0]
        key = (service, time_us // DAY_US, today)
        if key not in self._plans:
            if len(self._plans) >= self.LIMIT:
                self._plans.clear()
            values = self._day_values(time_us)
            self._plans[key] = Plans(self._policy, service, today, values)
        return self._plans[key]

    def _day_values(self, time_us: int) -> dict[str, Values]:
        day = time_us // DAY_US
        if day not in self._values:
            if len(self._values) >= DAYS:
                self._values.clear()
                self._plans.clear()
            self._values[day] = {
                name: Values(
                    name,
                    attribute,
                    self._salt(attribute, time_us),
                    self.searched,
                    relay=self._policy.relay,
                )
                for name, attribute in self._policy.catalog.attributes.items()
                if attribute.type is not Type.ENUM
            }
        return self._values[day]

    def _salt(self, attribute: Attribute, time_us: int) -> bytes | None:
        return self._salts.get(period(attribute.hash, time_us)) if attribute.hash else None
