"""R-number G7: `/telemetry me` and `/telemetry forget`, before a real collector."""

import hashlib
import hmac
import re
import secrets
from collections.abc import Iterator
from typing import Any

import discord
import psycopg
import pytest
import simcord

from collector.http_api.conftest import collector
from collector.keyed import ALL
from conftest import new_database
from footfall import Client
from footfall.discord import instrument_discord
from instrumentation.discord_bot.host import Host
from support.ports import free_port

CATALOG = """
product: shop
attributes:
  guild_id: {type: string, hash: daily}
  receipt_id: {type: string, hash: static}
events:
  discord.order:
    surface: discord
    feature: order
    attributes: [guild_id, receipt_id]
    match: [{discord: "order"}, {discord: "order *"}, {discord: "order-*"}]
  discord.inside: {surface: discord, feature: inside, actions: [used], attributes: [receipt_id]}
"""
SECRET = secrets.token_hex(32)
NOTHING = "Nothing is stored of you."

pytestmark = pytest.mark.requirement("G7")


@pytest.fixture(scope="module")
def shared(postgres_server: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    folder = tmp_path_factory.mktemp("receipts")
    (folder / "events.yaml").write_text(CATALOG)
    with new_database(postgres_server) as dsn:
        api = collector(folder, dsn, folder / "events.yaml")  # type: ignore[no-untyped-call]
        api.catalog = folder / "events.yaml"
        yield api
        api.http.close()
        api.up.stop()


@pytest.fixture
def api(shared: Any, monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.setenv("FOOTFALL_API_URL", f"{shared.http.base_url}/telemetry")
    monkeypatch.setenv("FOOTFALL_RECEIPT_SECRET", SECRET)
    with psycopg.connect(shared.dsn, autocommit=True) as connection:
        connection.execute("TRUNCATE footfall.feature_events, footfall.feature_counts")
    return shared


@pytest.fixture
def client(api: Any) -> Iterator[Client]:
    client = Client(strict=True)
    client.configure(
        api.catalog,
        str(api.http.base_url),
        protocol="http/protobuf",
        headers={"authorization": f"Bearer {ALL}"},
        enabled=True,
    )
    yield client
    client.shutdown(0.2)


def bot(client: Client, **options: Any) -> Host:
    host = Host()

    @host.tree.command(name="order-inside")
    async def inside(interaction: discord.Interaction) -> None:
        client.event("discord.inside")
        await interaction.response.send_message("done")

    instrument_discord(host, client=client, receipts=True, **options)
    return host


async def text(member: Any, channel: Any, command: str) -> str:
    """What `/telemetry …` answers, to whoever asked alone."""
    result = await member.slash(channel, f"telemetry {command}")
    messages = [m for m in (result.response, *result.followups) if m is not None and m.content]
    assert messages
    assert result.ephemeral
    assert all(message.ephemeral for message in messages)
    return "\n".join(message.content for message in messages)


async def test_each_is_told_of_themselves_and_has_it_erased(api: Any, client: Client) -> None:
    async with simcord.run(bot(client)) as env:
        guild = env.create_guild()
        channel = guild.create_text_channel("general")
        alice, bob = (guild.add_member(env.create_user(name)) for name in ("alice", "bob"))
        await alice.slash(channel, "order-cog", how="fine")
        await alice.slash(channel, "order-inside")
        await alice.send(channel, "!order-cog fine")
        await bob.slash(channel, "order-cog", how="fine")
        assert client.flush()
        said = await text(alice, channel, "me")
        assert re.findall(r"^- [\d-]{10} (.*)", said, re.M) == [
            "discord.inside: 1",
            "discord.order: 3",
        ]
        assert await text(alice, channel, "forget") == (
            "Erased: 4. What you do from now on is counted again."
        )
        assert await text(alice, channel, "me") == await text(alice, channel, "forget") == NOTHING
        assert "discord.order: 1" in await text(bob, channel, "me")
        await alice.slash(channel, "order-cog", how="fine")
        assert client.flush()
        assert "discord.order: 1" in await text(alice, channel, "me")


async def test_the_token_is_derived_and_the_id_is_nowhere(api: Any, client: Client) -> None:
    async with simcord.run(bot(client)) as env:
        guild = env.create_guild()
        channel = guild.create_text_channel("general")
        alice = guild.add_member(env.create_user("alice"))
        await alice.slash(channel, "order-cog", how="fine")
        await text(alice, channel, "me")
        number = str(alice.id)
    assert client.flush()
    message = b"footfall receipt\0" + number.encode()
    token = hmac.digest(SECRET.encode(), message, "sha256").hex()
    headers = {"footfall-receipt-token": token}
    assert api.http.get("/telemetry/receipt", headers=headers).json()["events"] == 1
    rows = str(api.query("SELECT e::text FROM footfall.feature_events e"))
    digest = hashlib.sha256(token.encode()).hexdigest()
    for secret in (number, f"{int(number):x}", token, digest):
        assert secret not in rows + api.up.log.read_text()


async def test_everybody_may_and_reads_the_statement_there(client: Client) -> None:
    host = bot(client, statement_command=True)
    async with simcord.run(host) as env:
        guild = env.create_guild()
        channel = guild.create_text_channel("general")
        alice = guild.add_member(env.create_user("alice"))
        assert (await text(alice, channel, "about")).startswith("Telemetry is on right now.")
        assert await text(alice, channel, "me") == NOTHING
    command = host.tree.get_command("telemetry")
    assert command is not None
    assert command.to_dict(host.tree)["default_member_permissions"] is None


async def test_a_collector_away_is_said_without_its_address(
    client: Client, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("FOOTFALL_API_URL", f"http://127.0.0.1:{free_port()}/telemetry")
    async with simcord.run(bot(client)) as env:
        guild = env.create_guild()
        channel = guild.create_text_channel("general")
        alice = guild.add_member(env.create_user("alice"))
        for command in ("me", "forget"):
            said = await text(alice, channel, command)
            assert said.startswith("That is not possible right now, and nothing has changed.")
    assert caplog.text.count("the collector does not answer") == 2
    assert str(alice.id) not in caplog.text


async def test_without_a_secret_the_bot_is_measured_without(
    api: Any, client: Client, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.delenv("FOOTFALL_RECEIPT_SECRET")
    host = bot(client, statement_command=True)
    (record,) = [r for r in caplog.records if r.name == "footfall"]
    assert "FOOTFALL_RECEIPT_SECRET is not set" in record.getMessage()
    async with simcord.run(host) as env:
        guild = env.create_guild()
        channel = guild.create_text_channel("general")
        await guild.add_member(env.create_user("alice")).slash(channel, "order-cog", how="fine")
    assert client.flush()
    assert api.query("SELECT receipt_hash FROM footfall.feature_events") == [(None,)]
    command = host.tree.get_command("telemetry")
    assert isinstance(command, discord.app_commands.Command)


async def test_a_bot_without_receipts_sends_none(api: Any, client: Client) -> None:
    host = Host()
    instrument_discord(host, client=client)
    async with simcord.run(host) as env:
        guild = env.create_guild()
        channel = guild.create_text_channel("general")
        await guild.add_member(env.create_user("alice")).slash(channel, "order-cog", how="fine")
    assert client.flush()
    assert api.query("SELECT receipt_hash FROM footfall.feature_events") == [(None,)]
    assert host.tree.get_command("telemetry") is None
