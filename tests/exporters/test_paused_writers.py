import asyncio
import os
import signal
import subprocess
import sys
import textwrap
import uuid

import pytest

from exporters.housekeeping import connected, row, stored_rows
from footfall_exporters.postgres.stuck import end_stuck
from support.batches import HOUR, NOW, batch
from support.waiting import until

PAUSED = """
    import asyncio, sys
    sys.path.insert(0, {tests!r})
    from footfall_exporters.postgres import statements
    from footfall_exporters.postgres.writer import Writer
    from footfall_processors import Batch, Dimension, Rows, Shape, load_catalog

    take_position = statements.take_position

    async def halting(*args):
        await take_position(*args)
        print("inside its transaction", flush=True)
        await asyncio.sleep(600)

    statements.take_position = halting

    async def main():
        writer = Writer({dsn!r}, load_catalog({catalog!r}))
        asyncio.create_task(writer.run())
        of = Dimension("shop.order", "web", "order", "success", "ok", None, None, None, None, ())
        rows = Rows([{now}], [1], [Shape(of, 1.0, ())], [])
        await writer.consume(Batch(b"p" * 16, "traces", [rows], {{({hour}, of): 1}}, (), {{}}))

    asyncio.run(main())
"""


@pytest.fixture
def paused_writer(store_database, request):
    """A second collector that is stopped (SIGSTOP) in the middle of a commit."""
    tests = request.path.parents[1]
    program = textwrap.dedent(PAUSED).format(
        tests=str(tests), dsn=store_database, catalog=str(tests / "events.yaml"), now=NOW,
        hour=NOW // HOUR * HOUR,
    )  # fmt: skip
    with subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True,
                          stderr=subprocess.DEVNULL) as process:  # fmt: skip
        try:
            assert process.stdout.readline() == "inside its transaction\n"
            os.kill(process.pid, signal.SIGSTOP)
            yield process
        finally:
            os.kill(process.pid, signal.SIGKILL)


async def test_a_paused_writer_that_holds_others_up_is_ended(
    store, store_database, paused_writer, query
):
    waiting = asyncio.create_task(store(batch(row(NOW))))

    async def held_up():
        return bool(query("SELECT 1 FROM pg_stat_activity WHERE wait_event_type = 'Lock'"
                          " AND datname = current_database()"))  # fmt: skip

    await until(held_up)
    async with connected(store_database) as connection:
        assert await end_stuck(connection, patience=60) == 0
        assert not waiting.done()
        await asyncio.sleep(0.3)
        assert await end_stuck(connection, patience=0.2) == 1
    await asyncio.wait_for(waiting, 10)
    assert stored_rows(query) == 1
    assert query("SELECT digest FROM footfall.ingest_batches") != [(uuid.UUID(bytes=b"p" * 16),)]


async def test_a_paused_writer_that_holds_nobody_up_is_left_alone(
    store_database, paused_writer, query
):
    async with connected(store_database) as connection:
        assert await end_stuck(connection, patience=0.0, longest=0.0) == 0
    assert query("SELECT count(*) FROM pg_stat_activity WHERE application_name = 'footfall'"
                 " AND datname = current_database()") == [(1,)]  # fmt: skip
