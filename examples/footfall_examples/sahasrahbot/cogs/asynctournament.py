"""Asynchronous tournaments: everybody plays the same seed when they like, and submits their time."""

import discord
from discord import app_commands, ui
from discord.ext import commands

from footfall_examples.sahasrahbot import providers


class Submission(ui.Modal, title="Submit your run"):
    """The form in which a time is submitted."""

    time: ui.TextInput["Submission"] = ui.TextInput(label="Time", custom_id="time")
    remarks: ui.TextInput["Submission"] = ui.TextInput(
        label="Remarks", custom_id="remarks", required=False
    )

    def __init__(self) -> None:
        super().__init__(custom_id="asynctournament:submission")

    async def on_submit(self, interaction: discord.Interaction) -> None:
        """Takes the time."""
        await providers.query()
        await interaction.response.send_message(f"Submitted: {self.time.value}", ephemeral=True)


class Panel(ui.View):
    """The buttons below a tournament's message; they stay."""

    def __init__(self) -> None:
        super().__init__(timeout=None)

    @ui.button(label="Start a run", custom_id="asynctournament:start")
    async def start(self, interaction: discord.Interaction, _: ui.Button["Panel"]) -> None:
        """Starts a run."""
        await providers.query()
        await interaction.response.send_message("Your run has started.", ephemeral=True)

    @ui.button(label="Submit a run", custom_id="asynctournament:submit")
    async def submit(self, interaction: discord.Interaction, _: ui.Button["Panel"]) -> None:
        """Opens the form."""
        await providers.query()
        await interaction.response.send_modal(Submission())


class AsyncTournament(commands.Cog):
    """`/asynctournament`, and the panel."""

    group = app_commands.Group(name="asynctournament", description="Asynchronous tournaments")

    @group.command(name="create", description="Opens a tournament in this channel")
    async def create(self, interaction: discord.Interaction, title: str) -> None:
        """Posts the panel."""
        await interaction.response.send_message(title, view=Panel())

    @group.command(name="review", description="Closes the review of a run")
    async def review(self, interaction: discord.Interaction, runner: str, verdict: str) -> None:
        """Tells everybody."""
        await providers.query()
        await interaction.response.send_message(f"Reviewed: {runner}'s run. {verdict}")
