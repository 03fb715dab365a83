"""A command loop where SahasrahBot's Discord and racetime.gg bots stand: each command reports its use (A8).

Commands arrive with everything that real ones carry: who, where, and in what words. Only what the
catalog declares goes on.
"""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

import footfall
from footfall_examples.sahasrahbot import providers

DONE = "Done."


@dataclass(frozen=True, slots=True)
class Call:
    """One command as it arrives.

    Attributes:
        command: Its name, a key of COMMANDS.
        arguments: What stands behind the name: provider and preset where the command wants them.
        guild_id: The Discord guild it was given in; 0 on racetime.gg.
        channel_id: The channel.
        user_id: Who gave it.
        user_name: The name they show.
        message: All that they wrote.
    """

    command: str
    arguments: str
    guild_id: int
    channel_id: int
    user_id: int
    user_name: str
    message: str


class Bot:
    """Takes calls from a queue and answers each."""

    def __init__(self) -> None:
        self._calls: asyncio.Queue[tuple[Call, asyncio.Future[str]]] = asyncio.Queue()

    async def send(self, call: Call) -> str:
        """Gives a command and waits for the bot's reply."""
        reply: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        await self._calls.put((call, reply))
        return await reply

    async def serve(self) -> None:
        """Runs commands side by side until cancelled."""
        async with asyncio.TaskGroup() as running:
            while True:
                call, reply = await self._calls.get()
                running.create_task(self._run(call, reply))

    async def _run(self, call: Call, reply: asyncio.Future[str]) -> None:
        try:
            await COMMANDS[call.command](call)
            answer = DONE
        except Exception as error:  # a user's command must never end the bot
            answer = type(error).__name__
        if not reply.cancelled():
            reply.set_result(answer)


async def generator(call: Call) -> None:
    """Generates a seed."""
    with footfall.feature("discord.generator", guild_id=call.guild_id, user=call.user_name) as use:
        provider, preset, *_ = call.arguments.split()
        use.set(provider=provider, arguments=call.arguments)
        await providers.generate(provider, preset, call.user_name)


async def daily(call: Call) -> None:
    """Announces the daily challenge."""
    with footfall.feature("discord.daily.announce", guild_id=call.guild_id):
        await providers.generate("alttpr", call.arguments, f"channel {call.channel_id}")


async def run_start(call: Call) -> None:
    """Starts a run of an asynchronous tournament."""
    footfall.event("discord.asynctournament", "run_start", guild_id=call.guild_id)


async def run_submit(call: Call) -> None:
    """Submits the time of such a run."""
    footfall.event("discord.asynctournament", "run_submit", guild_id=call.guild_id, by=call.user_id)


async def review_complete(call: Call) -> None:
    """Closes the review of such a run."""
    footfall.event("discord.asynctournament", "review_complete", guild_id=call.guild_id)


async def racetime_tools(call: Call) -> None:
    """Administers a race room from Discord, if the caller may."""
    with footfall.feature("discord.racetime_tools.command", guild_id=call.guild_id):
        if call.arguments == "without-role":
            raise PermissionError(f"{call.user_name} ({call.user_id}) has no such role")


async def room(call: Call) -> None:
    """Answers in a race room."""
    with footfall.feature("racetime.room.command", message=call.message) as use:
        if call.arguments == "not-a-racer":
            use.deny()


@footfall.feature("racetime.room.command")
async def seed(call: Call) -> None:
    """Generates the seed of a race; it is asked for by a command in the room."""
    provider, preset, *_ = call.arguments.split()
    with footfall.feature("racetime.seed.generate", provider=provider):
        await providers.generate(provider, preset, call.user_name)


_ALL = (generator, daily, run_start, run_submit, review_complete, racetime_tools, room, seed)
COMMANDS: dict[str, Callable[[Call], Awaitable[None]]] = {one.__name__: one for one in _ALL}
