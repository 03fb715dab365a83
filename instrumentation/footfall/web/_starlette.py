"""Puts the measuring middleware into an application of Starlette, FastAPI's too.

Its place is inside OpenTelemetry's middleware, which others add and take away at any time: they replace
`build_middleware_stack`, and look closely at what it returns. So that nobody is in anybody's way, nothing of
this is done here. Whenever a connection comes, the stack that is there is looked at, and ours is put into its
place if it is a new one.
"""

from functools import wraps
from typing import TYPE_CHECKING, Any, Final

from opentelemetry.trace import TracerProvider

from footfall._guard import guarded
from footfall.web._asgi import Traced, measured, watch_router
from footfall.web._routes import App, Receive, Routes, Scope, Send

if TYPE_CHECKING:
    from footfall._client import Client

_MARK: Final = "_measured_by_footfall"
_PATCHED: Final = "_calls_footfall"


class _Place:
    """Where the middleware of one application is.

    Args:
        app: The application.
        client: What sends; it may be configured later.
        tracer_provider: Where the spans of requests go that nobody traces; None for nowhere.
        routes: Finds route templates.
    """

    def __init__(
        self, app: Any, client: "Client", tracer_provider: TracerProvider | None, routes: Routes
    ) -> None:
        self._app, self._client, self._routes = app, client, routes
        self._tracer_provider = tracer_provider
        self._filled: App | None = None

    def fill(self) -> None:
        """Puts the middleware into the present stack, unless it is there; never raises for its own sake."""
        app = self._app
        if app.middleware_stack is None:
            app.middleware_stack = app.build_middleware_stack()
        if app.middleware_stack is not self._filled:
            with guarded(self._client.trouble):
                self._filled = app.middleware_stack = self._measured(app.middleware_stack)

    def _measured(self, stack: App) -> App:
        ours = measured(stack, self._client, self._routes)
        if self._tracer_provider is None or ours is stack:
            return ours
        return Traced(ours, self._tracer_provider, self._routes.details)


def instrument(
    app: Any, client: "Client", tracer_provider: TracerProvider | None, routes: Routes
) -> None:
    """Measures an application, before or after it has started; a second time it does nothing."""
    if _MARK not in vars(app):
        client.applications.add(routes)
        watch_router(app)
        _patch(type(app))
        setattr(app, _MARK, _Place(app, client, tracer_provider, routes))


def _patch(cls: type) -> None:
    """Has Starlette look for a place whenever an application of it, or of what is derived, is called."""
    base: Any = next(each for each in reversed(cls.__mro__) if "__call__" in vars(each))
    if _PATCHED in vars(base):
        return
    call = base.__call__

    @wraps(call)
    async def call_measured(self: Any, scope: Scope, receive: Receive, send: Send) -> None:
        place = vars(self).get(_MARK)
        if place is not None:
            place.fill()
        await call(self, scope, receive, send)

    base.__call__ = call_measured
    setattr(base, _PATCHED, True)
