"""SahasrahBot on Discord: a discord.py bot. One line of it is about telemetry."""

import os
from typing import Any

import discord
from discord import app_commands
from discord.ext import commands

import footfall
from footfall_examples.sahasrahbot import providers
from footfall_examples.sahasrahbot.cogs.asynctournament import AsyncTournament
from footfall_examples.sahasrahbot.cogs.daily import Daily
from footfall_examples.sahasrahbot.cogs.generator import Generator
from footfall_examples.sahasrahbot.cogs.racetime_tools import RacetimeTools

_WRAPPERS = (
    app_commands.CommandInvokeError,
    commands.CommandInvokeError,
    commands.HybridCommandError,
)


class SahasrahBot(commands.Bot):
    """The bot; whatever goes wrong, whoever asked gets an answer."""

    def __init__(self) -> None:
        intents = discord.Intents.default()
        intents.message_content = True
        super().__init__("$", intents=intents)
        self.tree.error(self.on_app_command_error)

    async def setup_hook(self) -> None:
        """Adds the cogs."""
        for cog in (Generator, Daily, AsyncTournament, RacetimeTools):
            await self.add_cog(cog())
        await self.tree.sync()

    async def on_command_error(self, ctx: commands.Context[Any], error: Exception, /) -> None:
        """Answers a command that failed."""
        await ctx.send(_apology(error))

    async def on_app_command_error(
        self, interaction: discord.Interaction, error: app_commands.AppCommandError
    ) -> None:
        """Answers a slash command that failed."""
        await interaction.response.send_message(_apology(error), ephemeral=True)


def create_bot() -> SahasrahBot:
    """The bot, measured; telemetry is configured by whoever runs it.

    Where they give it a secret, its users are told what is stored of them, and may erase it: of the events to
    which they add `receipt_id` in the catalog, which needs a static salt of theirs.
    """
    bot = SahasrahBot()
    receipts = "FOOTFALL_RECEIPT_SECRET" in os.environ
    footfall.instrument_discord(bot, statement_command=True, receipts=receipts)
    return bot


def _apology(error: Exception) -> str:
    while isinstance(error, _WRAPPERS):
        error = error.original
    if isinstance(error, commands.CheckFailure | app_commands.CheckFailure):
        error = PermissionError()
    return providers.apology(error)
