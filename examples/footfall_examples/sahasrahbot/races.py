"""SahasrahBot on racetime.gg: a racetime-bot, in every race room. One line of it is about telemetry."""

import logging
from typing import Any, Final

from racetime_bot import Bot, RaceHandler, monitor_cmd  # type: ignore[import-untyped]

import footfall
from footfall_examples.sahasrahbot import providers

CATEGORY: Final = "alttpr"
_Message = dict[str, Any]


@footfall.instrument_racetime
class RaceRoom(RaceHandler):  # type: ignore[misc]
    """What the bot does in a race room."""

    async def ex_rules(self, args: list[str], message: _Message) -> None:
        """`!rules`: tells them."""
        await self.send_message("The rules: be kind, and record your run.")

    @monitor_cmd  # type: ignore[untyped-decorator]
    async def ex_lock(self, args: list[str], message: _Message) -> None:
        """`!lock`: nobody rolls another seed. For those who monitor the race."""
        await self.send_message("The seed is locked.")

    async def ex_seed(self, args: list[str], message: _Message) -> None:
        """`!seed alttpr open`: generates the seed of the race."""
        try:
            provider, preset, *_ = args
            url = await self.generate_seed(provider, preset, message["user"]["name"])
        except Exception as error:
            await self.send_message(providers.apology(error))
            raise  # racetime-bot logs it
        await self.send_message(f"Your seed: {url}")

    async def generate_seed(self, provider: str, preset: str, requester: str) -> str:
        """Generates a seed."""
        return await providers.generate(provider, preset, requester)


class RaceBot(Bot):  # type: ignore[misc]
    """Looks for races, and enters their rooms.

    Args:
        host: racetime.gg, or what stands for it, without TLS.
        every: Seconds between two looks.
    """

    racetime_secure = False

    def __init__(self, host: str, every: float) -> None:
        self.racetime_host = host
        self.scan_races_every = every
        log = logging.getLogger("sahasrahbot.races")
        super().__init__(CATEGORY, "client id", "client secret", log)

    def get_handler_class(self) -> type:
        """Whose rooms these are."""
        return RaceRoom
