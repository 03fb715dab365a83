"""Slash, prefix and hybrid commands and context menus, as discord.py runs them."""

import copy
from functools import partial
from typing import Any

import discord
from discord.ext import commands

from footfall.discord._run import Coroutine, client_of, current, measured, note, noting


def tree(original: Coroutine) -> Coroutine:
    """`CommandTree._call`: slash commands, hybrid ones among them, and context menus."""

    async def call(self: Any, interaction: discord.Interaction) -> Any:
        client, work = client_of(interaction.client), partial(original, self, interaction)
        if client is None or interaction.type is discord.InteractionType.autocomplete:
            return await work()

        def describe() -> tuple[str | None, int | None]:
            command = interaction.command
            return None if command is None else command.qualified_name, interaction.guild_id

        return await measured(client, interaction, describe, work)

    return call


def invocation(original: Coroutine) -> Coroutine:
    """`Command._invoke_with_namespace` and its like: the tree's own check has let it through."""

    async def invoke(self: Any, interaction: discord.Interaction, *rest: Any) -> Any:
        run = current(interaction)
        if run is None:
            return await original(self, interaction, *rest)
        run.reached = True
        return await noting(interaction, original(self, interaction, *rest))

    return invoke


def bot(original: Coroutine) -> Coroutine:
    """`Bot.invoke`: prefix commands, hybrid ones among them; every refusal of theirs is an error."""

    async def invoke(self: Any, ctx: commands.Context[Any], /) -> Any:
        client, work = client_of(self), partial(original, self, ctx)
        if client is None or ctx.command is None:
            return await work()
        return await measured(client, ctx, lambda: (_name(ctx), _guild(ctx)), work, reached=True)

    return invoke


def dispatched(original: Coroutine) -> Coroutine:
    """`Command.dispatch_error`: an error of a prefix or hybrid command, before any handler has it."""

    async def dispatch_error(self: Any, ctx: commands.Context[Any], error: Any, /) -> Any:
        note(ctx.interaction or ctx, error)
        return await original(self, ctx, error)

    return dispatch_error


def _guild(ctx: commands.Context[Any]) -> int | None:
    return None if ctx.guild is None else ctx.guild.id


def _name(ctx: commands.Context[Any]) -> str | None:
    """The name of the sub-command that a message means, found as `Group.invoke` will find it.

    A group that takes arguments of its own before the sub-command is counted as the group.
    """
    command, words = ctx.command, copy.copy(ctx.view)
    while isinstance(command, commands.Group):
        words.skip_ws()
        found = command.all_commands.get(words.get_word())
        if found is None:
            break
        command = found
    return None if command is None else command.qualified_name
