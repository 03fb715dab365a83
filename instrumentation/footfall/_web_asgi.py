"""Requests of FastAPI and of any other ASGI application (A8, D5, F3).

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

from footfall._web import TRACE, TRACE_ID, TRACEPARENT, Visit, traceparent
from footfall._web_lifespan import flushing
from footfall._web_routes import (
    App,
    Message,
    Paths,
    Receive,
    Routes,
    Scope,
    Send,
    layers,
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
_GONE: Final = frozenset({"ClientDisconnect", "WebSocketDisconnect", "CancelledError"})
"""What an application ends with when the client leaves in the middle of an answer: it had enough."""


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
        try:
            # A WebSocket has no method of its own: it begins as a GET (RFC 6455, 4.1).
            self.routed(scope.get("method", "GET"), routes.template(scope))
        except Exception as error:
            self._client.trouble(error)
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
            gone = error is not None and self.answered and type(error).__name__ in _GONE
            self.end(None if gone else error)

    def _note(self, kind: str, message: Message) -> None:
        """An answer's status. A WebSocket that is closed before it was accepted is refused with 403."""
        status = message.get("status") if kind.endswith(_START) else _HANDSHAKE.get(kind)
        if status is not None:
            if self.use is None:
                self._find_mark()
            self.answer(status, sys.exception())  # frameworks answer while they handle it

    def _find_mark(self) -> None:
        """The handler is known once the request was routed."""
        scope = self._scope
        if _COUNTED not in scope:
            self.handled(scope.get("endpoint"))
            if self.use is not None:
                scope[_COUNTED] = True

    def _with_trace(self, message: Message) -> Message:
        """A copy of an answer's start with the headers of D5; those that it has already stay."""
        try:
            value = traceparent(self._span).encode()
            added = {_TRACEPARENT: value, _TRACE_ID: value[TRACE]}
            given = [*message.get("headers", ())]
            for name, _ in given:
                if name.lower() in added:
                    del added[name.lower()]
            return {**message, "headers": [*given, *added.items()]}
        except Exception as error:
            self._client.trouble(error)
            return message


def innermost(app: Any) -> OpenTelemetryMiddleware | None:
    """OpenTelemetry's middleware among the layers of `app`, the innermost if there are several."""
    found = None
    for layer in layers(app):
        if isinstance(layer, OpenTelemetryMiddleware):
            found = layer
    return found


def instrument(app: Any, client: "Client", tracer_provider: TracerProvider | None) -> App:
    """See `footfall.web.instrument_asgi`."""
    outer = app if isinstance(app, OpenTelemetryMiddleware) else None
    if outer is not None and isinstance(outer.app, Measured):
        return outer
    routes = routes_of(app)
    if outer is None:
        outer = OpenTelemetryMiddleware(
            app,
            default_span_details=routes.details,
            tracer_provider=tracer_provider,
            **OPTIONS,
        )
    outer.app = Measured(outer.app, client, routes)
    return outer
