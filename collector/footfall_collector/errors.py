"""What keeps a collector from starting, or a command from doing its work: one line, and what to do.

Nothing heavy is imported here: commands and workers say with this why they end.
"""

import logging
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import IO, TYPE_CHECKING, Any, Final, NoReturn

import click

from footfall_processors import DocumentError, OperatorError

if TYPE_CHECKING:
    import psycopg

WRONG_INPUT = 2
"""Exit status for a wrong catalog, configuration or argument; 1 is for what could not be done."""

_LIMIT: Final = "54"
"""SQLSTATE's class of what is too much for Postgres."""
log = logging.getLogger("footfall.collector")


class StartError(OperatorError):
    """The collector cannot start, or cannot go on."""


class Refused(click.ClickException):
    """A document has mistakes.

    Attributes:
        lines: One for each, and how many there are.
    """

    exit_code = WRONG_INPUT

    def __init__(self, error: DocumentError) -> None:
        number = len(error.mistakes)
        total = f"{number} mistake{'s' * (number > 1)}; nothing was started"
        self.lines = [*map(str, error.mistakes), total]
        super().__init__("\n".join(self.lines))

    def show(self, file: IO[Any] | None = None) -> None:
        """Prints them."""
        for line in self.lines:
            click.echo(line, file, err=file is None)


def refuse(error: DocumentError) -> NoReturn:
    """Ends the command with all mistakes of a document.

    Raises:
        Refused: always.
    """
    raise Refused(error) from None


@contextmanager
def ending_in_the_log() -> Iterator[None]:
    """Makes what ends a process records of its log: where that is JSON, no other line may stand in it."""
    try:
        yield
    except click.ClickException as error:
        to_log(error)
        sys.exit(error.exit_code)


def to_log(error: click.ClickException) -> None:
    """Writes why a process ends into its log."""
    for line in error.lines if isinstance(error, Refused) else [error.format_message()]:
        log.error("%s", line)


@contextmanager
def failing_plainly() -> Iterator[None]:
    """Turns what can go wrong at the start into one line that says what to do."""
    import psycopg

    try:
        yield
    except DocumentError as error:
        refuse(error)
    except OperatorError as error:
        raise click.ClickException(str(error)) from None
    except (psycopg.errors.LockNotAvailable, psycopg.errors.QueryCanceled):
        raise click.ClickException(
            "Postgres is busy: somebody holds what is needed, see pg_stat_activity. Try again later."
        ) from None
    except psycopg.errors.InsufficientPrivilege as error:
        said = error.diag.message_primary or "a right is missing"  # it names a right, and no value
        raise click.ClickException(
            f"Postgres refused: {said}. Connect as the role that owns the database, or have it granted."
        ) from None
    except psycopg.errors.ProgramLimitExceeded as error:
        said = (
            error.diag.message_primary or "too much of something"
        )  # it names a limit, and no value
        raise click.ClickException(
            f"Postgres refused: {said}. Declare fewer attributes: each is a column."
        ) from None
    except psycopg.OperationalError as error:
        raise click.ClickException(_unreachable(error)) from None
    except psycopg.Error as error:
        kind = f"{type(error).__name__}, SQLSTATE {error.sqlstate}"
        raise click.ClickException(
            f"Postgres refused ({kind}): does the DSN's user own the database?"
        ) from None


def _unreachable(error: "psycopg.OperationalError") -> str:
    """Why Postgres cannot be had, as far as that is why."""
    line = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
    if (error.sqlstate or "").startswith(_LIMIT):
        return f"Postgres refused: {line}. Declare fewer attributes: each is a column."
    return f"Postgres cannot be reached: {line}. Check the DSN (FOOTFALL_DSN), and that it runs."
