"""Discord without Discord: simcord runs the real bot, and its users type, press and fill in forms.

The bot has a thread and an event loop of its own, as it would have a process of its own, for simcord
replaces the loop's clock. Users take turns, because simcord wants them to; so that it does not take too
long, there are several shards, each with a bot and some of the guilds.
"""

import asyncio
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future
from functools import partial
from itertools import zip_longest
from typing import Final, TypeVar
from unittest.mock import patch

import discord
import simcord
from discord.ext import commands

from footfall_examples.sahasrahbot import planted
from footfall_examples.sahasrahbot.cogs.racetime_tools import ORGANIZER
from footfall_examples.sahasrahbot.planted import Planted
from footfall_examples.sahasrahbot.steps import Act, Press, Slash, Text

T = TypeVar("T")

SHARDS: Final = 3


def shard(guild_id: int) -> int:
    """Which shard has this guild (Discord's gateway documentation, "Sharding")."""
    return (guild_id >> 22) % SHARDS


class Discord:
    """Guilds, each with a channel and the same members, and the bot in all of them.

    Args:
        bot: The bot.
        values: The guilds' ids, the channels', and the members' names and ids.
        number: Which shard this is.
    """

    def __init__(self, bot: commands.Bot, values: Sequence[Planted], number: int) -> None:
        self._bot = bot
        self._values = values
        self._number = number
        self._guilds: dict[int, _Guild] = {}
        self._asked: asyncio.Queue[tuple[Act, Future[str]]] = asyncio.Queue()

    async def serve(self, ready: Future[None]) -> None:
        """Lets members act, one at a time, until it is cancelled.

        Args:
            ready: Made done when they can.
        """
        self._loop = asyncio.get_running_loop()
        async with simcord.run(self._bot, check_errors=False) as env:
            users = dict(_users(env, self._values))
            channels = map(int, planted.of_kind(self._values, "channel_id"))
            guilds = map(int, planted.of_kind(self._values, "guild_id"))
            for number, channel in zip_longest(guilds, channels):
                if shard(number) == self._number:
                    guild = self._guilds[number] = _Guild(env, number, channel)
                    await guild.fill(users, planted.organizers(self._values))
            ready.set_result(None)
            await self._work()

    async def do(self, act: Act) -> str:
        """Does something and returns the bot's reply; called from another thread's loop."""
        reply: Future[str] = Future()
        self._loop.call_soon_threadsafe(self._asked.put_nowait, (act, reply))
        return await asyncio.wrap_future(reply)

    async def _work(self) -> None:
        while True:
            act, reply = await self._asked.get()
            if reply.set_running_or_notify_cancel():
                try:
                    reply.set_result(await self._guilds[act.guild_id].do(act))
                except Exception as error:
                    reply.set_exception(error)


class _Guild:
    """One guild.

    Args:
        env: simcord's world.
        number: Its id.
        channel: The id of its channel, if that matters.
    """

    def __init__(self, env: simcord.Env, number: int, channel: int | None) -> None:
        self._env = env
        self._guild = env.create_guild("A guild", id=number)
        create = partial(self._guild.create_text_channel, "races")
        self._channel = _with_id(env, channel, create)
        self._members: dict[str, simcord.MemberActor] = {}
        self._panel: simcord.ResponseMessage | None = None

    async def fill(self, users: dict[str, simcord.UserHandle], organizers: Sequence[str]) -> None:
        """Lets users in, some of them as organizers, and opens a tournament."""
        role = self._guild.create_role(ORGANIZER)
        for name, user in users.items():
            roles = [role] if name in organizers else []
            self._members[name] = self._guild.add_member(user, roles=roles)
        first = self._members[organizers[0]]
        shown = await first.slash(self._channel, "asynctournament create", title="Spring")
        self._panel = shown.response

    async def do(self, act: Act) -> str:
        """Does something and returns the bot's reply."""
        member = self._members[act.member]
        match act.does:
            case Text(text):
                await member.send(self._channel, text)
                return self._said()
            case Slash(name, options):
                shown = await member.slash(self._channel, name, **options)
            case Press(custom_id, form):
                assert self._panel is not None  # noqa: S101  # `fill` has been called
                shown = await member.click(self._panel, custom_id=custom_id)
                if form:
                    shown = await member.submit_modal(shown, dict(form))
        return shown.response.content if shown.response else ""

    def _said(self) -> str:
        """What the bot has just said in the channel."""
        channel = self._env.bot.get_channel(self._channel.id)
        last = channel.last_message if isinstance(channel, discord.TextChannel) else None
        return last.content if last and last.author == self._env.bot.user else ""


def _users(env: simcord.Env, values: Sequence[Planted]) -> Iterator[tuple[str, simcord.UserHandle]]:
    """Every member with the name that is planted, and, while they last, with a planted id."""
    ids = map(int, planted.of_kind(values, "user_id", "legacy_user_id"))
    for whole, number in zip_longest(planted.members(values), ids):
        name, _, tag = whole.partition("#")
        yield whole, _with_id(env, number, partial(env.create_user, name, discriminator=tag or "0"))


def _with_id(env: simcord.Env, number: int | None, create: Callable[[], T]) -> T:
    """Creates something with this id, if there is one, instead of an id that simcord draws."""
    if number is None:
        return create()
    with patch.object(env.backend, "snowflake", return_value=number):
        return create()
