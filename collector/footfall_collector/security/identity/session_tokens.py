"""Tokens of sessions: which session of which installation, signed, for an hour at a time.

A token is `ffs_`, the two ids, the time and an HMAC-SHA256. Whoever has the key makes and reads them: all
workers and collectors of a store. Nothing is kept of a token, so that none can be taken back; whether its
session has ended is for the store to say.
"""

import time
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Callable
from typing import Final, NamedTuple

import msgspec
from itsdangerous import BadData

from footfall_collector.security.identity.identity import Reason, Unidentified, is_name
from footfall_collector.security.signing import TimedSigner

PREFIX: Final = "ffs_"
LIFETIME_S: Final = 3600
"""Seconds after which a token that was not renewed has expired, unless it is said otherwise."""
AHEAD_S: Final = 60
"""Seconds by which the clock of another collector may be ahead of this one."""
SHORTEST_KEY: Final = 32
LONGEST: Final = 4096
"""Characters of a token; two ids of 256 characters come to less than this."""
_SALT = b"footfall.session"


class SessionIds(NamedTuple):
    """What a token says.

    Attributes:
        session: The session's id.
        installation: That of the installation.
    """

    session: str
    installation: str


class SessionTokens:
    """Makes and reads the tokens of sessions.

    Args:
        key: The key of all that share a store; 32 bytes or more.
        lifetime_s: Seconds for which a token is good.
        clock: The time in seconds since the Unix epoch.

    Raises:
        ValueError: the key is too short.
    """

    def __init__(
        self,
        key: bytes,
        lifetime_s: float = LIFETIME_S,
        clock: Callable[[], float] = time.time,
    ) -> None:
        if len(key) < SHORTEST_KEY:
            raise ValueError(f"the key of session tokens must be at least {SHORTEST_KEY} bytes")
        self._lifetime_s, self._clock = lifetime_s, clock
        self._signer = TimedSigner(key, _SALT, clock)

    def issue(self, session: str, installation: str) -> str:
        """A token for a session that begins, or goes on.

        Raises:
            ValueError: an id is none (see `is_name`).
        """
        if not (is_name(session) and is_name(installation)):
            raise ValueError("an id has 1 to 256 characters, none of them a control character")
        ids = msgspec.json.encode(SessionIds(session, installation))
        return PREFIX + self._signer.sign(urlsafe_b64encode(ids)).decode()

    def renew(self, token: str) -> str:
        """The same token as if it were issued now.

        Raises:
            Unidentified: as of `read`.
        """
        return self.issue(*self.read(token))

    def read(
        self, token: str, session: str | None = None, installation: str | None = None
    ) -> SessionIds:
        """What a token says.

        Args:
            token: As the client sent it.
            session: The session that it must be for; any without.
            installation: The installation that it must be for; any without.

        Raises:
            Unidentified: it is none of ours (token_invalid), has expired (token_expired), or is for another
                session or installation (token_foreign).
        """
        found, signed_at = self._signed(token)
        age = self._clock() - signed_at
        if age < -AHEAD_S:
            raise _invalid()
        if age >= self._lifetime_s:
            text = "the session's token has expired: start a session, and keep it alive"
            raise Unidentified(Reason.TOKEN_EXPIRED, text)
        if session not in (None, found.session) or installation not in (None, found.installation):
            text = "the token is for another session or installation; send the one that was issued for it"
            raise Unidentified(Reason.TOKEN_FOREIGN, text)
        return found

    def _signed(self, token: str) -> tuple[SessionIds, float]:
        """What is signed, and when it was."""
        if len(token) > LONGEST or not token.startswith(PREFIX) or not token.isascii():
            raise _invalid()
        try:
            ids, at = self._signer.unsign(token[len(PREFIX) :], return_timestamp=True)
            return msgspec.json.decode(urlsafe_b64decode(ids), type=SessionIds), at.timestamp()
        except (BadData, msgspec.MsgspecError, ValueError):
            raise _invalid() from None


def _invalid() -> Unidentified:
    text = "the session's token is not one of ours: send it as start-session gave it"
    return Unidentified(Reason.TOKEN_INVALID, text)
