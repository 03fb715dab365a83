"""A way to run a bot with Footfall and without."""

from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from footfall import Client
from footfall.discord import instrument_discord
from instrumentation.discord_bot.host import CATALOG, Act, Host, PresetError, Stage, play

Play = Callable[..., Awaitable[Stage]]


@pytest.fixture
def catalog_text() -> str:
    return CATALOG


@pytest.fixture
def client(connect: Callable[..., Client], received: Any) -> Client:
    """A client that knows an exception of the application."""
    return connect(received.endpoint, errors={PresetError: "invalid_preset"})


@pytest.fixture
def with_and_without(client: Client, caplog: pytest.LogCaptureFixture) -> Play:
    """Plays the same twice, without Footfall and with it, and compares all that the host can see."""

    async def both(act: Act, make: Callable[[], Any] = Host) -> Stage:
        visible = []
        for instrumented in (False, True):
            caplog.clear()
            host = make()
            if instrumented:
                instrument_discord(host, client=client)
            stage = await play(host, act)
            logged = [(r.name, r.levelname, r.msg) for r in caplog.records]
            requests = [(r.method, r.path) for r in stage.env.http_requests]
            visible.append((host.seen, stage.said, requests, sorted(logged)))
        assert visible[0] == visible[1]
        assert client.flush()
        return stage

    return both
