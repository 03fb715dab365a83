"""Drives the product as its users would, and keeps the books: what was done, known without Footfall."""

import asyncio
import sys
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import httpx

from footfall_examples.sahasrahbot.bot import Bot
from footfall_examples.sahasrahbot.plan import Request, Step, Use

USERS: Final = 8
"""How many users are active at a time."""


class WrongAnswer(Exception):  # what happened
    """The product answered otherwise than planned, so the books would be wrong."""


@dataclass(slots=True)
class Tally:
    """The books.

    Attributes:
        uses: (event, action) → how often.
        failures: (event, error type) → how often.
        guilds: The Discord guilds that were active.
    """

    uses: Counter[tuple[str, ...]] = field(default_factory=Counter)
    failures: Counter[tuple[str, ...]] = field(default_factory=Counter)
    guilds: set[int] = field(default_factory=set)

    def add(self, uses: Iterable[Use]) -> None:
        """Enters uses."""
        for use in uses:
            self.uses[use.event, use.action] += 1
            if use.error_type is not None:
                self.failures[use.event, use.error_type] += 1


async def drive(
    steps: Sequence[Step], url: str, bot: Bot, tally: Tally, advance: Callable[[], None]
) -> None:
    """Carries out all steps, USERS at a time, and enters each when it is done.

    Args:
        steps: The plan.
        url: Where the web API is.
        bot: The bot.
        tally: The books.
        advance: Called after every step.

    Raises:
        WrongAnswer: the product did not answer, or not as planned.
    """
    waiting = iter(steps)
    with httpx.Client(base_url=url, trust_env=False, timeout=30) as web:
        try:
            async with asyncio.TaskGroup() as users:
                for _ in range(USERS):
                    users.create_task(_user(waiting, web, bot, tally, advance))
        except ExceptionGroup as group:
            raise group.exceptions[0] from None


async def _user(
    waiting: Iterator[Step],
    web: httpx.Client,
    bot: Bot,
    tally: Tally,
    advance: Callable[[], None],
) -> None:
    for step in waiting:
        if isinstance(step.ask, Request):
            answer: int | str = await asyncio.to_thread(_request, web, step.ask)
            what = f"{step.ask.method} {step.ask.path}"
        else:
            answer = await bot.send(step.ask)
            what = f"the command {step.ask.command}"
            tally.guilds |= {step.ask.guild_id} - {0}
        if answer != step.answer:
            raise WrongAnswer(f"{what} was answered {answer}, planned was {step.answer}")
        tally.add(step.uses)
        advance()


def _request(web: httpx.Client, ask: Request) -> int:
    """Makes a request in a thread of its own, as a user's browser would, not in the product's loop."""
    try:
        response = web.request(
            ask.method, ask.path, params=ask.query, headers=ask.headers, json=ask.body
        )
    except httpx.HTTPError as error:
        kind = type(error).__name__
        raise WrongAnswer(f"{ask.method} {ask.path} was not answered ({kind})") from None
    return response.status_code


async def run_plain_program(endpoint: str, log: Path) -> None:
    """Runs the program that knows OpenTelemetry alone, to its end.

    Args:
        endpoint: The collector's URL.
        log: Takes what it prints.

    Raises:
        WrongAnswer: it failed.
    """
    module = "footfall_examples.sahasrahbot.plain_otel"
    with log.open("ab") as output:
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", module, endpoint, stdout=output, stderr=output
        )
    try:
        if await process.wait():
            raise WrongAnswer(f"the plain OpenTelemetry program failed with {process.returncode}")
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
