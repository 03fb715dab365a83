"""The product itself, on real sockets, with telemetry off: it serves its users all the same."""

import asyncio
import logging
import secrets
from concurrent.futures import Future
from dataclasses import replace
from pathlib import Path

import discord
import pytest
import racetime_bot
from discord.ext import commands
from fastapi import FastAPI

from footfall_examples.sahasrahbot import cogs, plan, planted, races
from footfall_examples.sahasrahbot.app import create_app
from footfall_examples.sahasrahbot.bot import create_bot
from footfall_examples.sahasrahbot.drive import Tally, WrongAnswer, drive
from footfall_examples.sahasrahbot.offline_discord import SHARDS, Discord, shard
from footfall_examples.sahasrahbot.stage import serving
from footfall_examples.sahasrahbot.steps import Act, Chat, Press, Request, Slash, Step
from footfall_examples.sahasrahbot.threads import in_a_thread

VALUES = planted.load()
STEPS = plan.make(VALUES)[:200]


def of(kind: type, steps: list[Step] = STEPS) -> list[Step]:
    return [step for step in steps if isinstance(step.ask, kind)]


async def test_every_request_command_and_button_is_answered_as_planned(
    caplog: pytest.LogCaptureFixture,
) -> None:
    tally, done = Tally(), []
    caplog.set_level(logging.DEBUG)
    async with serving() as product:
        await drive(STEPS, product, tally, lambda: done.append(1))
    assert len(done) == len(STEPS)
    assert tally.uses.total() == sum(len(step.uses) for step in STEPS)
    assert tally.failures.total() == sum(bool(u.error_type) for s in STEPS for u in s.uses)
    assert tally.guilds == {step.ask.guild_id for step in of(Act)}

    # It was the real bots that answered: their own code has logged it.
    files = {Path(record.pathname).parts[-2:]: record.name for record in caplog.records}
    assert files["discord", "client.py"] == "discord.client"
    assert files["racetime_bot", "handler.py"] == "sahasrahbot.races"
    commands_in_rooms = [r for r in caplog.messages if "Calling handler for !" in r]
    assert len(commands_in_rooms) == len(of(Chat))
    interactions = [r for r in caplog.messages if r == "Dispatching event interaction"]
    forms = [s for s in of(Act) if isinstance(s.ask.does, Press) and s.ask.does.form]
    typed = [s for s in of(Act) if isinstance(s.ask.does, Slash | Press)]
    guilds = planted.of_kind(VALUES, "guild_id")
    assert len(interactions) == len(typed) + len(forms) + len(guilds)  # each guild gets its panel


def test_the_bots_and_the_application_are_real_ones() -> None:
    assert isinstance(create_bot(), commands.Bot)
    assert issubclass(races.RaceBot, racetime_bot.Bot)
    assert issubclass(races.RaceRoom, racetime_bot.RaceHandler)
    assert isinstance(create_app(), FastAPI)


@pytest.mark.requirement("G7")
def test_the_bot_has_receipts_where_it_is_given_a_secret(monkeypatch: pytest.MonkeyPatch) -> None:
    def names() -> set[str]:
        (command,) = [c for c in create_bot().tree.get_commands() if c.name == "telemetry"]
        if isinstance(command, discord.app_commands.Group):
            return {each.name for each in command.commands}
        return set()

    monkeypatch.delenv("FOOTFALL_RECEIPT_SECRET", raising=False)
    assert names() == set()
    monkeypatch.setenv("FOOTFALL_RECEIPT_SECRET", secrets.token_hex(32))
    assert names() == {"about", "me", "forget"}


def test_no_cog_knows_of_telemetry() -> None:
    files = list(Path(cogs.__path__[0]).glob("*.py"))
    assert {file.stem for file in files} == {
        "__init__", "generator", "daily", "asynctournament", "racetime_tools",
    }  # fmt: skip
    for file in files:
        assert "footfall" not in file.read_text().replace("footfall_examples", ""), file


async def test_members_and_channels_have_the_names_and_ids_that_are_planted() -> None:
    seen: set[tuple[int, str, int | None, int | None]] = set()

    async def on_interaction(interaction: discord.Interaction) -> None:
        user = interaction.user
        seen.add((user.id, str(user), interaction.guild_id, interaction.channel_id))

    guilds = [int(one) for one in planted.of_kind(VALUES, "guild_id")]
    review = Slash("asynctournament review", {"runner": "x", "verdict": "y"})
    for number in range(SHARDS):
        bot = create_bot()
        bot.add_listener(on_interaction)
        users = Discord(bot, VALUES, number)
        async with in_a_thread(users.serve):
            for guild in guilds:
                if shard(guild) == number:
                    for member in planted.members(VALUES):
                        await users.do(Act(guild, member, review))
    ids, names, places, channels = map(set, zip(*seen, strict=True))
    assert ids >= {int(one) for one in planted.of_kind(VALUES, "user_id", "legacy_user_id")}
    assert names == set(planted.of_kind(VALUES, "user_name", "discriminator"))
    assert places == set(guilds)
    assert channels >= {int(one) for one in planted.of_kind(VALUES, "channel_id")}


@pytest.mark.parametrize("kind", [Request, Act, Chat])
async def test_another_answer_than_planned_ends_the_drive(kind: type) -> None:
    step = replace(of(kind)[0], answer="something else")
    async with serving() as product:
        with pytest.raises(WrongAnswer, match="planned was something else"):
            await drive([step], product, Tally(), lambda: None)


async def test_a_wrong_answer_is_not_quoted_for_bots_call_people_by_name() -> None:
    refused = next(step for step in of(Chat) if step.answer == "Sorry ")
    async with serving() as product:
        with pytest.raises(WrongAnswer) as raised:
            await drive([replace(refused, answer="?")], product, Tally(), lambda: None)
    assert str(raised.value) == "a message in a race room was answered otherwise, planned was ?"


async def test_a_web_api_that_is_away_is_said_in_one_line() -> None:
    async with serving() as product:
        pass
    with pytest.raises(WrongAnswer, match=r"/\w+ was not answered \(ConnectError\)$"):
        await drive(of(Request)[:1], product, Tally(), lambda: None)


async def test_what_runs_in_a_thread_is_cancelled_there_at_the_end() -> None:
    ended = Future[int]()

    async def main(ready: Future[None]) -> None:
        ready.set_result(None)
        try:
            await asyncio.Event().wait()
        finally:
            await asyncio.sleep(0)
            ended.set_result(1)

    async with in_a_thread(main):
        assert not ended.done()
    assert ended.done()


async def test_what_cannot_start_in_a_thread_says_why() -> None:
    async def main(ready: Future[None]) -> None:
        raise OSError("no")

    with pytest.raises(OSError, match=r"^no$"):
        async with in_a_thread(main):
            raise AssertionError
