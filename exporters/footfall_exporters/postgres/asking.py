"""Sessions of people: as the reader, who sees `reporting` and changes nothing, or as the owner."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

import psycopg
from psycopg import Connection, errors, sql
from psycopg.conninfo import conninfo_to_dict

from footfall_exporters.postgres.connecting import READING, connect_sync
from footfall_exporters.postgres.views import READER
from footfall_processors import OperatorError

_USE = replace(READING, name="footfall sql", statement="0", in_transaction="0")
_PATH = "reporting, footfall, public"
_READ_ONLY = {"role": READER, "default_transaction_read_only": "on", "search_path": _PATH}
_OWNING = {"search_path": _PATH}
_VIEWS = """
    SELECT relname AS view, obj_description(oid, 'pg_class') AS "what it holds" FROM pg_class
    WHERE relnamespace = to_regnamespace('reporting') AND relkind = 'v' ORDER BY 1
"""


class NotThere(OperatorError):
    """There is nothing to ask."""


class NotAllowed(OperatorError):
    """The role of this session cannot be had."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What a statement gave.

    Attributes:
        columns: Their names; none for a statement without rows.
        rows: One tuple per row.
        status: What Postgres says of it, such as `UPDATE 3`.
    """

    columns: tuple[str, ...]
    rows: list[tuple[Any, ...]]
    status: str


def session(dsn: str, *, owner: bool) -> Connection:
    """A connection in autocommit mode, whose search path begins with `reporting`.

    Args:
        dsn: Of the owner.
        owner: Keep the owner's rights; else become the reader, and read only.

    Raises:
        NotThere: the database holds nothing of Footfall.
        NotAllowed: the owner may not become the reader.
        Unsuitable, psycopg.Error: see `connect_sync`.
    """
    connection = connect_sync(dsn, replace(_USE, writes=owner))
    try:
        if connection.execute("SELECT to_regnamespace('reporting')").fetchone() == (None,):
            raise NotThere("this database holds nothing of Footfall yet", "run `footfall up`")
        for name, value in _settings(owner).items():
            connection.execute("SELECT set_config(%s, %s, false)", [name, value])
    except BaseException as error:
        user = connection.info.user
        connection.close()
        if isinstance(error, errors.InvalidParameterValue | errors.InsufficientPrivilege):
            raise _not_a_reader(user) from None
        raise
    return connection


def become_reader(connection: Connection) -> None:
    """Makes an owner's session one of the reader, which changes nothing.

    Args:
        connection: In autocommit mode.

    Raises:
        NotAllowed: the reader is not there, or the owner may not become it.
        psycopg.Error: Postgres refused.
    """
    try:
        for name, value in (("role", READER), ("default_transaction_read_only", "on")):
            connection.execute("SELECT set_config(%s, %s, false)", [name, value])
    except (errors.InvalidParameterValue, errors.InsufficientPrivilege):
        raise _no_reader(connection.info.user) from None


@contextmanager
def as_owner(connection: Connection) -> Iterator[None]:
    """Gives a session of the reader its owner's rights back for a moment: it changes nothing all the same.

    Raises:
        psycopg.Error: Postgres refused.
    """
    role = connection.execute("SELECT current_setting('role')").fetchone()
    connection.execute("SET ROLE NONE")
    try:
        yield
    finally:
        if not connection.broken:
            connection.execute("SELECT set_config('role', %s, false)", role)


def options(dsn: str, *, owner: bool) -> str | None:
    """What libpq is told (`options`) for such a session by itself; None where a pooler drops that.

    Raises:
        psycopg.Error: it cannot be reached.
    """
    settings = _settings(owner)
    said = [f"-c {name}={value.replace(' ', '')}" for name, value in settings.items()]
    given = str(conninfo_to_dict(dsn).get("options") or "")
    together = " ".join([*([given] if given else []), *said])
    with psycopg.connect(dsn, options=together, autocommit=True) as connection:
        look = "SELECT replace(current_setting(%s), ' ', '') = replace(%s, ' ', '')"
        kept = [connection.execute(look, pair).fetchone() for pair in settings.items()]
    return together if kept == [(True,)] * len(settings) else None


def ask(connection: Connection, statement: str) -> list[Answer]:
    """Runs what may be several statements; what each gave.

    Raises:
        psycopg.Error: Postgres refused.
    """
    cursor = connection.execute(statement.encode())
    answers = [_answer(cursor)]
    while cursor.nextset():
        answers.append(_answer(cursor))
    return answers


def views(connection: Connection) -> Answer:
    """The views of `reporting`, with what they hold.

    Raises:
        psycopg.Error: Postgres refused.
    """
    return _answer(connection.execute(_VIEWS))


def _settings(owner: bool) -> dict[str, str]:
    return _OWNING if owner else _READ_ONLY


def _answer(cursor: psycopg.Cursor[Any]) -> Answer:
    columns = tuple(column.name for column in cursor.description or ())
    rows = cursor.fetchall() if cursor.description else []
    return Answer(columns, rows, cursor.statusmessage or "")


def _no_reader(owner: str) -> NotAllowed:
    make = f"CREATE ROLE {READER} NOLOGIN (where it is missing), GRANT {READER} TO"
    name = sql.Identifier(owner).as_string(None)
    return NotAllowed(
        f"reports are asked as {READER}, which the role {owner} may not become",
        f"run as a superuser: {make} {name}; then start a collector again, which grants it the views",
    )


def _not_a_reader(owner: str) -> NotAllowed:
    grant = sql.SQL("GRANT {} TO {}").format(sql.Identifier(READER), sql.Identifier(owner))
    return NotAllowed(
        f"the role {owner} may not become {READER}",
        f"run as a superuser: {grant.as_string(None)}; or add --owner",
    )
