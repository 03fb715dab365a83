"""JWTs of the application or its identity provider (RFC 7519, and RFC 8725 on what goes wrong with them).

A token that was verified is remembered for up to a minute, until it expires and as long as the keys are the
same: a page sends the same one again and again, and RSA costs more than all the rest.
"""

import base64
import hashlib
import secrets
import time
from binascii import Error as NotBase64
from collections.abc import Callable, Mapping
from typing import Any, Final, NamedTuple

import jwt
import msgspec

from footfall_collector.config.identity import ClaimsConfig, JwtConfig
from footfall_collector.security.identity.identity import Identity, Reason, Unidentified, is_name
from footfall_collector.security.identity.key_set import KeySet
from footfall_collector.security.identity.key_sources import KeySource

REMEMBERED_S: Final = 60.0
"""Seconds for which a token that was verified is taken again."""
MOST_REMEMBERED: Final = 10_000
"""Tokens; the oldest one is forgotten for another."""
_OPTIONS: Final[Any] = {"require": ["exp"], "verify_sub": False, "verify_jti": False}
"""Who is named is checked here: providers also write numbers."""


class _Header(msgspec.Struct):
    """Of a token (RFC 7515, 4.1), as far as it matters."""

    alg: str
    kid: str | None = None
    crit: msgspec.Raw | msgspec.UnsetType = msgspec.UNSET


class _Known(NamedTuple):
    """A token that was verified: whose it is, until when (monotonic), and with which keys."""

    identity: Identity
    until: float
    source: KeySource
    keys: KeySet


class Jwts:
    """Verifies tokens.

    Args:
        config: What they must say.
        sources: Where the keys of each algorithm come from.
        clock: Seconds that never go back.
    """

    def __init__(
        self,
        config: JwtConfig,
        sources: Mapping[str, KeySource],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._config, self._sources, self._clock = config, sources, clock
        self._secret = secrets.token_bytes(32)
        self._known: dict[bytes, _Known] = {}

    async def identity(self, token: str) -> Identity:
        """Whose token it is.

        Raises:
            Unidentified: nobody's who is known here.
        """
        if not token.isascii():
            raise _malformed()
        mark = hashlib.blake2b(token.encode(), key=self._secret, digest_size=16).digest()
        known = self._known.get(mark)
        if known and self._clock() < known.until and known.source.current() is known.keys:
            return known.identity
        header = _header(token)
        source = self._sources.get(header.alg)
        if source is None or header.crit is not msgspec.UNSET:
            text = "the token is signed in a way that is not taken here; `alg` must be a configured one"
            raise Unidentified(Reason.TOKEN_INVALID, text)
        claims, keys = await self._verified(token, header, source)
        identity = _named(claims, self._config.claims)
        self._remember(mark, _Known(identity, self._until(claims), source, keys))
        return identity

    def reload(self) -> None:
        """Reads the keys again; tokens that are remembered are verified anew.

        Raises:
            StartError: some cannot be used; these stay what they were.
        """
        for source in dict.fromkeys(self._sources.values()):
            source.reload()

    async def _verified(
        self, token: str, header: _Header, source: KeySource
    ) -> tuple[dict[str, Any], KeySet]:
        """The claims of a token, and the keys of which one has signed it."""
        keys = source.current()
        key = keys.find(header.alg, header.kid)
        if key is None:
            keys = await source.newer()
            key = keys.find(header.alg, header.kid)
        if key is None:
            text = "the token is signed with a key that is not known here"
            raise Unidentified(Reason.TOKEN_INVALID, text)
        return self._decoded(token, key), keys

    def _decoded(self, token: str, key: jwt.PyJWK) -> dict[str, Any]:
        config = self._config
        try:
            return jwt.decode(
                token,
                key,
                algorithms=[key.algorithm_name],
                audience=config.audience,
                issuer=config.issuer,
                leeway=config.leeway_s,
                options=_OPTIONS,
            )
        except (jwt.PyJWTError, ValueError, TypeError, OverflowError, RecursionError) as error:
            raise _refused(error) from None

    def _until(self, claims: Mapping[str, Any]) -> float:
        """Until when a token may be taken without another look."""
        now = time.time()
        expires = min(int(claims["exp"]), now + REMEMBERED_S)  # it may be larger than any float
        return self._clock() + min(expires + self._config.leeway_s - now, REMEMBERED_S)

    def _remember(self, mark: bytes, known: _Known) -> None:
        """Notes a token, and forgets the oldest ones that are over, or too many."""
        self._known.pop(mark, None)
        now = self._clock()
        while self._known:
            oldest = next(iter(self._known))
            if len(self._known) < MOST_REMEMBERED and now < self._known[oldest].until:
                break
            del self._known[oldest]
        self._known[mark] = known


def _header(token: str) -> _Header:
    """What a token says of itself; nothing of it is believed."""
    first = token.partition(".")[0]
    try:
        return msgspec.json.decode(base64.urlsafe_b64decode(first + "=="), type=_Header)
    except (NotBase64, msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        raise _malformed() from None


def _malformed() -> Unidentified:
    text = "that is no token: send an API key, a session's token, or a JWT"
    return Unidentified(Reason.TOKEN_INVALID, text)


def _refused(error: Exception) -> Unidentified:
    """Why a token is not taken; PyJWT's own words may quote it."""
    match error:
        case jwt.ExpiredSignatureError():
            return Unidentified(Reason.TOKEN_EXPIRED, "the token has expired; get a new one")
        case jwt.ImmatureSignatureError():
            text = "the token is not valid yet; are the clocks right?"
            return Unidentified(Reason.TOKEN_NOT_YET_VALID, text)
        case jwt.MissingRequiredClaimError(claim="exp"):
            text = "the token does not say when it expires (`exp`)"
            return Unidentified(Reason.TOKEN_INVALID, text)
        case (
            jwt.InvalidIssuerError() | jwt.InvalidAudienceError() | jwt.MissingRequiredClaimError()
        ):
            text = "the token is from another issuer, or for another audience"
            return Unidentified(Reason.TOKEN_FOREIGN, text)
        case jwt.InvalidSignatureError():
            text = "the token's signature is not right"
            return Unidentified(Reason.TOKEN_INVALID, text)
    return Unidentified(Reason.TOKEN_INVALID, "the token, or a claim in it, is malformed")


def _named(claims: Mapping[str, Any], names: ClaimsConfig) -> Identity:
    """Who is named in a token that was verified."""
    viewer, owner, session = (
        _text(claims[name]) if name is not None and name in claims else None
        for name in (names.viewer, names.owner, names.session)
    )
    if viewer is None and owner is None:
        text = "the token names nobody: the configured claim is not in it"
        raise Unidentified(Reason.NO_VIEWER, text)
    return Identity(viewer, owner, session)


def _text(value: object) -> str:
    """A claim as text; numbers as their digits."""
    text = str(value) if isinstance(value, str | int) and not isinstance(value, bool) else ""
    if not is_name(text):
        text = "a claim that names somebody must be text of 1 to 256 characters, or a whole number"
        raise Unidentified(Reason.TOKEN_INVALID, text)
    return text
