"""Seeds for whoever asks."""

from typing import Any

from discord.ext import commands

from footfall_examples.sahasrahbot import providers
from footfall_examples.sahasrahbot.providers import Provider


class Generator(commands.Cog):
    """`/generator`, or `$generator` in a message."""

    @commands.hybrid_command(description="Generates a seed")  # type: ignore[arg-type]
    async def generator(
        self, ctx: commands.Context[Any], provider: Provider, preset: str, *, note: str = ""
    ) -> None:
        """Generates a seed; what stands in the note is for the others in the channel."""
        url = await providers.generate(provider, preset, f"{ctx.author} ({ctx.author.id}), {note}")
        await ctx.send(f"Your seed: {url}")
