"""Drives the product as its users would, and keeps the books: what was done, known without Footfall."""

import asyncio
import sys
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Final

import httpx

from footfall_examples.sahasrahbot.offline_discord import Discord, shard
from footfall_examples.sahasrahbot.offline_racetime import Racetime
from footfall_examples.sahasrahbot.steps import Act, Chat, Request, Step, Use

USERS: Final = 8
"""How many users are active at a time."""
PATIENCE: Final = 30.0
"""Seconds until the product must have answered."""


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

    def add(self, step: Step) -> None:
        """Enters a step."""
        self.add_uses(step.uses)
        if isinstance(step.ask, Act):
            self.guilds.add(step.ask.guild_id)

    def add_uses(self, uses: Iterable[Use]) -> None:
        """Enters uses."""
        for use in uses:
            self.uses[use.event, use.action] += 1
            if use.error_type is not None:
                self.failures[use.event, use.error_type] += 1


@dataclass(frozen=True, slots=True)
class Product:
    """The product's surfaces, as its users reach them.

    Attributes:
        url: Of the web API.
        discord: Where its Discord bots are, by shard.
        racetime: Where its racetime.gg bot is.
        site: The address of that.
    """

    url: str
    discord: Sequence[Discord]
    racetime: Racetime
    site: str


async def drive(
    steps: Sequence[Step], product: Product, tally: Tally, advance: Callable[[], None]
) -> None:
    """Carries out all steps, USERS at a time on each surface, and enters each when it is done.

    Args:
        steps: The plan.
        product: What is driven.
        tally: The books.
        advance: Called after every step.

    Raises:
        WrongAnswer: the product did not answer, or not as planned.
    """
    with httpx.Client(base_url=product.url, trust_env=False, timeout=PATIENCE) as web:

        async def user(waiting: Iterator[Step]) -> None:
            for step in waiting:
                await _take(step, product, web)
                tally.add(step)
                advance()

        try:
            async with asyncio.TaskGroup() as users:
                for surface in (Request, Act, Chat):
                    waiting = iter([step for step in steps if isinstance(step.ask, surface)])
                    for _ in range(USERS):
                        users.create_task(user(waiting))
        except ExceptionGroup as group:
            raise group.exceptions[0] from None
    await product.racetime.finish()


async def _take(step: Step, product: Product, web: httpx.Client) -> None:
    """Takes a step; what it is answered is not repeated in an error, for bots call people by name."""
    try:
        answer = await asyncio.wait_for(_ask(step.ask, product, web), PATIENCE)
    except Exception as error:
        kind = type(error).__name__
        raise WrongAnswer(f"{step.ask} was not answered ({kind})") from None
    if not str(answer).startswith(str(step.answer)):
        got = answer if isinstance(answer, int) else "otherwise"
        raise WrongAnswer(f"{step.ask} was answered {got}, planned was {step.answer}")


async def _ask(ask: Request | Act | Chat, product: Product, web: httpx.Client) -> int | str:
    """Does something and returns a response's status, or what a bot replied."""
    match ask:
        case Request(method, path, query, headers, body):
            # In a thread of its own, as a user's browser would, not in the product's loop.
            request = partial(web.request, params=query, headers=headers, json=body)
            return (await asyncio.to_thread(request, method, path)).status_code
        case Act():
            return await product.discord[shard(ask.guild_id)].do(ask)
        case Chat():
            return await product.racetime.say(ask)


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
