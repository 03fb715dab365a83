"""Sessions of clients that begin and end them by HTTP (R-numbers E2 to E5; ADR 31).

A session has a random id and, by its installation's id, continuity; both are the client's to keep, and are
stored as the catalog says. The token that start-session gives stands for both.
"""

import time
import uuid
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Final, NamedTuple, TypeVar

import msgspec
from starlette.responses import Response

from footfall_collector.decoding.decoder import Decoding
from footfall_collector.receivers import bodies
from footfall_collector.receivers.api.asking import Asking, Needs
from footfall_collector.receivers.api.contracts import TOKEN, Body
from footfall_collector.receivers.api.endpoints import Asked, Endpoint, Json, require_json, respond
from footfall_collector.receivers.api.errors import ApiAnswer, ApiError, Problem
from footfall_collector.receivers.api.posted import Posted
from footfall_collector.receivers.api.storing import Storing
from footfall_collector.security.identity.identity import Identity
from footfall_collector.security.identity.session_tokens import SessionTokens
from footfall_exporters.contracts import Unavailable
from footfall_exporters.postgres.sessions.following import own_events
from footfall_exporters.postgres.sessions.signs import Opening, Signs
from footfall_processors import Hash, Type

INSTALLATION: Final = "installation_id"
SESSION: Final = "session_id"
MOST_BYTES: Final = 4096
"""Of a body that says which installation, or has a token."""
_object: Final = msgspec.json.Decoder(dict[str, Any])
T = TypeVar("T")
_METHODS: Final = ("GET", "POST")


class Known(NamedTuple):
    """How the catalog in force has sessions.

    Attributes:
        event: Whose actions say that one begins and ends.
        actions: Those that it has.
        attributes: What it declares.
    """

    event: str
    actions: tuple[str, ...]
    attributes: tuple[str, ...]


class Sessions:
    """The sessions of a store, as the API's clients have them.

    Args:
        decoding: Under the catalog in force.
        signs: Writes what is known of them.
        tokens: Stand for them.
        forget: Forgets an installation, as it is stored. Raises Unavailable: it does not.
        lifetime_s: Seconds for which a token is good.
        service: Of which they are.
    """

    def __init__(
        self,
        decoding: Decoding,
        signs: Signs,
        tokens: SessionTokens,
        forget: Callable[[bytes], Awaitable[int]],
        lifetime_s: int,
        service: str | None,
    ) -> None:
        self._decoding, self._signs, self._tokens = decoding, signs, tokens
        self._forget, self._lifetime_s, self._service = forget, lifetime_s, service

    def known(self) -> Known:
        """The session's event.

        Raises:
            ApiError: the catalog has none, or keeps a session's id otherwise from day to day.
        """
        catalog = self._decoding.catalog
        events = own_events(catalog)
        attribute = catalog.attributes.get(SESSION)
        stays = attribute is not None and (
            attribute.hash is Hash.STATIC or (attribute.type is Type.UUID and not attribute.hash)
        )
        if not events or not stays:
            text = (
                f"the catalog has no sessions: an event with the action `start` that declares `{SESSION}`,"
                " which is of `type: uuid` or has `hash: static`"
            )
            raise ApiError(Problem.NOT_FOUND, text)
        event = catalog.events[events[0]]
        return Known(events[0], tuple(event.actions), tuple(event.attributes))

    async def alive(self, who: Identity) -> None:
        """Takes a request as a sign of life of its session.

        Raises:
            ApiError: it has ended.
        """
        if not await self._asked(self._signs.sign(self._key(self.known(), who.session))):
            raise ApiError(Problem.NO_VIEWER, "the session has ended; start another")

    async def start(self, installation: str) -> str:
        """Begins one; its id."""
        known, session = self.known(), str(uuid.uuid4())
        opening = Opening(
            self._key(known, session),
            self._decoding.stored_as(known.event, INSTALLATION, installation),
            self._service,
        )
        await self._asked(self._signs.open(opening))
        return session

    async def end(self, who: Identity) -> float | None:
        """Ends one; after how many seconds, or None if it had ended."""
        return await self._asked(self._signs.end(self._key(self.known(), who.session)))

    async def forget(self, who: Identity) -> int:
        """Forgets an installation, its sessions, and what joins observations to it; how many it had."""
        known = self.known()
        installation = self._decoding.stored_as(known.event, INSTALLATION, who.installation or "")
        if installation is None:
            text = f"the catalog keeps no installation: `{known.event}` does not declare `{INSTALLATION}`"
            raise ApiError(Problem.NOT_FOUND, text)
        return await self._asked(self._forget(installation))

    def token(self, session: str, installation: str) -> Json:
        """What stands for a session from now on."""
        issued = self._tokens.issue(session, installation)
        return {TOKEN: issued, "expires_in": self._lifetime_s}

    def _key(self, known: Known, session: str | None) -> bytes:
        key = self._decoding.stored_as(known.event, SESSION, session or "")
        if key is None:
            raise ApiError(Problem.NO_VIEWER, "the token is of no session that this catalog has")
        return key

    async def _asked(self, asked: Awaitable[T]) -> T:
        try:
            return await asked
        except Unavailable as error:
            text = "sessions cannot be written now; come again"
            raise ApiError(
                Problem.UNAVAILABLE, text, retry_after=error.retry_after or 1.0
            ) from None


def endpoints(sessions: Sessions, storing: Storing, asking: Asking) -> list[Endpoint]:
    """The routes of sessions.

    Args:
        sessions: Of the store.
        storing: Stores what they say as events as well.
        asking: Says whose a token is.
    """
    routes = _Routes(sessions, storing, asking)
    return [
        Endpoint("/start-session", _METHODS, routes.start, said, Needs.NOBODY),
        Endpoint("/still-alive", _METHODS, routes.alive, said, Needs.NOBODY),
        Endpoint("/end-session", _METHODS, routes.end, said, Needs.NOBODY),
        Endpoint("/installation", ("DELETE",), routes.forget, said, Needs.NOBODY),
    ]


class _Routes:
    def __init__(self, sessions: Sessions, storing: Storing, asking: Asking) -> None:
        self._sessions, self._storing, self._asking = sessions, storing, asking

    async def start(self, asked: Asked) -> Response:
        """A session's id and token; an installation's id where the client has none."""
        given = _installation(
            asked.request.query_params.get(INSTALLATION) or (await self._body(asked))
        )
        installation = given or str(uuid.uuid4())
        session = await self._sessions.start(installation)
        await self._say(asked, Identity(session=session, installation=installation), "start")
        named = {} if given else {INSTALLATION: installation}
        return respond(
            {"ok": True, SESSION: session, **named, **self._sessions.token(session, installation)}
        )

    async def alive(self, asked: Asked) -> Response:
        """The session goes on, and its token with it."""
        who = await self._session(asked)
        await self._sessions.alive(who)
        await self._say(asked, who, "alive")
        return respond(
            {"ok": True, **self._sessions.token(who.session or "", who.installation or "")}
        )

    async def end(self, asked: Asked) -> Response:
        """The session has ended; saying so again changes nothing."""
        who = await self._session(asked)
        if (seconds := await self._sessions.end(who)) is not None:
            await self._say(asked, who, "end", duration_ms=round(seconds * 1000))
        return respond({"ok": True})

    async def forget(self, asked: Asked) -> Response:
        """The installation is forgotten, and this session with it."""
        who = await self._session(asked)
        await self._sessions.alive(who)
        forgotten = await self._sessions.forget(who)
        return respond({"ok": True, "sessions": forgotten})

    async def _session(self, asked: Asked) -> Identity:
        """Whose session a request is of, by its header or its body."""
        who = asked.who
        if not who.started:
            body = await self._body(asked)
            who = self._asking.by_token(body.get(TOKEN)) or who
        if not who.started:
            raise ApiError(Problem.NO_VIEWER, "this needs the token that start-session gave")
        return who

    async def _body(self, asked: Asked) -> Mapping[str, Any]:
        """What a body says; a GET has none, and may have one of no bytes."""
        if asked.request.method != "POST":
            return {}
        with self._storing.open(asked.who, asked.request) as passage:
            body = await passage.receive(bodies.read(asked.request, MOST_BYTES, passage))
        if not body:
            return {}
        require_json(asked.request)
        try:
            return _object.decode(body)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            raise ApiError(Problem.INVALID_REQUEST, "the body must be a JSON object") from None

    async def _say(self, asked: Asked, who: Identity, action: str, **more: int) -> None:
        """Stores what happened as an event, if the catalog has that action."""
        known = self._sessions.known()
        if action in known.actions:
            declared = {name: value for name, value in more.items() if name in known.attributes}
            event = Posted(f"{known.event}.{action}", time.time_ns(), declared)
            await self._storing.store(Body([event]), who, asked.seen, None)


def said(answer: ApiAnswer) -> Json:
    """How a refusal is said where no document says how."""
    return {"ok": False, "error": answer.problem, "message": answer.text}


def _installation(body: Mapping[str, Any] | str) -> str | None:
    """The installation's id that a client has, as it is written everywhere."""
    given = body if isinstance(body, str) else body.get(INSTALLATION)
    if given is None:
        return None
    try:
        return str(uuid.UUID(given))
    except (ValueError, AttributeError, TypeError):
        text = f"`{INSTALLATION}` must be a UUID, as start-session gives it"
        raise ApiError(Problem.INVALID_REQUEST, text) from None
