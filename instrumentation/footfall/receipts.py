"""Receipts: whoever holds one is told what is stored under it, and has it erased (R-number G7).

A receipt is a random token that stays with its holder. Events carry the token's SHA-256 as `receipt_id`, if
the catalog declares that for them, and the collector stores a pseudonym of it, as of a receipt of its HTTP
API. By that API the holder asks, and erases: with the token, and without anybody knowing who they are.
"""

import datetime as dt
import hmac
import os
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import msgspec

from footfall._client import Client, default
from footfall._recording.receipt import Digest, digest_of, present
from footfall_processors.errors import OperatorError
from footfall_processors.hashing import MINIMUM_STRENGTH, strength

if TYPE_CHECKING:
    from footfall._api import Answer, Unreachable

SECRET: Final = "FOOTFALL_RECEIPT_SECRET"  # noqa: S105  # its name
"""Of a server: what the tokens of its users are derived with."""
_URL: Final = "http://localhost:4318/telemetry"
_SHORTEST, _LONGEST = 22, 256
_LEAST_BYTES: Final = 32
_WAIT_S: Final = 5.0


class ReceiptError(OperatorError):
    """Nobody can be told, or nothing erased; the message says why and what to do, and can be shown."""


class Line(NamedTuple):
    """What is stored under a receipt of one day and event.

    Attributes:
        day: UTC.
        event: Its name.
        number: Occurrences.
    """

    day: dt.date
    event: str
    number: int


class Held(NamedTuple):
    """What is stored under a receipt; of `erase()`, what was.

    Attributes:
        events: Occurrences, in all.
        stored: The same by day and event.
    """

    events: int
    stored: Sequence[Line]


Stored = Counter[tuple[dt.date, str]]
"""Occurrences by day and event."""


class _Line(msgspec.Struct):
    day: dt.date
    event: str
    count: int


class _Said(msgspec.Struct):
    """An answer of the API."""

    ok: bool
    events: int = 0
    stored: list[_Line] = []
    error: str = ""


class Receipt:
    """Somebody's receipt.

    Without a token and a user it is that of this installation, in a program that asks its user
    (`configure(consent=True)`): drawn at random after their yes and kept beside their answer. Every event
    that declares `receipt_id` carries it then, from now on and after each new yes. A server has one for each
    user, by a token that the user holds, or by one that it derives itself.

    Making one never raises. What cannot be used as a token is sent with nothing, and told by `show()`.

    Args:
        token: 22 to 256 characters of ASCII, drawn at random by whoever holds it.
        user: Of whom a server derives the token; it is stored nowhere, nor sent.
        secret: With what it derives it: 32 random bytes or more, which no collector has. None is
            FOOTFALL_RECEIPT_SECRET. Whoever changes it loses all receipts.
        api: The URL of the HTTP API's prefix; None is FOOTFALL_API_URL, or http://localhost:4318/telemetry.
        client: None is the client behind `footfall.configure()`.

    Example:
        >>> import footfall
        >>> receipt = footfall.receipt("k3-Q_m1xRr0aY7pTz5uWcg")
        >>> with receipt.attached():
        ...     footfall.event("web.login", "success")
    """

    def __init__(
        self,
        token: str | None = None,
        *,
        user: object = None,
        secret: str | None = None,
        api: str | None = None,
        client: Client | None = None,
    ) -> None:
        self._client = default if client is None else client
        self._api = api
        self._secret = os.environ.get(SECRET, "") if secret is None else secret
        self._is_own = token is None and user is None
        self._derives = user is not None
        self._token = _derived(user, self._secret) if self._derives else _usable(token)
        if self._is_own:
            self._client.keep_receipt()

    @property
    def token(self) -> str | None:
        """The token, for its holder alone; None where there is none (yet), or it cannot be used."""
        return self._client.consent.receipt() if self._is_own else self._token

    @property
    def digest(self) -> Digest | None:
        """What events carry as `receipt_id`, to be given to one by itself; None as above."""
        token = self.token
        return None if token is None else digest_of(token)

    @contextmanager
    def attached(self) -> Iterator[None]:
        """Has the events of this block carry it: of this thread or task, and of tasks that it starts."""
        before = present.set(self.digest)
        try:
            yield
        finally:
            with suppress(ValueError):  # a coroutine that is thrown away ends in another context
                present.reset(before)

    def show(self) -> Held:
        """What is stored; waits for the network.

        In asynchronous code: `await asyncio.to_thread(receipt.show)`. What was only counted carries no
        receipt: `count()`, what was sampled out, the start of a use.

        Raises:
            ReceiptError: it cannot be known.
        """
        return _held(self._ask("GET", self._tokens()))

    def erase(self) -> Held:
        """Sends what waits and has everything erased; what it was. An installation has a new receipt then.

        Raises:
            ReceiptError: it is not known to be erased. Calling it again does no harm.
        """
        tokens = self._tokens()
        found = self._erased(tokens)
        if self._is_own and tokens:
            self._client.consent.renew_receipt()
            found += self._erased(tokens)  # what came until then
            self._client.consent.erased(tokens)
        return _held(found)

    def _erased(self, tokens: Sequence[str]) -> Stored:
        self._client.flush(_WAIT_S)
        return self._ask("DELETE", tokens)

    def _tokens(self) -> Sequence[str]:
        if self._is_own:
            found = self._client.consent.receipts()
            if found is None:
                advice = "call configure(consent=True) with a catalog first, or give a token"
                raise ReceiptError(
                    "this program does not ask its user, and keeps no receipt", advice
                )
            return found
        if self._token is not None:
            return [self._token]
        if self._derives:
            raise ReceiptError(
                f"{SECRET} is not set, or too easy to guess", "set it to: openssl rand -hex 32"
            )
        raise ReceiptError(
            "this is no token", f"it has {_SHORTEST} to {_LONGEST} characters of ASCII"
        )

    def _ask(self, method: str, tokens: Sequence[str]) -> Stored:
        from footfall import _api  # not before it is needed: it imports `requests`

        api = _api.Api(self._api or os.environ.get("FOOTFALL_API_URL") or _URL)
        found = Stored()
        for token in tokens:
            try:
                sent = {"footfall-receipt-token": token.encode()}
                found.update(_read(api.ask(method, "/receipt", sent)))
            except _api.Unreachable as error:
                raise _unreachable(error) from None
        return found


receipt = Receipt
"""A receipt: `footfall.receipt()`."""


def _held(found: Stored) -> Held:
    return Held(found.total(), [Line(*of, number) for of, number in sorted(found.items())])


def _derived(user: object, secret: str) -> str | None:
    """The token of a server's user; None where the secret is none."""
    if not _is_good(secret):
        return None
    return hmac.new(
        secret.encode(), b"footfall receipt\0" + str(user).encode(), "sha256"
    ).hexdigest()


@lru_cache(maxsize=4)
def _is_good(secret: str) -> bool:
    return len(secret.encode()) >= _LEAST_BYTES and strength(secret) >= MINIMUM_STRENGTH


def _usable(token: Any) -> str | None:
    if not isinstance(token, str) or not _SHORTEST <= len(token) <= _LONGEST:
        return None
    return token if token.isascii() and token.isprintable() else None


def _read(answer: "Answer") -> Stored:
    try:
        said = msgspec.json.decode(answer.body, type=_Said)
    except msgspec.MsgspecError:
        raise _no_api(answer.status) from None
    if answer.status == 200 and said.ok:
        return Stored({(each.day, each.event): each.count for each in said.stored})
    raise ReceiptError(
        *_REFUSED.get(said.error, (f"the collector refuses it ({answer.status})", ""))
    )


_LATER: Final = "try again in a minute"
_REFUSED: Final = {
    "telemetry_disabled": (
        "the collector's HTTP API is switched off",
        "set `receivers.http_api.enabled` in its configuration",
    ),
    "rate_limited": ("the collector is asked too often", _LATER),
    "unavailable": ("the collector's store does not answer now", _LATER),
}
"""What the API calls a refusal → what is said of it, and what to do."""


def _unreachable(error: "Unreachable") -> ReceiptError:
    if error.is_there:
        return _no_api(error.why)
    advice = "look whether it runs, and whether FOOTFALL_API_URL is the prefix of its HTTP API"
    return ReceiptError(f"the collector does not answer ({error.why})", advice)


def _no_api(what: object) -> ReceiptError:
    advice = "set FOOTFALL_API_URL to its prefix, and `receivers.http_api` in the collector's configuration"
    return ReceiptError(f"what answers is not a collector's HTTP API ({what})", advice)
