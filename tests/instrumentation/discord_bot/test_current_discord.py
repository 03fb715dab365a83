"""Inside a command or a component its use is the current one."""

import discord
from discord import ui
from discord.ext import commands

import footfall
from footfall.discord import instrument_discord
from instrumentation.discord_bot.host import Host, play


def say(how):
    footfall.current().set(provider="smz3")
    if how == "fail":
        footfall.current().fail("out_of_stock")
    if how == "deny":
        footfall.current().deny()


class Ask(ui.Modal, title="Ask"):
    def __init__(self):
        super().__init__(custom_id="panel:asked")
        self.add_item(ui.TextInput(label="x", custom_id="x", required=False))

    async def on_submit(self, interaction: discord.Interaction) -> None:
        say("fail")
        await interaction.response.send_message("done")


class Two(ui.View):
    @ui.button(label="say", custom_id="panel:say")
    async def say(self, interaction: discord.Interaction, _: ui.Button) -> None:
        say("fail")
        await interaction.response.send_message("done")

    @ui.button(label="ask", custom_id="panel:ask")
    async def ask(self, interaction: discord.Interaction, _: ui.Button) -> None:
        say("deny")
        await interaction.response.send_modal(Ask())


async def test_a_handler_says_how_its_use_ended(catalog, connect, received):
    text = catalog.read_text()
    panel = "feature: panel\n    attributes: [guild_id"
    assert panel in text
    catalog.write_text(text.replace(panel, f"{panel}, provider"))
    client, host = connect(received.endpoint), Host()

    @host.tree.command(name="order-say")
    async def slash(interaction: discord.Interaction, how: str) -> None:
        say(how)
        await interaction.response.send_message("done")

    @host.command(name="order-say")
    async def prefix(ctx: commands.Context, how: str) -> None:
        say(how)
        await ctx.send("done")

    @host.tree.command(name="two")
    async def two(interaction: discord.Interaction) -> None:
        await interaction.response.send_message("two", view=Two())

    instrument_discord(host, client=client)

    async def act(s):
        for how in ("fine", "fail", "deny"):
            await s.slash("order-say", how=how)
            await s.send(f"!order-say {how}")
        message = (await s.slash("two")).response
        await s.alice.click(message, custom_id="panel:say")
        asked = await s.alice.click(message, custom_id="panel:ask")
        await s.alice.submit_modal(asked, {"x": "x"})

    await play(host, act)
    assert client.flush()
    found = [(o["event"], o["provider"], o.get("error.type")) for o in received.observations()]
    ends = (None, "out_of_stock", "permission_denied")
    assert found == [
        *(("discord.order", "smz3", end) for end in ends for _ in range(2)),
        ("discord.panel", "smz3", "out_of_stock"),
        ("discord.panel", "smz3", "permission_denied"),
        ("discord.panel", "smz3", "out_of_stock"),
    ]
