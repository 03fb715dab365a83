"""Data that the tests know: plain records, stored by the exporter and counted again by plain Python."""

import datetime as dt
import hashlib
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

from footfall_exporters.contracts import Settings
from footfall_exporters.postgres import PostgresConfig
from footfall_exporters.postgres.housekeeping import House, Housekeeper
from footfall_processors import Batch, Dimension, Loss, Rows, Shape, load_catalog

CATALOG = (
    Path(__file__).parents[2] / "examples" / "footfall_examples" / "sahasrahbot" / "events.yaml"
)
PLACES = {
    "discord.generator": ("discord", "generator"),
    "discord.daily.announce": ("discord", "daily"),
    "discord.asynctournament": ("discord", "asynctournament"),
    "racetime.seed.generate": ("racetime", "seed"),
    "api.auth.login": ("api", "auth"),
    "api.settingsgen.request": ("api", "settingsgen"),
}
PROVIDERS = ("alttpr", "smz3", "z2r")
ERRORS = {"provider_timeout": "timeout", "permission_denied": "denied", "invalid_preset": "error"}
HOUR = dt.timedelta(hours=1)
DAY = dt.timedelta(days=1)
_TODAY = dt.datetime.now(dt.UTC).replace(hour=0, minute=0, second=0, microsecond=0)
START = _TODAY - 3 * DAY + 6.5 * HOUR
END = START + 2 * DAY + 11.8 * HOUR
"""The time range that the tests choose: neither end on an hour."""


@dataclass(frozen=True)
class Use:
    """One occurrence: observed as a span, or only counted (then it has no guild and no duration)."""

    at: dt.datetime
    event: str
    action: str
    error: str | None = None
    provider: str | None = None
    ms: int | None = None
    guild: int | None = None
    observed: bool = True

    @property
    def surface(self) -> str:
        return PLACES[self.event][0]

    @property
    def feature(self) -> str:
        return PLACES[self.event][1]

    @property
    def status(self) -> str:
        return ERRORS[self.error] if self.error else "ok"

    @property
    def hour(self) -> dt.datetime:
        return self.at.replace(minute=0, second=0, microsecond=0)


@dataclass(frozen=True)
class Known:
    """Everything that is stored."""

    uses: list[Use]
    losses: Counter[tuple[str, str]]
    emitted: Counter[str]


def known() -> Known:
    """Occurrences from before the range until after it, with losses and the senders' own tallies."""
    uses = [use for number in range(250) for use in _around(number)]
    uses += [Use(START - 10 * dt.timedelta(minutes=1), "discord.daily.announce", "success", ms=7)]
    uses += [Use(END + 10 * dt.timedelta(minutes=1), "discord.daily.announce", "success", ms=9)]
    uses += [
        Use(START + HOUR, "discord.generator", "success", provider="smz3", observed=False)
    ] * 40
    losses = Counter({("traces", "undeclared_event"): 5, ("traces", "malformed"): 2})
    losses += Counter({("metrics", "malformed"): 4})
    emitted = Counter(use.event for use in uses if use.surface != "api")
    emitted["discord.generator"] += 10  # of which nothing arrived
    return Known(uses, losses, emitted)


def _around(number: int) -> Iterable[Use]:
    """The uses of one moment: every event, outcome, error type, provider and guild has its turn."""
    at = START - 3 * HOUR + number * dt.timedelta(minutes=17)
    event = list(PLACES)[number % len(PLACES)]
    milliseconds, guild = number * 37 % 900 + 5, number % (4 + number // 60)
    if event == "discord.asynctournament":
        action = ("run_start", "run_submit", "review_complete")[number // 6 % 3]
        return [Use(at, event, action, guild=guild)]
    error = list(ERRORS)[number % 3] if number % 4 == 0 else None
    provider = (
        PROVIDERS[number // 6 % 3] if event.endswith(("generator", "generate", "request")) else None
    )
    ended = Use(at, event, "failure" if error else "success", error, provider, milliseconds)
    if event == "discord.generator":
        begun = Use(at, event, "invoke", provider=provider, observed=False)
        crashed = [begun] * (number % 4 == 2)
        return [begun, *crashed, Use(**{**vars(ended), "guild": guild})]
    if event == "api.auth.login":
        return [Use(at, event, "start"), ended]
    return [ended]


async def store(dsn: str, data: Known) -> None:
    """Stores it all through the exporter, in three requests, and counts groups as is done tomorrow."""
    settings = Settings(load_catalog(CATALOG))
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
    tomorrow = _micros(_TODAY + DAY + 6 * HOUR) * 1000
    house = House(settings.catalog, 30, 400)
    await Housekeeper(dsn, house, lambda: tomorrow, lambda: tomorrow).run_due({"groups", "latency"})


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

    def tally(self, digest: bytes, emitted: Counter[str], losses: dict[Loss, int]) -> Batch:
        now = _micros(_TODAY)
        counts = {
            (now, Dimension("footfall.emitted", "footfall", "emitted", "count", "ok", None, *_NOBODY,
                            (("emitted_event", event),))): number
            for event, number in emitted.items()
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
            *_NOBODY,
            enums,
        )
        return self.dimensions.setdefault(key, Dimension(*key))

    def _shape(self, use: Use) -> Shape:
        dimension = self._dimension(use)
        return self.shapes.setdefault(dimension, Shape(dimension, 1.0, self.columns[use.event]))

    def _values(self, use: Use) -> tuple[bytes | None, ...]:
        daily = hashlib.md5(f"{use.at.date()} {use.guild}".encode()).digest()
        return tuple(None if use.guild is None else daily for _ in self.columns[use.event])


_NOBODY = ("bot", "1.0", "test")


def _micros(moment: dt.datetime) -> int:
    return int(moment.timestamp()) * 1_000_000
