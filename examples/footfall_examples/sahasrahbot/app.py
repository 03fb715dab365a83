"""SahasrahBot's web API: a small FastAPI application.

Its routes are measured from outside, by one line; which events they stand for is in the catalog.
"""

from collections.abc import Awaitable, Callable, Mapping
from http import HTTPStatus
from typing import Final
from urllib.parse import urlencode

from fastapi import FastAPI, Request
from fastapi.responses import PlainTextResponse, RedirectResponse, Response
from pydantic import BaseModel

import footfall
from footfall_examples.sahasrahbot import providers
from footfall_examples.sahasrahbot.providers import PresetError

ERRORS: Final[Mapping[type[Exception], HTTPStatus]] = {
    PresetError: HTTPStatus.BAD_REQUEST,
    PermissionError: HTTPStatus.FORBIDDEN,
    ConnectionError: HTTPStatus.SERVICE_UNAVAILABLE,
    TimeoutError: HTTPStatus.GATEWAY_TIMEOUT,
    RuntimeError: HTTPStatus.INTERNAL_SERVER_ERROR,
}
"""What the browser is told of an exception; never its message."""


class SeedRequest(BaseModel):
    """The body of a request for a seed or for settings."""

    provider: str
    preset: str
    requester: str
    settings: str = ""


def create_app() -> FastAPI:
    """The application, measured; telemetry is configured by whoever runs it."""
    app = FastAPI(openapi_url=None)
    app.add_api_route("/login", login)
    app.add_api_route("/callback/discord", callback)
    app.add_api_route("/settingsgen", settingsgen, methods=["POST"])
    app.add_api_route("/sglive", sglive, methods=["POST"])
    for kind, status in ERRORS.items():
        app.add_exception_handler(kind, _answer(status))
    footfall.instrument_fastapi(app)
    return app


async def login() -> Response:
    """Sends the browser to Discord."""
    query = urlencode({"client_id": "sahasrahbot", "response_type": "code"})
    return RedirectResponse(f"https://discord.example/oauth2/authorize?{query}")


async def callback(code: str, state: str) -> Response:
    """Where Discord sends the browser back to: the end of a login."""
    status = await providers.exchange(code)
    if status != HTTPStatus.OK:
        return PlainTextResponse("Discord did not let you in.", status)
    return PlainTextResponse("Welcome.")


async def settingsgen(body: SeedRequest) -> str:
    """Generates settings for a preset."""
    return await providers.generate(body.provider, body.preset, body.requester)


async def sglive(request: Request, body: SeedRequest) -> str:
    """Generates a seed for a SpeedGaming Live event."""
    # Whose token it is is nobody's business. A developer who forgets that, as here, harms no one: the
    # catalog does not declare these attributes, so they are dropped and counted.
    token = request.headers.get("authorization")
    footfall.current().set(token=token, requester=body.requester, body=body.settings)
    return await providers.generate(body.provider, body.preset, body.requester)


def _answer(status: HTTPStatus) -> Callable[[Request, Exception], Awaitable[Response]]:
    async def answer(request: Request, error: Exception) -> Response:
        return PlainTextResponse(status.phrase, status)

    return answer
