"""Every connection to Postgres is made here: told how to behave, and looked at whether it does (ADR 13).

What a session does is decided by many: libpq's environment, the DSN, ALTER DATABASE and ALTER ROLE ... SET,
the server's configuration, a pooler that drops startup options. So each setting that matters is SET by SQL
once connected, and read back in a transaction of its own. What cannot be had is refused in one line.
"""

import asyncio
import secrets
from collections.abc import Coroutine, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from typing import Any, Final

import psycopg
from psycopg import AsyncConnection, BaseConnection, Connection
from psycopg.conninfo import conninfo_to_dict

from footfall_processors import OperatorError

MARK = "footfall.session"
"""A setting of our own, whose value nobody else's session has."""
_BEHAVIOUR = {
    "client_encoding": "UTF8",
    "DateStyle": "ISO, MDY",
    "IntervalStyle": "postgres",
    "TimeZone": "UTC",
    "bytea_output": "hex",
    "extra_float_digits": "1",
    "standard_conforming_strings": "on",
    "transform_null_equals": "off",
    "array_nulls": "on",
    "quote_all_identifiers": "off",
    "search_path": "pg_catalog, pg_temp",
    "default_transaction_isolation": "read committed",
    "default_transaction_deferrable": "off",
    "synchronous_commit": "on",
    "row_security": "off",  # an error, where rows would be left out silently
    "client_min_messages": "warning",  # a COMMIT may warn
    "log_parameter_max_length_on_error": "0",
    "jit": "off",  # compiling takes longer than any of these statements; Debian's is on
}
PLANNING: Final = {"enable_sort": "off", "enable_nestloop": "off"}
"""For questions to the views: of what is behind their barriers Postgres expects a few rows, and would sort
thousands by their names, or look each up, where hashing takes a fraction. What has no other way is not kept
from it."""
_FOREVER = "0"
_PROBE_S = 3.0

_SET = (
    "SELECT name, set_config(name, CASE WHEN name = 'synchronous_commit' AND"
    " current_setting(name) = 'remote_apply' THEN 'remote_apply' ELSE value END, false)"
    " FROM unnest(%s::text[], %s::text[]) AS s (name, value)"
    " WHERE current_setting(name, true) IS NOT NULL OR name = %s"
)
"""`synchronous_commit` is on at least: on disk here, and on the disk of a synchronous standby."""
_LOOK = (
    "SELECT pg_backend_pid(), current_setting('server_encoding'),"
    " pg_is_in_recovery() OR current_setting('transaction_read_only') = 'on',"
    " ARRAY(SELECT name FROM unnest(%s::text[], %s::text[]) AS s (name, value)"
    "       WHERE current_setting(name, true) IS DISTINCT FROM value)"
)


class Unsuitable(OperatorError, psycopg.NotSupportedError):
    """A server, a pooler or a role with which what Footfall promises cannot be kept."""

    BETWEEN = ": "


class ReadOnly(OperatorError, psycopg.OperationalError):
    """The server may not be written now: it is a standby, or was made read-only. It is tried again."""

    BETWEEN = ": "

    def __init__(self) -> None:
        super().__init__(
            "this Postgres is read-only (a standby, or default_transaction_read_only is on)",
            "connect to the primary, or to several hosts of which one is.",
        )

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), ()


@dataclass(frozen=True, slots=True)
class Use:
    """What a connection is for.

    Attributes:
        name: Its `application_name`.
        lock: How long it waits for a lock; all times as Postgres writes them, 0 is without end.
        statement: How long a statement may take.
        in_transaction: How long it may be idle in a transaction.
        idle: How long it may be idle outside of one.
        writes: Whether a server that may only be read is of no use.
        planning: More settings, of how Postgres plans.
    """

    name: str
    lock: str = "10s"
    statement: str = "60s"
    in_transaction: str = "60s"
    idle: str = _FOREVER
    writes: bool = True
    planning: Mapping[str, str] = field(default_factory=dict)

    def settings(self) -> dict[str, str]:
        """What the session is told, with a mark of its own."""
        return {
            **_BEHAVIOUR,
            **self.planning,
            "lock_timeout": self.lock,
            "statement_timeout": self.statement,
            "idle_in_transaction_session_timeout": self.in_transaction,
            "idle_session_timeout": self.idle,
            "transaction_timeout": _FOREVER,  # since Postgres 17
            MARK: secrets.token_hex(16),
        }

    def parameters(self, dsn: str) -> dict[str, Any]:
        """libpq's; a Postgres that stops answering is given up after half a minute, not after two hours.

        Whoever only reads takes any server, or what the DSN prefers; the environment has no say.
        """
        attrs = "target_session_attrs"
        wanted: dict[str, Any] = {
            "application_name": self.name,
            "connect_timeout": 10,
            "keepalives_idle": 30,
            "tcp_user_timeout": 30_000,
            "client_encoding": "UTF8",
            "autocommit": True,
        }
        preferred = conninfo_to_dict(dsn).get(attrs, "any")
        return wanted | {attrs: "read-write" if self.writes else preferred}


WRITING = Use("footfall")
PARTITIONS = Use("footfall partitions", lock="2s")
HOUSEKEEPING = Use("footfall housekeeping", statement="600s", idle="60s")
"""A collector that is paused while it keeps house is put out by Postgres itself, and its lock with it."""
PURGING = replace(HOUSEKEEPING, name="footfall purge")
HOLDING = Use("footfall lock", lock="10s", idle="60s")
"""Of whoever holds a lock beside what it does (locks.py)."""
REFUSED = Use("footfall refused", lock="5s", statement="10s")
COUNTING = Use("footfall rates", lock="2s", statement="2s", in_transaction="5s")
"""Who asks has an answer without it after a quarter of a second (rates.py)."""
RATING = Use("footfall ratings", lock="2s", statement="5s", in_transaction="5s")
SIGNING = Use("footfall sessions", lock="2s", statement="5s", in_transaction="5s")
SUMMARIES = Use("footfall summary", lock="1s", statement="3s", in_transaction="5s")
FEELING = Use("footfall health", lock="1s", statement="3s", writes=False)
ERASING = Use("footfall receipt", lock="3s", statement="60s")
FOLLOWING = Use("footfall subscriber", statement="600s")
SCHEMA = Use("footfall migrate", lock="60s", statement=_FOREVER, in_transaction="600s")
READING = Use("footfall report", statement="600s", writes=False, planning=PLANNING)
WATCHING = Use("footfall tail", lock="5s", statement="30s", writes=False)
LIVE = Use("footfall live", lock="1s", statement="5s", in_transaction="10s", writes=False)
LOOKING = Use("footfall doctor", lock="5s", statement="15s", writes=False)


async def connect(dsn: str, use: Use) -> AsyncConnection:
    """A connection in autocommit mode.

    Raises:
        Unsuitable: the server, a pooler before it, or the role cannot do what is needed.
        ReadOnly: it may only be read.
        psycopg.Error: it cannot be reached, or refuses.
    """
    try:
        connection = await AsyncConnection.connect(dsn, **use.parameters(dsn))
    except psycopg.OperationalError as error:
        raise _explained(error) from None
    try:
        done = await connection.execute(_SET, [*_columns(use.settings()), MARK])
        look = await connection.execute(_LOOK, _columns(dict(await done.fetchall())))
        if _judge(connection, await look.fetchone(), use) and await _is_shared(dsn, use):
            raise shared()
    except BaseException:
        await connection.close()
        raise
    return connection


def connect_sync(dsn: str, use: Use) -> Connection:
    """The same for code that waits."""
    try:
        connection = psycopg.connect(dsn, **use.parameters(dsn))
    except psycopg.OperationalError as error:
        raise _explained(error) from None
    try:
        done = connection.execute(_SET, [*_columns(use.settings()), MARK])
        look = connection.execute(_LOOK, _columns(dict(done.fetchall())))
        if _judge(connection, look.fetchone(), use) and _in_a_thread(_is_shared(dsn, use)):
            raise shared()
    except BaseException:
        connection.close()
        raise
    return connection


def _columns(settings: Mapping[str, str]) -> list[list[str]]:
    return [list(settings), list(settings.values())]


def _explained(error: psycopg.OperationalError) -> psycopg.OperationalError:
    """Libpq's own word for a server that is not `read-write`, in ours."""
    return ReadOnly() if "session is read-only" in str(error) else error


def _judge(connection: BaseConnection[Any], found: Any, use: Use) -> bool:
    """Refuses a session that is not as it was told to be; whether something stands between."""
    pid, encoding, read_only, differing = found
    if differing:
        raise Unsuitable(
            f"this session does not keep {', '.join(differing)}",
            "connect to Postgres itself, or through a pooler in session mode",
        )
    if encoding != "UTF8":
        raise Unsuitable(
            f"the database {connection.info.dbname} is in {encoding}, and text is stored in UTF8 alone",
            "make another: CREATE DATABASE ... ENCODING 'UTF8' TEMPLATE template0",
        )
    if use.writes and read_only:
        raise ReadOnly
    return bool(connection.info.backend_pid != pid)


def shared() -> Unsuitable:
    """What is said of a pooler that gives a session to several clients at once."""
    return Unsuitable(
        "a pooler gives this connection's session to others as well (transaction or statement mode)",
        "set pool_mode = session for this database, or connect to Postgres itself",
    )


async def _is_shared(dsn: str, use: Use) -> bool:
    """Whether two connections are given one session: seen while the second is in a transaction.

    A pooler in session mode without a second session to give keeps the second waiting: it is not shared.
    """
    probe = replace(use, name="footfall probe")
    opened: list[AsyncConnection] = []
    try:
        async with asyncio.timeout(_PROBE_S):
            for _ in range(2):
                opened.append(await AsyncConnection.connect(dsn, **probe.parameters(dsn)))
                # Some poolers leave a session that was told something to whom told it.
                await opened[-1].execute(_SET, [*_columns(probe.settings()), MARK])
            first, second = opened
            pids = [await _pid(first), await _pid(first)]
            await second.execute("BEGIN")
            pids += [await _pid(first)]
            return len(set(pids)) > 1 or await _pid(second) in pids
    except TimeoutError:
        return False
    except psycopg.errors.ProtocolViolation:  # no transactions at all, in statement mode
        return True
    finally:
        for each in opened:
            await each.close()


def _in_a_thread(look: Coroutine[Any, Any, bool]) -> bool:
    """For callers in whose own thread an event loop may run."""
    with ThreadPoolExecutor(1) as thread:
        return thread.submit(asyncio.run, look).result()


async def _pid(connection: AsyncConnection) -> int:
    row = await (await connection.execute("SELECT pg_backend_pid()")).fetchone()
    return int(row[0]) if row else 0
