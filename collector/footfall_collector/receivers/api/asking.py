"""Who asks for something of the HTTP API, and whether it is too much: decided before a body is read."""

from collections.abc import Awaitable, Callable
from enum import StrEnum, auto

from starlette.requests import Request

from footfall_collector.receivers.admission import Gate
from footfall_collector.receivers.api.errors import ApiError, Problem
from footfall_collector.security.identity.identities import Identities
from footfall_collector.security.identity.identity import Identity, Reason, Unidentified
from footfall_collector.security.limits import Limiter, Limits, Verdict, weigh
from footfall_collector.security.rate_headers import rate_headers


class Needs(StrEnum):
    """Who must be asking."""

    VIEWER = auto()
    """Somebody whose counts these are."""
    OWNER = auto()
    """Somebody whose ratings these are."""
    SENDER = auto()
    """Somebody, or a server with a key."""
    SERVER = auto()
    """A server with a key."""
    NOBODY = auto()
    """Whoever names nobody is taken as an address."""


class Asking:
    """Says who asks.

    Args:
        identities: By what proof.
        limits: What may be asked for in a minute.
        limiter: Counts it.
        gate: Has the API keys.

    Attributes:
        alive: Takes a request as a sign of life of the session that it is of. Raises ApiError: it has ended.
    """

    def __init__(
        self, identities: Identities, limits: Limits, limiter: Limiter, gate: Gate
    ) -> None:
        self.alive: Callable[[Identity], Awaitable[None]] | None = None
        self._identities, self._limits, self._limiter, self._gate = (
            identities,
            limits,
            limiter,
            gate,
        )

    async def who(self, request: Request, needs: Needs) -> tuple[Identity, Verdict]:
        """Who sends a request, which is counted as one.

        Args:
            request: Whose body may wait.
            needs: Who it must be.

        Raises:
            ApiError: nobody is known to, or they have asked for too much.
            Refusal: the key has.
        """
        peer = request.client.host if request.client else None
        self._identities.keys = self._gate.keys  # may have been read again
        try:
            who = await self._identities.of(request.headers, peer, request.method)
        except Unidentified as error:
            verdict = await self._take(b"", peer)
            if needs is Needs.NOBODY and error.reason is Reason.NO_VIEWER:
                return Identity(), verdict
            raise _refused(error) from None
        if who.key:
            self._gate.count(who.key)
        verdict = await self._take(_name(who), None if who.key or who.viewer or who.owner else peer)
        if needs is not Needs.NOBODY:
            await self.settle(who, needs)
        return who, verdict

    @property
    def takes_tokens(self) -> bool:
        """Whether a body may name a session by its token."""
        return self._identities.has_sessions

    def by_token(self, token: object) -> Identity | None:
        """Whom a session's token in a body stands for; None where there is none, or none is taken.

        Raises:
            ApiError: it stands for nobody.
        """
        if token is None or not self.takes_tokens:
            return None
        try:
            return self._identities.of_session(token if isinstance(token, str) else "")
        except Unidentified as error:
            raise _refused(error) from None

    async def settle(self, who: Identity, needs: Needs) -> None:
        """Sees to it that who asks is who must, and takes it as a sign of life.

        Raises:
            ApiError: they are not, or their session has ended.
        """
        if needs is Needs.VIEWER and not (who.viewer or who.started):
            raise ApiError(
                Problem.NO_VIEWER, "this names a sender, and nobody whose counts these are"
            )
        if needs is Needs.OWNER and not (who.owner or who.viewer):
            text = "this names a sender, and nobody whose rating it is"
            raise ApiError(Problem.NO_VIEWER, text)
        if needs is Needs.SERVER and who != Identity() and who.key is None:
            text = "this is told to servers, by an API key: it is about everybody"
            raise ApiError(Problem.FORBIDDEN, text)
        if who == Identity():
            raise ApiError(Problem.NO_VIEWER, "nobody is named")
        if who.started and self.alive is not None:
            await self.alive(who)

    async def weigh(self, who: Identity, events: int, verdict: Verdict) -> Verdict:
        """Counts a request whose events are more than one may have.

        Raises:
            ApiError: that is too much.
        """
        more = weigh(events) - 1
        return await self._take(_name(who), None, more) if more else verdict

    def headers(self, verdict: Verdict) -> dict[str, str]:
        """What an answer says of the limits."""
        return dict(rate_headers(self._limits, verdict))

    async def _take(self, name: bytes, peer: str | None, weight: int = 1) -> Verdict:
        verdict = await self._limiter.take(name, (peer or "").encode(), weight)
        if not verdict.allowed:
            text = f"{verdict.limit} requests a minute are taken; come again later"
            raise ApiError(Problem.RATE_LIMITED, text, headers=self.headers(verdict))
        return verdict


def _name(who: Identity) -> bytes:
    """What a user is told from others by; nothing for a key, which has a limit of its own."""
    for kind, value in (("viewer", who.viewer), ("owner", who.owner), ("session", who.session)):
        if value is not None:
            return f"{kind} {value}".encode()
    return b""


def _refused(error: Unidentified) -> ApiError:
    problem = {401: Problem.NO_VIEWER, 403: Problem.FORBIDDEN}.get(
        error.status, Problem.UNAVAILABLE
    )
    return ApiError(problem, error.text, retry_after=5.0 if error.status == 503 else None)
