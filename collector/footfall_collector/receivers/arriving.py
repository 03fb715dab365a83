"""What arrives as server-sent events: which there are, and what each says."""

import datetime as dt
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import zip_longest
from typing import Any

import msgspec

from footfall_exporters.postgres.arrivals import Arrivals, Sum
from footfall_exporters.postgres.today import Kind, Single
from footfall_processors.wording import listed

_encode = msgspec.json.Encoder().encode
_MAY_ASK = ("product", "environment", "after")
_FIXED = ("status", "error_type", "service", "service_version", "environment")
"""What is known of any event; what else it has, its catalog declares."""


@dataclass(frozen=True, slots=True)
class Message:
    """One of them.

    Attributes:
        event: Its kind.
        said: What it says; None for one that only says how far the stream is.
        position: The commit with which it ends, where it does.
    """

    event: str
    said: Mapping[str, Any] | None
    position: int | None = None

    def frame(self) -> bytes:
        """As it is sent."""
        lines = [] if self.position is None else [b"id: %d" % self.position]
        if self.said is not None:
            lines += [b"event: " + self.event.encode(), b"data: " + _encode(self.said)]
        return b"\n".join(lines) + b"\n\n"


@dataclass(frozen=True, slots=True)
class Wanted:
    """Whose arrivals are wanted; empty for all.

    Attributes:
        product: In whose catalog the event is.
        environment: In which it happened.
    """

    product: str = ""
    environment: str = ""

    @classmethod
    def of(cls, query: Mapping[str, str]) -> "Wanted":
        """What a request asks for.

        Raises:
            ValueError: it cannot be asked for.
        """
        if any(name not in _MAY_ASK for name in query):
            raise ValueError(f"a stream is asked by {listed(_MAY_ASK)} alone")
        return cls(query.get("product", ""), query.get("environment", ""))

    def has(self, product: str, environment: str) -> bool:
        """Whether that is wanted."""
        return self.product in ("", product) and self.environment in ("", environment)


def messages(found: Arrivals, wanted: Wanted) -> Iterator[Message]:
    """What somebody is told of it, in order; at its end they know how far it was.

    Requests that were refused are everybody's: whose they were is not known.
    """
    singles = [each for each in found.singles if wanted.has(each.product, _environment(each))]
    if not found.is_whole:
        yield left_out(found.at, None)
    for single, after in zip_longest(singles, singles[1:]):
        is_last = after is not None and after.position != single.position
        yield Message("stored", _stored(single), single.position if is_last else None)
    yield from _summary(found, wanted, len(singles))
    for each in found.counted:
        if wanted.has(each.product, each.environment):
            yield Message("counted", {"at": _written(found.at)} | _summed(each))
    yield from _missed(found)
    yield Message("", None, found.position)


def left_out(at: dt.datetime, number: int | None) -> Message:
    """That not everything is shown.

    Args:
        at: When.
        number: How much is not; None where nobody has counted it.
    """
    return Message("summary", {"at": _written(at), "left_out": number, "events": []})


def away(why: str) -> Message:
    """That the store does not answer; without a reason, that it does again."""
    return Message("away", {"reason": why} if why else {"reason": None})


def _summary(found: Arrivals, wanted: Wanted, shown: int) -> Iterator[Message]:
    """What observations there were, where they are not all shown."""
    summed = [each for each in found.summed if wanted.has(each.product, each.environment)]
    number = sum(each.number for each in summed) - shown
    if number > 0:
        said = {"at": _written(found.at), "left_out": number}
        yield Message("summary", said | {"events": [_summed(each) for each in summed]})


def _missed(found: Arrivals) -> Iterator[Message]:
    for thing, number in sorted(found.missed.items()):
        named = {"reason": thing.name, "signal": thing.signal, "key": thing.key,
                 "service": thing.service, "count": number}  # fmt: skip
        kind = "refused" if thing.kind is Kind.REFUSED else "lost"
        yield Message(kind, {"at": _written(found.at)} | _said(named))


def _stored(single: Single) -> dict[str, Any]:
    known = {name: single.said.get(name) for name in _FIXED}
    more = {name: value for name, value in single.said.items() if name not in _FIXED}
    named = {"event": single.event, "action": single.action, "surface": single.surface,
             "feature": single.feature, "product": single.product,
             "duration_ms": single.duration_ms}  # fmt: skip
    return {"at": _written(single.at)} | _said(named | known) | {"attributes": more}


def _summed(each: Sum) -> dict[str, Any]:
    named = each._asdict()
    return {"count": named.pop("number")} | _said(named)


def _said(named: Mapping[str, Any]) -> dict[str, Any]:
    """Without what is not known."""
    return {name: value for name, value in named.items() if value not in ("", None)}


def _environment(single: Single) -> str:
    return single.said.get("environment", "")


def _written(at: dt.datetime) -> str:
    return f"{at.astimezone(dt.UTC):%Y-%m-%dT%H:%M:%SZ}"
