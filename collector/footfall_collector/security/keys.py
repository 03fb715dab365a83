"""The senders' keys: the file that holds their hashes, and which key a token is (ADR 8).

    keys:
      bot: {hash: "sha256:...", services: [sahasrahbot], requests_per_minute: 600, created: 2026-11-22}

A key is `ffk_`, 256 random bits and a checksum, in letters and digits: programs that look for secrets
know it by its form, and a typing error is told from a key that is gone. Only its SHA-256 is kept. A slow hash
would defend a password that can be guessed; nobody guesses 256 random bits. A token is found by its
hash in a dict: how long that takes says something of hashes, which nobody can steer, and nothing of tokens.
"""

import datetime as dt
import hashlib
import re
import secrets
import string
import time
import zlib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated

import msgspec

from footfall_processors.document import Document, DocumentError, load

PREFIX = "ffk_"
NAME = re.compile(r"[a-z0-9][a-z0-9_.-]{0,62}")
NAME_RULE = (
    "a name has letters a to z, digits, `_`, `.` and `-`, 63 at most, and begins with no sign"
)
_ALPHABET = string.digits + string.ascii_uppercase + string.ascii_lowercase
_RANDOM, _CHECKSUM = 43, 6
"""Characters for 256 bits, and for 32, in base 62."""
_FORM = re.compile(f"{PREFIX}([0-9A-Za-z]{{{_RANDOM}}})([0-9A-Za-z]{{{_CHECKSUM}}})")
_Hash = Annotated[
    str,
    msgspec.Meta(
        pattern=r"^sha256:[0-9a-f]{64}\Z",
        description='"sha256:" and 64 hexadecimal digits, as `footfall keys new` writes it',
    ),
]


class KeyEntry(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A key as the file has it.

    Attributes:
        hash: SHA-256 of the key.
        services: The `service.name`s that it may send for; all without any.
        requests_per_minute: How many it may send in a process; any number without.
        relay: Whether its sender is a Footfall, whose pseudonyms are taken as they are.
        operator: Whether it opens the operator's listener.
        names_viewers: Whether its sender says for whom it sends, as a backend does that knows its users.
        created: When it was made.
        expires: Its last day (UTC).
    """

    hash: _Hash
    services: tuple[Annotated[str, msgspec.Meta(min_length=1)], ...] = ()
    requests_per_minute: Annotated[int, msgspec.Meta(ge=1, le=10_000_000)] | None = None
    relay: bool = False
    operator: bool = False
    names_viewers: bool = False
    created: dt.date
    expires: dt.date | None = None


class KeysFile(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A keys file; a sender without any of these keys is refused."""

    keys: dict[str, KeyEntry] = msgspec.field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Key:
    """A key in force.

    Attributes:
        name: Its name in the file.
        id: 16 bytes, the same for as long as the key exists; part of the ledger's digest, so that two senders
            never take each other's requests for their own.
        services: The `service.name`s that it may send for; empty for all.
        per_minute: Requests a minute, None for any number.
        relay: Whether its sender is a Footfall, whose pseudonyms are taken as they are.
        operator: Whether it opens the operator's listener.
        names_viewers: Whether its sender says for whom it sends.
        expires: Its last day (UTC), None for none.
    """

    name: str
    id: bytes
    services: frozenset[str] = frozenset()
    per_minute: int | None = None
    relay: bool = False
    operator: bool = False
    names_viewers: bool = False
    expires: dt.date | None = None


class Keys:
    """The keys of a file.

    Args:
        entries: By name.
        clock: The time in seconds since the Unix epoch.
    """

    def __init__(
        self, entries: Mapping[str, KeyEntry], clock: Callable[[], float] = time.time
    ) -> None:
        self._clock = clock
        self._known = {
            bytes.fromhex(entry.hash.partition(":")[2]): (_key(name, entry), _end(entry.expires))
            for name, entry in entries.items()
        }

    @classmethod
    def load(cls, path: str | Path) -> "Keys":
        """The keys of a file.

        Raises:
            DocumentError: with every mistake of the file.
        """
        return cls(read(path))

    def __len__(self) -> int:
        return len(self._known)

    def find(self, bearer: str | None) -> Key | None:
        """The key that a bearer token is; None when there is no such key or its time is over."""
        if bearer is None or not _FORM.fullmatch(bearer):
            return None
        key, end = self._known.get(digest(bearer), (None, 0.0))
        return key if self._clock() < end else None

    def by_id(self, number: bytes) -> Key | None:
        """The key with an id; None when there is no such key or its time is over."""
        now = self._clock()
        return next((k for k, end in self._known.values() if k.id == number and now < end), None)

    def name_of(self, bearer: str | None) -> str:
        """The name of a key, whether or not its time is over; empty when there is no such key."""
        if bearer is None or not _FORM.fullmatch(bearer):
            return ""
        known = self._known.get(digest(bearer))
        return known[0].name if known else ""

    def refusal(self, bearer: str | None) -> str:
        """Why `find` has nothing, for the sender: what is wrong and what would be right."""
        if bearer is None:
            return "a key is needed: send it as `authorization: Bearer ffk_...`"
        if not is_whole(bearer):
            return "the bearer token is no whole key: keys are `ffk_` and 49 letters and digits"
        if digest(bearer) in self._known:
            return "the key has expired; ask the operator for a new one"
        return "the key is not known here; ask the operator whether it was revoked"


class Operators:
    """Whom the operator's listener lets in.

    Attributes:
        keys: May be replaced at any time; None for whoever can reach it.
    """

    def __init__(self, keys: Keys | None) -> None:
        self.keys = keys

    def authorised(self, token: str | None) -> bool:
        """Whether a bearer token is an operator's key."""
        return self.key(token) is not None

    def key(self, token: str | None) -> Key | None:
        """The operator's key that a token is; None for any other."""
        key = self.keys.find(token) if self.keys else None
        return key if key is not None and key.operator else None

    def has(self, number: str) -> bool:
        """Whether an operator's key has this id, in hexadecimal digits, and is in force."""
        key = self.keys.by_id(bytes.fromhex(number)) if self.keys else None
        return key is not None and key.operator


def bearer(authorization: str | None) -> str | None:
    """The token of an `authorization` header's value (RFC 6750, 2.1); None for another scheme or none."""
    scheme, _, token = (authorization or "").partition(" ")
    return token.strip() if scheme.lower() == "bearer" else None


def make_token() -> str:
    """A new key; it exists nowhere else."""
    body = _base62(secrets.randbits(256), _RANDOM)
    return PREFIX + body + _checksum(body)


def is_whole(token: str) -> bool:
    """Whether it has a key's form and its checksum is right."""
    match = _FORM.fullmatch(token)
    return match is not None and _checksum(match[1]) == match[2]


def digest(token: str) -> bytes:
    """What is kept of a key."""
    return hashlib.sha256(token.encode()).digest()


def read(path: str | Path) -> dict[str, KeyEntry]:
    """The entries of a keys file, by name.

    Raises:
        DocumentError: with every mistake, its line and path; no value is quoted, since it may be a key.
    """
    document = load(path)
    _check_names(document)
    found = document.read(KeysFile)
    if found is not None:
        _check_hashes(document, found.keys)
    if found is None or document.mistakes:
        ordered = sorted(document.mistakes, key=lambda mistake: mistake.line)
        raise DocumentError(replace(m, path=_FORM.sub("(a key)", m.path)) for m in ordered)
    return found.keys


def _check_names(document: Document) -> None:
    names = document.data.get("keys")
    for name in names if isinstance(names, dict) else ():
        if not NAME.fullmatch(name):
            document.wrong(("keys", name), NAME_RULE)


def _check_hashes(document: Document, entries: Mapping[str, KeyEntry]) -> None:
    seen: dict[str, str] = {}
    for name, entry in entries.items():
        first = seen.setdefault(entry.hash, name)
        if first != name:
            document.wrong(("keys", name, "hash"), f"is that of {first}; make each its own key")


def _key(name: str, entry: KeyEntry) -> Key:
    return Key(
        name=name,
        id=bytes.fromhex(entry.hash.partition(":")[2])[:16],
        services=frozenset(entry.services),
        per_minute=entry.requests_per_minute,
        relay=entry.relay,
        operator=entry.operator,
        names_viewers=entry.names_viewers,
        expires=entry.expires,
    )


def _end(expires: dt.date | None) -> float:
    """When the day is over, in seconds since the Unix epoch."""
    if expires is None:
        return float("inf")
    return dt.datetime(expires.year, expires.month, expires.day, tzinfo=dt.UTC).timestamp() + 86_400


def _checksum(body: str) -> str:
    return _base62(zlib.crc32(body.encode()), _CHECKSUM)


def _base62(number: int, length: int) -> str:
    digits: Iterable[str] = (_ALPHABET[number // 62**n % 62] for n in reversed(range(length)))
    return "".join(digits)
