"""A program whose clock is wrong when it starts, and set right: the collector counts everything once."""

import asyncio

import psycopg
import pytest

from conftest import CATALOG
from footfall_collector.process.app import running
from instrumentation.programs import run
from support.collectors import configured

SECOND, DAY = 10**9, 86_400 * 10**9
STORED = "SELECT action, sum(count)::int FROM reporting.usage WHERE event = 'shop.order' GROUP BY 1"
PROGRAM = """
import time
real, ahead = time.time_ns, [{ahead}]
time.time_ns = lambda: real() + ahead[0]
import footfall  # noqa: E402
footfall.configure({catalog!r}, {endpoint!r}, enabled=True)
for number, ahead[0] in enumerate([{ahead}, {ahead}, 0, 0], 1):
    footfall.count("shop.order", number)
    with footfall.feature("shop.order"):
        ahead[0] = 0 if number == 2 else ahead[0]
    footfall.flush(5)
"""


@pytest.mark.parametrize(
    ("ahead", "protocol"),
    [
        (60 * SECOND, "grpc"),
        (3600 * SECOND, "grpc"),
        (3600 * SECOND, "http/protobuf"),
        (-400 * DAY, "grpc"),
    ],
)
async def test_a_clock_that_is_set_right(catalog, store_database, ahead, protocol):
    """Within the collector's window and outside, where all is refused until the clock is right."""
    async with running(configured(catalog, store_database)) as collector:
        endpoint = collector.grpc if protocol == "grpc" else collector.http
        code = PROGRAM.format(
            ahead=ahead, catalog=str(CATALOG), endpoint=f"http://{endpoint.removeprefix('http://')}"
        )
        variables = {"FOOTFALL_PROTOCOL": protocol}
        done = await asyncio.to_thread(run, "-c", code, **variables)
        assert done.returncode == 0, done.stderr
    with psycopg.connect(store_database) as connection:
        found = dict(connection.execute(STORED).fetchall())
        spans = connection.execute("SELECT count(*) FROM footfall.feature_events").fetchone()
    assert found["success"] - spans[0] == 1 + 2 + 3 + 4
    assert found["invoke"] == 4
    assert spans == (4 if ahead == 60 * SECOND else 3,), "the time of a block is that of its end"
