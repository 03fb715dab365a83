"""Runs a bot's program where `bot.run()` meets simcord in place of Discord: one member gives one command."""

import asyncio
import runpy
import sys

import discord
import simcord

import footfall


async def _use(bot: discord.Client) -> None:
    async with simcord.run(bot) as env:
        guild = env.create_guild()
        channel = guild.create_text_channel("general")
        member = guild.add_member(env.create_user("alice"))
        await member.slash(channel, "generator", preset="open")


if __name__ == "__main__":
    discord.Client.run = lambda bot, *_: asyncio.run(_use(bot))  # type: ignore[method-assign]
    runpy.run_path(sys.argv[1], run_name="__main__")
    footfall.flush()
