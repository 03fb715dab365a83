"""Buttons, menus, modals and dynamic items, as discord.py runs them."""

from collections.abc import Awaitable, Callable
from functools import partial
from typing import TYPE_CHECKING, Any

import discord

from footfall._guard import guarded
from footfall.discord._run import Coroutine, client_of, current, measured, note, noting, wrap

if TYPE_CHECKING:
    from footfall._client import Client


def component(original: Coroutine) -> Coroutine:
    """`BaseView._scheduled_task`: buttons and menus."""

    async def scheduled(self: Any, item: Any, interaction: discord.Interaction, *rest: Any) -> Any:
        return await _view(self, interaction, partial(original, self, item, interaction, *rest))

    return scheduled


def modal(original: Coroutine) -> Coroutine:
    """`Modal._scheduled_task`."""

    async def scheduled(self: Any, interaction: discord.Interaction, *rest: Any) -> Any:
        return await _view(self, interaction, partial(original, self, interaction, *rest))

    return scheduled


def dynamic(original: Coroutine) -> Coroutine:
    """`ViewStore.schedule_dynamic_item_call`: these belong to no view of the host."""

    async def schedule(
        self: Any, kind: int, factory: Any, interaction: discord.Interaction, *rest: Any
    ) -> Any:
        client = client_of(interaction.client)
        if client is None or client.recorder is None:
            return await original(self, kind, factory, interaction, *rest)
        work = partial(original, self, kind, _Factory(client, factory), interaction, *rest)
        return await measured(client, interaction, partial(_describe, interaction), work)

    return schedule


async def _view(
    view: Any, interaction: discord.Interaction, work: Callable[[], Awaitable[Any]]
) -> Any:
    client = client_of(interaction.client)
    if client is None or client.recorder is None:
        return await work()
    _watch(client, view, interaction_check=_checked, on_error=_handed)
    return await measured(client, interaction, partial(_describe, interaction), work)


def _describe(interaction: discord.Interaction) -> tuple[str | None, int | None]:
    data: Any = interaction.data
    return data.get("custom_id"), interaction.guild_id


def _watch(client: "Client", owner: Any, **hooks: Callable[[Coroutine], Coroutine]) -> None:
    """Wraps methods that the host overrides or sets; done before each use, for it may set them late."""
    with guarded(client.trouble):
        for name, hook in hooks.items():
            wrap(owner, name, hook)


class _Factory:
    """A class of dynamic items, each of which is watched."""

    def __init__(self, client: "Client", factory: Any) -> None:
        self._client = client
        self._factory = factory

    def __repr__(self) -> str:
        return repr(self._factory)  # discord.py logs it

    async def from_custom_id(self, interaction: discord.Interaction, *rest: Any) -> Any:
        item = await noting(interaction, self._factory.from_custom_id(interaction, *rest))
        _watch(self._client, item, interaction_check=_checked, callback=_called)
        return item


def _checked(original: Coroutine) -> Coroutine:
    """`interaction_check`, bound."""

    async def interaction_check(interaction: discord.Interaction, /) -> Any:
        allowed = await noting(interaction, original(interaction))
        run = current(interaction)
        if run is not None:
            run.reached = bool(allowed)
        return allowed

    return interaction_check


def _handed(original: Coroutine) -> Coroutine:
    """`on_error`, bound: discord.py gives it whatever the view's checks and callbacks raise."""

    async def on_error(interaction: discord.Interaction, error: Exception, *rest: Any) -> Any:
        note(interaction, error)
        return await original(interaction, error, *rest)

    return on_error


def _called(original: Coroutine) -> Coroutine:
    """`callback` of a dynamic item, bound."""

    async def callback(interaction: discord.Interaction) -> Any:
        return await noting(interaction, original(interaction))

    return callback
