"""The randomizers, Discord and a database as the product sees them over the network; here they are faked.

A randomizer behaves as the preset it is asked for says, and its errors quote whoever asked, as errors
in real life do.
"""

import asyncio
import random
from collections.abc import Mapping
from typing import Final, Literal

import footfall

Provider = Literal["alttpr", "smz3", "smr", "z2r", "ffr"]
PATIENCE = 0.15
"""Seconds that the product waits for a randomizer."""

OPEN = "open"
CROSSKEYS = "crosskeys"
RETRANCE = "retrance"
FESTIVE = "festive"
CASUALBOOTS = "casualboots"
"""Presets: answered at once, slowly, never; unreachable; answered with nonsense. Others do not exist."""


class PresetError(ValueError):
    """A preset that the randomizer does not know."""


_APOLOGIES: Final[Mapping[type[Exception], str]] = {
    PresetError: "There is no such preset.",
    PermissionError: "You may not do this.",
    ConnectionError: "The randomizer is down.",
    TimeoutError: "The randomizer takes too long.",
}


def apology(error: Exception) -> str:
    """What people are told of an exception; never its message."""
    told = (text for kind, text in _APOLOGIES.items() if isinstance(error, kind))
    return next(told, "Something went wrong.")


async def generate(provider: str, preset: str, requester: str) -> str:
    """Asks a randomizer for a seed and returns where it lies.

    Raises:
        TimeoutError: it did not answer in time.
        ConnectionRefusedError: it is down.
        PresetError: it refused the preset.
        RuntimeError: its answer makes no sense.
    """
    footfall.current().set(provider=provider)  # whichever feature asks: only here it is known
    async with asyncio.timeout(PATIENCE if preset == RETRANCE else None):
        await asyncio.sleep(_thinking(preset))
    if preset == FESTIVE:
        raise ConnectionRefusedError(f"{provider} refused the connection made for {requester}")
    if preset == CASUALBOOTS:
        raise RuntimeError(f"no hash in {provider}'s answer to {requester}")
    if preset not in (OPEN, CROSSKEYS):
        raise PresetError(f"{requester} asked {provider} for {preset}, which does not exist")
    return f"https://{provider}.example/seed/{random.getrandbits(40):x}"


def _thinking(preset: str) -> float:
    """Seconds until a randomizer answers."""
    if preset == RETRANCE:
        return 60.0
    low, high = (0.2, 0.6) if preset == CROSSKEYS else (0.002, 0.03)
    return random.uniform(low, high)  # noqa: S311  # no secret


async def exchange(code: str) -> int:
    """Shows Discord an OAuth code; the HTTP status of its answer stands at the code's end."""
    await asyncio.sleep(random.uniform(0.004, 0.02))  # noqa: S311  # no secret
    return int(code.rpartition("-")[2])


async def query() -> None:
    """Asks the product's own database, which takes a moment."""
    await asyncio.sleep(random.uniform(0.001, 0.004))  # noqa: S311  # no secret
