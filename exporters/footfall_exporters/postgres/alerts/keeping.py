"""Where the state of alerts is kept, and their messages until they are taken: in the store (ADR 40).

What a look found and what is to be told are written in one transaction, in which the clock's row is locked:
of several collectors one looks, and one that is killed in the middle has told nobody and changed nothing.
"""

import datetime as dt
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Final

import msgspec
from psycopg import Connection

from footfall_exporters.postgres.alerts.finding import About
from footfall_exporters.postgres.alerts.looking import Looked
from footfall_exporters.postgres.alerts.message import Message
from footfall_exporters.postgres.alerts.state import Silence, State
from footfall_exporters.postgres.appointments import again

LEASE: Final = dt.timedelta(minutes=2)
"""After which a message is sent by another collector, where whoever claimed it never said what came of it."""
LONGEST: Final = dt.timedelta(minutes=5)
"""Between two attempts at a message."""
KEPT: Final = dt.timedelta(days=1)
"""For how long a message is tried."""
_NOW: Final = "SELECT clock_timestamp()"
_LOCK: Final = """
    SELECT FROM footfall.alert_clock
    WHERE NOT (looked_at > %(now)s::timestamptz - %(every)s AND looked_at <= %(now)s::timestamptz)
    FOR UPDATE SKIP LOCKED
"""
_SET: Final = "UPDATE footfall.alert_clock SET looked_at = %(now)s"
_KNOWN: Final = """
    SELECT rule, product, subject, firing, in_a_row, since, fired_at, told, silenced_until, what, sure
    FROM footfall.alerts
"""
_FORGET: Final = """
    DELETE FROM footfall.alerts
    WHERE (rule, product, subject) NOT IN (SELECT * FROM unnest(%s::text[], %s::text[], %s::text[]))
"""
_KEEP: Final = """
    INSERT INTO footfall.alerts (rule, product, subject, firing, in_a_row, since, fired_at, told,
        silenced_until, what, sure)
    VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s)
    ON CONFLICT (rule, product, subject) DO UPDATE SET firing = excluded.firing,
        in_a_row = excluded.in_a_row, since = excluded.since, fired_at = excluded.fired_at,
        told = excluded.told, silenced_until = excluded.silenced_until, what = excluded.what,
        sure = excluded.sure
"""
_RULE: Final = """
    INSERT INTO footfall.alert_rules VALUES (%s, %s, %s, %s) ON CONFLICT (rule) DO UPDATE SET
        looked_at = excluded.looked_at, took_ms = excluded.took_ms, outcome = excluded.outcome
"""
_SILENCE: Final = """
    INSERT INTO footfall.alert_silences VALUES (%s, %s, clock_timestamp() + %s)
    ON CONFLICT (rule, product) DO UPDATE SET until = excluded.until RETURNING until
"""
_CERTIFICATE: Final = """
    INSERT INTO footfall.certificates VALUES (%s, %s, clock_timestamp())
    ON CONFLICT (listener, ends) DO UPDATE SET noted_at = excluded.noted_at
"""
_CLAIM: Final = """
    UPDATE footfall.alert_messages SET due = clock_timestamp() + %(lease)s
    WHERE id = (SELECT min(id) FROM footfall.alert_messages WHERE target = %(target)s)
    AND due <= clock_timestamp() RETURNING id, at, message::text
"""


def claim(
    connection: Connection, now: dt.datetime | None, every: dt.timedelta
) -> dt.datetime | None:
    """Takes the look on, where it is due and nobody else is at it; the time of it.

    Args:
        connection: In a transaction.
        now: Postgres' time, where another one is meant.
        every: How long ago the last look was, at least.

    Raises:
        psycopg.Error: Postgres refused.
    """
    found = connection.execute(_NOW).fetchone()
    time: dt.datetime = now or (found[0] if found else dt.datetime.now(dt.UTC))
    said = {"now": time, "every": every}
    if connection.execute(_LOCK, said).fetchone() is None:
        return None
    connection.execute(_SET, said)
    return time.astimezone(dt.UTC)


def known(connection: Connection) -> Mapping[About, State]:
    """What there was at the last look.

    Raises:
        psycopg.Error: Postgres refused.
    """
    rows = connection.execute(_KNOWN).fetchall()
    return {About(*row[:3]): State(About(*row[:3]), *row[3:]) for row in rows}


def keep(
    connection: Connection, states: Sequence[State], looked: Sequence[Looked], now: dt.datetime
) -> None:
    """Writes what there is now, and how the look went.

    Args:
        connection: In the transaction that has claimed the look.
        states: All that there is.
        looked: All rules that are on.
        now: When that was.

    Raises:
        psycopg.Error: Postgres refused.
    """
    columns = [[state.about[n] for state in states] for n in range(len(About._fields))]
    connection.execute(_FORGET, columns)
    with connection.cursor() as cursor:
        if states:
            cursor.executemany(_KEEP, [_row(state) for state in states])
        rules = [(e.rule, now, round(1000 * e.seconds), e.outcome) for e in looked]
        if rules:
            cursor.executemany(_RULE, rules)
    names = [each.rule for each in looked]
    connection.execute("DELETE FROM footfall.alert_rules WHERE rule <> ALL (%s)", [names])


def silences(connection: Connection, now: dt.datetime) -> list[Silence]:
    """Those that were asked for and hold.

    Raises:
        psycopg.Error: Postgres refused.
    """
    found = connection.execute(
        "SELECT rule, product, until FROM footfall.alert_silences WHERE until > %s", [now]
    )
    return [Silence(*row) for row in found.fetchall()]


def silence(connection: Connection, rule: str, product: str, length: dt.timedelta) -> dt.datetime:
    """Has nobody be told for so long, from now on, whatever was said before; when that ends.

    Raises:
        psycopg.Error: Postgres refused.
    """
    row = connection.execute(_SILENCE, [rule, product, length]).fetchone()
    until: dt.datetime = row[0] if row else dt.datetime.now(dt.UTC)
    return until.astimezone(dt.UTC)


def tidy(connection: Connection, now: dt.datetime) -> list[str]:
    """Forgets silences that are over, certificates of old, and messages that nobody took: to whom these were.

    Raises:
        psycopg.Error: Postgres refused.
    """
    connection.execute("DELETE FROM footfall.alert_silences WHERE until <= %s", [now])
    connection.execute("DELETE FROM footfall.certificates WHERE noted_at < %s", [now - KEPT])
    given_up = connection.execute(
        "DELETE FROM footfall.alert_messages WHERE at < clock_timestamp() - %s RETURNING target",
        [KEPT],
    )
    return [target for (target,) in given_up.fetchall()]


def note_certificates(connection: Connection, ends: Mapping[str, dt.datetime]) -> None:
    """Notes when the certificates of a collector's listeners end.

    Raises:
        psycopg.Error: Postgres refused.
    """
    with connection.cursor() as cursor:
        cursor.executemany(_CERTIFICATE, sorted(ends.items()))


def enqueue(connection: Connection, targets: Collection[str], messages: Iterable[Message]) -> None:
    """Writes messages that are to be sent to each target.

    Raises:
        psycopg.Error: Postgres refused.
    """
    for message in messages:
        text = msgspec.json.encode(message).decode()
        for target in targets:
            connection.execute(
                "INSERT INTO footfall.alert_messages (target, message) VALUES (%s, %s::jsonb)",
                [target, text],
            )


class Waiting:
    """The messages that a target has not taken yet.

    Args:
        connection: Of the owner, in autocommit mode.
        target: Its name.
    """

    def __init__(self, connection: Connection, target: str) -> None:
        self._connection, self._target = connection, target

    def next(self) -> tuple[int, dt.datetime, Message] | None:
        """The oldest, claimed, where it is due; its number, and when it was written.

        Raises:
            psycopg.Error: Postgres refused.
        """
        said = {"target": self._target, "lease": LEASE}
        row = self._connection.execute(_CLAIM, said).fetchone()
        return (row[0], row[1], msgspec.json.decode(row[2], type=Message)) if row else None

    def taken(self, number: int) -> None:
        """It needs not be sent any more.

        Raises:
            psycopg.Error: Postgres refused.
        """
        self._connection.execute("DELETE FROM footfall.alert_messages WHERE id = %s", [number])

    def failed(self, number: int, at: dt.datetime) -> None:
        """It is tried again: at first after a minute, then more seldom.

        Raises:
            psycopg.Error: Postgres refused.
        """
        found = self._connection.execute(_NOW).fetchone()
        now = found[0] if found else dt.datetime.now(dt.UTC)
        due = min(again(now, at), now + LONGEST)
        self._connection.execute(
            "UPDATE footfall.alert_messages SET due = %s WHERE id = %s", [due, number]
        )


def _row(state: State) -> tuple[object, ...]:
    return (
        *state.about,
        state.firing,
        state.in_a_row,
        state.since,
        state.fired_at,
        state.told,
        state.silenced_until,
        state.what,
        state.sure,
    )
