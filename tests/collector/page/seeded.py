"""Two months of a product with a score of features: what grows, fades, expires, breaks with a release."""

import datetime as dt
import hashlib
import random
from collections import Counter
from functools import partial

import psycopg

from footfall_exporters.contracts import Settings
from footfall_exporters.postgres import annotations, prepare
from footfall_exporters.postgres.housekeeping import House, Housekeeper
from footfall_processors import Loss, load_catalog
from support.batches import DAY, HOUR, batch, dimension, one_row
from support.stores import MIDNIGHT, TODAY, writing

PRODUCT = "sahasrahbot"
FEATURES = [
    # event, title, surface, owner, uses a day, share that fails, milliseconds, kind of change
    ("racetime.room.command", "Room commands", "racetime", "race-team", 180, 0.012, 90, ""),
    ("api.seeds.lookup", "Seed lookup", "api", "web-team", 110, 0.007, 40, "growing"),
    ("discord.generator", "Seed generator", "discord", "bot-team", 95, 0.024, 900, ""),
    ("web.leaderboard", "Leaderboard", "web", "web-team", 55, 0.004, 110, "growing"),
    ("api.auth.login", "Sign-in", "api", "web-team", 50, 0.04, 240, ""),
    ("racetime.seed.generate", "Race seeds", "racetime", "race-team", 45, 0.026, 1200, ""),
    ("web.tracker", "Map tracker", "web", "web-team", 33, 0.004, 200, ""),
    ("api.sglive.seed", "Event seeds", "api", "tournament-team", 60, 0.02, 1100, "breaking"),
    ("discord.daily.announce", "Daily challenge", "discord", "bot-team", 31, 0.006, 300, ""),
    ("api.settingsgen", "Settings generator", "api", "web-team", 30, 0.017, 500, ""),
    ("discord.holiday", "Holiday hunt", "discord", "community-team", 13, 0.013, 140, "expiring"),
    ("web.replay", "Race replay", "web", "restream-team", 30, 0.019, 1500, "fading"),
    ("discord.preset.save", "Saved presets", "discord", "bot-team", 9, 0.018, 120, "new"),
    ("api.v1.seeds", "API v1 seeds", "api", "web-team", 20, 0.041, 1300, "expired"),
    ("discord.multiworld", "Multiworld", "discord", "bot-team", 12, 0.06, 2400, "fading"),
    ("discord.cleanup", "Room cleanup", "discord", "", 0.4, 0.07, 700, ""),
    ("web.seed.share", "Share a seed", "web", "web-team", 0, 0, 0, "unused"),
]
VERSIONS = (("2.14.0", 11), ("2.13.1", 25), ("2.13.0", 60))
"""With since how many days ago."""
ERRORS = ("provider_timeout", "provider_unavailable", "invalid_preset", "permission_denied")
NOTES = ((11, "saved presets; new seed client", "2.14.0"), (16, "spring tournament began", ""))
"""How many days ago what happened, and with which version."""
UNTALLIED, SURPLUS = "discord.cleanup", "discord.generator"
"""Of which nobody keeps a tally, and more is stored than was counted."""
OBSERVED, COUNTED = 20, 58
"""Days."""
PROVIDERS = ("alttpr", "smz3", "smr")


def catalog_text(features=FEATURES):
    """The catalog, as YAML."""
    lines = [
        f"product: {PRODUCT}",
        "attributes:",
        "  guild_id: {type: string, hash: daily, description: 'The guild, as a hash of a day'}",
        "  provider: {type: enum, values: [alttpr, smz3, smr], description: Who made the seed}",
        "  duration_ms: {type: int, min: 0, max: 600000, description: How long it took}",
        "events:",
    ]
    for event, title, surface, owner, *_, kind in features:
        expires = {"expiring": 9, "expired": -13}.get(kind)
        more = f", expires: {TODAY + dt.timedelta(days=expires)}" if expires else ""
        more += f", owner: {owner}" if owner else ""
        carried = "[guild_id, provider]" if surface == "discord" else "[provider]"
        lines.append(
            f"  {event}: {{surface: {surface}, feature: {event.replace('.', '_')}, title: {title},"
            f" description: '{title}, as people use it', actions: [invoke, success, failure],"
            f" attributes: {carried}{more}}}"
        )
    return "\n".join(lines) + "\n"


def version_at(ago):
    """Which one runs so many days ago."""
    return next(version for version, since in VERSIONS if ago <= since)


def level(kind, ago):
    """What share of its usual uses there are."""
    if kind == "new":
        return min(1.5, (12 - ago) / 8) if ago < 12 else 0
    if kind == "expired":
        return 1 if ago > 13 else 0
    return {"growing": 1.35, "fading": 0.45}.get(kind, 1) if ago <= 28 else 1


def uses():
    """Of each hour and dimension how many, and single ones with a duration and a guild."""
    chance = random.Random(19)
    counts, rows = Counter(), []
    for ago in range(COUNTED + 1):
        for event, _, surface, _, daily, fails, ms, kind in FEATURES:
            of = partial(
                dimension, event, surface=surface, service=f"{surface}-service",
                service_version=version_at(ago), environment="production",
            )  # fmt: skip
            if kind == "breaking" and ago <= VERSIONS[0][1]:
                fails, ms = 0.16, ms * 2
            rhythm = 1.15 if (TODAY.weekday() - ago) % 7 < 5 else 0.75
            wanted = (
                daily
                * level(kind, ago)
                * (rhythm if ago else 0.1)
                * chance.gammavariate(60, 1 / 60)
            )
            for _ in range(int(wanted + chance.random())):
                hour = int(chance.triangular(0, 24, 19)) % 24 if ago else 0
                moment = MIDNIGHT - ago * DAY + hour * HOUR
                bad = chance.random() < fails
                error = chance.choice(ERRORS) if bad else None
                provider = chance.choice(PROVIDERS)
                how = ("failure", "error", error) if bad else ("success", "ok", None)
                named = of(*how, provider=provider)
                if ago > OBSERVED:
                    counts[moment, named] += 1
                    continue
                length = round(ms * chance.lognormvariate(0, 0.5))
                group = {"guild_id": guild(chance, ago)} if surface == "discord" else {}
                rows.append(one_row(moment + chance.randrange(HOUR), named, length, **group))
    return counts, rows


def guild(chance, ago):
    """The hash of a guild, another one every day."""
    return hashlib.sha256(f"{ago} {int(chance.triangular(0, 40, 3))}".encode()).digest()[:16]


def tallies(counts, rows):
    """What senders counted: a little more than came on one day, of one event less, of another nothing."""
    emitted = Counter()
    for (moment, of), number in [*counts.items(), *(((r[0], r[2]), 1) for r in rows)]:
        if of.event != UNTALLIED:
            emitted[moment // DAY * DAY, of.event, of.service, of.service_version] += number
    found = {}
    for (day, event, service, version), number in emitted.items():
        own = dimension(
            "footfall.emitted", "count", surface="footfall", service=service, service_version=version,
            environment="production", emitted_event=event,
        )  # fmt: skip
        short = min(number, 9) if event == SURPLUS and day == MIDNIGHT - 17 * DAY else 0
        found[day, own] = number - short + (3 if day == MIDNIGHT - 16 * DAY else 0)
    return found


async def fill(dsn, folder):
    """Makes the store and fills it.

    Args:
        dsn: Of an empty database.
        folder: Where the catalog is to be written.

    Returns:
        The catalog.
    """
    path = folder / "events.yaml"
    path.write_text(catalog_text())
    catalog = load_catalog(path)
    prepare(dsn, Settings(catalog))
    counts, rows = uses()
    losses = {Loss.UNDECLARED_EVENT: 17, Loss.ENUM_VALUE: 21, Loss.EXPIRED_EVENT: 376}
    async with writing(dsn, catalog) as writer:
        await writer.consume(batch(counts=counts | tallies(counts, rows), signal="metrics"))
        for first in range(0, len(rows), 2000):
            await writer.consume(
                batch(*sorted(rows[first : first + 2000], key=lambda r: sorted(r[3])))
            )
        await writer.consume(batch(losses=losses))
    with psycopg.connect(dsn, autocommit=True) as session:
        session.execute(
            "UPDATE footfall.catalog_events SET first_declared = now() - interval '1 year'"
        )
        for ago, text, version in NOTES:
            at = dt.datetime.combine(TODAY - dt.timedelta(days=ago), dt.time(9), dt.UTC)
            annotations.add(session, annotations.Annotation(at, text, version=version))
    tomorrow = (MIDNIGHT + 7 * HOUR) * 1000
    keeper = Housekeeper(dsn, House(catalog, 30, 400), lambda: tomorrow, lambda: tomorrow)
    await keeper.run_due({"latency", "groups"})
    await keeper.run_due({"inventory"})
    return catalog
