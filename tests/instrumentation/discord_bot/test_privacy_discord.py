"""Personal data planted wherever a bot meets it, and none of it sent or logged."""

import logging
import re

import discord
import pytest
import simcord
from discord import app_commands, ui
from discord.ext import commands

from footfall.discord import instrument_discord
from instrumentation.discord_bot.host import PresetError
from instrumentation.planted import ID, SECRET, leaked

CATALOG = """
product: shop
attributes:
  guild_id: {type: string, hash: daily}
  provider: {type: enum, values: [alttpr, smz3]}
  user_id: {type: string, hash: daily}
  note: {type: string}
events:
  shop.use:
    surface: discord
    feature: use
    attributes: [guild_id, provider, user_id, note]
    match: [{discord: "*"}]
"""


def secret(place: str) -> str:
    return f"{SECRET}-{place}"


class Form(ui.Modal, title=secret("title")):
    text: ui.TextInput["Form"] = ui.TextInput(label=secret("label"), custom_id=secret("input"))

    def __init__(self) -> None:
        super().__init__(custom_id=secret("form"))

    async def on_submit(self, interaction: discord.Interaction) -> None:
        raise PresetError(self.text.value)


class Pick(ui.Select[ui.View]):
    def __init__(self) -> None:
        options = [discord.SelectOption(label=secret("option"), value=secret("value"))]
        super().__init__(
            custom_id=secret("select"), placeholder=secret("placeholder"), options=options
        )

    async def callback(self, interaction: discord.Interaction) -> None:
        raise KeyError(self.values[0])


class Panel(ui.View):
    def __init__(self) -> None:
        super().__init__()
        self.add_item(Pick())

    @ui.button(label=secret("button"), custom_id=secret("button"))
    async def ask(self, interaction: discord.Interaction, _: ui.Button[ui.View]) -> None:
        await interaction.response.send_modal(Form())


def make_bot() -> commands.Bot:
    bot = commands.Bot("!", intents=discord.Intents.all(), description=secret("bot"))

    async def setup_hook() -> None:
        await bot.tree.sync()

    bot.setup_hook = setup_hook

    @bot.tree.command(name=secret("slash"), description=secret("description"))
    @app_commands.rename(user_id=secret("name"))
    async def slash(
        interaction: discord.Interaction, user_id: str, note: str, provider: str, who: discord.User
    ) -> None:
        embed = discord.Embed(title=secret("embed"), description=who.mention)
        interaction.extras[secret("extra")] = note
        await interaction.response.send_message(secret("reply"), embed=embed, view=Panel())
        raise PresetError(f"{note} {interaction.user} {interaction.guild}")

    @bot.tree.command(name=secret("checked"))
    async def checked(interaction: discord.Interaction) -> None: ...

    @checked.add_check
    def check(interaction: discord.Interaction) -> bool:
        raise app_commands.CheckFailure(str(interaction.user))

    @bot.hybrid_command(name=secret("hybrid"))
    async def hybrid(ctx: commands.Context, note: str) -> None:
        raise commands.BadArgument(note) from ValueError(note)

    @bot.command(name=secret("prefix"))
    async def prefix(ctx: commands.Context, *, note: str) -> None:
        await ctx.send(secret("sent"))
        raise PresetError(note, ctx.author, ctx.message)

    @bot.tree.context_menu(name=secret("menu"))
    async def menu(interaction: discord.Interaction, member: discord.Member) -> None:
        raise PermissionError(member.display_name)

    return bot


async def use_everything(bot: commands.Bot) -> tuple[int, set[int]]:
    """What a member does; returns the server's id and all other ids."""
    async with simcord.run(bot, check_errors=False) as env:
        user = env.create_user(secret("user"))
        guild = env.create_guild(secret("guild"), description=secret("about"))
        role = guild.create_role(secret("role"))
        channel = guild.create_text_channel(secret("channel"))
        alice = guild.add_member(user, nick=secret("nick"), roles=[role])
        shown = await alice.slash(
            channel,
            secret("slash"),
            **{secret("name"): secret("user"), "note": secret("option"), "provider": "smz3"},
            who=user,
        )
        asked = await alice.click(shown.response, label=secret("button"))
        await alice.submit_modal(asked, {secret("input"): secret("text")})
        await alice.select(shown.response, [secret("value")])
        await alice.slash(channel, secret("checked"))
        await alice.slash(channel, secret("hybrid"), note=secret("note"))
        await alice.send(channel, f"!{secret('hybrid')} {secret('note')}")
        await alice.send(channel, f"!{secret('prefix')} {secret('note')} {user.mention}")
        await alice.context_menu(channel, secret("menu"), alice)
        await user.send_dm(f"!{secret('prefix')} {secret('note')}")
        assert bot.user
        others = {user.id, channel.id, role.id, bot.user.id, shown.response.id}
        others |= {message.id for message in channel.history()}
        return guild.id, others


@pytest.fixture
def catalog_text():
    return CATALOG


async def test_nothing_of_a_person_leaves_the_bot(client, received, caplog):
    caplog.set_level(logging.DEBUG)
    bot = make_bot()
    instrument_discord(bot, client=client, statement_command=True)
    guild, others = await use_everything(bot)
    assert client.flush()
    assert [o["feature.status"] for o in received.observations()] == [
        "error", "ok", "error", "error", "denied", "error", "error", "error", "denied", "error",
    ]  # fmt: skip
    assert leaked(received.bytes, *others) == []
    for control in (b"shop.use", b"invalid_preset", str(guild).encode()):
        assert control in received.bytes

    # The server's id is there under its own key alone, for the collector to hash.
    pairs = [(key, value) for o in received.observations() for key, value in o.items()]
    assert {key for key, value in pairs if str(guild) in str(value)} == {"guild_id"}
    assert {key for key, _ in pairs} == {
        "event", "feature.surface", "feature.name", "feature.action", "feature.status", "error.type",
        "guild_id",
    }  # fmt: skip
    times = received.bytes.count(str(guild).encode())
    assert times == sum("guild_id" in o for o in received.observations()) == 9

    ours = [r.getMessage() for r in caplog.records if r.name.startswith(("footfall", "opentelem"))]
    assert not [text for text in ours if re.search(rf"{SECRET}|\d{{17,}}", text)]


async def test_with_a_salt_the_server_is_hashed_before_it_leaves(
    catalog, connect, received, monkeypatch
):
    monkeypatch.setenv("TELEMETRY_HASH_SALT", "3f9c1a7be2d05846c1e97ab304fd2865")
    client, bot = connect(received.endpoint), make_bot()
    instrument_discord(bot, client=client)
    guild, others = await use_everything(bot)
    assert client.flush()
    assert sum("guild_id" in o for o in received.observations()) == 9
    assert leaked(received.bytes, guild, *others) == []


async def test_the_search_of_this_test_finds_what_was_not_removed(client, received):
    client.event("shop.use", note=secret("control"))
    assert client.flush()
    assert leaked(received.bytes) == [SECRET.encode()]
    received.traces[:] = [ID.to_bytes(8, "little")]
    assert leaked(received.bytes, ID) == received.traces
