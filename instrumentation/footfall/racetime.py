"""racetime.gg: room commands and seed generation, measured without editing a handler."""

from importlib.util import find_spec
from typing import TypeVar

from footfall import _threads
from footfall._client import Client, default
from footfall._guard import guarded
from footfall._log import log

H = TypeVar("H", bound=type)


def instrument_racetime(handler: H, *, client: Client | None = None) -> H:
    """Measures the room commands and the seed generation of a racetime-bot handler.

    A command `ex_seed` stands for the event that has the rule `racetime: seed`, or one with a `*` that
    fits. Any other public method is measured when a rule names it with brackets, such as
    `racetime: generate_seed()`; racetime-bot's own methods never are. Commands without a rule send
    nothing. Inherited methods and subclasses are included. Within a use, another use of the same event
    by the same handler is part of it: `!seed` counts once, also when its command calls another one.

    Exceptions pass through unchanged. A command that `monitor_cmd` or `moderator_cmd` refuses is
    `denied`. Nothing of a message, its sender, its arguments or its room is sent.

    Args:
        handler: A subclass of `racetime_bot.RaceHandler`. It is changed in place; once more changes
            nothing.
        client: Where to send; None is the client behind `footfall.configure()`. It may be configured
            later.

    Returns:
        The same class.

    Example:
        >>> from racetime_bot import RaceHandler
        >>> @instrument_racetime
        ... class Handler(RaceHandler):
        ...     async def ex_seed(self, args, message): ...
    """
    used = default if client is None else client
    if not _threads.may_start():  # nor can telemetry be on
        return handler
    if find_spec("racetime_bot") is None:
        log.warning(
            "footfall: racetime-bot is not installed, so the handler is not measured;"
            " pip install 'footfall[racetime]'"
        )
        return handler
    with guarded(used.trouble):
        from footfall._racetime import instrument

        instrument(handler, used)
    return handler
