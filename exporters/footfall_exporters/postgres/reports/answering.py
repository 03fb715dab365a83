"""Answers that take several statements, whoever executes them: a session that waits, or housekeeping's."""

import asyncio
from collections.abc import Generator
from typing import Any, TypeVar

from psycopg import AsyncConnection, Connection

from footfall_exporters.postgres.reports.building import Statement

Rows = list[tuple[Any, ...]]
T = TypeVar("T")
Answer = Generator[Statement, Rows, T]
"""Asks statement after statement, is sent the rows of each, and returns what there is to say."""


def answered(connection: Connection, answer: Answer[T]) -> T:
    """What there is to say.

    Args:
        connection: Which executes the statements.
        answer: What asks them.

    Raises:
        psycopg.Error: Postgres refused.
    """
    said: list[T] = []
    rows: Rows | None = None
    while (statement := _on(answer, rows, said)) is not None:
        rows = connection.execute(statement.text, statement.parameters).fetchall()
    return said[0]


async def answered_beside(connection: AsyncConnection, answer: Answer[T]) -> T:
    """The same as `answered`; what is reckoned between statements is in a thread, so that requests go on."""
    said: list[T] = []
    rows: Rows | None = None
    while (statement := await asyncio.to_thread(_on, answer, rows, said)) is not None:
        rows = await (await connection.execute(statement.text, statement.parameters)).fetchall()
    return said[0]


def _on(answer: Answer[T], rows: Rows | None, said: list[T]) -> Statement | None:
    """The next statement; None where there is none, and all is said."""
    try:
        return next(answer) if rows is None else answer.send(rows)
    except StopIteration as done:
        said.append(done.value)
        return None
