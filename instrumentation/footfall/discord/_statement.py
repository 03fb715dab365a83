"""The `/telemetry` command: what is collected, in plain words."""

from typing import TYPE_CHECKING, Any, Final

import discord
from discord import app_commands

from footfall._guard import guarded
from footfall._log import log

if TYPE_CHECKING:
    from footfall._client import Client

LIMIT: Final = 2_000
"""Characters of one message (Discord, "Create Message")."""
OFF: Final = "Telemetry is off right now: nothing is collected and nothing is sent."
ON: Final = "Telemetry is on right now."
QUIET: Final[dict[str, Any]] = {
    "ephemeral": True,
    "suppress_embeds": True,
    "allowed_mentions": discord.AllowedMentions.none(),
}
"""How whoever asks is answered: nobody else sees it."""
_ABOUT: Final = "What this bot counts, and what it never does"
Command = app_commands.Command[Any, ..., None] | app_commands.Group


def alone(client: "Client") -> Command:
    """`/telemetry` itself, which Discord shows to administrators unless a server decides otherwise."""
    command = about(client, "telemetry")
    command.default_permissions = discord.Permissions(administrator=True)
    command.guild_only = True
    return command


def about(client: "Client", name: str = "about") -> "app_commands.Command[Any, ..., None]":
    """The command that prints the statement."""

    async def telemetry(interaction: discord.Interaction[Any]) -> None:
        with guarded(client.trouble):
            await _reply(interaction, messages(client))

    return app_commands.Command(name=name, description=_ABOUT, callback=telemetry)


def add(bot: discord.Client, command: Command) -> None:
    """Adds `/telemetry` to the bot's tree; a tree that cannot take it gets one warning."""
    tree = getattr(bot, "tree", None)
    try:
        if not isinstance(tree, app_commands.CommandTree):
            raise LookupError
        tree.add_command(command)
    except (LookupError, app_commands.CommandAlreadyRegistered, app_commands.CommandLimitReached):
        log.warning(
            "footfall: /telemetry was not added: the bot has no `tree`, or that is full, or has a"
            " command of this name"
        )


def messages(client: "Client") -> list[str]:
    """The statement as messages that Discord takes."""
    if client.recorder is None:
        return [OFF]
    from footfall_processors.statement import statement

    return split(f"{ON}\n\n{statement(client.recorder.catalog)}")


def split(text: str) -> list[str]:
    """`text` in parts of at most LIMIT characters, cut between paragraphs, lines or else words."""
    parts = []
    while len(text) > LIMIT:
        ends = (text.rfind(mark, 1, LIMIT + 1) for mark in ("\n\n", "\n", " "))
        end = next((end for end in ends if end > LIMIT // 2), LIMIT)
        parts.append(text[:end].rstrip())
        text = text[end:].lstrip()
    return [*parts, text]


async def _reply(interaction: discord.Interaction[Any], parts: list[str]) -> None:
    await interaction.response.send_message(parts[0], **QUIET)
    for part in parts[1:]:
        await interaction.followup.send(part, **QUIET)
