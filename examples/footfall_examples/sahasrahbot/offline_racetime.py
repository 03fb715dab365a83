"""racetime.gg without racetime.gg: its HTTP and WebSockets on loopback, as racetime-bot knows them."""

import asyncio
from http import HTTPStatus
from typing import Any, Final

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route, WebSocketRoute
from starlette.websockets import WebSocket

from footfall_examples.sahasrahbot.races import CATEGORY
from footfall_examples.sahasrahbot.steps import Chat

TOKEN: Final = "racetime-token"  # noqa: S105  # of the bot, which is nobody
PATIENCE: Final = 30.0
"""Seconds until the bot has entered a room, has answered or has left."""


class Racetime:
    """The site: what it tells bots, and the rooms of its races.

    Attributes:
        app: Serves it.
    """

    def __init__(self) -> None:
        self._rooms: dict[str, Room] = {}
        self.app = Starlette(
            routes=[
                Route("/o/token", self._token, methods=["POST"]),
                Route(f"/{CATEGORY}/data", self._races),
                Route(f"/{CATEGORY}/{{slug}}/data", self._race),
                WebSocketRoute("/ws/o/bot/{slug}", self._enter),
            ]
        )

    async def say(self, chat: Chat) -> str:
        """Writes in a room, which is opened if there is none, and returns the bot's answer."""
        slug = f"calm-moblin-{chat.room}"
        room = self._rooms.setdefault(slug, Room(slug, chat))
        return await asyncio.wait_for(room.say(chat), PATIENCE)

    async def finish(self) -> None:
        """Ends all races, and waits until the bot has left their rooms."""
        rooms, self._rooms = self._rooms, {}
        await asyncio.wait_for(asyncio.gather(*(r.finish() for r in rooms.values())), PATIENCE)

    async def _token(self, _: Request) -> Response:
        return JSONResponse({"access_token": TOKEN, "expires_in": 36_000})

    async def _races(self, _: Request) -> Response:
        return JSONResponse({"current_races": [room.race for room in self._rooms.values()]})

    async def _race(self, request: Request) -> Response:
        room = self._rooms.get(request.path_params["slug"])
        return JSONResponse(room.race) if room else Response(status_code=HTTPStatus.NOT_FOUND)

    async def _enter(self, socket: WebSocket) -> None:
        room = self._rooms.get(socket.path_params["slug"])
        if room is None or socket.headers["authorization"] != f"Bearer {TOKEN}":
            await socket.close()
        else:
            await room.serve(socket)


class Room:
    """One race room.

    Args:
        slug: Its name.
        chat: What is written first, by whoever has opened it.
    """

    def __init__(self, slug: str, chat: Chat) -> None:
        self.race = {
            "name": f"{CATEGORY}/{slug}",
            "slug": slug,
            "status": {"value": "open"},
            "opened_by": _user(chat),
            "info_user": chat.text,
            "data_url": f"/{CATEGORY}/{slug}/data",
            "websocket_bot_url": f"/ws/o/bot/{slug}",
        }
        self._turn = asyncio.Lock()
        self._socket: asyncio.Future[WebSocket] = asyncio.get_running_loop().create_future()
        self._heard: asyncio.Queue[str] = asyncio.Queue()
        self._left = asyncio.Event()

    async def serve(self, socket: WebSocket) -> None:
        """Lets the bot in, and listens to it until it leaves."""
        await socket.accept()
        self._socket.set_result(socket)
        async for action in socket.iter_json():
            self._heard.put_nowait(action["data"]["message"])
        self._left.set()

    async def say(self, chat: Chat) -> str:
        """Writes, and returns the bot's answer; others wait until it is there."""
        async with self._turn:
            await (await self._socket).send_json(_message(chat))
            return await self._heard.get()

    async def finish(self) -> None:
        """Ends the race, and waits until the bot has left."""
        race = self.race | {"status": {"value": "finished"}}
        await (await self._socket).send_json({"type": "race.data", "race": race})
        await self._left.wait()


def _user(chat: Chat) -> dict[str, Any]:
    return {
        "id": chat.user_id,
        "full_name": f"{chat.user_name}#7413",
        "name": chat.user_name,
        "url": f"/user/{chat.user_id}",
        "can_moderate": False,
    }


def _message(chat: Chat) -> dict[str, Any]:
    """A message as racetime.gg sends it to bots."""
    message = {
        "id": "kX3dPzQ",
        "user": _user(chat),
        "bot": None,
        "message": chat.text,
        "message_plain": chat.text,
        "is_bot": False,
        "is_system": False,
        "is_monitor": chat.monitor,
    }
    return {"type": "chat.message", "message": message}
