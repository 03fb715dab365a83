"""Stores what the tests know: uses through the exporter, and what others make of them as rows."""

import datetime as dt
import hashlib
from collections import Counter
from dataclasses import dataclass, field

import psycopg
from psycopg import sql

from footfall_exporters.contracts import Settings
from footfall_exporters.postgres import PostgresConfig
from footfall_exporters.postgres.housekeeping import House, Housekeeper
from footfall_processors import Batch, Dimension, Loss, Rows, Shape, load_catalog
from grafana.known import CATALOG, DAY, END, HOUR, SHOP, START, TODAY, Known, Sender, Use

SOON = TODAY + 8 * DAY
DECLARED = dt.datetime(2020, 1, 1, tzinfo=dt.UTC)
SESSIONS = [
    # Service, opened, minutes; whether it said that it ends, and did anything else; how long it had an order.
    ("bot", START + HOUR, 4, True, True, 60),
    ("bot", START + 2 * HOUR, 90, True, False, 0),
    ("site", START + DAY, 20, False, True, 300),
    (None, START + DAY + HOUR, 0, False, False, 0),
]
RATINGS = {
    # Day, prompt, version, source: stars. Of four nobody but the operator learns anything.
    (START.date(), "p1", "2", "copy"): (1, 5, 5, 4, 4, 3),
    (START.date(), "p2", None, "manual"): (2, 2, 2, 2),
    ((START + DAY).date(), "p1", "2", "copy"): (5, 5, 5, 5, 5),
    ((START + DAY).date(), "p3", None, "manual"): (3, 3, 3, 3, 2),
}
REFUSED = [
    (START.date(), "traces", "admission", "key 1", "bot", 3),
    (START.date(), "logs", "unauthenticated", "", "", 2),
]
KEPT = [
    ("observations", None, None, 30),
    ("counts", None, None, 400),
    ("observations", "shop", "staging", 8),
]
PUBLISHED = [(START.date(), "shop", "shop.order", 12), (START.date(), "shop", "", 7)]
INVENTORY = {
    # Uses, before, low, high, ends, failures, p95, trend.
    "discord.generator": (120, 60, 1.5, 2.7, 120, 12, 812.5, "growing"),
    "discord.daily.announce": (30, 60, 0.3, 0.8, 30, 0, 90.0, "fading"),
    "shop.order": (70, 0, None, None, 70, 7, None, "new"),
    "shop.search": (50, 50, 0.9, 1.1, 50, 0, 12.0, "steady"),
    "shop.wishlist": (0, 0, None, None, 0, 0, None, "too few to tell"),
}
GROUPS = [
    # Span, scope, attribute, product, feature, event, groups, reason.
    ("week", "all", "guild_id", "", "", "", 12, None),
    ("week", "product", "guild_id", "sahasrahbot", "", "", 12, None),
    ("week", "event", "guild_id", "sahasrahbot", "generator", "discord.generator", 6, None),
    ("month", "all", "guild_id", "", "", "", None, "salt_period"),
    ("month", "product", "org_id", "shop", "", "", 3, None),
]
NOTES = [
    # When, what, of which product, with which version.
    (START + 2 * HOUR, "A sale begins", "shop", ""),
    (START + DAY, "A storm", "", ""),
    (START + DAY, "Presets", "sahasrahbot", "1.1"),
    (START - DAY, "Long before", "", ""),
]
ALERTS = [
    # Rule, product, subject, whether it fires, since, silenced until, what, how sure.
    ("no_events", "shop", "", True, START, None, "Nothing for 5 minutes", "as counted"),
    (
        "failure_share",
        "sahasrahbot",
        "discord.generator",
        True,
        END,
        SOON,
        "9 % failed",
        "1 in 1,000",
    ),
    ("low_event_rate", "shop", "", False, END, None, "Under half of its average", "1 in 1,000"),
    ("housekeeping", "", "groups", True, START, SOON - 9 * DAY, "groups is overdue", "as counted"),
]
RULES = [("no_events", START, 7, "looked"), ("failure_share", START, 9, "failed: QueryCanceled")]
_ROWS: dict[str, list[tuple[object, ...]]] = {
    "refused_daily": list(REFUSED),
    "kept": [
        (what, product, environment, dt.timedelta(days))
        for what, product, environment, days in KEPT
    ],
    "publishing": [("shop", 5)],
    "alerts": [
        (rule, product, subject, firing, 3, since, since, True, silenced, what, sure)
        for rule, product, subject, firing, since, silenced, what, sure in ALERTS
    ],
    "alert_rules": list(RULES),
    "published_days": [(START.date(), "shop", 5)],
    "published": list(PUBLISHED),
    "inventory": [
        (event, TODAY.date() - DAY, 28, *row[:6], START, START + DAY, *row[6:])
        for event, row in INVENTORY.items()
    ],
    "groups_counts": [
        (span, scope, START.date(), attribute, product, feature, event, "daily", groups, reason)
        for span, scope, attribute, product, feature, event, groups, reason in GROUPS
    ],
}


async def store(dsn: str, data: Known) -> None:
    """Stores it all through the exporter, in three requests, and counts groups as is done tomorrow."""
    settings = Settings(load_catalog([CATALOG, SHOP]))
    columns = {
        name: settings.catalog.columns(event) for name, event in settings.catalog.events.items()
    }
    maker = _Maker(columns)
    half = len(data.uses) // 2
    lost = {
        signal: {Loss(reason): n for (s, reason), n in data.losses.items() if s == signal}
        for signal in ("traces", "metrics")
    }
    async with PostgresConfig(dsn=dsn).open(settings) as opened:
        await opened.consume(maker.batch(b"1", data.uses[:half], lost["traces"]))
        await opened.consume(maker.batch(b"2", data.uses[half:], {}))
        await opened.consume(maker.tally(b"3", data.emitted, lost["metrics"]))
    tomorrow = _micros(TODAY + DAY + 6 * HOUR) * 1000
    house = House(settings.catalog, 30, 400)
    await Housekeeper(dsn, house, lambda: tomorrow, lambda: tomorrow).run_due({"groups", "latency"})


def store_the_rest(dsn: str, data: Known) -> None:
    """What is no use: sessions, ratings, refusals, what housekeeping makes once a week or an hour."""
    with psycopg.connect(dsn, autocommit=True) as owner:
        owner.execute("DELETE FROM footfall.groups_counts WHERE span <> 'day'")
        owner.execute("TRUNCATE footfall.kept, footfall.inventory")
        lost = [(*key, count) for key, count in data.lost_before.items()]
        for table, rows in {**_ROWS, "losses_daily": lost}.items():
            for row in rows:
                _insert(owner, table, row)
        for number, session in enumerate(SESSIONS, start=1):
            _session(owner, number, *session)
        _ratings(owner)
        for note in NOTES:
            owner.execute(
                "INSERT INTO footfall.annotations (at, text, product, version) VALUES (%s, %s, %s, %s)",
                note,
            )
        owner.execute("UPDATE footfall.catalog_events SET first_declared = %s", [DECLARED])
        owner.execute(
            "UPDATE footfall.housekeeping SET outcome = 'failed: Lost' WHERE task = 'groups'"
        )


def _insert(owner: psycopg.Connection, table: str, row: tuple[object, ...]) -> None:
    values = sql.SQL(", ").join(sql.Placeholder() * len(row))
    owner.execute(
        sql.SQL("INSERT INTO footfall.{} VALUES ({})").format(sql.Identifier(table), values), row
    )


def _session(
    owner: psycopg.Connection,
    number: int,
    service: str | None,
    opened: dt.datetime,
    minutes: int,
    says: bool,
    acted: bool,
    seconds: int,
) -> None:
    uuid, end = f"{number:032x}", opened + dt.timedelta(minutes=minutes)
    owner.execute(
        "INSERT INTO footfall.sessions VALUES (%s, NULL, %s, %s, %s, %s, %s, true, %s)",
        [uuid, service, opened, end, end, "call" if says else "silence", acted],
    )
    for change, at in ((1, opened), (-1, opened + dt.timedelta(seconds=seconds))):
        if seconds:
            owner.execute(
                "INSERT INTO footfall.session_marks VALUES (%s, %s, 'shop.order', %s)",
                [uuid, at, change],
            )


def _ratings(owner: psycopg.Connection) -> None:
    for (day, prompt, version, source), stars in RATINGS.items():
        for rating in stars:
            owner.execute(
                "INSERT INTO footfall.ratings VALUES (%s, gen_random_uuid(), %s, %s, %s, %s, %s)",
                [prompt, day, day, rating, source, version],
            )


@dataclass
class _Maker:
    """Makes batches; dimensions and shapes are compared by identity, so each is made once."""

    columns: dict[str, tuple[str, ...]]
    dimensions: dict[tuple[object, ...], Dimension] = field(default_factory=dict)
    shapes: dict[Dimension, Shape] = field(default_factory=dict)

    def batch(self, digest: bytes, uses: list[Use], losses: dict[Loss, int]) -> Batch:
        observed = [use for use in uses if use.observed]
        return Batch(
            digest=digest.rjust(16),
            signal="traces",
            rows=[
                self._rows([use for use in observed if self.columns[use.event] == columns])
                for columns in {self.columns[use.event] for use in observed}
            ],
            counts=Counter((_micros(use.hour), self._dimension(use)) for use in uses),
            losses=losses,
        )

    def _rows(self, uses: list[Use]) -> Rows:
        """Observations of events with the same attributes."""
        return Rows(
            times=[_micros(use.at) for use in uses],
            durations=[use.ms for use in uses],
            shapes=[self._shape(use) for use in uses],
            values=list(zip(*map(self._values, uses), strict=True)),
        )

    def tally(
        self,
        digest: bytes,
        emitted: Counter[tuple[dt.date, str, Sender]],
        losses: dict[Loss, int],
    ) -> Batch:
        counts = {
            (
                _micros(dt.datetime.combine(day, dt.time(12), dt.UTC)),
                Dimension("footfall.emitted", "footfall", "emitted", "count", "ok", None, *sender,
                          (("emitted_event", event),)),
            ): number
            for (day, event, sender), number in emitted.items()
        }  # fmt: skip
        return Batch(digest=digest.rjust(16), signal="metrics", counts=counts, losses=losses)

    def _dimension(self, use: Use) -> Dimension:
        enums = (("provider", use.provider),) if use.provider else ()
        key = (
            use.event,
            use.surface,
            use.feature,
            use.action,
            use.status,
            use.error,
            *use.sender,
            enums,
        )
        return self.dimensions.setdefault(key, Dimension(*key))

    def _shape(self, use: Use) -> Shape:
        dimension = self._dimension(use)
        return self.shapes.setdefault(dimension, Shape(dimension, 1.0, self.columns[use.event]))

    def _values(self, use: Use) -> tuple[bytes | None, ...]:
        daily = hashlib.md5(f"{use.day} {use.group}".encode()).digest()
        return tuple(None if use.group is None else daily for _ in self.columns[use.event])


def _micros(moment: dt.datetime) -> int:
    return int(moment.timestamp()) * 1_000_000
