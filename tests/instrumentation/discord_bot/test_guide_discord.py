"""The guide's program, run as it stands in the document; only the network is simcord's."""

import asyncio
import re
from pathlib import Path

import discord
import pytest
import simcord

import footfall

GUIDE = Path(__file__).parents[3] / "docs" / "guides" / "discord.md"


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", GUIDE.read_text(encoding="utf-8"), re.DOTALL)


async def use(bot: discord.Client) -> list[str]:
    async with simcord.run(bot) as env:
        guild = env.create_guild()
        channel = guild.create_text_channel("general")
        alice = guild.add_member(env.create_user("alice"))
        result = await alice.slash(channel, "generator", preset="open")
        await alice.slash(channel, "generator", preset="standard")
        await alice.send(channel, f"{bot.user.mention} generator open")
        assert "telemetry" not in alice.available_commands(channel)
        assert bot.tree.get_command("telemetry")
        return [result.response.content]


@pytest.fixture
def default_client(monkeypatch, received, tmp_path):
    monkeypatch.setenv("TELEMETRY_ENABLED", "true")
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", received.endpoint)
    monkeypatch.chdir(tmp_path)
    yield
    footfall.shutdown(0.2)


def test_the_program_counts(default_client, monkeypatch, received, tmp_path):
    said = []
    monkeypatch.setattr(
        discord.Client, "run", lambda bot, token: said.extend(asyncio.run(use(bot)))
    )
    (catalog,), (program,) = blocks("yaml"), blocks("python")
    assert len(program.splitlines()) <= 20
    (tmp_path / "events.yaml").write_text(catalog)
    exec(compile(program, str(GUIDE), "exec"), {"__name__": "__main__"})
    assert said == ["A seed for open"]
    assert footfall.flush()
    found = [(o["event"], o["feature.status"], "guild_id" in o) for o in received.observations()]
    assert found == [("discord.generator", "ok", True)] * 2
    assert received.count("discord.generator", feature_action="invoke") == 2


def test_every_link_of_the_guide_leads_somewhere():
    for target in re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", GUIDE.read_text(encoding="utf-8")):
        assert (GUIDE.parent / target).is_file(), target
