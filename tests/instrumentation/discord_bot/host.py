"""A bot that uses discord.py in every way, noting what its handlers are given."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import discord
import simcord
from discord import app_commands, ui
from discord.ext import commands

CATALOG = """
product: shop
error_types: [out_of_stock]
attributes:
  guild_id: {type: string, hash: daily, description: The server}
  provider: {type: enum, values: [alttpr, smz3]}
events:
  discord.order:
    surface: discord
    feature: order
    description: An order was made
    attributes: [guild_id, provider]
    match: [{discord: "order"}, {discord: "order *"}, {discord: "order-*"}, {discord: "Order it"}]
  discord.panel:
    surface: discord
    feature: panel
    attributes: [guild_id]
    match: [{discord: "panel:*"}]
  discord.day:
    surface: discord
    feature: day
    match: [{discord: "order-stock of day"}]
  discord.menu:
    surface: discord
    feature: menu
    actions: [open, failure]
    match: [{discord: menu, action: open}]
"""


class PresetError(Exception):
    """The application's own."""


class Refused(app_commands.CheckFailure):
    """A check of the application."""


ERRORS: dict[str, Callable[[], BaseException]] = {
    "preset": lambda: PresetError("zyx"),
    "timeout": lambda: TimeoutError("zyx"),
    "bug": lambda: ValueError("zyx"),
    "down": lambda: ConnectionRefusedError("zyx"),
}


async def no(*_: Any) -> bool:
    return False


async def refuse(*_: Any) -> bool:
    raise Refused("zyx")


class Tree(app_commands.CommandTree["Host"]):
    verdict: Callable[..., Awaitable[bool]] | None = None

    async def interaction_check(self, interaction: discord.Interaction, /) -> bool:
        self.client.saw("tree.check", interaction)
        return self.verdict is None or await self.verdict()

    async def on_error(self, interaction: discord.Interaction, error: Any, /) -> None:
        self.client.saw("tree.error", interaction, error)


class Pick(ui.Select["Panel"]):
    def __init__(self) -> None:
        options = [discord.SelectOption(label=word) for word in ("fine", *ERRORS)]
        super().__init__(custom_id="panel:pick", options=options)

    async def callback(self, interaction: discord.Interaction) -> None:
        await run(interaction, self.values[0])


class Guarded(ui.Button["Panel"]):
    def __init__(self) -> None:
        super().__init__(label="guarded", custom_id="panel:guarded")

    async def interaction_check(self, interaction: discord.Interaction, /) -> bool:
        return False

    async def callback(self, interaction: discord.Interaction) -> None:
        raise AssertionError


class Panel(ui.View):
    def __init__(self, host: "Host") -> None:
        super().__init__(timeout=None)
        self.host = host
        self.add_item(Pick())
        self.add_item(Guarded())
        self.add_item(Counter(1))
        self.add_item(ui.Button(label="plain", custom_id="panel:plain"))

    @ui.button(label="ask", custom_id="panel:ask")
    async def ask(self, interaction: discord.Interaction, _: ui.Button["Panel"]) -> None:
        await interaction.response.send_modal(Form(self.host))

    async def interaction_check(self, interaction: discord.Interaction, /) -> bool:
        self.host.saw("view.check", interaction)
        return self.host.verdict is None or await self.host.verdict()

    async def on_error(self, interaction: discord.Interaction, error: Exception, item: Any) -> None:
        self.host.saw("view.error", interaction, error, type(item).__name__)


class Form(ui.Modal, title="Form"):
    word: ui.TextInput["Form"] = ui.TextInput(label="word", custom_id="word")

    def __init__(self, host: "Host") -> None:
        super().__init__(custom_id="panel:form")
        self.host = host

    async def interaction_check(self, interaction: discord.Interaction, /) -> bool:
        return self.word.value != "refuse"

    async def on_submit(self, interaction: discord.Interaction) -> None:
        await run(interaction, self.word.value)

    async def on_error(self, interaction: discord.Interaction, error: Exception) -> None:
        self.host.saw("modal.error", interaction, error)


class Counter(ui.DynamicItem[ui.Button[Any]], template=r"panel:count:(?P<n>[0-9]+)"):
    """1 goes well, 2 fails, 3 is refused, 4 cannot be made."""

    def __init__(self, number: int) -> None:
        label = f"count {number}"
        super().__init__(ui.Button(label=label, custom_id=f"panel:count:{number}"))
        self.number = number

    @classmethod
    async def from_custom_id(cls, interaction: Any, item: Any, match: Any, /) -> "Counter":
        if match["n"] == "4":
            raise PresetError("zyx")
        return cls(int(match["n"]))

    async def interaction_check(self, interaction: discord.Interaction, /) -> bool:
        return self.number != 3

    async def callback(self, interaction: discord.Interaction) -> None:
        await run(interaction, "preset" if self.number == 2 else "fine")


async def run(place: Any, how: str) -> None:
    """What every command and component does: it answers, or raises the error of that name."""
    if how in ERRORS:
        raise ERRORS[how]()
    if isinstance(place, commands.Context):
        await place.send(f"did {how}")
    else:
        await place.response.send_message(f"did {how}")


class Shop(commands.Cog):
    """Commands with local handlers, some of which fail themselves."""

    def __init__(self, host: "Host") -> None:
        self.host = host

    @app_commands.command(name="order-cog")
    async def slash(self, interaction: discord.Interaction, how: str) -> None:
        await run(interaction, how)

    @commands.command(name="order-cog")
    async def prefix(self, ctx: commands.Context[Any], how: str) -> None:
        await run(ctx, how)

    @app_commands.command(name="order-own")
    async def own(self, interaction: discord.Interaction, how: str) -> None:
        await run(interaction, how)

    @own.error
    async def own_error(self, interaction: discord.Interaction, error: Any) -> None:
        self.host.saw("command.error", interaction, error)
        raise RuntimeError("zyx: the handler failed")

    @commands.command(name="order-own")
    async def own_prefix(self, ctx: commands.Context[Any], how: str) -> None:
        await run(ctx, how)

    @own_prefix.error
    async def own_prefix_error(self, ctx: commands.Context[Any], error: Any) -> None:
        self.host.saw("command.error", ctx, error)
        raise RuntimeError("zyx: the handler failed")

    @commands.hybrid_command(name="order-own-both")
    async def own_both(self, ctx: commands.Context[Any], how: str) -> None:
        await run(ctx, how)

    @own_both.error
    async def own_both_error(self, ctx: commands.Context[Any], error: Any) -> None:
        await self.own_prefix_error(ctx, error)

    async def cog_app_command_error(self, interaction: discord.Interaction, error: Any) -> None:
        self.host.saw("cog.app_error", interaction, error)

    async def cog_command_error(self, ctx: commands.Context[Any], error: Any) -> None:
        self.host.saw("cog.error", ctx, error)


class Host(commands.Bot):
    """The application. Everything that its handlers are given is noted in `seen`."""

    verdict: Callable[..., Awaitable[bool]] | None = None

    def __init__(self) -> None:
        super().__init__("!", intents=discord.Intents.all(), tree_cls=Tree, case_insensitive=True)
        self.seen: list[tuple[Any, ...]] = []
        add_commands(self)

    def saw(self, what: str, *arguments: Any) -> None:
        self.seen.append((what, *(plain(argument) for argument in arguments)))

    async def setup_hook(self) -> None:
        await self.add_cog(Shop(self))
        self.add_dynamic_items(Counter)
        await self.tree.sync()

    async def on_command_error(self, ctx: Any, error: Any, /) -> None:
        self.saw("bot.error", ctx, error)

    async def on_error(self, event: str, /, *_: Any, **__: Any) -> None:
        self.saw("event.error", event)

    async def on_command_completion(self, ctx: Any) -> None:
        self.saw("completion", ctx, ctx.command)

    async def on_app_command_completion(self, interaction: Any, command: Any) -> None:
        self.saw("app.completion", interaction, command, interaction.extras)

    async def on_interaction(self, interaction: discord.Interaction) -> None:
        self.saw("interaction", interaction, str(interaction.type))


def plain(value: Any) -> Any:
    """A value as two runs of the bot can be compared by it."""
    if isinstance(value, BaseException):
        return type(value).__name__, str(value), plain(value.__cause__)
    if isinstance(value, discord.Interaction | commands.Context):
        return type(value).__name__, value.command_failed
    return getattr(value, "qualified_name", value)


def add_commands(host: Host) -> None:
    tree = host.tree

    @tree.command(name="order")
    async def order(interaction: discord.Interaction, how: str) -> None:
        await run(interaction, how)

    @order.autocomplete("how")
    async def complete(_: Any, word: str) -> list[app_commands.Choice[str]]:
        return [app_commands.Choice(name=word, value=word) for word in ERRORS]

    @tree.command(name="order-limited")
    @app_commands.checks.cooldown(1, 600)
    async def limited(interaction: discord.Interaction) -> None:
        await run(interaction, "fine")

    @tree.command(name="order-number")
    async def number(
        interaction: discord.Interaction, n: app_commands.Transform[int, Number]
    ) -> None:
        await run(interaction, "fine")

    @tree.command(name="order-no")
    @app_commands.check(no)
    async def not_allowed(interaction: discord.Interaction) -> None: ...

    @tree.command(name="order-refused")
    @app_commands.check(refuse)
    async def refused(interaction: discord.Interaction) -> None: ...

    @tree.context_menu(name="Order it")
    async def of_user(interaction: discord.Interaction, member: discord.Member) -> None:
        await run(interaction, member.name)

    @tree.command(name="panel")
    async def panel(interaction: discord.Interaction, numbers: str = "") -> None:
        view = Panel(host)
        for number in numbers:
            view.add_item(Counter(int(number)))
        await interaction.response.send_message("panel", view=view)

    @tree.command(name="menu")
    async def menu(interaction: discord.Interaction, how: str = "fine") -> None:
        await run(interaction, how)

    tree.add_command(Group(name="order-group", description="-"))

    @host.command(name="order", aliases=["o"])
    async def prefix(ctx: commands.Context[Any], how: str, number: int = 1) -> None:
        await run(ctx, how)

    @host.command(name="order-no")
    @commands.check(lambda ctx: False)
    async def prefix_no(ctx: commands.Context[Any]) -> None: ...

    @host.command(name="order-limited")
    @commands.cooldown(1, 600)
    async def prefix_limited(ctx: commands.Context[Any]) -> None:
        await run(ctx, "fine")

    @host.command(name="order-off", enabled=False)
    async def prefix_off(ctx: commands.Context[Any]) -> None: ...

    @host.hybrid_command(name="order-both")
    @commands.cooldown(2, 600)
    async def both(ctx: commands.Context[Any], how: str = "fine") -> None:
        await run(ctx, how)

    @host.hybrid_command(name="order-both-no")
    @commands.check(lambda ctx: False)
    async def both_no(ctx: commands.Context[Any]) -> None: ...

    @host.hybrid_group(name="order-pair", fallback="show")
    async def pair(ctx: commands.Context[Any], how: str = "fine") -> None:
        await run(ctx, how)

    @pair.command(name="sub")
    async def sub(ctx: commands.Context[Any], how: str = "fine") -> None:
        await run(ctx, how)

    @tree.command(name="order-says")
    async def says(interaction: discord.Interaction) -> None:
        interaction.command_failed = True

    @host.command(name="order-says")
    async def prefix_says(ctx: commands.Context[Any]) -> None:
        raise asyncio.CancelledError

    @host.group(name="order-stock", invoke_without_command=True, case_insensitive=True)
    async def stock(ctx: commands.Context[Any], how: str = "fine") -> None:
        await run(ctx, how)

    @stock.group(name="of", case_insensitive=True, invoke_without_command=True)
    async def of(ctx: commands.Context[Any]) -> None: ...

    @of.command(name="day")
    async def day(ctx: commands.Context[Any], how: str = "fine") -> None:
        await run(ctx, how)


class Number(app_commands.Transformer):
    async def transform(self, interaction: discord.Interaction, value: Any, /) -> int:
        return int(value)


class Group(app_commands.Group):
    @app_commands.command(name="sub")
    async def sub(self, interaction: discord.Interaction, how: str) -> None:
        await run(interaction, how)

    async def on_error(self, interaction: Any, error: Any, /) -> None:
        interaction.client.saw("group.error", interaction, error)


@dataclass
class Stage:
    """A running bot, a server, and a member who uses it."""

    host: Any
    env: simcord.Env
    channel: simcord.ChannelHandle
    alice: simcord.MemberActor
    said: list[Any] = field(default_factory=list)

    async def slash(self, name: str, **options: Any) -> simcord.InteractionResult:
        result = await self.alice.slash(self.channel, name, **options)
        self.said.append(result.response and result.response.content)
        return result

    async def send(self, text: str) -> None:
        await self.alice.send(self.channel, text)

    async def panel(self, numbers: str = "") -> Any:
        return (await self.slash("panel", numbers=numbers)).response


Act = Callable[[Stage], Awaitable[None]]


async def play(host: discord.Client, act: Act) -> Stage:
    """Runs a bot offline and lets somebody use it."""
    async with simcord.run(host, check_errors=False) as env:
        # simcord looks every 50 ms whether the bot is done, which is most of a test's time.
        env._settle_internal = partial(env._settle_internal, idle=0.002)  # type: ignore[method-assign]
        guild = env.create_guild()
        channel = guild.create_text_channel("general")
        stage = Stage(host, env, channel, guild.add_member(env.create_user("alice")))
        await act(stage)
    return stage
