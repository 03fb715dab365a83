"""How far each backend is, for whoever may read the reports."""

import psycopg

from footfall_exporters.postgres import subscriptions
from footfall_exporters.postgres.connecting import HOUSEKEEPING, connect
from footfall_exporters.postgres.reports import ask
from footfall_exporters.postgres.reports.asked import Asked
from support.batches import batch, dimension, one_row
from support.stores import MIDNIGHT, writing


async def test_a_backend_is_as_far_behind_as_commits_are_left(store_database, catalog):
    row = one_row(MIDNIGHT, dimension())
    async with await connect(store_database, HOUSEKEEPING) as session:
        await subscriptions.register(session, "warehouse")
        await subscriptions.register(session, "posthog")
    async with writing(store_database, catalog) as writer:
        for _ in range(3):
            await writer.consume(batch(row))
    with psycopg.connect(store_database, autocommit=True) as owner:
        commits = owner.execute(
            "SELECT position, committed_at FROM footfall.commits ORDER BY position"
        ).fetchall()
        first, last = commits[0][0], commits[-1][0]
        async with await connect(store_database, HOUSEKEEPING) as session:
            await subscriptions.advance(session, "warehouse", last)
            await subscriptions.advance(session, "posthog", first)
            place = subscriptions.Place("posthog", first, 1, 0)
            await subscriptions.park(session, place, 4, "it said no")
        owner.execute("SET ROLE footfall_reader")
        behind, done = ask(owner, "backends", Asked()).records()
    assert (behind["backend"], behind["behind"], behind["refused"]) == ("posthog", last - first, 1)
    assert behind["waiting_since"] == commits[1][1]
    assert (done["backend"], done["behind"], done["refused"]) == ("warehouse", 0, 0)
    assert done["waiting_since"] is None
