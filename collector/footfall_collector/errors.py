"""What keeps a collector from starting, or a command from doing its work: one line, and what to do.

Nothing heavy is imported here: commands and workers say with this why they end.
"""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import NoReturn

import click

from footfall_processors import DocumentError, OperatorError

WRONG_INPUT = 2
"""Exit status for a wrong catalog, configuration or argument; 1 is for what could not be done."""


class StartError(OperatorError):
    """The collector cannot start, or cannot go on."""


def refuse(error: DocumentError) -> NoReturn:
    """Prints all mistakes of a document, and ends the process."""
    for mistake in error.mistakes:
        click.echo(str(mistake), err=True)
    number = len(error.mistakes)
    click.echo(f"{number} mistake{'s' * (number > 1)}; nothing was started", err=True)
    sys.exit(WRONG_INPUT)


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
    except psycopg.OperationalError as error:
        line = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        raise click.ClickException(
            f"Postgres cannot be reached: {line}. Check the DSN (FOOTFALL_DSN), and that it runs."
        ) from None
    except psycopg.Error as error:
        kind = f"{type(error).__name__}, SQLSTATE {error.sqlstate}"
        raise click.ClickException(
            f"Postgres refused ({kind}): does the DSN's user own the database?"
        ) from None
