"""The one error of this package, and what to do about what the system says."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from footfall_processors import OperatorError

_FULL_DISK = ("No space left", "quota exceeded", "wrote only")


class EmbeddedPostgresError(OperatorError):
    """The embedded Postgres cannot be used."""


def advice(reason: str) -> str:
    """Return what to do when the system, or Postgres, gives `reason`."""
    if any(sign in reason for sign in _FULL_DISK):
        return "free some space, or set FOOTFALL_HOME to a directory on another disk"
    return "set FOOTFALL_HOME to a directory that this user can write"


@contextmanager
def explained(directory: Path) -> Iterator[None]:
    """Turn an OSError raised while working in `directory` into an EmbeddedPostgresError."""
    try:
        yield
    except OSError as error:
        reason = error.strerror or type(error).__name__
        found = f"cannot keep Postgres in {directory}: {error.filename or directory}: {reason}"
        raise EmbeddedPostgresError(found, advice(reason)) from error
