"""What happened, as operators say it: written and removed here, read in `reporting.annotations`."""

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple

from psycopg import Connection

from footfall_exporters.postgres.connecting import Use
from footfall_processors import OperatorError
from footfall_processors.redaction import redact

ANNOTATING: Final = Use("footfall annotate", lock="5s", statement="10s")
LONGEST, LONGEST_NAME = 280, 128
"""Characters of a text, and of a product or a version."""
_ADD = """
    INSERT INTO footfall.annotations (at, text, product, version) VALUES (%s, %s, %s, %s)
    RETURNING id, at, text, product, version
"""
_LIST = "SELECT id, at, text, product, version FROM footfall.annotations ORDER BY at, id"


class WrongAnnotation(OperatorError):
    """It cannot be written so."""


@dataclass(frozen=True, slots=True)
class Annotation:
    """What somebody says that happened.

    Attributes:
        at: When.
        text: What.
        product: To which product; empty: to all.
        version: With which version; empty: with none.
    """

    at: dt.datetime
    text: str
    product: str = ""
    version: str = ""


class Written(NamedTuple):
    """One that is stored.

    Attributes:
        id: By which it is removed.
        at: When it happened.
        text: What.
        product: To which product; empty: to all.
        version: With which version; empty: with none.
    """

    id: int
    at: dt.datetime
    text: str
    product: str
    version: str


def add(connection: Connection, said: Annotation) -> Written:
    """Writes one, without what is recognised in it as personal.

    Raises:
        WrongAnnotation: it is empty, too long, or has characters that are no text.
        psycopg.Error: Postgres refused.
    """
    text = _checked("the text", said.text, LONGEST)
    if not text:
        raise WrongAnnotation("the text is empty", "say what happened, such as `saved presets`")
    product = _checked("the product", said.product, LONGEST_NAME)
    version = _checked("the version", said.version, LONGEST_NAME)
    values = [said.at, redact(text)[:LONGEST], product, version]
    row = connection.execute(_ADD, values).fetchone()
    assert row is not None  # noqa: S101  # it returns what it wrote
    return Written(*row)


def every(connection: Connection) -> Sequence[Written]:
    """All, the earliest first.

    Raises:
        psycopg.Error: Postgres refused.
    """
    return [Written(*row) for row in connection.execute(_LIST).fetchall()]


def remove(connection: Connection, number: int) -> bool:
    """Removes one; whether it was there.

    Raises:
        psycopg.Error: Postgres refused.
    """
    return (
        connection.execute("DELETE FROM footfall.annotations WHERE id = %s", [number]).rowcount == 1
    )


def _checked(what: str, text: str, most: int) -> str:
    """A text without space around it.

    Raises:
        WrongAnnotation: it is none, or too long.
    """
    text = text.strip()
    if len(text) > most:
        raise WrongAnnotation(f"{what} has {len(text)} characters", f"{most} are the most")
    if not text.isprintable():
        found = f"{what} has control characters, or others that are not shown"
        raise WrongAnnotation(found, "write it in one line of plain text")
    return text
