"""The webshop of docs/reporting.md: its uses as plain records, and how they come into a store."""

import datetime as dt
from collections import Counter
from dataclasses import dataclass, replace

from footfall_exporters.contracts import Settings
from footfall_exporters.postgres import prepare
from footfall_exporters.postgres.housekeeping import House, Housekeeper
from footfall_processors import Loss
from support.batches import DAY, HOUR, batch, dimension, one_row
from support.stores import MIDNIGHT, TODAY, writing

NEWEST, OLDEST = 0, 70
"""Days ago."""
OBSERVED = 14
"""For so many days single observations are stored; what is older was only counted."""
MISSING, QUEUE_FULL, UNDECLARED, MALFORMED = 20, 7, 3, 2
"""Carts that were counted and never came; and what was lost, by reason."""
PAYMENTS = ("card", "invoice", "transfer", "card")


@dataclass(frozen=True)
class Use:
    """One occurrence."""

    ago: int
    hour: int
    event: str
    action: str = "success"
    status: str = "ok"
    error: str | None = None
    version: str = "1.0"
    payment: str | None = None
    ms: int | None = None
    org: int | None = None

    @property
    def day(self) -> dt.date:
        return TODAY - dt.timedelta(days=self.ago)

    @property
    def week(self) -> dt.date:
        return self.day - dt.timedelta(days=self.day.weekday())

    @property
    def feature(self) -> str:
        return self.event.rpartition(".")[2]

    @property
    def ends(self) -> bool:
        return self.action != "invoke"


def uses() -> list[Use]:
    """Every feature, outcome, version and hour has its turn."""
    found = []
    for ago in range(NEWEST, OLDEST):
        hour = 0 if ago == 0 else ago * 5 % 24  # none is in the future
        for n in range(6 + ago % 4):
            fails = (ago + n) % 4 == 0
            of = Use(
                ago, hour, "shop.search", ms=20 + (ago * 37 + n * 11) % 400, org=n % _orgs(ago)
            )
            found.append(replace(of, **_failed("error", "unexpected_error")) if fails else of)
        found += [Use(ago, hour, "shop.cart", "add")] * (3 + ago % 3)
        for n in range(ago % 5):
            version = "2.0" if ago < 10 and n % 2 else "1.0"
            order = Use(
                ago, hour, "shop.order", version=version, payment=PAYMENTS[n], ms=100 + n * ago
            )
            slow = replace(order, **_failed("timeout", "provider_timeout"), ms=None)
            found += [replace(order, action="invoke", ms=None), slow if ago % 7 == 0 else order]
    return found + [Use(ago, 3, "shop.wishlist", "add") for ago in (60, 51, 45) for _ in range(2)]


def _orgs(ago: int) -> int:
    return 6 if ago % 2 else 3


def _failed(status: str, error: str) -> dict[str, str]:
    return {"action": "failure", "status": status, "error": error}


async def fill(dsn: str, catalog) -> None:
    """Makes the store, with all uses, losses and tallies, and counts the groups, as is done tomorrow."""
    prepare(dsn, Settings(catalog))
    observed = [use for use in uses() if use.ago <= OBSERVED and use.ends]
    rows = [
        one_row(_at(use), _of(use), use.ms, org_id=None if use.org is None else _hash(use))
        for use in observed
    ]
    counted = Counter((_at(use), _of(use)) for use in uses()) - Counter(
        (_at(use), _of(use)) for use in observed
    )
    own = {"surface": "footfall", "service": "webshop", "service_version": "1.0"}
    emitted = dimension("footfall.emitted", "count", emitted_event="shop.cart", **own)
    dropped = dimension("footfall.dropped", "count", drop_reason="queue_full", **own)
    carts = sum(use.event == "shop.cart" for use in uses())
    tallies = {(MIDNIGHT, emitted): carts + MISSING, (MIDNIGHT - DAY, dropped): QUEUE_FULL}
    async with writing(dsn, catalog) as writer:
        await writer.consume(batch(*rows, losses={Loss.UNDECLARED_EVENT: UNDECLARED}))
        await writer.consume(
            batch(counts=counted | tallies, losses={Loss.MALFORMED: MALFORMED}, signal="metrics")
        )
    tomorrow = (MIDNIGHT + DAY + 6 * HOUR) * 1000
    await Housekeeper(dsn, House(catalog, 30, 400), lambda: tomorrow, lambda: tomorrow).run_due(
        {"groups"}
    )


def _at(use: Use) -> int:
    return MIDNIGHT - use.ago * DAY + use.hour * HOUR


def _of(use: Use):
    enums = {"payment": use.payment} if use.payment else {}
    return dimension(
        use.event, use.action, use.status, use.error, service="webshop", service_version=use.version, **enums
    )  # fmt: skip


def _hash(use: Use) -> bytes:
    return f"{use.ago}:{use.org}".encode().ljust(16)
