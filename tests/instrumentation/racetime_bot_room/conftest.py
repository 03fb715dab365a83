"""A racetime.gg on loopback, with real HTTP and WebSockets, and the real racetime-bot in its rooms."""

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import pytest
import racetime_bot
from aiohttp import web

from footfall import Client
from footfall.racetime import instrument_racetime

CATALOG = """
product: racebot
error_types: [out_of_seeds]
events:
  racetime.room.command: {surface: racetime, feature: room, match: [{racetime: "*"}]}
  racetime.seed.generate:
    surface: racetime
    feature: seed
    actions: [success, failure]
    match: [{racetime: generate_seed()}]
"""


@pytest.fixture
def catalog_text() -> str:
    return CATALOG


@dataclass
class Room:
    """A race room: what people say in it, and what the bot does."""

    race: dict[str, Any]
    socket: web.WebSocketResponse | None = None
    entered: asyncio.Event = field(default_factory=asyncio.Event)
    left: asyncio.Event = field(default_factory=asyncio.Event)
    actions: asyncio.Queue[dict[str, Any]] = field(default_factory=asyncio.Queue)

    async def say(self, text: str, user: dict[str, Any] | None = None, **about: Any) -> None:
        """A message by `user`, as racetime.gg sends it to bots."""
        message = {
            "id": "kX3dPzQ",
            "user": {"id": "Wn0", "name": "someone", "can_moderate": False, **(user or {})},
            "bot": None,
            "message": text,
            "message_plain": text,
            "is_bot": False,
            "is_system": False,
            "is_monitor": False,
            **about,
        }
        await self._send({"type": "chat.message", "message": message})

    async def hear(self) -> str:
        """The next message of the bot."""
        action = await asyncio.wait_for(self.actions.get(), 5)
        return str(action["data"]["message"])

    async def finish(self) -> list[str]:
        """Ends the race, which the bot notices when it has done all else, and what it said meanwhile."""
        await self._send(
            {"type": "race.data", "race": {**self.race, "status": {"value": "finished"}}}
        )
        await asyncio.wait_for(self.left.wait(), 5)
        return [self.actions.get_nowait()["data"]["message"] for _ in range(self.actions.qsize())]

    async def _send(self, data: dict[str, Any]) -> None:
        await asyncio.wait_for(self.entered.wait(), 5)
        assert self.socket is not None
        await self.socket.send_json(data)


class Racetime:
    """racetime.gg's OAuth, race lists and rooms, for the category `alttpr`."""

    def __init__(self) -> None:
        self.rooms: dict[str, Room] = {}
        self.host = ""
        self.app = web.Application()
        self.app.router.add_post("/o/token", self._token)
        self.app.router.add_get("/alttpr/data", self._races)
        self.app.router.add_get("/alttpr/{slug}/data", self._race)
        self.app.router.add_get("/ws/o/bot/{slug}", self._room)

    def open(self, slug: str = "calm-mario-1234", **race: Any) -> Room:
        """A new room, which bots find in the race list."""
        about = {
            "name": f"alttpr/{slug}",
            "slug": slug,
            "status": {"value": "open"},
            "data_url": f"/alttpr/{slug}/data",
            "websocket_bot_url": f"/ws/o/bot/{slug}",
            **race,
        }
        self.rooms[slug] = Room(about)
        return self.rooms[slug]

    async def _token(self, request: web.Request) -> web.Response:
        form = await request.post()
        assert form["grant_type"] == "client_credentials"
        return web.json_response({"access_token": "token"})

    async def _races(self, request: web.Request) -> web.Response:
        return web.json_response({"current_races": [room.race for room in self.rooms.values()]})

    async def _race(self, request: web.Request) -> web.Response:
        return web.json_response(self.rooms[request.match_info["slug"]].race)

    async def _room(self, request: web.Request) -> web.WebSocketResponse:
        assert request.headers["Authorization"] == "Bearer token"
        room = self.rooms[request.match_info["slug"]]
        room.socket = web.WebSocketResponse()
        await room.socket.prepare(request)
        room.entered.set()
        async for message in room.socket:
            room.actions.put_nowait(message.json())
        room.left.set()
        return room.socket


@pytest.fixture
async def racetime() -> AsyncIterator[Racetime]:
    site = Racetime()
    runner = web.AppRunner(site.app, access_log=None, shutdown_timeout=1)
    await runner.setup()
    await (tcp := web.TCPSite(runner, "127.0.0.1", 0)).start()
    assert tcp._server is not None
    host, port = tcp._server.sockets[0].getsockname()  # type: ignore[attr-defined]
    site.host = f"{host}:{port}"
    yield site
    await runner.cleanup()


class Bot(racetime_bot.Bot):  # type: ignore[misc]
    """The real one; only its first, blocking request is left out: the site is on the same loop."""

    racetime_secure = False

    def __init__(self, host: str, handler: type) -> None:
        self.racetime_host, self.handler = host, handler
        super().__init__("alttpr", "id", "secret", logging.getLogger("racebot"))

    def authorize(self) -> tuple[str, int]:
        return "token", 36000

    def get_handler_class(self) -> type:
        return self.handler


@asynccontextmanager
async def running(host: str, handler: type) -> AsyncIterator[Bot]:
    """A bot that looks for races and enters their rooms."""
    bot = Bot(host, handler)
    scan = asyncio.create_task(bot.refresh_races())
    yield bot
    rooms = list(bot.handlers.values())
    for task in (scan, *rooms):
        task.cancel()
    await asyncio.gather(scan, *rooms, return_exceptions=True)


Play = Callable[..., Awaitable[list[str]]]


@pytest.fixture
def enter(racetime: Racetime) -> Callable[[type], AbstractAsyncContextManager[Bot]]:
    """A bot with this handler, while it enters the rooms that are open."""
    return lambda handler: running(racetime.host, handler)


@pytest.fixture
def play(racetime: Racetime) -> Play:
    """Says messages, or keywords of `Room.say`, in a new room, and returns what the bot said there."""

    async def say_all(handler: type, *messages: str | dict[str, Any]) -> list[str]:
        room = racetime.open()
        async with running(racetime.host, handler):
            for message in messages:
                await room.say(**(message if isinstance(message, dict) else {"text": message}))
            return await room.finish()

    return say_all


@pytest.fixture
def instrument(client: Client) -> Callable[[type], type]:
    """The class decorator, for the client of the test."""
    return lambda handler: instrument_racetime(handler, client=client)
