import asyncio
import time
from contextlib import asynccontextmanager

import msgspec
import psycopg
import pytest

from conftest import known_by
from footfall_collector.errors import StartError
from footfall_collector.subscribers.group import subscribers
from footfall_exporters.background import beside
from footfall_exporters.postgres.writer import Writer
from footfall_processors import Batch, Dimension, Rows, Shape

NOW = time.time_ns() // 1000


def used(event, digest):
    of = Dimension(event, "web", "x", "invoke", "ok", None, None, None, None, ())
    rows = Rows([NOW], [1], [Shape(of, 1.0, ())], [])
    return Batch(digest * 16, "traces", [rows], {(NOW // 3_600_000_000 * 3_600_000_000, of): 1})


class Exporter:
    """A configuration and its subscriber, which takes the digests of batches that have rows."""

    def __init__(self, error=None):
        self.error, self.catalogs, self.taken, self.open_now = error, [], [], 0

    @asynccontextmanager
    async def open(self, settings):
        if self.error:
            raise self.error
        self.catalogs.append(settings.catalog)
        self.open_now += 1
        try:
            yield self
        finally:
            self.open_now -= 1

    def requests(self, batch):
        return [batch.digest] if batch.size else []

    async def send(self, request):
        self.taken.append(request)


async def store(dsn, catalog, *batches):
    writer = Writer(dsn, catalog)
    async with beside(writer.run()):
        for each in batches:
            await writer.consume(each)


async def come(dsn, *names):
    """Returns when these subscribers have taken everything."""
    behind = (
        "SELECT count(*) FROM footfall.subscribers s, footfall.commit_clock k"
        " WHERE s.name = ANY(%s) AND s.position = k.position"
    )
    with psycopg.connect(dsn, autocommit=True) as connection:
        async with asyncio.timeout(30):
            while connection.execute(behind, [list(names)]).fetchone() != (len(names),):  # noqa: ASYNC110
                await asyncio.sleep(0.05)


async def test_what_another_catalog_adds_arrives_from_then_on(store_database, catalog):
    one, two = Exporter(), Exporter()
    ping = catalog.events["shop.ping"]
    larger = msgspec.structs.replace(catalog, events=catalog.events | {"shop.new": ping})
    async with subscribers({"one": one, "two": two}, store_database, catalog) as found:
        await store(store_database, catalog, used("shop.ping", b"a"), used("shop.new", b"b"))
        await come(store_database, "one", "two")
        await found.use(larger)
        assert (one.open_now, two.open_now) == (1, 1)
        await store(store_database, larger, used("shop.new", b"c"), used("shop.ping", b"d"))
        await come(store_database, "one", "two")
        assert found.followers["one"].delivery.sent == 2
    assert one.taken == two.taken == [known_by(name * 16) for name in (b"a", b"c", b"d")]
    assert one.catalogs == [catalog, larger]
    assert (one.open_now, two.open_now) == (0, 0)


@pytest.mark.parametrize(
    "error", [ValueError("tls: ca_file cannot be used"), OSError(2, "No such file")]
)
async def test_one_that_cannot_be_opened_is_named_and_the_others_are_closed(
    store_database, catalog, error
):
    good, bad = Exporter(), Exporter(error)
    with pytest.raises(StartError, match="exporter otlp/bad: ") as caught:
        async with subscribers({"good": good, "otlp/bad": bad}, store_database, catalog):
            pass
    assert str(error) in str(caught.value)
    assert good.open_now == 0
