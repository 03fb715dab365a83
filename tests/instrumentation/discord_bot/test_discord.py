"""Every way of using a bot, each played with Footfall and without, and what then arrives."""

import asyncio
import gc
import logging
import weakref

import discord
import pytest
from discord import app_commands
from discord.ext import commands

from footfall import Client
from footfall.discord import _run, instrument_discord
from instrumentation.discord_bot.host import Host, Panel, PresetError, Stage, no, play, refuse, run

OK = ("success", "ok", None)
DENIED = ("failure", "denied", "permission_denied")
PRESET = ("failure", "error", "invalid_preset")
TIMEOUT = ("failure", "timeout", "timeout")
BUG = ("failure", "error", "unexpected_error")
DOWN = ("failure", "error", "provider_unavailable")
WAYS = {"fine": OK, "preset": PRESET, "timeout": TIMEOUT, "bug": BUG, "down": DOWN}

ORDER, PANEL = "discord.order", "discord.panel"


def outcomes(received, event):
    return [
        (o["feature.action"], o["feature.status"], o.get("error.type"))
        for o in received.observations()
        if o["event"] == event
    ]


async def slash(s: Stage):
    for how in WAYS:
        await s.slash("order", how=how)


async def slash_group(s: Stage):
    for how in WAYS:
        await s.slash("order-group sub", how=how)


async def context_menu(s: Stage):
    bob = s.env.guild.add_member(s.env.create_user("bug"))
    await s.alice.context_menu(s.channel, "Order it", bob)
    await s.alice.context_menu(s.channel, "Order it", s.alice)


async def prefix(s: Stage):
    for how in WAYS:
        await s.send(f"!o {how}")


async def prefix_group(s: Stage):
    for how in WAYS:
        await s.send(f"!order-stock  OF  Day {how}")
    await s.send("!order-stock preset")
    await s.send("!order-stock")


async def hybrid_as_slash(s: Stage):
    for how in WAYS:
        await s.slash("order-pair sub", how=how)
    await s.slash("order-pair show", how="preset")


async def hybrid_as_prefix(s: Stage):
    for how in WAYS:
        await s.send(f"!order-pair sub {how}")
    await s.send("!order-pair preset")


async def hybrid_cooldown(s: Stage):
    await s.slash("order-both")
    await s.send("!order-both")
    await s.slash("order-both")
    await s.send("!order-both")


async def hybrid_check(s: Stage):
    await s.slash("order-both-no")
    await s.send("!order-both-no")


async def checks(s: Stage):
    await s.slash("order-no")
    await s.slash("order-refused")
    await s.send("!order-no")
    await s.send("!order-off")


async def checks_of_the_tree(s: Stage):
    s.host.tree.verdict = no
    await s.slash("order", how="fine")
    s.host.tree.verdict = refuse
    await s.slash("order", how="fine")
    s.host.tree.verdict = None
    await s.slash("order", how="fine")


async def checks_of_the_bot(s: Stage):
    s.host.add_check(lambda ctx: False, call_once=True)
    await s.send("!order fine")
    await s.slash("order-both")
    await s.slash("order", how="fine")


async def cooldowns(s: Stage):
    for _ in range(2):
        await s.slash("order-limited")
        await s.send("!order-limited")


async def wrong_arguments(s: Stage):
    await s.send("!order")
    await s.send("!order fine seven")
    await s.slash("order-number", n="seven")
    await s.slash("order-number", n="7")


async def local_handlers(s: Stage):
    for how in ("preset", "fine"):
        await s.slash("order-cog", how=how)
        await s.send(f"!order-cog {how}")


async def local_handlers_that_fail(s: Stage):
    for how in ("preset", "fine"):
        await s.slash("order-own", how=how)
        await s.send(f"!order-own {how}")
        await s.slash("order-own-both", how=how)
        await s.send(f"!order-own-both {how}")


async def a_command_that_says_it_failed(s: Stage):
    await s.slash("order-says")
    await s.send("!order-says")


async def buttons(s: Stage):
    shown = await s.panel()
    await s.alice.click(shown, custom_id="panel:plain")
    await s.alice.click(shown, custom_id="panel:guarded")
    for s.host.verdict in (no, refuse):
        await s.alice.click(shown, custom_id="panel:plain")


async def selects(s: Stage):
    shown = await s.panel()
    for how in WAYS:
        await s.alice.select(shown, [how], custom_id="panel:pick")


async def modals(s: Stage):
    shown = await s.panel()
    for how in (*WAYS, "refuse"):
        asked = await s.alice.click(shown, custom_id="panel:ask")
        await s.alice.submit_modal(asked, {"word": how})


async def dynamic_items(s: Stage):
    shown = await s.panel("234")
    for number in (1, 2, 3, 4):
        await s.alice.click(shown, label=f"count {number}")


async def handlers_set_late(s: Stage):
    async def tree_error(interaction, error):
        s.host.saw("late tree.error", interaction, error)

    async def view_error(interaction, error, item):
        s.host.saw("late view.error", interaction, error)

    s.host.tree.error(tree_error)
    await s.slash("order", how="preset")
    view = Panel(s.host)
    message = await s.host.get_channel(s.channel.id).send("panel", view=view)
    await s.alice.select(message, ["bug"], custom_id="panel:pick")
    view.on_error = view_error
    await s.alice.select(message, ["preset"], custom_id="panel:pick")


async def an_error_of_a_listener(s: Stage):
    async def on_command(ctx):
        raise PresetError

    s.host.add_listener(on_command)
    await s.send("!order fine")


CASES = {
    slash: {ORDER: list(WAYS.values())},
    slash_group: {ORDER: list(WAYS.values())},
    context_menu: {ORDER: [BUG, OK]},
    prefix: {ORDER: list(WAYS.values())},
    prefix_group: {ORDER: [PRESET, OK], "discord.day": list(WAYS.values())},
    hybrid_as_slash: {ORDER: [*WAYS.values(), PRESET]},
    hybrid_as_prefix: {ORDER: [*WAYS.values(), PRESET]},
    hybrid_cooldown: {ORDER: [OK, OK, DENIED, DENIED]},
    hybrid_check: {ORDER: [DENIED, DENIED]},
    checks: {ORDER: [DENIED] * 4},
    checks_of_the_tree: {ORDER: [DENIED, DENIED, OK]},
    checks_of_the_bot: {ORDER: [DENIED, DENIED, OK]},
    cooldowns: {ORDER: [OK, OK, DENIED, DENIED]},
    wrong_arguments: {ORDER: [PRESET, PRESET, PRESET, OK]},
    local_handlers: {ORDER: [PRESET, PRESET, OK, OK]},
    local_handlers_that_fail: {ORDER: [PRESET] * 4 + [OK] * 4},
    a_command_that_says_it_failed: {ORDER: [BUG, TIMEOUT]},
    buttons: {PANEL: [OK, DENIED, DENIED, DENIED]},
    selects: {PANEL: list(WAYS.values())},
    modals: {PANEL: [each for way in (*WAYS.values(), DENIED) for each in (OK, way)]},
    dynamic_items: {PANEL: [OK, PRESET, DENIED, PRESET]},
    handlers_set_late: {ORDER: [PRESET], PANEL: [BUG, PRESET]},
    an_error_of_a_listener: {ORDER: [OK]},
}


@pytest.mark.parametrize("act", CASES, ids=lambda act: act.__name__)
async def test_a_use_is_counted_once_and_the_host_notices_nothing(act, with_and_without, received):
    await with_and_without(act)
    expected = CASES[act]
    assert {o["event"] for o in received.observations()} == set(expected)
    for event, found in expected.items():
        assert outcomes(received, event) == found
        assert received.count(event, feature_action="invoke") == len(found)
    assert not received.dropped()


async def test_what_the_catalog_does_not_name_is_neither_sent_nor_dropped(
    with_and_without, received
):
    async def act(s: Stage):
        await s.panel()
        await s.send("!nothing of the kind")
        await s.send("no command at all")
        assert await s.alice.autocomplete(s.channel, "order", "how", "p")

    await with_and_without(act)
    assert received.observations() == []
    assert received.counts() == {}


async def test_a_rule_may_name_the_action(with_and_without, received):
    async def act(s: Stage):
        await s.slash("menu")
        await s.slash("menu", how="preset")

    await with_and_without(act)
    assert outcomes(received, "discord.menu") == [("open", "ok", None), PRESET]
    assert received.count("discord.menu", feature_action="invoke") == 0


async def test_the_server_is_sent_only_where_there_is_one(with_and_without, received):
    async def act(s: Stage):
        await s.slash("order", how="fine")
        await s.send("!order fine")
        await s.alice.click(await s.panel(), custom_id="panel:plain")
        bob = s.env.create_user("bob")
        await bob.slash("order", how="fine")
        await bob.send_dm("!order fine")
        await bob.send_dm("!order preset")

    stage = await with_and_without(act)
    guild = str(stage.env.guild.id)
    found = [(o["event"], o.get("guild_id")) for o in received.observations()]
    assert found == [(ORDER, guild), (ORDER, guild), (PANEL, guild), *[(ORDER, None)] * 3]
    assert outcomes(received, ORDER) == [OK] * 4 + [PRESET]


@pytest.mark.parametrize(
    ("declared", "carried"),
    [
        ("attributes: {guild_id: {type: string}}", "[guild_id]"),
        ("attributes: {guild_id: {type: string, hash: daily}}", "[]"),
    ],
)
async def test_a_server_that_is_not_declared_and_hashed_is_not_sent(
    declared, carried, catalog, connect, received
):
    event = f"discord.order: {{surface: discord, feature: order, attributes: {carried}"
    rules = 'match: [{discord: "*"}]}'
    catalog.write_text(f"product: shop\n{declared}\nevents:\n  {event}, {rules}\n")
    client, host = connect(received.endpoint), Host()
    instrument_discord(host, client=client)
    stage = await play(host, slash)
    assert client.flush()
    assert len(received.observations()) == len(WAYS)
    assert not [o for o in received.observations() if "guild_id" in o]
    assert str(stage.env.guild.id).encode() not in received.bytes
    assert not received.dropped()


async def test_uses_at_the_same_time_are_not_mixed_up(client, received):
    host, gates = Host(), {}

    @host.tree.command(name="order-wait")
    async def wait(interaction: discord.Interaction, how: str) -> None:
        gate = gates[how] = asyncio.Event()
        await stages[0].env.external_wait(gate.wait(), reason="another use")
        await run(interaction, how)

    @host.command(name="order-wait")
    async def wait_too(ctx: commands.Context, how: str) -> None:
        for each in ("timeout", "fine", "bug"):
            gates[each].set()
            await asyncio.sleep(0)
        await run(ctx, how)

    stages = []

    async def act(s: Stage):
        stages.append(s)
        for how in ("bug", "fine", "timeout"):
            await s.slash("order-wait", how=how)
        await s.send("!order-wait preset")

    instrument_discord(host, client=client)
    await play(host, act)
    assert client.flush()
    assert sorted(outcomes(received, ORDER), key=str) == sorted([BUG, OK, TIMEOUT, PRESET], key=str)
    assert received.count(ORDER, feature_action="invoke") == 4


async def test_a_command_that_runs_another_is_counted_as_two(client, received):
    host = Host()

    @host.command(name="order-twice")
    async def twice(ctx: commands.Context) -> None:
        message = ctx.message
        message.content = "!order preset"
        await host.process_commands(message)
        await run(ctx, "timeout")

    instrument_discord(host, client=client)
    await play(host, lambda s: s.send("!order-twice"))
    assert client.flush()
    assert outcomes(received, ORDER) == [PRESET, TIMEOUT]


async def test_an_error_of_a_command_that_is_not_counted_belongs_to_no_other(client, received):
    host = Host()

    @host.command(name="order-other")
    async def other(ctx: commands.Context) -> None:
        ctx.message.content = "!unknown-to-the-catalog"
        await host.process_commands(ctx.message)

    @host.command(name="unknown-to-the-catalog")
    async def unknown(ctx: commands.Context) -> None:
        raise PresetError

    instrument_discord(host, client=client)
    await play(host, lambda s: s.send("!order-other"))
    assert client.flush()
    assert outcomes(received, ORDER) == [OK]


async def test_what_the_application_says_about_exceptions_wins(connect, received):
    errors = {app_commands.AppCommandError: "out_of_stock", commands.CommandError: "out_of_stock"}
    client, host = connect(received.endpoint, errors=errors), Host()
    instrument_discord(host, client=client)

    async def act(s: Stage):
        for text in ("order-no", "order-both-no"):
            await s.slash(text)
            await s.send(f"!{text}")
        await s.slash("order", how="bug")
        await s.send("!order bug")
        await s.slash("order-pair sub", how="bug")

    await play(host, act)
    assert client.flush()
    own = ("failure", "error", "out_of_stock")
    assert outcomes(received, ORDER) == [own] * 4 + [BUG] * 3, "not what discord.py wraps it in"


async def test_a_use_that_is_cancelled_or_never_ends_is_not_kept(client, received):
    host, uses = Host(), []

    @host.tree.command(name="order-forever")
    async def forever(interaction: discord.Interaction) -> None:
        # A task outlives the command, and its context with it.
        uses.append(asyncio.create_task(host.wait_until_ready()))
        use = interaction.extras["use"] = Use()
        uses.append(weakref.ref(use))
        await stages[0].env.external_wait(asyncio.Event().wait(), reason="for ever")

    stages = []

    async def act(s: Stage):
        stages.append(s)
        await s.slash("order-forever")

    instrument_discord(host, client=client)
    await play(host, act)
    gc.collect()
    assert uses[1]() is None, "nothing holds the interaction"
    assert client.flush()
    assert outcomes(received, ORDER) == [TIMEOUT], "the bot was closed"


class Use:
    """What hangs on an interaction."""


async def test_only_what_happens_while_telemetry_is_on_is_counted(connect, received, catalog):
    client, host = Client(strict=True), Host()
    instrument_discord(host, client=client)

    async def act(s: Stage):
        await slash(s)
        await prefix(s)
        await s.alice.click(await s.panel(), custom_id="panel:plain")
        client.configure(catalog, received.endpoint, enabled=True)
        await s.slash("order", how="preset")
        assert client.shutdown()
        await s.slash("order", how="fine")

    await play(host, act)
    assert outcomes(received, ORDER) == [BUG], "preset: this client knows no exceptions"
    assert received.count(ORDER, feature_action="invoke") == 1
    assert received.emitted() == {ORDER: 2}


async def test_instrumenting_twice_does_nothing(client, connect, received):
    host, other = Host(), Host()
    instrument_discord(host, client=client)
    instrument_discord(host, client=connect(received.endpoint), statement_command=True)
    assert host.tree.get_command("telemetry") is None
    await play(host, slash)
    await play(other, slash)
    assert client.flush()
    assert outcomes(received, ORDER) == list(WAYS.values()), "and the other bot is not measured"


async def test_the_default_client_is_used_and_may_be_off(received):
    host = Host()
    instrument_discord(host)
    stage = await play(host, slash)
    assert stage.said[0] == "did fine"


async def test_default_handlers_log_as_before(client, caplog, received):
    """A listener of `on_command_error` would silence them; simcord's own is taken out."""

    class Plain(commands.Bot):
        def __init__(self) -> None:
            super().__init__("!", intents=discord.Intents.all())
            self.command(name="order")(prefix_order)
            self.tree.command(name="order")(slash_order)

        async def setup_hook(self) -> None:
            await self.tree.sync()

    async def prefix_order(ctx):
        raise PresetError

    async def slash_order(interaction: discord.Interaction):
        await interaction.response.send_message("panel", view=Broken())
        raise PresetError

    class Broken(discord.ui.View):
        @discord.ui.button(label="x", custom_id="panel:x")
        async def x(self, interaction, button):
            raise PresetError

    async def act(s: Stage):
        s.host.extra_events.pop("on_command_error")
        await s.send("!order")
        result = await s.alice.slash(s.channel, "order")
        await s.alice.click(result.response, custom_id="panel:x")

    logged = []
    for instrumented in (False, True):
        caplog.clear()
        bot = Plain()
        if instrumented:
            instrument_discord(bot, client=client)
        await play(bot, act)
        errors = [r for r in caplog.records if r.levelno >= logging.ERROR]
        logged.append([(r.name, r.msg, type(r.exc_info[1])) for r in errors])
    assert logged[0] == logged[1]
    assert len(logged[0]) == 3
    assert client.flush()
    assert outcomes(received, ORDER) == [PRESET, PRESET]
    assert outcomes(received, PANEL) == [PRESET]


async def test_a_plain_client_with_a_tree_made_later(client, received):
    class Small(discord.Client):
        async def setup_hook(self) -> None:
            self.commands = app_commands.CommandTree(self)
            self.commands.command(name="order")(order)
            await self.commands.sync()

    async def order(interaction: discord.Interaction, how: str):
        await run(interaction, how)

    bot = Small(intents=discord.Intents.all())
    instrument_discord(bot, client=client)
    await play(bot, slash)
    assert client.flush()
    assert outcomes(received, ORDER) == list(WAYS.values())


async def test_a_missing_discord_py_is_one_plain_warning(monkeypatch, caplog):
    monkeypatch.setitem(__import__("sys").modules, "discord", None)
    instrument_discord(object(), client=Client(strict=True))
    (record,) = caplog.records
    assert (record.name, record.levelname) == ("footfall", "WARNING")
    assert "pip install 'footfall[discord]'" in record.getMessage()


async def test_an_error_of_footfall_itself_never_reaches_the_bot(
    catalog, received, monkeypatch, caplog
):
    client, host = Client(), Host()
    client.configure(catalog, received.endpoint, enabled=True)
    instrument_discord(host, client=client)
    instrument_discord(object(), client=client)

    places = [
        (client, "match"),
        (client, "declared"),
        (client, "feature"),
        (client.recorder, "failure"),
        (client.recorder, "ended"),
        (_run, "_fail"),
    ]

    async def act(s: Stage):
        for owner, name in places:
            with monkeypatch.context() as patch:
                patch.setattr(owner, name, None)
                await s.slash("order", how="fine")
                await s.slash("order", how="preset")
                await s.send("!order fine")

    stage = await play(host, act)
    client.shutdown()
    assert stage.said == ["did fine", None] * len(places)
    assert [what for what, *_ in host.seen].count("completion") == len(places)
    assert [what for what, *_ in host.seen].count("tree.error") == len(places)
    assert {r.name for r in caplog.records if r.levelno >= logging.WARNING} == {"footfall"}
