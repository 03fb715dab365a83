"""What is shown of a configuration's values: a secret never is, wherever it stands.

A value is taken for a secret by the name of its key, by the name of the variable that it comes from, and
where it holds what such a variable holds. Of a DSN the password is hidden, of a URL whatever may be a key.
"""

import re
from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import urlsplit, urlunsplit

from psycopg import ProgrammingError
from psycopg.conninfo import conninfo_to_dict, make_conninfo

MASK = "********"
SHORTEST = 8
"""Characters of a variable's value that is looked for inside other values; shorter ones are in everything."""
_WORDS = frozenset({
    "apikey", "auth", "authorization", "bearer", "cookie", "credential", "key", "pas",
    "passphrase", "passwd", "password", "private", "pwd", "salt", "secret", "signature", "token", "webhook",
})  # fmt: skip
"""In the singular, as `is_secret_name` compares them."""
_SPLIT = re.compile(r"[^A-Za-z0-9]+|(?<=[a-z0-9])(?=[A-Z])")
_PLACES = ("file", "directory", "path")
"""Where a secret is, is none."""
_DSN_SECRETS = (
    "password",
    "sslpassword",
    "oauth_client_secret",
    "scram_client_key",
    "scram_server_key",
)
_TOKEN = re.compile(r"(?=[^/]*\d)[^/]{16,}")
"""A part of a URL's path that looks like a token, as webhooks have it."""


def is_secret_name(name: str) -> bool:
    """Whether a key or a variable is named like a secret: `api_secret`, `PGPASSWORD`, not `keys_file`."""
    words = [word.lower().removesuffix("s") for word in _SPLIT.split(name)]
    if words[-1] in _PLACES:
        return False
    return any(word in _WORDS or word.endswith(("password", "secret", "token")) for word in words)


class Masking:
    """Hides secrets.

    Args:
        environment: The variables; the values of those named like secrets are hidden wherever they stand.
    """

    def __init__(self, environment: Mapping[str, str]) -> None:
        self.environment = {
            name: MASK if value and is_secret_name(name) else value
            for name, value in environment.items()
        }
        hidden = {value for name, value in environment.items() if is_secret_name(name)}
        longest_first = sorted((v for v in hidden if len(v) >= SHORTEST), key=len, reverse=True)
        self._hidden = re.compile("|".join(map(re.escape, longest_first)) or r"(?!)")

    def show(self, path: Sequence[str], value: Any) -> Any:
        """The value as it may be shown.

        Args:
            path: The keys that lead to it, from the component's own on: those before it are names.
            value: A string, number, boolean, None or a list of them.
        """
        if value is None or isinstance(value, bool):
            return value
        if isinstance(value, list | tuple):
            return [self.show(path, each) for each in value]
        if _is_secret(path):
            return MASK
        return self._hidden.sub(MASK, _shown(path, value)) if isinstance(value, str) else value


def _is_secret(path: Sequence[str]) -> bool:
    """Whether it is a header, or named like a secret, or in a section that is named like one."""
    if "headers" in path:
        return True
    return bool(path) and not path[-1].endswith(_PLACES) and any(map(is_secret_name, path))


def _shown(path: Sequence[str], value: str) -> str:
    if value == MASK:
        return value
    if path[-1:] == ["dsn"] or value.startswith(("postgresql://", "postgres://")):
        return _dsn(value)
    return _url(value) if "://" in value else value


def _dsn(value: str) -> str:
    """A libpq connection string as `key=value`, without its passwords."""
    try:
        parts = conninfo_to_dict(value)
        return make_conninfo("", **{k: MASK if k in _DSN_SECRETS else v for k, v in parts.items()})
    except ProgrammingError:
        return MASK


def _url(value: str) -> str:
    """A URL without its password, the values of its query, its fragment, and parts that look like tokens."""
    try:
        url = urlsplit(value)
    except ValueError:
        return MASK
    user, at, host = url.netloc.rpartition("@")
    path = "/".join(_TOKEN.sub(MASK, part) for part in url.path.split("/"))
    query = re.sub(r"(?<==)[^&]+|^[^=&]+$", MASK, url.query)
    masked = url._replace(
        netloc=(MASK + at if user else "") + host,
        path=path,
        query=query,
        fragment=MASK if url.fragment else "",
    )
    return urlunsplit(masked)
