"""Writers that stopped in the middle of a transaction, and hold up the others (ADR 10).

A collector that is paused (SIGSTOP, a virtual machine that is moved, a machine that swaps) keeps the locks of
the transaction it is in. When others wait for them, its session is ended: nothing of the transaction is
stored, its senders were told nothing, and the requests are retried.
"""

from psycopg import AsyncConnection

WRITER = "footfall"
"""The `application_name` of the ingest connections (session.py)."""
PATIENCE = 30.0
"""Seconds that a transaction may last while Postgres waits for its collector to go on."""
LONGEST = 120.0
"""Seconds that one may last in any case: more than the longest statement and the longest wait for a lock."""


async def end_stuck(
    connection: AsyncConnection, patience: float = PATIENCE, longest: float = LONGEST
) -> int:
    """Ends the sessions of writers whose transaction lasts too long and whose locks others wait for.

    Args:
        connection: In autocommit mode, of the writers' login role.
        patience: See PATIENCE.
        longest: See LONGEST.

    Returns:
        How many sessions were ended.

    Raises:
        psycopg.Error: Postgres refused.
    """
    found = await connection.execute(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
        " WHERE datname = current_database() AND application_name = %s"
        " AND clock_timestamp() - xact_start > make_interval(secs =>"
        "     CASE WHEN wait_event_type = 'Client' THEN %s ELSE %s END)"
        " AND pid IN (SELECT unnest(pg_blocking_pids(w.pid)) FROM pg_stat_activity w"
        "     WHERE w.datname = current_database() AND w.wait_event_type = 'Lock')",
        [WRITER, patience, longest],
    )
    return sum(ended for (ended,) in await found.fetchall())
