"""One use of a bot: from the interaction or the message until discord.py has done with it.

What happens in between reaches the run through a context variable: discord.py does all the work of one
use in one task. Nothing is put on interactions, and a use that never ends is held by its task alone.
"""

import asyncio
import functools
from collections.abc import Awaitable, Callable
from contextlib import suppress
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any, Final, TypeVar

from discord import app_commands
from discord.ext import commands

from footfall._guard import guarded
from footfall.discord._receipts import attached
from footfall_processors.error_types import INVALID_PRESET, PERMISSION_DENIED, UNEXPECTED_ERROR

if TYPE_CHECKING:
    from footfall._client import Client
    from footfall._feature import Feature

T = TypeVar("T")
Coroutine = Callable[..., Awaitable[Any]]
Describe = Callable[[], tuple[str | None, int | None]]
"""The text that the catalog's rules are about, and the guild's id."""

CLIENT: Final = "_footfall_client"
"""The attribute of a bot that holds what measures it."""
GUILD: Final = "guild_id"
"""The one attribute that is ever sent, and only hashed."""
_WRAPPED: Final = "_footfall_wrapped"
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
"""What discord.py's own exceptions mean."""


class Run:
    """What is known so far about one use.

    Attributes:
        origin: The interaction or the context; None when it is over, so that a task which the command
            has started, and which inherits its context, does not keep it alive.
        reached: Whether all checks let it through.
        error: The first error that discord.py caught.
    """

    __slots__ = ("_client", "_use", "error", "origin", "reached")

    def __init__(self, origin: object, client: "Client", use: "Feature", reached: bool) -> None:
        self.origin: object = origin
        self.reached = reached
        self.error: BaseException | None = None
        self._client = client
        self._use = use

    def end(self, left: BaseException | None) -> None:
        """Sends the observation; `left` is what left discord.py's own code, which is rare."""
        try:
            with guarded(self._client.trouble):
                self._judge(self.error or left)
                self._use.__exit__(None, None, None)
        finally:
            self.origin = self.error = None

    def _judge(self, error: BaseException | None) -> None:
        if error is not None:
            _fail(self._use, error)
        elif not self.reached:
            self._use.deny()
        elif getattr(self.origin, "command_failed", False):
            # discord.py swallows the cancellation of a prefix command and calls it completed; a host
            # may say of its interaction that it failed.
            prefix = isinstance(self.origin, commands.Context)
            _fail(self._use, asyncio.CancelledError() if prefix else Exception())


_current: ContextVar[Run | None] = ContextVar("footfall_discord_run", default=None)


def current(origin: object) -> Run | None:
    """The run of this interaction or context, if it is measured."""
    run = _current.get()
    return run if run is not None and run.origin is origin else None


def note(origin: object, error: BaseException) -> None:
    """Keeps the first error of a use."""
    run = current(origin)
    if run is not None and run.error is None:
        run.error = error


async def noting(origin: object, work: Awaitable[T]) -> T:
    """Awaits `work` and notes what leaves it."""
    try:
        return await work
    except BaseException as error:
        note(origin, error)
        raise


async def measured(
    client: "Client",
    origin: object,
    describe: Describe,
    work: Callable[[], Awaitable[T]],
    *,
    reached: bool = False,
) -> T:
    """Runs `work`, which discord.py does for `origin`, as one use, if the catalog knows it.

    Args:
        client: What sends.
        origin: The interaction or the context.
        describe: Asked only while telemetry is on.
        work: discord.py's own coroutine function, with its arguments.
        reached: True where every refusal is an error that discord.py reports.
    """
    if client.recorder is None:
        return await work()
    with attached(client, origin):
        return await _run(_begin(client, origin, describe, reached), work)


async def _run(run: Run | None, work: Callable[[], Awaitable[T]]) -> T:
    if run is None:
        return await work()
    token = _current.set(run)
    try:
        result = await work()
    except BaseException as error:
        run.end(error)
        raise
    else:
        run.end(None)
        return result
    finally:
        with suppress(ValueError):  # a coroutine that is thrown away ends in another context
            _current.reset(token)


def _begin(client: "Client", origin: object, describe: Describe, reached: bool) -> Run | None:
    with guarded(client.trouble):
        text, guild = describe()
        match = client.match("discord", text) if text else None
        if match is None:
            return None
        attribute = client.declared(match.event, GUILD)
        hashed = attribute is not None and attribute.hash is not None
        attributes: dict[str, Any] = {GUILD: str(guild)} if hashed and guild is not None else {}
        use = client.feature(match.event, match.action, **attributes)
        return Run(origin, client, use.__enter__(), reached)
    return None


def _fail(use: "Feature", error: BaseException) -> None:
    """Marks a use as failed: by what the host's code raised, and then by what discord.py calls it.

    What `configure(errors=...)` says about an exception wins.
    """
    while isinstance(error, _WRAPPERS):
        error = error.original
    use.fail(error)
    if getattr(use, "error", None) == UNEXPECTED_ERROR:
        use.fail(next((kind for cls, kind in _KINDS if isinstance(error, cls)), UNEXPECTED_ERROR))


def client_of(bot: object) -> "Client | None":
    """What measures a bot; None when it is not instrumented."""
    return vars(bot).get(CLIENT)


def wrap(owner: Any, name: str, hook: Callable[[Coroutine], Coroutine]) -> None:
    """Replaces a coroutine function of a class or an object, unless it is replaced already."""
    original = getattr(owner, name)
    if not hasattr(original, _WRAPPED):
        wrapper = functools.wraps(original)(hook(original))
        setattr(wrapper, _WRAPPED, True)
        setattr(owner, name, wrapper)
