"""What the demo will drive, drawn before anything starts: each step with the uses that it must cause.

The same seed gives the same plan, so the right numbers are known without asking Footfall.
"""

from collections.abc import Callable, Sequence
from random import Random
from typing import Final, NamedTuple

from footfall_examples.sahasrahbot import plain_otel, planted, providers
from footfall_examples.sahasrahbot.planted import Planted
from footfall_examples.sahasrahbot.steps import Act, Chat, Press, Request, Slash, Step, Text, Use

SEED: Final = 20260212
TROUBLE_RATE: Final = 0.12
ROOMS: Final = 20
"""How many race rooms are open."""
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


class Outcome(NamedTuple):
    """How asking for a seed ends.

    Attributes:
        error_type: As it must be reported; None for a success.
        status: Of the web API's response.
        reply: How the bots' begins.
    """

    error_type: str | None
    status: int
    reply: str


GOOD: Final = Outcome(None, 200, "")
OUTCOMES: Final = {
    providers.OPEN: GOOD,
    providers.CROSSKEYS: GOOD,
    MYSTERY: Outcome("invalid_preset", 400, "There is no such preset."),
    providers.RETRANCE: Outcome("provider_timeout", 504, "The randomizer takes too long."),
    providers.FESTIVE: Outcome("provider_unavailable", 503, "The randomizer is down."),
    providers.CASUALBOOTS: Outcome("unexpected_error", 500, "Something went wrong."),
}
SEEDED: Final = "Your seed: https://"
FORBIDDEN: Final = "You may not do this."
LOGINS: Final = {
    200: None, 401: "permission_denied", 503: "provider_unavailable", 504: "provider_timeout",
}  # fmt: skip
"""What Discord answers at the end of a login, and the error type that must be reported."""


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
    ends = [_end(event, "timeout" if bad else None) for bad in failed]
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
        """Every second one is typed as a message, the others as a slash command."""
        provider, preset = self._seed(tuple(TROUBLE))
        outcome = OUTCOMES[preset]
        note = f"{self._one('arguments')} <#{self._one('channel_id')}>"
        does: Slash | Text = Slash(
            "generator", {"provider": provider, "preset": preset, "note": note}
        )
        if self.random.random() < 0.5:
            does = Text(f"$generator {provider} {preset} {note}")
        uses = (Use("discord.generator", "invoke"), _end("discord.generator", outcome.error_type))
        return Step(self._act(does), outcome.reply or SEEDED, uses)

    def daily(self) -> Step:
        preset = providers.FESTIVE if self._trouble() else providers.OPEN
        outcome = OUTCOMES[preset]
        use = _end("discord.daily.announce", outcome.error_type)
        act = self._act(Text(f"$daily {preset} {self._one('message')}"))
        return Step(act, outcome.reply or "Today's challenge: https://", (use,))

    def asynctournament(self) -> Step:
        """Two buttons, one of which opens a form, and a slash command."""
        action = self.random.choices(("run_start", "run_submit", "review_complete"), (5, 4, 3))[0]
        form = {"time": "1:23:45", "remarks": self._one("message")}
        review = {"runner": self._one("discriminator"), "verdict": self._one("message")}
        ways: dict[str, tuple[Press | Slash, str]] = {
            "run_start": (Press("asynctournament:start"), "Your run has started."),
            "run_submit": (Press("asynctournament:submit", form), "Submitted: 1:23:45"),
            "review_complete": (Slash("asynctournament review", review), "Reviewed: "),
        }
        does, reply = ways[action]
        return Step(self._act(does), reply, (Use("discord.asynctournament", action),))

    def racetime_tools(self) -> Step:
        denied = self._trouble()
        event = "discord.racetime_tools.command"
        uses = (Use(event, "invoke"), _end(event, "permission_denied" if denied else None))
        may = planted.organizers(self._values)
        who = [name for name in planted.members(self._values) if (name in may) is not denied]
        does = Slash("racetime_tools open", {"goal": self._one("arguments")})
        act = self._act(does, self.random.choice(who))
        return Step(act, FORBIDDEN if denied else "Opened a room: ", uses)

    def room(self) -> Step:
        """A command for all, or one for monitors, which others may give as well, in vain."""
        denied = self._trouble()
        event = "racetime.room.command"
        uses = (Use(event, "invoke"), _end(event, "permission_denied" if denied else None))
        locks = denied or self.random.random() < 0.3
        text = f"!{'lock' if locks else 'rules'} {self._one('message')}"
        reply = "Sorry " if denied else "The seed is locked." if locks else "The rules: "
        return Step(self._chat(text, monitor=locks and not denied), reply, uses)

    def seed(self) -> Step:
        provider, preset = self._seed(("alttpr", "smz3"))
        outcome = OUTCOMES[preset]
        room = "racetime.room.command"
        uses = (
            Use(room, "invoke"),
            _end("racetime.seed.generate", outcome.error_type),
            _end(room, outcome.error_type),
        )
        text = f"!seed {provider} {preset} {self._one('arguments')}"
        return Step(self._chat(text), outcome.reply or SEEDED, uses)

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

    def _act(self, does: Slash | Text | Press, who: str | None = None) -> Act:
        member = who or self.random.choice(planted.members(self._values))
        return Act(int(self._one("guild_id")), member, does)

    def _chat(self, text: str, monitor: bool = False) -> Chat:
        return Chat(
            room=self.random.randrange(ROOMS),
            user_id=self._one(self.random.choice(("user_id", "legacy_user_id"))),
            user_name=self._one("user_name"),
            monitor=monitor,
            text=text,
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
