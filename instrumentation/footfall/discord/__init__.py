"""`instrument_discord(bot)`: a bot's commands and components become events, and no cog is edited."""

from importlib.util import find_spec
from typing import TYPE_CHECKING

from footfall import _threads
from footfall._client import Client, default
from footfall._guard import guarded
from footfall._log import log

if TYPE_CHECKING:
    import discord


def instrument_discord(
    bot: "discord.Client",
    *,
    client: Client | None = None,
    statement_command: bool = False,
    receipts: bool = False,
) -> None:
    """Measures the uses of a discord.py bot that the catalog's `match: - discord: ...` rules name.

    Slash, prefix and hybrid commands and context menus by their qualified name; buttons, menus,
    modals and dynamic items by their custom id. A check or a cooldown that refuses is `denied`. Of an
    interaction nothing is sent but the guild's id, and that only if the event has a hashed attribute
    `guild_id`. Errors reach the bot's own handlers as before.

    It never raises. Call it any time, before or after `configure()` and before or after cogs are
    loaded; for a bot that is instrumented already it does nothing.

    Args:
        bot: A `commands.Bot`, or a `discord.Client` with a command tree.
        client: What sends; None is the one behind `footfall.configure()`.
        statement_command: Adds `/telemetry` to `bot.tree`, which tells administrators in plain words
            what is collected. It appears when the bot syncs its commands.
        receipts: Whoever uses the bot has a receipt, derived with FOOTFALL_RECEIPT_SECRET.
            Adds `/telemetry me` and `/telemetry forget`, for everybody: what is stored of them, and erase
            it. The statement is `/telemetry about` then, and for everybody too.

    Example:
        >>> import discord, footfall
        >>> from discord.ext import commands
        >>> bot = commands.Bot("!", intents=discord.Intents.default())
        >>> footfall.instrument_discord(bot, statement_command=True)
    """
    client = client or default
    if not _threads.may_start():  # nor can telemetry be on
        return
    if find_spec("discord") is None:
        log.warning(
            "footfall: discord.py is not installed, so the bot is not measured;"
            " pip install 'footfall[discord]'"
        )
        return
    with guarded(client.trouble):
        _instrument(bot, client, statement_command, receipts)


def _instrument(
    bot: "discord.Client", client: Client, statement_command: bool, receipts: bool
) -> None:
    from footfall.discord import _hooks, _receipts, _run, _statement

    if _run.client_of(bot) is not None:
        return
    _hooks.install()
    setattr(bot, _run.CLIENT, client)
    group = _receipts.group(bot, client) if receipts else None
    if group is not None:
        if statement_command:
            group.add_command(_statement.about(client))
        _statement.add(bot, group)
    elif statement_command:
        _statement.add(bot, _statement.alone(client))
