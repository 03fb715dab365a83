"""The end of an ASGI application: what waits is sent before the server hears that it may end.

Source: ASGI 3.0, "Lifespan Protocol".
"""

import asyncio
from typing import TYPE_CHECKING, Final

from footfall._guard import guarded
from footfall.web._routes import Message, Send

if TYPE_CHECKING:
    from footfall._client import Client

TIMEOUT: Final = 2.0
"""Seconds that a server may be kept from ending."""
_OVER: Final = frozenset({"lifespan.shutdown.complete", "lifespan.shutdown.failed"})


def flushing(client: "Client", send: Send) -> Send:
    """`send` of a lifespan: the application's last word is passed on when everything was sent."""

    async def send_flushed(message: Message) -> None:
        if message["type"] in _OVER:
            with guarded(client.trouble):
                await _flush(client)
        await send(message)

    return send_flushed


async def _flush(client: "Client") -> None:
    try:
        loop = asyncio.get_running_loop()
    except RuntimeError:  # trio: no request is left that could mind
        client.finish(TIMEOUT)
    else:
        finished = loop.run_in_executor(None, client.finishing(), TIMEOUT)
        # The host may keep all threads of its executor busy.
        await asyncio.wait([finished], timeout=TIMEOUT)
