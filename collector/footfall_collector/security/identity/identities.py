"""Who is asking, decided by the server: the strongest proof that a request has is the one that counts.

1. An `Authorization` header: an API key, a session's token or a JWT, told apart by their form. One that is
   bad is refused, whatever else the request has. A key that may name viewers says for whom it sends in
   `footfall-viewer`.
2. A header of a trusted proxy.
3. In development, a name that is not proven.
"""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from typing import TYPE_CHECKING, Final

from starlette.datastructures import Headers

from footfall_collector.config.identity import IdentityConfig, JwtConfig
from footfall_collector.errors import StartError
from footfall_collector.security import keys as api_keys
from footfall_collector.security.identity import development, session_tokens
from footfall_collector.security.identity.identity import Identity, Reason, Unidentified, named_in
from footfall_collector.security.identity.proxy import TrustedProxy
from footfall_collector.security.identity.session_tokens import SessionTokens
from footfall_collector.security.keys import Keys

if TYPE_CHECKING:
    from footfall_collector.security.identity.jwts import Jwts

VIEWER: Final = "footfall-viewer"
"""The header in which a backend says who its user is; only with a key that may."""
LONGEST_TOKEN: Final = 8192
"""Characters of a bearer token."""
_HOW: Final = "send `authorization: Bearer` and one API key, session's token or JWT"


class Identities:
    """Says who is asking; `identities` makes it.

    Args:
        jwts: Verifies JWTs; None where none are taken.
        proxy: Reads a trusted proxy's header; None where there is none.
        tokens: Reads the sessions' tokens; None where there are none.
        keys: The API keys; None where there are none.
        dev: Whether developers are believed.

    Attributes:
        keys: May be replaced at any time.
    """

    def __init__(
        self,
        jwts: "Jwts | None" = None,
        proxy: TrustedProxy | None = None,
        tokens: SessionTokens | None = None,
        keys: Keys | None = None,
        *,
        dev: bool = False,
    ) -> None:
        self._jwts, self._proxy, self._tokens, self._dev = jwts, proxy, tokens, dev
        self.keys = keys

    async def of(self, headers: Headers, peer: str | None, method: str) -> Identity:
        """Who sends a request.

        Args:
            headers: Of the request.
            peer: The address of the other end of the connection, without its port; None where it has none.
            method: Of the request, in capitals.

        Returns:
            With what the proof says: a session's token names a session and its installation, an API key the
            sender, and its viewer where it may.

        Raises:
            Unidentified: nobody is named (no_viewer), or not in a way that can be believed.
        """
        if authorization := headers.getlist("authorization"):
            return await self._bearer(authorization, headers)
        found = self._proxy.identity(headers, peer) if self._proxy else None
        if found is None and self._dev:
            found = development.identity(headers, method)
        if found is None:
            raise Unidentified(Reason.NO_VIEWER, f"nobody is named: {_HOW}")
        return found

    def reload(self) -> None:
        """Reads the keys of JWTs again.

        Raises:
            StartError: they cannot be used; the former stay in force.
        """
        if self._jwts is not None:
            self._jwts.reload()

    async def _bearer(self, authorization: list[str], headers: Headers) -> Identity:
        token = api_keys.bearer(authorization[0]) if len(authorization) == 1 else None
        if not token:
            raise Unidentified(Reason.TOKEN_INVALID, f"the authorization cannot be used: {_HOW}")
        if len(token) > LONGEST_TOKEN:
            text = f"a token may have {LONGEST_TOKEN} characters"
            raise Unidentified(Reason.TOKEN_INVALID, text)
        if token.startswith(api_keys.PREFIX):
            return self._of_key(token, headers)
        if token.startswith(session_tokens.PREFIX):
            return self.of_session(token)
        if self._jwts is None:
            raise Unidentified(Reason.TOKEN_INVALID, "JWTs are not taken here")
        return await self._jwts.identity(token)

    def _of_key(self, token: str, headers: Headers) -> Identity:
        known = self.keys or Keys({})
        key = known.find(token)
        if key is None:
            raise Unidentified(Reason.KEY_INVALID, known.refusal(token))
        if VIEWER in headers and not key.names_viewers:
            text = (
                f"this key may not say who its viewers are (`{VIEWER}`): it needs `names_viewers`"
            )
            raise Unidentified(Reason.VIEWER_NOT_ALLOWED, text)
        viewer = named_in(headers, VIEWER)
        return Identity(viewer=viewer, owner=viewer, key=key)

    @property
    def has_sessions(self) -> bool:
        """Whether sessions' tokens are taken."""
        return self._tokens is not None

    def of_session(self, token: str) -> Identity:
        """Whom a session's token stands for.

        Raises:
            Unidentified: nobody.
        """
        if self._tokens is None:
            raise Unidentified(Reason.TOKEN_INVALID, "sessions' tokens are not taken here")
        ids = self._tokens.read(token)
        return Identity(session=ids.session, installation=ids.installation, started=True)


@asynccontextmanager
async def identities(
    config: IdentityConfig,
    tokens: SessionTokens | None = None,
    keys: Keys | None = None,
    *,
    dev: bool = False,
) -> AsyncIterator[Identities]:
    """What says who is asking, with its connections, which are closed at the end.

    Args:
        config: Checked; its files are read now.
        tokens: Reads the sessions' tokens; None where there are none.
        keys: The API keys; None where there are none.
        dev: Whether this is development.

    Raises:
        StartError: a file cannot be used, or a development identity is asked for elsewhere.
    """
    if config.development and not dev:
        raise StartError(
            "identity: `development: true` would let anybody be whom they like",
            "leave it out; where that is meant, start with `footfall up --dev`",
        )
    async with AsyncExitStack() as stack:
        jwts = await _jwts(config.jwt, stack) if config.jwt else None
        proxy = TrustedProxy(config.header) if config.header else None
        believed = dev and config.development is not False
        yield Identities(jwts, proxy, tokens, keys, dev=believed)


async def _jwts(config: JwtConfig, stack: AsyncExitStack) -> "Jwts":
    from footfall_collector.security.identity import key_sources
    from footfall_collector.security.identity.jwts import Jwts

    sources = key_sources.fixed(config)
    if config.jwks_url is not None:
        public = config.public_algorithms
        source = key_sources.remote(config.jwks_url, public)
        sources |= dict.fromkeys(public, await stack.enter_async_context(source))
    return Jwts(config, sources)
