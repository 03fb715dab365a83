"""The product itself, on real sockets, with telemetry off: it serves its users all the same."""

from dataclasses import replace

import pytest

from footfall_examples.sahasrahbot import plan, planted
from footfall_examples.sahasrahbot.drive import Tally, WrongAnswer, drive
from footfall_examples.sahasrahbot.stage import serving_bot, serving_web

STEPS = plan.make(planted.load())[:300]


async def test_every_request_and_command_is_answered_as_planned() -> None:
    tally, done = Tally(), []
    async with serving_web() as url, serving_bot() as bot:
        await drive(STEPS, url, bot, tally, lambda: done.append(1))
    assert len(done) == len(STEPS)
    assert tally.uses.total() == sum(len(step.uses) for step in STEPS)
    assert tally.failures.total() == sum(bool(u.error_type) for s in STEPS for u in s.uses)
    assert tally.guilds == {int(getattr(s.ask, "guild_id", 0)) for s in STEPS} - {0}


@pytest.mark.parametrize("answer", [418, "something else"])
async def test_another_answer_than_planned_ends_the_drive(answer: int | str) -> None:
    step = next(step for step in STEPS if type(step.answer) is type(answer))
    async with serving_web() as url, serving_bot() as bot:
        with pytest.raises(WrongAnswer, match=f"planned was {answer}"):
            await drive([replace(step, answer=answer)], url, bot, Tally(), lambda: None)


async def test_a_web_api_that_is_away_is_said_in_one_line() -> None:
    step = next(step for step in STEPS if isinstance(step.answer, int))
    async with serving_web() as url, serving_bot() as bot:
        pass
    with pytest.raises(WrongAnswer, match=r"/\w+ was not answered \(ConnectError\)$"):
        await drive([step], url, bot, Tally(), lambda: None)
