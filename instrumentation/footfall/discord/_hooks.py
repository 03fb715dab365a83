"""Where discord.py is watched.

Why not through its events? A listener of `on_command_error` silences the default log of errors; a check
that fails and an error in a view have no event; `on_interaction` may fire after completion; a hybrid
command completes twice; a handler that the host sets at any time replaces `tree.on_error`, and a
command's own handlers come before it. So the coroutines through which all work goes are wrapped, in the
classes that define them, as OpenTelemetry's instrumentations do: whatever the host overrides, adds later,
sets or raises stays as it is. A bot that is not instrumented passes through.
"""

from discord import app_commands, ui
from discord.ext import commands
from discord.ext.commands.bot import BotBase
from discord.ext.commands.hybrid import HybridAppCommand
from discord.ui.view import BaseView, ViewStore

from footfall.discord import _commands, _views
from footfall.discord._run import wrap


def install() -> None:
    """Wraps discord.py's classes, once per process.

    Raises:
        AttributeError: this release of discord.py works in another way.
    """
    for cls, name, hook in (
        (app_commands.CommandTree, "_call", _commands.tree),
        (app_commands.Command, "_invoke_with_namespace", _commands.invocation),
        (HybridAppCommand, "_invoke_with_namespace", _commands.invocation),
        (app_commands.ContextMenu, "_invoke", _commands.invocation),
        (BotBase, "invoke", _commands.bot),
        (commands.Command, "dispatch_error", _commands.dispatched),
        (BaseView, "_scheduled_task", _views.component),
        (ui.Modal, "_scheduled_task", _views.modal),
        (ViewStore, "schedule_dynamic_item_call", _views.dynamic),
    ):
        wrap(cls, name, hook)
