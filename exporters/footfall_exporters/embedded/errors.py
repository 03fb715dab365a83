"""The one error of this package, and how an operating-system error becomes one."""

import errno
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_ADVICE = {
    errno.ENOSPC: "free some space, or set FOOTFALL_HOME to a directory on another disk",
    errno.EDQUOT: "free some space, or set FOOTFALL_HOME to a directory on another disk",
}
_DEFAULT_ADVICE = "set FOOTFALL_HOME to a directory that this user can write"


class EmbeddedPostgresError(Exception):
    """The embedded Postgres cannot be used; the message is one line that says why and what to do."""


@contextmanager
def explained(directory: Path) -> Iterator[None]:
    """Turn an OSError raised while working in `directory` into an EmbeddedPostgresError."""
    try:
        yield
    except OSError as error:
        advice = _ADVICE.get(error.errno or 0, _DEFAULT_ADVICE)
        where = error.filename or directory
        raise EmbeddedPostgresError(
            f"cannot keep Postgres in {directory}: {where}: {error.strerror}; {advice}"
        ) from error
