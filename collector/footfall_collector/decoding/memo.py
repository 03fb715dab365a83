"""Decisions remembered by the bytes they were made about (docs/design.md, "The hot path").

Feature telemetry repeats itself: a handful of names, enums and services makes almost all of it. Each
memo is a dict whose `__missing__` asks the policy, so that a known answer costs one lookup in C. All
share one budget in bytes (`budget.py`); when it is used up, they are emptied and fill again.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from footfall_collector.decoding import otlp
from footfall_collector.decoding.attributes import MARK
from footfall_collector.decoding.budget import Budget
from footfall_processors import (
    Atom,
    Attribute,
    Catalog,
    Policy,
    Role,
    Type,
    Value,
    clean,
    hashable,
    keyed_hash,
)
from footfall_processors.atoms import UNDECLARED
from footfall_processors.hashing import unmarked
from footfall_processors.values import looked_at

VALUES_PER_KEY = 4096
"""A key with more values than this is recognised by its key, and its values are not remembered."""
UNDECLARED_VALUES = 64
"""The same for a key that nobody declared: what may be personal is not kept, even in memory."""
LONGEST = 256
"""Bytes; what is longer (a query, a stack trace, a message) is seldom seen again and is not remembered."""
TRAIT = 16
"""Bytes that one of the things which a plan depends on takes in the plan's key."""
MOST_TRAITS = 64
"""Of spans in whose plans' keys an attribute may stand for its class; longer keys would take much memory."""

STOP = Atom(Role.IMPLIED)
"""Stands for the mark between two spans' attributes (`MARK`)."""


Trait = bytes | int | Atom
"""What a plan depends on: a span's encoded name, its `Outcome`, the class of each attribute."""
Outcome = int
"""A span's status code, and from bit ORIGIN on what observed it (`policy.Origin`)."""
ORIGIN = 2
Form = tuple[Trait | None, ...]
"""The traits that some spans have in common, in this order; None where they differ, empty when they may
differ in their number."""


def is_short(traits: Sequence[Trait | None]) -> bool:
    """Whether traits, the name among them, are worth remembering, and take little memory."""
    name = len(traits[0]) if traits and isinstance(traits[0], bytes) else 0
    return name + len(traits) <= LONGEST


class Atoms(dict[bytes, Atom]):
    """Encoded KeyValue → its class.

    Keys with many values would fill the memo with values that are never seen again. Such a key is instead
    recognised by its own bytes, together with the value's type where every value of that type is valid.

    Attributes:
        usual: Declared attributes of few values, encoded as encoders do, one for each class: each to itself,
            so that what is remembered shares it.
        mixed: Forms, but for their names, in which something else was found at the place of such attributes.
    """

    def __init__(self, policy: Policy, budget: Budget) -> None:
        super().__init__({MARK: STOP})
        self._policy, self._budget = policy, budget
        budget.share(self._forget)
        self._seen: dict[str, int] = {}
        self._undeclared: set[bytes] = set()
        self._valid: dict[tuple[bytes, bytes], Atom] = {}
        self._texts: dict[Atom, bytes] = {}
        self.usual: dict[bytes, bytes] = {}
        self.mixed: set[Form] = set()

    def column(self, encoded: Sequence[bytes]) -> Atom | Sequence[bytes] | Iterator[Atom]:
        """The classes of attributes that stand at the same place in spans of one form, or the class of all.

        They usually have the same key. When nobody declared it, their values need not be looked up. When
        they are an enum's, the attributes themselves are given: they are few, and can stand for their classes
        (see `FormPlans`).
        """
        first = encoded[0]
        if first in self.usual:
            return encoded
        prefix = first[: first[1] + 2] if len(first) > 1 else b""
        # What lies between two strings that begin alike begins like them.
        if prefix in self._undeclared and all(
            outermost(encoded).startswith(prefix) for outermost in (min, max)
        ):
            return UNDECLARED
        return map(self.__getitem__, encoded)

    def mixes(self, form: Form) -> bool:
        """Whether attributes of such spans must be classified before their plans are looked up."""
        return form[1:] in self.mixed or len(form) > MOST_TRAITS

    def note_mixed(self, form: Form) -> None:
        """Remembers that something unusual was found among the attributes of such spans."""
        if len(self.mixed) >= VALUES_PER_KEY:
            self.mixed.clear()
        self._budget.take(TRAIT * len(form))
        self.mixed.add(form[1:])  # the name may be anything

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
        if encoded == self._text(atom):
            self.usual[encoded] = encoded
        short = len(encoded) <= LONGEST
        if not short and prefix != _prefix(key):
            return atom
        if key not in self._seen:
            self._budget.take(2 * len(encoded[: len(key)]))  # by its name, and by its bytes
        seen = self._seen[key] = self._seen.get(key, 0) + 1
        most = UNDECLARED_VALUES if atom.role is Role.UNDECLARED else VALUES_PER_KEY
        if encoded in self.usual or (short and seen <= most):
            self._budget.take(len(encoded))
            self[encoded] = atom
        elif prefix == _prefix(key):
            if atom.role is Role.UNDECLARED:
                self._undeclared.add(prefix)
            elif atom.role is Role.COLUMN and tag in _valid_tags(self._policy.catalog, atom.name):
                self._valid[prefix, tag] = self._policy.classify(key, _SAMPLE[tag])
        return atom

    def _text(self, atom: Atom) -> bytes | None:
        """How encoders write an attribute of this class, when its value is a text."""
        if atom not in self._texts and isinstance(atom.value, str):
            self._texts[atom] = otlp.encoded_text(atom.source or atom.name, atom.value)
        return self._texts.get(atom)

    def _forget(self) -> None:
        self.clear()
        self._seen.clear()
        self._undeclared.clear()
        self.mixed.clear()
        self[MARK] = STOP


_STRING, _BOOL, _INT = b"\x0a", b"\x10", b"\x18"  # tags of AnyValue: string, bool, int
_SAMPLE: dict[bytes, object] = {_STRING: "x", _BOOL: True, _INT: 0}


def _prefix(key: str) -> bytes:
    """How a KeyValue with this key begins; empty when its length takes more than one byte."""
    encoded = key.encode("utf-8", "replace")
    return b"\x0a" + bytes([len(encoded)]) + encoded if len(encoded) < 128 else b""


def _valid_tags(catalog: Catalog, name: str) -> tuple[bytes, ...]:
    """The wire types all of whose (short) values are valid for a declared attribute."""
    attribute = catalog.attributes[name]
    if attribute.hash:
        return (_STRING, _INT)
    by_type = {Type.STRING: _STRING, Type.BOOL: _BOOL, Type.INT: _INT, Type.FLOAT: _INT}
    return tuple(filter(None, (by_type.get(attribute.type),)))


class Statuses(dict[bytes, int]):
    """Encoded Status → its code. Messages, which are unbounded, are not remembered."""

    def __init__(self, budget: Budget) -> None:
        super().__init__()
        self._budget = budget
        budget.share(self.clear)

    def __missing__(self, encoded: bytes) -> int:
        code = otlp.status_code(encoded)
        if len(self) < VALUES_PER_KEY and len(encoded) <= LONGEST:
            self._budget.take(len(encoded))
            self[encoded] = code
        return code


@dataclass(slots=True)
class Searched:
    """How many characters were searched for personal data: by far the dearest thing that is done."""

    characters: int = 0


class Values(dict[bytes, Value | None]):
    """Encoded KeyValue → the value as it is stored, for one attribute, one product and one salt period.

    A relay's pseudonyms need no salt, and are kept as they are.
    """

    def __init__(
        self,
        name: str,
        attribute: Attribute,
        salt: bytes | None,
        searched: Searched,
        budget: Budget,
        *,
        relay: bool,
        product: str = "",
    ) -> None:
        super().__init__()
        self._searched, self._budget = searched, budget
        self._name, self._attribute, self._salt, self._relay = name, attribute, salt, relay
        self._product = product
        self.unsalted = attribute.hash is not None and salt is None and not relay

    def __missing__(self, encoded: bytes) -> Value | None:
        value = otlp.key_value(encoded)[1]
        kept = self._hash(value) if self._attribute.hash else clean(self._attribute, value)
        if isinstance(kept, str) and isinstance(value, str):
            self._searched.characters += looked_at(self._attribute, value)
        if len(encoded) <= LONGEST:
            self._budget.take(len(encoded) + (len(kept) if isinstance(kept, str | bytes) else 0))
            self[encoded] = kept
        return kept

    def _hash(self, value: object) -> bytes | None:
        if self._relay and (pseudonym := unmarked(value)) is not None:
            return pseudonym
        if self._salt is None or not hashable(value):
            return None
        return keyed_hash(self._salt, self._name, value, self._product)
