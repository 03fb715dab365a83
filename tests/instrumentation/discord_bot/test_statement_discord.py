"""The admin-only command that says what is collected."""

import discord
import pytest
import simcord

from footfall import Client
from footfall.discord import instrument_discord
from instrumentation.discord_bot.host import Host

ADMINISTRATOR = discord.Permissions(administrator=True)


async def ask(host, permissions=ADMINISTRATOR):
    """The messages that `/telemetry` answers a member who has these permissions."""
    async with simcord.run(host) as env:
        guild = env.create_guild()
        channel = guild.create_text_channel("general")
        role = guild.create_role("staff", permissions=permissions)
        member = guild.add_member(env.create_user("alice"), roles=[role])
        result = await member.slash(channel, "telemetry")
        assert result.ephemeral
        assert all(message.ephemeral for message in result.followups)
        return [result.response.content, *(message.content for message in result.followups)]


async def test_it_says_what_is_collected_while_telemetry_is_on(client, received):
    host = Host()
    instrument_discord(host, client=client, statement_command=True)
    (text,) = await ask(host)
    assert text.startswith("Telemetry is on right now.")
    for words in (
        "shop",
        "discord.order: An order was made.",
        "guild_id",
        "every day",
        "IP addresses",
    ):
        assert words in text
    assert received.endpoint.removeprefix("http://") not in text


async def test_it_says_when_telemetry_is_off():
    host = Host()
    instrument_discord(host, client=Client(strict=True), statement_command=True)
    assert await ask(host) == [
        "Telemetry is off right now: nothing is collected and nothing is sent."
    ]


async def test_it_is_for_administrators_in_servers(client):
    host = Host()
    instrument_discord(host, client=client, statement_command=True)
    with pytest.raises(simcord.SetupError):
        await ask(host, discord.Permissions(manage_guild=True))
    command = host.tree.get_command("telemetry")
    assert command.to_dict(host.tree)["default_member_permissions"] == ADMINISTRATOR.value
    assert command.to_dict(host.tree)["dm_permission"] is False


async def test_it_is_added_only_when_asked_for(client):
    host = Host()
    instrument_discord(host, client=client)
    assert host.tree.get_command("telemetry") is None


async def test_a_long_statement_comes_in_several_messages(catalog, connect, received):
    events = "".join(
        f"  shop.e{n}: {{surface: web, feature: e, description: {'word ' * 20}}}\n"
        for n in range(50)
    )
    long = f"  shop.long: {{surface: web, feature: e, description: {'x' * 4_500}}}\n"
    catalog.write_text(f"product: shop\nevents:\n{events}{long}")
    host = Host()
    instrument_discord(host, client=connect(received.endpoint), statement_command=True)
    parts = await ask(host)
    assert len(parts) > 3
    assert all(len(part) <= 2_000 for part in parts)
    assert all(len(part) > 1_000 for part in parts[:-1]), "no more messages than are needed"
    for n in range(50):
        line = f"- shop.e{n}: {'word ' * 19}word.".replace(": w", ": W")
        assert sum(line in part for part in parts) == 1, "no line is cut that fits"
    assert "".join(parts).count("xx") == 2_249


async def test_a_reply_that_fails_is_not_the_hosts_error(catalog, received, caplog):
    client, host = Client(), Host()
    client.configure(catalog, received.endpoint, enabled=True)
    instrument_discord(host, client=client, statement_command=True)
    async with simcord.run(host) as env:
        channel = env.create_guild(owner=(owner := env.create_user("o"))).create_text_channel("c")
        env.inject_error("POST", "/interactions/*")
        await env.guild.add_member(owner).slash(channel, "telemetry")
    client.shutdown()
    assert "tree.error" not in [what for what, *_ in host.seen]
    assert "HTTPException in a call" in caplog.text


@pytest.mark.parametrize("has", ["a command of this name", "no tree"])
async def test_a_tree_that_cannot_take_it_gets_one_warning(has, client, caplog):
    host = Host() if has != "no tree" else discord.Client(intents=discord.Intents.none())
    if has != "no tree":
        host.tree.command(name="telemetry")(own)
    instrument_discord(host, client=client, statement_command=True)
    (record,) = [r for r in caplog.records if r.name == "footfall"]
    assert "/telemetry was not added" in record.getMessage()
    assert has == "no tree" or host.tree.get_command("telemetry").callback is own


async def own(interaction: discord.Interaction) -> None: ...
