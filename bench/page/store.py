"""A store of many features: 60 days of uses, 30 of single ones with durations and groups, two versions."""

import datetime as dt
import random
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import psycopg

from footfall_exporters.background import beside
from footfall_exporters.contracts import Settings
from footfall_exporters.postgres import prepare
from footfall_exporters.postgres.housekeeping import House, Housekeeper
from footfall_exporters.postgres.writer import Writer
from footfall_processors import Batch, Catalog, Dimension, Rows, Shape, load_catalog

DAYS, OBSERVED, RELEASED = 60, 29, 9
SURFACES = ("web", "api", "discord", "mobile", "desktop", "cli")
OWNERS = tuple(f"team-{number}" for number in range(12))
ERRORS = ("provider_timeout", "provider_unavailable", "invalid_preset", "permission_denied")
VERSIONS = ("2.13.1", "2.14.0")
HOUR_US, DAY_US = 3600 * 10**6, 86_400 * 10**6


def declared(folder: Path, features: int) -> Catalog:
    """A catalog of so many events."""
    lines = [
        "product: bench",
        "attributes:",
        "  guild_id: {type: string, hash: daily, description: 'The guild, as a hash of a day'}",
        "  duration_ms: {type: int, min: 0, max: 600000, description: How long it took}",
        "events:",
    ]
    for number in range(features):
        surface = SURFACES[number % len(SURFACES)]
        lines.append(
            f"  {surface}.feature{number:03}: {{surface: {surface}, feature: feature{number:03},"
            f" title: Feature {number:03}, description: What it does, owner: {OWNERS[number % 12]},"
            " actions: [success, failure], attributes: [guild_id]}"
        )
    path = folder / "events.yaml"
    path.write_text("\n".join(lines) + "\n")
    return load_catalog(path)


class Filling:
    """Fills a store, day by day.

    Args:
        catalog: Of what it declares a tenth is never used.
    """

    def __init__(self, catalog: Catalog) -> None:
        self._used = [name for i, name in enumerate(catalog.owners) if i % 10]
        self._catalog = catalog
        self._chosen = random.Random(19)

    async def run(self, dsn: str) -> None:
        """Fills it, and has housekeeping follow.

        Args:
            dsn: Of an empty database.
        """
        prepare(dsn, Settings(self._catalog))
        with psycopg.connect(dsn, autocommit=True) as session:
            session.execute(
                "UPDATE footfall.catalog_events SET first_declared = now() - interval '1 year'"
            )
        writer = Writer(dsn, self._catalog)
        async with beside(writer.run()):
            for batch in self._batches():
                await writer.consume(batch)
        await _keep_up(dsn, self._catalog)

    def _batches(self) -> Iterator[Batch]:
        today = _midnight()
        for ago in range(DAYS, -1, -1):
            midnight = today - ago * DAY_US
            observed = list(self._uses(midnight, ago)) if ago <= OBSERVED else []
            counts: Counter[tuple[int, Dimension]] = Counter()
            for at, _, shape in observed:
                counts[at // HOUR_US * HOUR_US, shape.dimension] += 1
            if ago > OBSERVED:
                for at, _, shape in self._uses(midnight, ago):
                    counts[at // HOUR_US * HOUR_US, shape.dimension] += 1
            rows = []
            if observed:
                hashes = [self._chosen.randbytes(16) for _ in range(80)]
                groups = self._chosen.choices(hashes, k=len(observed))
                times, durations, shapes = map(list, zip(*observed, strict=True))
                rows = [Rows(times, durations, shapes, [groups])]
            yield Batch(self._chosen.randbytes(16), "traces", rows, counts)

    def _uses(self, midnight: int, ago: int) -> Iterator[tuple[int, int, Shape]]:
        for number, event in enumerate(self._used):
            for _ in range(1 + 600 // (number + 20)):
                hour = int(self._chosen.triangular(0, 24, 19)) % 24 if ago else 0
                at = midnight + hour * HOUR_US + self._chosen.randrange(HOUR_US)
                yield at, round(80 * self._chosen.lognormvariate(1, 0.8)), self._shape(event, ago)

    def _shape(self, event: str, ago: int) -> Shape:
        known = self._catalog.events[event]
        failed = self._chosen.random() < (0.2 if ago <= RELEASED and event.endswith("5") else 0.03)
        error = self._chosen.choice(ERRORS) if failed else None
        dimension = Dimension(
            event, known.surface, known.feature, "failure" if failed else "success",
            "error" if failed else "ok", error, f"{known.surface}-service",
            VERSIONS[ago <= RELEASED], "production", (),
        )  # fmt: skip
        return Shape(dimension, 1.0, ("guild_id",))


async def _keep_up(dsn: str, catalog: Catalog) -> None:
    tomorrow = (_midnight() + 31 * HOUR_US) * 1000
    keeper = Housekeeper(dsn, House(catalog, 30, 400), lambda: tomorrow, lambda: tomorrow)
    await keeper.run_due({"latency", "groups"})
    await keeper.run_due({"inventory"})


def _midnight() -> int:
    now = dt.datetime.now(dt.UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    return int(now.timestamp()) * 10**6
