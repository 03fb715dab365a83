"""Race rooms of racetime.gg, administered from Discord."""

import discord
from discord import app_commands
from discord.ext import commands

from footfall_examples.sahasrahbot import providers

ORGANIZER = "Race organizer"
"""The role that one needs."""


def _is_organizer(interaction: discord.Interaction) -> bool:
    user = interaction.user
    if isinstance(user, discord.Member) and any(role.name == ORGANIZER for role in user.roles):
        return True
    raise app_commands.CheckFailure(f"{user} ({user.id}) is no organizer in {interaction.guild}")


class RacetimeTools(commands.Cog):
    """`/racetime_tools`."""

    group = app_commands.Group(name="racetime_tools", description="Administers race rooms")

    @group.command(name="open", description="Opens a race room")
    @app_commands.check(_is_organizer)
    async def open(self, interaction: discord.Interaction, goal: str) -> None:
        """Opens a race room, if the caller may."""
        await providers.query()
        await interaction.response.send_message(f"Opened a room: {goal}")
