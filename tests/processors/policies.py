"""A catalog, and what its policy says of a span."""

import datetime as dt

from hypothesis import HealthCheck, settings

from footfall_processors import Attribute, Catalog, Event, Hash, Service, Type
from footfall_processors.catalog import with_builtins

PATIENT = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
TODAY = dt.date(2026, 11, 22)
BOT = Service("sahasrahbot", "1.2.3", "production")
ATTRIBUTES = {
    "guild_id": Attribute(type=Type.STRING, hash=Hash.DAILY),
    "provider": Attribute(type=Type.ENUM, values=("alttpr", "smz3")),
    "mode": Attribute(type=Type.ENUM, values=("open", "standard")),
    "duration_ms": Attribute(type=Type.INT, min=0, max=600_000),
    "note": Attribute(type=Type.STRING, max_length=20),
    "hard": Attribute(type=Type.BOOL),
}
EVENTS = {
    "discord.generator": Event(
        surface="discord",
        feature="generator",
        attributes=("note", "guild_id", "provider", "duration_ms", "mode"),
    ),
    "discord.tournament": Event(
        surface="discord", feature="tournament", actions=("run_start", "run_submit")
    ),
    "web.visit": Event(surface="web", feature="page", actions=("view",), attributes=("hard",)),
    "old": Event(surface="web", feature="old", expires=dt.date(2026, 11, 22)),
}
CATALOG = with_builtins(
    Catalog(
        products=("bot",), events=EVENTS, attributes=ATTRIBUTES, error_types=("seed_exhausted",)
    )
)


def judge(policy, name, attributes=(), *, failed=False, service=BOT, today=TODAY):
    pairs = attributes.items() if isinstance(attributes, dict) else attributes
    return policy.judge(service, name, failed, [policy.classify(*p) for p in pairs], today)


def outcome(verdict):
    """(action, status, error type) of a span that is stored, or the reason why it is not."""
    if verdict.shape is None:
        return verdict.refused
    assert verdict.refused is None
    dimension = verdict.shape.dimension
    return dimension.action, dimension.status, dimension.error_type


def losses(verdict):
    return dict(verdict.losses)
