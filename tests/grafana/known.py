"""Data that the tests know: plain records of two products, by several senders; stored.py stores them."""

import datetime as dt
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path

CATALOG = (
    Path(__file__).parents[2] / "examples" / "footfall_examples" / "sahasrahbot" / "events.yaml"
)
SHOP = Path(__file__).with_name("shop.yaml")
PLACES = {
    "discord.generator": ("discord", "generator"),
    "discord.daily.announce": ("discord", "daily"),
    "discord.asynctournament": ("discord", "asynctournament"),
    "racetime.seed.generate": ("racetime", "seed"),
    "api.auth.login": ("api", "auth"),
    "api.settingsgen.request": ("api", "settingsgen"),
    "shop.search": ("web", "search"),
    "shop.order": ("web", "order"),
}
ENDLESS = "shop.wishlist"
"""An event that says when it begins, and that declares no end."""
WHERE = {**PLACES, ENDLESS: ("web", "wishlist")}
"""Surface and feature of each event."""
PROVIDERS = ("alttpr", "smz3", "z2r")
ERRORS = {"provider_timeout": "timeout", "permission_denied": "denied", "invalid_preset": "error"}
HOUR = dt.timedelta(hours=1)
DAY = dt.timedelta(days=1)
TODAY = dt.datetime.now(dt.UTC).replace(hour=0, minute=0, second=0, microsecond=0)
START = TODAY - 3 * DAY + 6.5 * HOUR
END = START + 2 * DAY + 11.8 * HOUR
"""The time range that the tests choose: neither end on an hour, with one whole day in it."""
LAST = END + 8 * HOUR
"""After the last of all uses, in the small hours of today: where it is earlier, some are still to come."""
RELEASE = START + 1.3 * DAY
"""When the bot's version changed."""
NONE = "(none)"
"""What the dashboards call it where a sender does not say who it is."""
Sender = tuple[str | None, str | None, str | None]
"""Service, version and environment."""


@dataclass(frozen=True)
class Use:
    """One occurrence: observed as a span, or only counted (then it has no group and no duration)."""

    at: dt.datetime
    event: str
    action: str
    error: str | None = None
    provider: str | None = None
    ms: int | None = None
    group: int | None = None
    observed: bool = True
    staging: bool = False

    @property
    def product(self) -> str:
        return "shop" if self.event.startswith("shop.") else "sahasrahbot"

    @property
    def surface(self) -> str:
        return WHERE[self.event][0]

    @property
    def feature(self) -> str:
        return WHERE[self.event][1]

    @property
    def sender(self) -> Sender:
        if self.surface == "api":
            return None, None, None
        environment = "staging" if self.staging else "production"
        if self.product == "shop":
            return "site", "7", environment
        return "bot", "1.0" if self.at < RELEASE else "1.1", environment

    @property
    def service(self) -> str:
        return self.sender[0] or NONE

    @property
    def version(self) -> str:
        return self.sender[1] or NONE

    @property
    def environment(self) -> str:
        return self.sender[2] or NONE

    @property
    def status(self) -> str:
        return ERRORS[self.error] if self.error else "ok"

    @property
    def begins(self) -> bool:
        return self.action in ("invoke", "start")

    @property
    def ended(self) -> bool:
        return self.action in ("success", "failure")

    @property
    def hour(self) -> dt.datetime:
        return self.at.replace(minute=0, second=0, microsecond=0)

    @property
    def day(self) -> dt.date:
        return self.at.date()


@dataclass(frozen=True)
class Known:
    """Everything that is stored.

    Attributes:
        uses: What happened.
        losses: What was lost while these were stored, today, by signal and reason.
        lost_before: What was lost within the range, by day, signal and reason.
        emitted: What the senders say they counted, by day, event and sender.
    """

    uses: list[Use]
    losses: Counter[tuple[str, str]]
    lost_before: Counter[tuple[dt.date, str, str]]
    emitted: Counter[tuple[dt.date, str, Sender]]


def known() -> Known:
    """Occurrences from before the range until after it, with losses and the senders' own tallies."""
    uses = [use for number in range(250) for use in _around(number)]
    uses += [Use(START - HOUR / 6, "discord.daily.announce", "success", ms=7)]
    uses += [Use(END + HOUR / 6, "discord.daily.announce", "success", ms=9)]
    counted = Use(START + HOUR, "discord.generator", "success", provider="smz3", observed=False)
    uses += [counted] * 40
    uses += [Use(START + HOUR, ENDLESS, action) for action in ("start", "start", "add")]
    losses = Counter({("traces", "undeclared_event"): 5, ("traces", "malformed"): 2})
    losses += Counter({("metrics", "malformed"): 4})
    before = Counter({(START.date(), "traces", "loop"): 3, (END.date(), "logs", "loop"): 4})
    before[END.date(), "sdk", "queue_full"] = 2
    emitted = Counter((use.day, use.event, use.sender) for use in uses if use.sender[0])
    emitted[START.date(), "discord.generator", ("bot", "1.0", "production")] += 10  # none arrived
    return Known(uses, losses, before, emitted)


def _around(number: int) -> Iterable[Use]:
    """The uses of one moment: every event, outcome, error type, provider and group has its turn."""
    at = START - 3 * HOUR + number * dt.timedelta(minutes=17)
    event = list(PLACES)[number % len(PLACES)]
    turn = number // len(PLACES)
    milliseconds, group = number * 37 % 900 + 5, turn % (4 + number // 60)
    if event == "discord.asynctournament":
        action = ("run_start", "run_submit", "review_complete")[turn % 3]
        return [Use(at, event, action, group=group)]
    error = list(ERRORS)[turn % 3] if turn % 4 == 0 else None
    named = event.endswith(("generator", "generate", "request"))
    ended = Use(
        at, event, "failure" if error else "success", error, PROVIDERS[turn % 3] if named else None,
        milliseconds, staging=turn % 5 == 1,
    )  # fmt: skip
    if ended.product == "shop":
        other = Use(at, event, "undone", error=list(ERRORS)[turn % 3] if turn % 3 else None)
        return [replace(ended, group=group), other, other]
    if event == "discord.generator":
        begun = replace(ended, action="invoke", error=None, ms=None, observed=False)
        crashed = [begun] * (turn % 4 == 2)
        return [begun, *crashed, replace(ended, group=group)]
    if event == "api.auth.login":
        return [Use(at, event, "start"), ended]
    return [ended]
