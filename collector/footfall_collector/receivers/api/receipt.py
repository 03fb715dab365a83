"""Receipts: what is stored under a token that a client keeps, told and erased (R-number G7).

A client draws a token, keeps it, and sends its SHA-256 along with what it posts. That is stored as a
pseudonym, as a viewer is. Whoever has the token can ask for what is stored under it, and have it erased;
nobody else can, and nothing says whose it is.
"""

import asyncio
import hashlib
import re
from collections.abc import Awaitable, Callable, Sequence
from typing import Final

from starlette.datastructures import Headers
from starlette.responses import Response

from footfall_collector.decoding.decoder import Decoding
from footfall_collector.receivers.api.asking import Needs
from footfall_collector.receivers.api.endpoints import Asked, Endpoint, respond, short
from footfall_collector.receivers.api.errors import ApiError, Problem
from footfall_exporters.contracts import Unavailable
from footfall_exporters.postgres.erasing import Held

HEADER: Final = "footfall-receipt"
"""On what is posted: the token's SHA-256, in hexadecimal."""
KEPT: Final = "footfall-receipt-token"
"""On what is asked: the token itself."""
SHORTEST, LONGEST = 22, 256
"""Characters of a token: 128 random bits in base64 have 22."""
WAIT_S: Final = 5.0
"""Seconds for which others are waited for: behind a store that hangs there is no end of them."""
_DIGEST = re.compile(r"[0-9a-f]{64}")
Work = Callable[[Sequence[bytes]], Awaitable[list[Held]]]
"""(pseudonyms) → what is, or was, stored under them. Raises Unavailable: it cannot be known."""


def sent(headers: Headers) -> str | None:
    """The receipt under which a request is to be stored; None for none.

    Raises:
        ApiError: it is not one.
    """
    digest = headers.get(HEADER)
    if digest is None or _DIGEST.fullmatch(digest):
        return digest
    text = f"`{HEADER}` must be the SHA-256 of your token, 64 hexadecimal digits in lower case"
    raise ApiError(Problem.INVALID_REQUEST, text)


class Receipts:
    """Answers whoever has a token.

    Args:
        attribute: In which receipts are stored.
        decoding: Knows what is stored of one.
        held: Tells what is stored.
        erase: Erases it.
    """

    def __init__(self, attribute: str, decoding: Decoding, held: Work, erase: Work) -> None:
        self._attribute, self._decoding = attribute, decoding
        self._work = {"GET": held, "HEAD": held, "DELETE": erase}
        self._turn = asyncio.Lock()  # one at a time: they are rare, and it is the store's time

    @property
    def endpoint(self) -> Endpoint:
        """The route."""
        return Endpoint("/receipt", ("GET", "DELETE"), self._answer, short, Needs.NOBODY)

    async def _answer(self, asked: Asked) -> Response:
        digest = hashlib.sha256(_token(asked.request.headers)).hexdigest()
        events = self._decoding.catalog.events
        stored = {self._decoding.stored_as(event, self._attribute, digest) for event in events}
        wanted = sorted(pseudonym for pseudonym in stored if pseudonym)
        found = await self._done(asked.request.method, wanted) if wanted else []
        said = {
            "ok": True,
            "events": sum(each.number for each in found),
            "stored": [{"day": e.day, "event": e.event, "count": e.number} for e in found],
        }
        return respond(said)

    async def _done(self, method: str, wanted: Sequence[bytes]) -> list[Held]:
        try:
            async with asyncio.timeout(WAIT_S):
                await self._turn.acquire()
        except TimeoutError:
            text = "others are told theirs now"
            raise ApiError(Problem.UNAVAILABLE, text, retry_after=WAIT_S) from None
        try:
            return await self._work[method](wanted)
        except Unavailable as away:
            text = "the store does not answer now"
            raise ApiError(Problem.UNAVAILABLE, text, retry_after=away.retry_after) from None
        finally:
            self._turn.release()


def _token(headers: Headers) -> bytes:
    token = headers.get(KEPT, "")
    if not (SHORTEST <= len(token) <= LONGEST and token.isascii() and token.isprintable()):
        text = f"`{KEPT}` must be your token, {SHORTEST} to {LONGEST} characters of ASCII"
        raise ApiError(Problem.INVALID_REQUEST, text)
    return token.encode()
