"""How many distinct pseudonyms there were in a period: never a wrong number, rather none."""

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

from psycopg import Connection, sql

from footfall_processors import Hash, period

_DAY = dt.timedelta(days=1)
_MOMENT = dt.timedelta(microseconds=1)
_EPOCH = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)
_COUNT = """
    SELECT count(DISTINCT {column}) FROM footfall.feature_events WHERE time >= %s AND time < %s
"""

_GONE = "SELECT day FROM footfall.dropped_days UNION SELECT day FROM footfall.thinned"


class Span(NamedTuple):
    """A period of time, UTC.

    Attributes:
        since: Its beginning.
        until: Its end, which is not in it.
    """

    since: dt.datetime
    until: dt.datetime


@dataclass(frozen=True, slots=True)
class _Kept:
    """How an attribute is kept: what must be true of a span whose values can be told apart.

    Attributes:
        column: Where.
        salt: Its kind; None where it is kept as it is.
        unsure: The periods that had more than one salt.
        dropped: Days whose observations are gone, all or some.
        changed: When the catalog last changed its hash; None: not since it was first declared.
    """

    column: str
    salt: Hash | None
    unsure: frozenset[int]
    dropped: frozenset[dt.date]
    changed: dt.datetime | None

    def tells(self, span: Span) -> bool:
        last = span.until - _MOMENT
        days = (last.date() - span.since.date()) // _DAY + 1
        if any(span.since.date() + n * _DAY in self.dropped for n in range(days)):
            return False
        if self.changed is not None and span.since < self.changed:
            return False
        if self.salt in (None, Hash.STATIC):
            return True
        first = period(self.salt, _microseconds(span.since))
        return first == period(self.salt, _microseconds(last)) and first[1] not in self.unsure


def distinct(connection: Connection, attribute: str, spans: Sequence[Span]) -> list[int | None]:
    """How many distinct values an attribute had in each of some spans.

    Args:
        connection: The owner's.
        attribute: With a hash, or of type uuid.
        spans: One by one.

    Returns:
        None where it cannot be known: the catalog has no such attribute, the span reaches beyond one salt or
        into days that are dropped, a salt was lost within it, or the attribute is hashed otherwise since.

    Raises:
        psycopg.Error: Postgres refused.
    """
    kept = _kept(connection, attribute)
    if kept is None:
        return [None] * len(spans)
    query = sql.SQL(_COUNT).format(column=sql.Identifier(kept.column))
    found: list[int | None] = []
    for span in spans:
        row = connection.execute(query, span).fetchone() if kept.tells(span) else None
        found.append(row[0] if row else None)
    return found


def _kept(connection: Connection, attribute: str) -> _Kept | None:
    row = connection.execute(
        "SELECT column_name, hash, hash_changed_at FROM footfall.catalog_columns c JOIN pg_attribute a"
        " ON a.attname = c.column_name AND a.attrelid = 'footfall.feature_events'::regclass"
        " WHERE attribute = %s AND a.atttypid = 'uuid'::regtype",
        [attribute],
    ).fetchone()
    if row is None:
        return None
    column, kind, changed = row
    twice = "SELECT period FROM footfall.salt_log WHERE kind = %s GROUP BY 1 HAVING count(*) > 1"
    unsure = connection.execute(twice, [kind]).fetchall()
    dropped = connection.execute(_GONE).fetchall()
    return _Kept(
        column,
        Hash(kind) if kind else None,
        frozenset(number for (number,) in unsure),
        frozenset(day for (day,) in dropped),
        changed,
    )


def _microseconds(moment: dt.datetime) -> int:
    return (moment - _EPOCH) // _MOMENT
