"""What each route takes and answers, as types: of them /openapi.json is made."""

from dataclasses import dataclass
from typing import Annotated, Any, Final, Literal

import msgspec

from footfall_collector.receivers.api.contracts import MOST_EVENTS, MOST_TRACKED
from footfall_collector.receivers.api.errors import Problem
from footfall_collector.receivers.api.posted import MOST_AT_ONCE
from footfall_collector.receivers.api.psr import Psr
from footfall_collector.receivers.api.receipt import KEPT, LONGEST, SHORTEST

Name = Annotated[
    str, msgspec.Meta(description="Of an event that the catalog declares", min_length=1)
]
EventId = Annotated[
    str | None,
    msgspec.Meta(
        description="The client's own: where each event of a request has one, a retry is stored once"
    ),
]
Moment = Annotated[
    str | float,
    msgspec.Meta(
        description="ISO 8601, in UTC where it has no zone, or milliseconds since the Unix epoch"
    ),
]
Number = Annotated[int, msgspec.Meta(ge=0)]


class Count(msgspec.Struct, kw_only=True):
    """So many occurrences of an event; a count that is none is 1."""

    event: Name
    count: Annotated[Any, msgspec.Meta(description=f"Clamped to 1..{MOST_AT_ONCE}")] = 1


class Tracked(msgspec.Struct, kw_only=True):
    """An event of a page or a server; of its properties the declared ones are stored."""

    event: Name
    timestamp: Moment
    properties: dict[str, Any] = {}
    sessionId: str | None = None
    event_id: EventId = None
    source: str | None = None


class TrackedEvents(msgspec.Struct, kw_only=True):
    """Several of them."""

    events: Annotated[list[Tracked], msgspec.Meta(max_length=MOST_TRACKED)]


class Event(msgspec.Struct, kw_only=True):
    """An event; whatever else it has are its attributes."""

    event: Name
    ts: Moment
    event_id: EventId = None


class Events(msgspec.Struct, kw_only=True):
    """A batch."""

    events: Annotated[list[Event], msgspec.Meta(min_length=1, max_length=MOST_EVENTS)]
    session_token: str | None = None


class Installation(msgspec.Struct, kw_only=True):
    """Of whom a session is."""

    installation_id: Annotated[str | None, msgspec.Meta(extra_json_schema={"format": "uuid"})] = (
        None
    )


class Token(msgspec.Struct, kw_only=True):
    """Of which session a request is, where no header can say so."""

    session_token: str | None = None


class Ok(msgspec.Struct, kw_only=True):
    """It is stored."""

    ok: Literal[True]


class Numbers(msgspec.Struct, kw_only=True):
    """What of a request is stored."""

    accepted: Number
    rejected: Number
    trace_id: str


class Started(msgspec.Struct, kw_only=True):
    """A session that has begun."""

    ok: Literal[True]
    session_id: Annotated[str, msgspec.Meta(extra_json_schema={"format": "uuid"})]
    session_token: str
    expires_in: Annotated[int, msgspec.Meta(description="Seconds")]
    installation_id: str | None = None


class GoesOn(msgspec.Struct, kw_only=True):
    """The session goes on, with this token."""

    ok: Literal[True]
    session_token: str
    expires_in: Annotated[int, msgspec.Meta(description="Seconds")]


class Forgotten(msgspec.Struct, kw_only=True):
    """How many sessions are forgotten."""

    ok: Literal[True]
    sessions: Number


class Counts(msgspec.Struct, kw_only=True):
    """The viewer's own counts, of every event that has any."""

    ok: Literal[True]
    days: Annotated[int, msgspec.Meta(ge=1, le=30)]
    counts: dict[str, int]


class Held(msgspec.Struct, kw_only=True):
    """How often an event was, on a day (UTC)."""

    day: Annotated[str, msgspec.Meta(extra_json_schema={"format": "date"})]
    event: str
    count: Number


class Receipt(msgspec.Struct, kw_only=True):
    """What is stored under a receipt; of DELETE, what was."""

    ok: Literal[True]
    events: Number
    stored: list[Held]


class Alert(msgspec.Struct, kw_only=True):
    """Something to look at."""

    type: str
    message: str
    severity: str


class Health(msgspec.Struct, kw_only=True):
    """Whether events come in."""

    isHealthy: bool
    lastEventTime: str | None
    eventRate: Annotated[float | None, msgspec.Meta(description="Events a minute")]
    errorRate: Annotated[float | None, msgspec.Meta(description="Share that did not end well")]
    alerts: list[Alert]


class Standing(msgspec.Struct, kw_only=True):
    """What all say of the prompt; null while they are few."""

    avg_rating: float | None
    total_ratings: int | None


class ShortRefusal(msgspec.Struct, kw_only=True):
    """Why not."""

    ok: Literal[False]
    error: Problem
    message: str | None = None


class Refusal(msgspec.Struct, kw_only=True):
    """Why not, in a word and in a sentence."""

    error: Problem
    message: str
    accepted: Number | None = None
    rejected: Number | None = None
    trace_id: str | None = None


@dataclass(frozen=True, slots=True)
class Operation:
    """A route of the API.

    Attributes:
        summary: In one line.
        answer: What it says when all is well.
        refusal: What it says otherwise.
        bodies: What may be posted; none for nothing.
        query: Of its address: a name, and the type of its value.
        header: The same of a header.
        methods: That it takes.
        anybody: Whether nobody need be known.
    """

    summary: str
    answer: type[Any]
    refusal: type[Any]
    bodies: tuple[Any, ...] = ()
    query: tuple[str, type[Any], str] | None = None
    header: tuple[str, type[Any], str] | None = None
    methods: tuple[str, ...] = ("POST",)
    anybody: bool = False


_EITHER = ("GET", "POST")
OPERATIONS: Final = {
    "/ingest": Operation(
        "Count what a viewer did, or what happened in a session", Ok, ShortRefusal, (Count, Events)
    ),
    "/track": Operation(
        "Take events of a page or a server",
        Numbers,
        Refusal,
        (Tracked, TrackedEvents, list[Tracked]),
    ),
    "/events": Operation("Take a batch of events", Numbers, Refusal, (Events,)),
    "/summary": Operation(
        "Tell viewers their own counts",
        Counts,
        ShortRefusal,
        query=("days", int, "The last days that are counted, clamped to 1..30; 7 where it is none"),
        methods=("GET",),
    ),
    "/health": Operation(
        "Say whether events come in, to servers with a key", Health, ShortRefusal, methods=("GET",)
    ),
    "/receipt": Operation(
        "Tell, or erase, what is stored under a client's own token",
        Receipt,
        ShortRefusal,
        header=(KEPT, str, f"The token, {SHORTEST} to {LONGEST} characters"),
        methods=("GET", "DELETE"),
        anybody=True,
    ),
    "/psr": Operation("Rate a prompt: once a day, the last one stands", Standing, Refusal, (Psr,)),
    "/start-session": Operation(
        "Begin a session",
        Started,
        ShortRefusal,
        (Installation,),
        query=("installation_id", str, "The installation's id, where the client has one"),
        methods=_EITHER,
        anybody=True,
    ),
    "/still-alive": Operation(
        "Say that a session goes on", GoesOn, ShortRefusal, (Token,), methods=_EITHER
    ),
    "/end-session": Operation("End a session", Ok, ShortRefusal, (Token,), methods=_EITHER),
    "/installation": Operation(
        "Forget an installation and its sessions", Forgotten, ShortRefusal, methods=("DELETE",)
    ),
}
"""By the path below a prefix."""
