"""What the demo will drive, drawn before anything starts: each step with the uses that it must cause.

The same seed gives the same plan, so the right numbers are known without asking Footfall.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from random import Random
from typing import Any, Final, NamedTuple

from footfall_examples.sahasrahbot import plain_otel, planted, providers
from footfall_examples.sahasrahbot.bot import DONE, Call
from footfall_examples.sahasrahbot.planted import Planted

SEED: Final = 20260212
TROUBLE_RATE: Final = 0.12
MYSTERY: Final = "mystery"
"""A preset that no randomizer has."""
TROUBLE: Final = {
    "alttpr": MYSTERY,
    "smz3": providers.RETRANCE,
    "smr": providers.CROSSKEYS,
    "z2r": providers.FESTIVE,
    "ffr": providers.CASUALBOOTS,
}
"""What goes wrong with each randomizer, when something does."""


class Use(NamedTuple):
    """One use of a feature as it must be reported."""

    event: str
    action: str
    error_type: str | None = None


class Outcome(NamedTuple):
    """How asking for a seed ends.

    Attributes:
        error_type: As it must be reported; None for a success.
        status: Of the web API's response.
        reply: The bot's.
    """

    error_type: str | None
    status: int
    reply: str


OUTCOMES: Final = {
    providers.OPEN: Outcome(None, 200, DONE),
    providers.CROSSKEYS: Outcome(None, 200, DONE),
    MYSTERY: Outcome("invalid_preset", 400, "PresetError"),
    providers.RETRANCE: Outcome("provider_timeout", 504, "TimeoutError"),
    providers.FESTIVE: Outcome("provider_unavailable", 503, "ConnectionRefusedError"),
    providers.CASUALBOOTS: Outcome("unexpected_error", 500, "RuntimeError"),
}
LOGINS: Final = {
    200: None, 401: "permission_denied", 503: "provider_unavailable", 504: "provider_timeout",
}  # fmt: skip
"""What Discord answers at the end of a login, and the error type that must be reported."""


@dataclass(frozen=True, slots=True)
class Request:
    """An HTTP request to the web API."""

    method: str
    path: str
    query: Mapping[str, str] = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict)
    body: Mapping[str, Any] | None = None


@dataclass(frozen=True, slots=True)
class Step:
    """One thing to do.

    Attributes:
        ask: A request to the web API, or a command to the bot.
        answer: The status or the reply it must be answered with.
        uses: The uses it must cause.
    """

    ask: Request | Call
    answer: int | str
    uses: tuple[Use, ...]


def make(values: Sequence[Planted], seed: int = SEED) -> list[Step]:
    """A plan that carries these personal values."""
    planner = _Planner(values, Random(seed))  # noqa: S311  # a plan is no secret
    kinds: list[tuple[int, Callable[[], Step]]] = [
        (260, planner.login), (260, planner.callback), (260, planner.settingsgen),
        (180, planner.sglive), (420, planner.generator), (60, planner.daily),
        (180, planner.asynctournament), (100, planner.racetime_tools), (200, planner.room),
        (120, planner.seed),
    ]  # fmt: skip
    steps = [draw() for number, draw in kinds for _ in range(number)]
    planner.random.shuffle(steps)
    return steps


def plain_uses() -> list[Use]:
    """The uses that the plain OpenTelemetry program must cause, once it has run."""
    event = plain_otel.EVENT
    failed = [number % plain_otel.FAILS_EVERY == 0 for number in range(plain_otel.COMMANDS)]
    ends = [_end(event, "provider_timeout" if bad else None) for bad in failed]
    return [Use(event, "invoke") for _ in failed] + ends


class _Planner:
    """Draws steps of each kind."""

    def __init__(self, values: Sequence[Planted], random: Random) -> None:
        self.random = random
        self._values = values

    def login(self) -> Step:
        request = Request("GET", "/login", headers=self._headers())
        return Step(request, 307, (Use("api.auth.login", "start"),))

    def callback(self) -> Step:
        status = self.random.choices(list(LOGINS), (90, 5, 3, 2))[0]
        code = f"{self._one('oauth_code')}-{status}"
        query = {"code": code, "state": self._one("session_cookie")}
        request = Request("GET", "/callback/discord", query, self._headers())
        return Step(request, status, (_end("api.auth.login", LOGINS[status]),))

    def settingsgen(self) -> Step:
        return self._web("/settingsgen", "api.settingsgen.request", ("alttpr", "smr", "z2r"))

    def sglive(self) -> Step:
        return self._web("/sglive", "api.sglive.seed_generate", ("alttpr", "smz3", "ffr"))

    def generator(self) -> Step:
        provider, preset = self._seed(tuple(TROUBLE))
        outcome = OUTCOMES[preset]
        uses = (Use("discord.generator", "invoke"), _end("discord.generator", outcome.error_type))
        arguments = f"{provider} {preset} {self._one('arguments')}"
        return Step(self._call("generator", arguments), outcome.reply, uses)

    def daily(self) -> Step:
        preset = providers.FESTIVE if self._trouble() else providers.OPEN
        outcome = OUTCOMES[preset]
        use = _end("discord.daily.announce", outcome.error_type)
        return Step(self._call("daily", preset), outcome.reply, (use,))

    def asynctournament(self) -> Step:
        action = self.random.choices(("run_start", "run_submit", "review_complete"), (5, 4, 3))[0]
        call = self._call(action, self._one("arguments"))
        return Step(call, DONE, (Use("discord.asynctournament", action),))

    def racetime_tools(self) -> Step:
        denied = self._trouble()
        event = "discord.racetime_tools.command"
        uses = (Use(event, "invoke"), _end(event, "permission_denied" if denied else None))
        call = self._call("racetime_tools", "without-role" if denied else "open-room")
        return Step(call, "PermissionError" if denied else DONE, uses)

    def room(self) -> Step:
        denied = self._trouble()
        event = "racetime.room.command"
        uses = (Use(event, "invoke"), _end(event, "permission_denied" if denied else None))
        return Step(self._call("room", "not-a-racer" if denied else "ready"), DONE, uses)

    def seed(self) -> Step:
        provider, preset = self._seed(("alttpr", "smz3"))
        outcome = OUTCOMES[preset]
        room = "racetime.room.command"
        uses = (
            Use(room, "invoke"),
            _end("racetime.seed.generate", outcome.error_type),
            _end(room, outcome.error_type),
        )
        arguments = f"{provider} {preset} {self._one('arguments')}"
        return Step(self._call("seed", arguments), outcome.reply, uses)

    def _web(self, path: str, event: str, asked: Sequence[str]) -> Step:
        provider, preset = self._seed(asked)
        body = {
            "provider": provider,
            "preset": preset,
            "requester": self._one(self.random.choice(("user_name", "discriminator", "email"))),
            "settings": self._one("request_body"),
        }
        outcome = OUTCOMES[preset]
        request = Request("POST", path, headers=self._headers(), body=body)
        return Step(request, outcome.status, (_end(event, outcome.error_type),))

    def _seed(self, asked: Sequence[str]) -> tuple[str, str]:
        provider = self.random.choice(asked)
        return provider, TROUBLE[provider] if self._trouble() else providers.OPEN

    def _call(self, command: str, arguments: str) -> Call:
        on_racetime = command in ("room", "seed")
        return Call(
            command=command,
            arguments=arguments,
            guild_id=0 if on_racetime else int(self._one("guild_id")),
            channel_id=int(self._one("channel_id")),
            user_id=int(self._one(self.random.choice(("user_id", "legacy_user_id")))),
            user_name=self._one("user_name"),
            message=self._one("message"),
        )

    def _headers(self) -> dict[str, str]:
        return {
            "user-agent": self._one("user_agent"),
            "x-forwarded-for": self._one("ip_address"),
            "cookie": f"session={self._one('session_cookie')}",
            "authorization": f"Bearer {self._one('oauth_token')}",
        }

    def _one(self, kind: str) -> str:
        return self.random.choice(planted.of_kind(self._values, kind))

    def _trouble(self) -> bool:
        return self.random.random() < TROUBLE_RATE


def _end(event: str, error_type: str | None) -> Use:
    return Use(event, "failure" if error_type else "success", error_type)
