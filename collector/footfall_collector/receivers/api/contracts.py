"""What the bodies of the three ways to post mean; what cannot be read of one event costs that event alone.

Sources: R-numbers B1 (counts), C1 to C3 (track), D1 and D2 (events). Keys that no contract has are left out.
"""

import datetime as dt
import hashlib
import re
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any, Final

import msgspec

from footfall_collector.receivers.api.errors import ApiError, Problem
from footfall_collector.receivers.api.posted import MOST_AT_ONCE, Posted
from footfall_processors import Loss

MOST_EVENTS, MOST_TRACKED = 50, 100
"""Events of one request (R-numbers D1 and C3)."""
LONGEST_EVENT = 4096
"""Bytes of one event, as JSON (R-number D1)."""
DEEPEST = 32
"""Objects and lists within each other that are looked through; what is deeper cannot be used."""
EVENT_ID: Final = "event_id"
LONGEST_ID = 255
"""Characters of an event's id; a longer one names nothing."""
TOKEN: Final = "session_token"  # noqa: S105  # the name of a field
_NO_ATTRIBUTES: Final = ("user_id", TOKEN)
"""What an event may have besides its name and time, and is none of its attributes."""
_NAME: Final = re.compile(r"[a-z][a-z0-9_]*(\.[a-z][a-z0-9_]*)*")
_LONGEST_NAME = 128
_LATEST_US = 2**63 // 1000
_EPOCH = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)
_object: Final = msgspec.json.Decoder(dict[str, Any])
_raw: Final = msgspec.json.Decoder(list[msgspec.Raw])


@dataclass(slots=True)
class Body:
    """What a request posts.

    Attributes:
        posted: The events that can be read.
        losses: The others, by reason.
        ids: What the client calls each event; None where it does not.
    """

    posted: list[Posted] = field(default_factory=list)
    losses: Counter[Loss] = field(default_factory=Counter)
    ids: list[str | None] = field(default_factory=list)

    @property
    def size(self) -> int:
        """How many events there were."""
        return len(self.posted) + self.losses.total()

    @property
    def name(self) -> str | None:
        """What its events call a request, where each of them has an id of its client's; None without."""
        if not self.ids or not all(self.ids):
            return None
        return "events " + hashlib.sha256("\n".join(map(str, self.ids)).encode()).hexdigest()


Reader = Callable[[bytes, int], Body]
"""(a body, now in ns since the Unix epoch) → what it posts. Raises ApiError: nothing of it can be used."""


def ingest(body: bytes, now_ns: int) -> Body:
    """`{event, count}`: a count is made an int, and clamped to 1..50; one that is none is 1 (R-number B1)."""
    try:
        said = _checked(msgspec.Raw(body or b"{}"))
    except Unusable as error:
        if error.reason is Loss.BODY:
            return Body(losses=Counter([error.reason]))
        said = {}
    event = said.get("event")
    if not isinstance(event, str) or not _is_name(event):
        raise ApiError(
            Problem.INVALID_EVENT, "`event` must be one of the events that the catalog declares"
        )
    return Body([Posted(event, now_ns, {}, _count(said.get("count", 1)))])


def track(body: bytes, now_ns: int) -> Body:
    """`{event, timestamp, properties, sessionId, source}`, several in a list or as `events` (R-number C2)."""
    return _each(_items(body, "events"), MOST_TRACKED, _tracked)


def events(body: bytes, now_ns: int) -> Body:
    """`{events: [{event, ts, ...}]}`: what else an event has are its attributes (R-numbers D1, D2)."""
    items = _items(body, "events")
    if not items:
        raise ApiError(Problem.INVALID_REQUEST, f"`events` must list 1 to {MOST_EVENTS} events")
    return _each(items, MOST_EVENTS, _event)


def metrics(body: bytes, now_ns: int) -> Body:
    """`{event, ...}` or `{events: [...]}` of a session (R-number E3), of now where no `ts` is said."""
    items = _items(body, "events")
    return _each(items, MOST_EVENTS, lambda said: _event({"ts": now_ns / 1e6, **said}))


def token(body: bytes) -> object:
    """What a body has as its session's token; None without one."""
    try:
        return _object.decode(body).get(TOKEN)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None


def _items(body: bytes, key: str) -> Sequence[msgspec.Raw]:
    """The events of a body: a list, an object with a list of them, or an object that is one."""
    try:
        if body.lstrip()[:1] == b"[":
            return _raw.decode(body)
        said = msgspec.json.decode(body, type=dict[str, msgspec.Raw])
        return _raw.decode(said[key]) if key in said else [msgspec.Raw(body)]
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        text = "the body is not JSON of this form: see /openapi.json"
        raise ApiError(Problem.INVALID_REQUEST, text) from None


def _each(
    items: Sequence[msgspec.Raw], most: int, read: Callable[[dict[str, Any]], Posted]
) -> Body:
    if len(items) > most:
        raise ApiError(Problem.TOO_LARGE, f"a request may have {most} events; send several")
    found = Body()
    for item in items:
        try:
            said = _checked(item)
            found.ids.append(_id(said))
            found.posted.append(read(said))
        except Unusable as error:
            found.losses[error.reason] += 1
    return found


def _id(said: dict[str, Any]) -> str | None:
    """What the client calls an event, which is no attribute of it."""
    found = said.pop(EVENT_ID, None)
    return found if isinstance(found, str) and len(found) <= LONGEST_ID else None


class Unusable(Exception):  # an answer, not a fault
    """One event that cannot be used."""

    def __init__(self, reason: Loss = Loss.MALFORMED) -> None:
        super().__init__(reason)
        self.reason = reason


def _checked(item: msgspec.Raw) -> dict[str, Any]:
    """One event as an object; whatever has a `body` may hold what somebody wrote (R-number D3)."""
    text = bytes(item)
    if len(text) > LONGEST_EVENT:
        raise Unusable
    try:
        said = _object.decode(text)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise Unusable from None
    if not _is_plain(text) and has_body(said, DEEPEST):
        raise Unusable(Loss.BODY)
    return said


def _is_plain(text: bytes) -> bool:
    """Whether it is clear without a look inside that `has_body` finds nothing: nearly always."""
    nested = text.count(b"{") + text.count(b"[")
    return nested < DEEPEST and b"body" not in text and b"\\" not in text


def has_body(value: Any, deep: int) -> bool:
    """Whether a JSON value has a key `body` anywhere.

    Raises:
        Unusable: it is deeper than so many objects and lists.
    """
    if not deep:
        raise Unusable
    if isinstance(value, dict):
        return "body" in value or any(has_body(each, deep - 1) for each in value.values())
    return isinstance(value, list) and any(has_body(each, deep - 1) for each in value)


def _tracked(said: Mapping[str, Any]) -> Posted:
    properties = said.get("properties", {})
    if not isinstance(properties, dict):
        raise Unusable
    more = {"session_id": said.get("sessionId"), "source": said.get("source")}
    event, time_ns = _event_name(said.get("event")), _time_ns(said.get("timestamp"))
    return Posted(event, time_ns, properties | _said(more))


def _event(said: dict[str, Any]) -> Posted:
    """What is left of an event are its attributes."""
    event, time = said.pop("event", None), said.pop("ts", None)
    for own in _NO_ATTRIBUTES:
        said.pop(own, None)
    return Posted(_event_name(event), _time_ns(time), said)


def _said(values: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in values.items() if value is not None}


def _event_name(event: Any) -> str:
    if not isinstance(event, str) or not _is_name(event):
        raise Unusable
    return event


@lru_cache(maxsize=1024)
def _is_name(event: str) -> bool:
    return len(event) <= _LONGEST_NAME and _NAME.fullmatch(event) is not None


def _count(value: Any) -> int:
    """As Python's `int` makes one of it."""
    try:
        number = int(value)
    except (TypeError, ValueError, OverflowError):
        return 1
    return min(max(number, 1), MOST_AT_ONCE)


def _time_ns(value: Any) -> int:
    """ISO 8601, in UTC where it has no zone, or milliseconds since the Unix epoch.

    Whether it is a time at which events are accepted is not decided here.
    """
    if isinstance(value, str):
        try:
            moment = dt.datetime.fromisoformat(value)
        except ValueError:
            raise Unusable from None
        if moment.tzinfo is None:
            moment = moment.replace(tzinfo=dt.UTC)
        micros = (moment - _EPOCH) // dt.timedelta(microseconds=1)
    elif isinstance(value, int | float) and not isinstance(value, bool):
        micros = int(min(max(value, 0), _LATEST_US) * 1000)
    else:
        raise Unusable
    return min(max(micros, 1), _LATEST_US) * 1000
