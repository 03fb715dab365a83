"""Ratings of prompts: `POST /psr`, and the same below each prefix (R-numbers D6 and D8; docs/psr.md)."""

import re
import uuid
from collections.abc import Awaitable, Callable
from typing import Annotated, Any, Final

import msgspec
from starlette.responses import Response

from footfall_collector.config.http_api import AttributesConfig
from footfall_collector.decoding.decoder import Decoding
from footfall_collector.decoding.halves import mended
from footfall_collector.receivers import bodies
from footfall_collector.receivers.api.asking import Needs
from footfall_collector.receivers.api.contracts import DEEPEST, Unusable, has_body
from footfall_collector.receivers.api.endpoints import Asked, Endpoint, Json, require_json, respond
from footfall_collector.receivers.api.errors import ApiAnswer, ApiError, Problem
from footfall_collector.receivers.api.storing import Storing
from footfall_collector.security.identity.identity import Identity, is_name
from footfall_exporters.contracts import Unavailable
from footfall_exporters.postgres.ratings import (
    LONGEST_NOTE,
    LONGEST_PROMPT,
    LONGEST_VERSION,
    Rating,
    Ratings,
    Source,
    Standing,
)
from footfall_processors import Attribute, Type, clean

PATH: Final = "/psr"
MAX_BYTES: Final = 2**14
"""Of a body: a note that is cut is cut here, and not by a client that would have to know how."""
_object: Final = msgspec.json.Decoder(dict[str, Any])
_NAMED = re.compile(r"(?:\$\.|field `)(\w+)")
"""The field that msgspec says is wrong; of what it quotes nothing is told."""
_RIGHT: Final = {
    "prompt_id": f"`prompt_id` must be text of 1 to {LONGEST_PROMPT} characters that can be seen",
    "rating": "`rating` must be a whole number from 1 to 5",
    "source": "`source` must be copy, duplicate, manual or other",
    "version": "`version` must be text",
    "note": "`note` must be text",
}


class Psr(msgspec.Struct, frozen=True, kw_only=True):
    """The body; other keys are left out.

    Attributes:
        prompt_id: What is rated.
        rating: Stars.
        source: What the user has done with it.
        version: Which version of it.
        note: What the user says of it.
    """

    prompt_id: Annotated[str, msgspec.Meta(min_length=1, max_length=LONGEST_PROMPT)]
    rating: Annotated[int, msgspec.Meta(ge=1, le=5)]
    source: Source
    version: str | None = None
    note: str | None = None


class Rater:
    """Makes of what is posted a rating that may be kept, and has it kept.

    Args:
        names: Of the attributes that say how the owner and the prompt are kept.
        decoding: Has the catalog in force, and the salt.
        ratings: Keeps them.
    """

    def __init__(self, names: AttributesConfig, decoding: Decoding, ratings: Ratings) -> None:
        self._names, self._decoding, self._ratings = names, decoding, ratings

    async def rate(self, said: Psr, who: Identity) -> Standing:
        """What all say of the prompt, once this is durable.

        Args:
            said: As it was posted.
            who: Posts it; an owner, or a viewer.

        Raises:
            ApiError: it is none, or cannot be kept now.
        """
        owner = self._decoding.pseudonym(self._names.owner, who.owner or who.viewer or "")
        rating = Rating(
            prompt=self._prompt(said.prompt_id),
            owner=uuid.UUID(bytes=owner),
            rating=said.rating,
            source=said.source,
            version=_text(said.version, LONGEST_VERSION),
            note=_text(said.note, LONGEST_NOTE),
        )
        try:
            return await self._ratings.rate(rating)
        except Unavailable as error:
            raise ApiError(Problem.UNAVAILABLE, str(error), retry_after=error.retry_after) from None

    def _prompt(self, prompt_id: str) -> str:
        """A prompt's id as it is kept: hashed, unless the catalog declares it without."""
        name = self._names.prompt
        attribute = self._decoding.catalog.attributes.get(name)
        if attribute is None or attribute.hash:
            return str(uuid.UUID(bytes=self._decoding.pseudonym(name, prompt_id)))
        kept = clean(attribute, prompt_id)
        if kept is None:
            text = f"`prompt_id` must be what the catalog declares: {attribute.type}"
            raise ApiError(Problem.INVALID_RATING, text)
        text = str(uuid.UUID(bytes=kept)) if isinstance(kept, bytes) else str(kept)
        return text[:LONGEST_PROMPT]


def endpoint(rater: Rater | None, storing: Storing) -> Endpoint:
    """The route.

    Args:
        rater: None where ratings are switched off.
        storing: Has places for requests.
    """
    handle = _nothing if rater is None else _rated(rater, storing)
    return Endpoint(PATH, ("POST",), handle, _error, Needs.OWNER, enabled=rater is not None)


def read(body: bytes) -> Psr:
    """What a body says.

    Raises:
        ApiError: it is no rating.
    """
    try:
        said = _object.decode(mended(body))
        hides = has_body(said, DEEPEST)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError, Unusable):
        raise ApiError(Problem.INVALID_REQUEST, "the body is not a JSON object") from None
    if hides:
        raise ApiError(Problem.INVALID_REQUEST, "a key `body` may hold what somebody wrote")
    try:
        rated = msgspec.convert(said, Psr)
    except msgspec.ValidationError as error:
        field = _NAMED.search(str(error))
        raise ApiError(Problem.INVALID_RATING, _RIGHT[field[1] if field else "rating"]) from None
    if not is_name(rated.prompt_id):
        raise ApiError(Problem.INVALID_RATING, _RIGHT["prompt_id"])
    return rated


def _rated(rater: Rater, storing: Storing) -> Callable[[Asked], Awaitable[Response]]:
    async def rate(asked: Asked) -> Response:
        require_json(asked.request)
        with storing.open(asked.who, asked.request) as passage:
            body = await passage.receive(bodies.read(asked.request, MAX_BYTES, passage))
            standing = await rater.rate(read(body), asked.who)
        said = {"avg_rating": standing.average, "total_ratings": standing.total}
        return respond(said)

    return rate


async def _nothing(_: Asked) -> Response:
    raise AssertionError  # nobody is asked


def _error(answer: ApiAnswer) -> Json:
    return {"error": answer.problem, "message": answer.text}


def _text(said: str | None, longest: int) -> str | None:
    """A text as any of the catalog's is kept: redacted, and only then cut; nothing where nothing is said."""
    kept = clean(Attribute(type=Type.STRING, max_length=longest), said)
    return str(kept).strip() or None if kept is not None else None
