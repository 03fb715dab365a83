"""`/telemetry me` and `/telemetry forget`: whoever uses the bot is told what is stored of them, or erases it.

Discord says who has typed a command. Of their id a token is derived (HMAC, FOOTFALL_RECEIPT_SECRET), of that
a digest, and of that the collector's pseudonym: the id itself is kept nowhere, and never leaves the bot.
"""

import asyncio
from collections.abc import Callable, Coroutine
from contextlib import AbstractContextManager, nullcontext
from typing import TYPE_CHECKING, Any, Final

import discord
from discord import app_commands
from discord.ext import commands

from footfall._guard import guarded
from footfall._log import log
from footfall.discord._statement import QUIET, split
from footfall.receipts import SECRET, Held, Receipt, ReceiptError, receipt

if TYPE_CHECKING:
    from footfall._client import Client

USED: Final = "_footfall_receipts"
"""The attribute of a bot whose users have receipts."""
_NOT_NOW: Final = "That is not possible right now, and nothing has changed. Please try again later."
_STILL: Final = "Nobody can see that it was you. /telemetry forget erases it."
_NOTHING: Final = "Nothing is stored of you."
Ask = Callable[[Receipt], Held]
Answer = Callable[[discord.Interaction[Any]], Coroutine[Any, Any, None]]


def attached(client: "Client", origin: Any) -> AbstractContextManager[None]:
    """Has the events of a block carry the receipt of whoever uses the bot, if its users have any."""
    with guarded(client.trouble):
        typed = isinstance(origin, commands.Context)
        if vars(origin.bot if typed else origin.client).get(USED):
            user = origin.author if typed else origin.user
            return receipt(user=user.id, client=client).attached()
    return nullcontext()


def group(bot: discord.Client, client: "Client") -> app_commands.Group | None:
    """The commands, for everybody; None, after a warning, where no token can be derived."""
    if receipt(user=0, client=client).token is None:
        log.warning(
            "footfall: /telemetry me and forget were not added: %s is not set, or too easy to guess; set it"
            " to: openssl rand -hex 32",
            SECRET,
        )
        return None
    made = app_commands.Group(name="telemetry", description="What this bot counts of your use")
    made.add_command(
        _command("me", "What is stored of your use", _answer(client, Receipt.show, shown))
    )
    made.add_command(
        _command("forget", "Erase what is stored", _answer(client, Receipt.erase, erased))
    )
    setattr(bot, USED, True)
    return made


def _command(name: str, about: str, answer: Answer) -> "app_commands.Command[Any, ..., None]":
    return app_commands.Command(name=name, description=about, callback=answer)


def shown(held: Held) -> str:
    """What is stored, in words."""
    if not held.events:
        return _NOTHING
    lines = "\n".join(f"- {line.day} {line.event}: {line.number}" for line in held.stored)
    return f"This is stored of your use of this bot (day in UTC, what, how often):\n{lines}\n\n{_STILL}"


def erased(held: Held) -> str:
    """What was erased, in words."""
    if not held.events:
        return _NOTHING
    return f"Erased: {held.events}. What you do from now on is counted again."


def _answer(client: "Client", ask: Ask, words: Callable[[Held], str]) -> Answer:
    async def answer(interaction: discord.Interaction[Any]) -> None:
        with guarded(client.trouble):
            await interaction.response.defer(ephemeral=True)
            theirs = receipt(user=interaction.user.id, client=client)
            for part in split(await _asked(theirs, ask, words)):
                await interaction.followup.send(part, **QUIET)

    return answer


async def _asked(theirs: Receipt, ask: Ask, words: Callable[[Held], str]) -> str:
    try:
        return words(await asyncio.to_thread(ask, theirs))
    except ReceiptError as error:
        log.warning("footfall: a receipt could not be asked for: %s", error)
        return _NOT_NOW
