"""Requests of FastAPI and of any other ASGI application.

`Measured` stands directly inside OpenTelemetry's middleware: there the server span is the current one,
every answer passes, also those that are made of exceptions, and every exception that the server will see.
It does not read spans, so what the application samples or excludes is counted all the same.
"""

import sys
from collections.abc import Awaitable
from typing import TYPE_CHECKING, Any, Final

from opentelemetry.instrumentation.asgi import OpenTelemetryMiddleware
from opentelemetry.metrics import NoOpMeterProvider
from opentelemetry.trace import TracerProvider, get_current_span

from footfall._feature import Measured as Use
from footfall._guard import guarded
from footfall._recording.outcome import is_one_of
from footfall.web._lifespan import flushing
from footfall.web._offered import layers
from footfall.web._request import GONE, TRACE, TRACE_ID, TRACEPARENT, Visit, traceparent
from footfall.web._routes import (
    App,
    Details,
    Message,
    Paths,
    Receive,
    Routes,
    Scope,
    Send,
    routes_of,
)

if TYPE_CHECKING:
    from footfall._client import Client

OPTIONS: Final[dict[str, Any]] = {
    "meter_provider": NoOpMeterProvider(),
    "exclude_spans": ["receive", "send"],
}
"""What OpenTelemetry is to leave out when Footfall adds it: its metrics, and spans of single messages."""

_SERVED: Final = frozenset({"http", "websocket"})
_START: Final = "http.response.start"
_BODY: Final = "http.response.body"
_HANDSHAKE: Final = {"websocket.accept": 101, "websocket.close": 403}
_TRACEPARENT: Final = TRACEPARENT.encode()
_TRACE_ID: Final = TRACE_ID.encode()
_COUNTED: Final = "footfall.counted"


class Measured:
    """The middleware.

    Args:
        app: The application inside it.
        client: What sends; it may be configured later.
        routes: Finds route templates.
    """

    def __init__(self, app: App, client: "Client", routes: Routes | Paths) -> None:
        self.app = app
        self._client = client
        self._routes = routes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serves one connection; what the application raises passes through."""
        if scope["type"] not in _SERVED:
            if scope["type"] == "lifespan":
                send = flushing(self._client, send)
            await self.app(scope, receive, send)
            return
        exchange = Exchange(self._client, scope, send)
        if _COUNTED in scope:  # by an outer application
            exchange.open = False
        elif exchange.open:
            exchange.begin(self._routes)
        try:
            await self.app(scope, receive, exchange.send)
        except BaseException as error:
            exchange.leave(error)
            raise
        if exchange.open:
            exchange.leave()


class Innermost:
    """Sees an answer that breaks where it is made.

    Starlette's `BaseHTTPMiddleware` ends such an answer as if it were complete, and only then lets the
    exception go on.

    Args:
        app: The router.
    """

    def __init__(self, app: App) -> None:
        self.app = app

    def __call__(self, scope: Scope, receive: Receive, send: Send) -> Awaitable[None]:
        """Serves one connection."""
        inner = self.app(scope, receive, send)
        return self._watched(scope, inner) if _COUNTED in scope else inner

    async def _watched(self, scope: Scope, inner: Awaitable[None]) -> None:
        try:
            await inner
        except Exception as error:
            use = scope[_COUNTED]
            if isinstance(use, Use) and use.going and not is_one_of(error, GONE):
                use.fail(error)
            raise


class Exchange(Visit):
    """One connection, and what the application sends back on it.

    Args:
        client: What sends.
        scope: The connection.
        send: Where messages go.
    """

    def __init__(self, client: "Client", scope: Scope, send: Send) -> None:
        super().__init__(client)
        self._scope = scope
        self._send = send
        self._span = get_current_span()

    def begin(self, routes: Routes | Paths) -> None:
        """Finds the route, and whether it is to be counted."""
        scope = self._scope
        with guarded(self._client.trouble):
            route = routes.find(scope)
            # A WebSocket has no method of its own: it begins as a GET (RFC 6455, 4.1).
            self.routed(scope.get("method", "GET"), route.template)
            self.handled(route.endpoint)
        if self.use is not None:
            scope[_COUNTED] = True

    def send(self, message: Message) -> Awaitable[None]:
        """Passes a message on, an answer's start with its headers; the last part ends the visit.

        It is not a coroutine function itself, which would cost a trivial route more than all else here.
        """
        kind = message["type"]
        if kind == _START:
            message = self._with_trace(message)
        if self.open:
            if not self.answered:
                self._note(kind, message)
            elif message.get("more_body", False):
                return self._part(message)
            # Not when the application returns: its background tasks run after the answer. And before
            # the last part is sent, so that whoever has the whole answer finds it counted.
            elif kind == _BODY:
                self.end()
        return self._send(message)

    async def _part(self, message: Message) -> None:
        """Sends a part of a streamed answer: if the client has left, what it was answered counts."""
        try:
            await self._send(message)
        except BaseException:
            self.leave()
            raise

    def leave(self, error: BaseException | None = None) -> None:
        """Ends the visit, unless it has ended."""
        if self.open:
            if self.use is None:
                self._find_mark()
            self.end(error)

    def _note(self, kind: str, message: Message) -> None:
        """An answer's status. A WebSocket that is closed before it was accepted is refused with 403."""
        status = message.get("status") if kind.endswith(_START) else _HANDSHAKE.get(kind)
        if status is not None:
            if self.use is None:
                self._find_mark()
            self.answer(status, sys.exception())  # frameworks answer while they handle it
            if self.use is not None:
                self._scope[_COUNTED] = self.use

    def _find_mark(self) -> None:
        """The handler is known once the request was routed."""
        scope = self._scope
        if _COUNTED not in scope:
            self.handled(scope.get("endpoint"))
            if self.use is not None:
                scope[_COUNTED] = True

    def _with_trace(self, message: Message) -> Message:
        """A copy of an answer's start with the trace headers; those that it has already stay."""
        with guarded(self._client.trouble):
            value = traceparent(self._span).encode()
            added = {_TRACEPARENT: value, _TRACE_ID: value[TRACE]}
            given = [*message.get("headers", ())]
            for name, _ in given:
                if name.lower() in added:
                    del added[name.lower()]
            return {**message, "headers": [*given, *added.items()]}
        return message


class Traced:
    """OpenTelemetry's middleware around an application, for connections that nobody else traces.

    Args:
        app: The application.
        tracer_provider: Where spans go.
        details: Their names and attributes.
    """

    def __init__(self, app: App, tracer_provider: TracerProvider, details: Details) -> None:
        self.app = app
        self._traced = OpenTelemetryMiddleware(
            self._recorded, default_span_details=details, tracer_provider=tracer_provider, **OPTIONS
        )

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serves one connection."""
        is_traced = get_current_span().get_span_context().is_valid
        await (self.app if is_traced else self._traced)(scope, receive, send)

    async def _recorded(self, scope: Scope, receive: Receive, send: Send) -> None:
        """The span ends with the answer, before the exception that this is made of comes through."""
        span = get_current_span()

        async def record(message: Message) -> None:
            error = sys.exception()
            if error is not None and message.get("status", 0) >= 500:
                span.record_exception(error)
            await send(message)

        await self.app(scope, receive, record)


def watch_router(app: Any) -> None:
    """Puts `Innermost` around the router of an application that is built on Starlette, once."""
    router: Any = getattr(app, "router", None)
    stack = getattr(router, "middleware_stack", None)
    if callable(stack) and not isinstance(stack, Innermost):
        router.middleware_stack = Innermost(stack)


def innermost(app: Any) -> Any | None:
    """OpenTelemetry's middleware among the layers of `app`, the innermost if there are several."""
    found = None
    for layer in layers(app):
        if isinstance(layer, OpenTelemetryMiddleware):
            found = layer
    return found


def measured(stack: App, client: "Client", routes: Routes | Paths) -> App:
    """A stack of middlewares with ours in its place: inside OpenTelemetry's, or around them all."""
    outer = innermost(stack)
    if outer is None:
        return Measured(stack, client, routes)
    if isinstance(routes, Routes) and outer.default_span_details is routes.replaces:
        outer.default_span_details = routes.details  # so that routes are searched once
    if not isinstance(outer.app, Measured):
        outer.app = Measured(outer.app, client, routes)
    return stack


def instrument(app: Any, client: "Client", tracer_provider: TracerProvider | None) -> Any:
    """See `footfall.web.instrument_asgi`."""
    if hasattr(app, "build_middleware_stack"):
        from footfall.web._starlette import instrument as instrument_starlette

        instrument_starlette(app, client, tracer_provider, Routes(app))
        return app
    if any(isinstance(layer, Measured) for layer in layers(app)):
        return app
    routes = routes_of(app)
    client.applications.add(routes)
    for layer in layers(app):
        watch_router(layer)
    inside = measured(app, client, routes)
    if tracer_provider is None or inside is app:
        return inside
    return Traced(inside, tracer_provider, routes.details)
