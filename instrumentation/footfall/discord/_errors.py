"""What discord.py's own exceptions mean."""

from typing import TYPE_CHECKING, Final

from discord import app_commands
from discord.ext import commands

from footfall_processors.error_types import INVALID_PRESET, PERMISSION_DENIED, UNEXPECTED_ERROR

if TYPE_CHECKING:
    from footfall._feature import Feature

_WRAPPERS: Final = (
    commands.CommandInvokeError,
    commands.ConversionError,
    commands.HybridCommandError,
    app_commands.CommandInvokeError,
)
_KINDS: Final = (
    (commands.CheckFailure, PERMISSION_DENIED),
    (commands.CommandOnCooldown, PERMISSION_DENIED),
    (commands.MaxConcurrencyReached, PERMISSION_DENIED),
    (commands.DisabledCommand, PERMISSION_DENIED),
    (app_commands.CheckFailure, PERMISSION_DENIED),  # of which its CommandOnCooldown is one
    (commands.UserInputError, INVALID_PRESET),
    (app_commands.TransformerError, INVALID_PRESET),
)


def fail(use: "Feature", error: BaseException) -> None:
    """Marks a use as failed: by what the host's code raised, and then by what discord.py calls it.

    What `configure(errors=...)` says about an exception wins.
    """
    while isinstance(error, _WRAPPERS):
        error = error.original
    use.fail(error)
    if getattr(use, "error", None) == UNEXPECTED_ERROR:
        use.fail(next((kind for cls, kind in _KINDS if isinstance(error, cls)), UNEXPECTED_ERROR))
