"""The daily challenge."""

from typing import Any

from discord.ext import commands

from footfall_examples.sahasrahbot import providers


class Daily(commands.Cog):
    """`$daily` in a message."""

    @commands.command()
    async def daily(self, ctx: commands.Context[Any], preset: str) -> None:
        """Announces the daily challenge in this channel."""
        url = await providers.generate("alttpr", preset, f"{ctx.author} in {ctx.channel}")
        await ctx.send(f"Today's challenge: {url}")
