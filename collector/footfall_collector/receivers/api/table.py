"""The routes of the HTTP API, found by their paths.

Starlette's way, through its middleware and along all routes, costs as much as answering does.
"""

from collections.abc import Callable, Sequence

from starlette.requests import Request
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send


class Table:
    """An ASGI application of routes without parameters.

    Args:
        routes: Of the API; their endpoints answer requests, and raise nothing but faults.
        others: Takes what is of none of their paths, or of a method that one does not take.
        wrap: What stands before the routes.
    """

    def __init__(
        self,
        routes: Sequence[Route],
        others: ASGIApp,
        wrap: Callable[[ASGIApp], ASGIApp] = lambda app: app,
    ) -> None:
        self._routes = {route.path: route for route in routes}
        self._others, self._found = others, wrap(self._answer)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """An ASGI application."""
        known = scope["type"] == "http" and scope["path"] in self._routes
        await (self._found if known else self._others)(scope, receive, send)

    async def _answer(self, scope: Scope, receive: Receive, send: Send) -> None:
        route = self._routes[scope["path"]]
        if scope["method"] not in (route.methods or ()):
            await self._others(scope, receive, send)
            return
        response = await route.endpoint(Request(scope, receive, send))
        await response(scope, receive, send)
