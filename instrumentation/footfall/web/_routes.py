"""Which route template an ASGI request has: `/seeds/{id}` for `/seeds/17`.

OpenTelemetry's middleware looks for the template before it starts its span; what it found is kept, so
that routes are searched once. It stops at an application that is mounted, or that a host name stands for:
there the search goes on here.
"""

from collections.abc import Awaitable, Callable, Iterable, Iterator, MutableMapping
from typing import Any, Final, NamedTuple

from opentelemetry.util.http import sanitize_method

from footfall.web._offered import flat, inside, layers, offered

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]
Found = tuple[str, dict[str, Any]]
Details = Callable[[Scope], Found]
"""OpenTelemetry's `default_span_details`: a span's name and its attributes."""

HTTP_ROUTE: Final = "http.route"
_KEPT: Final = "footfall.route"
_FULL: Final = 2


class Route(NamedTuple):
    """Where a request goes.

    Attributes:
        template: The route's template, with the prefixes of the mounted applications that it is in; None
            where no route fits.
        endpoint: What handles it, if that is known.
        outer: What OpenTelemetry calls it: of a mounted application only the prefix.
        is_host: Whether an application stands there by its host name, which OpenTelemetry's releases call
            by different names.
    """

    template: str | None = None
    endpoint: object = None
    outer: str | None = None
    is_host: bool = False


class Routes:
    """Finds the route of a request among the routes of an application.

    Args:
        app: The application.
        replaces: What finds the same for OpenTelemetry's middleware, more slowly.
    """

    def __init__(self, app: Any, replaces: Details | None = None) -> None:
        self._app = app
        self.replaces = replaces

    def details(self, scope: Scope) -> Found:
        """What OpenTelemetry asks for; the route is kept for `find()`."""
        kept = scope[_KEPT] = search(self._app.routes, scope)
        if kept.is_host and self.replaces is not None:
            return self.replaces(scope)
        return named(scope, kept.outer)

    def find(self, scope: Scope) -> Route:
        """Where the request goes."""
        kept: Route | None = scope.pop(_KEPT, None)
        return search(self._app.routes, scope) if kept is None else kept

    def offered(self) -> Iterator[str]:
        """All routes, as rules name them: `GET /seeds/{id}`."""
        return offered(self._app.routes)


class Paths:
    """For applications that have no routes to be found: rules are compared with the path itself."""

    def details(self, scope: Scope) -> Found:
        """A span's name without the path, of which there are too many."""
        return scope.get("method", "GET"), {}

    def find(self, scope: Scope) -> Route:
        """The path."""
        return Route(str(scope["path"]))

    def offered(self) -> Iterator[str]:
        """They are not known."""
        return iter(())


def routes_of(app: object) -> Routes | Paths:
    """How the routes of `app`, or of the application inside its middlewares, are found."""
    routed = next((layer for layer in layers(app) if hasattr(layer, "routes")), None)
    return Paths() if routed is None else Routes(routed)


def search(routes: Iterable[Any], scope: Scope) -> Route:
    """The first route that fits, else the last that fits but for its method."""
    found = Route()
    for route in flat(routes):
        match, child = route.matches(scope)
        if match._value_:  # starlette.routing.Match: NONE is 0, PARTIAL 1, FULL 2
            found = _within(route, scope, child)
            if match._value_ == _FULL:
                break
    return found


def _within(route: Any, scope: Scope, child: Scope) -> Route:
    """A route that fits, or, if that is an application by path or by host, the route inside it."""
    path = getattr(route, "path", None)
    endpoint = child.get("endpoint")
    if hasattr(route, "endpoint"):
        return Route(path, endpoint, path)
    inner = search(inside(route), {**scope, **child})
    template = path if inner.template is None else f"{path or ''}{inner.template}"
    return Route(template or None, inner.endpoint or endpoint, path, path is None)


def named(scope: Scope, route: str | None) -> Found:
    """A span's name and attributes, as opentelemetry-instrumentation-fastapi makes them."""
    method = sanitize_method(scope.get("method", "").strip())
    method = "HTTP" if method == "_OTHER" else method
    if not route:
        return method, {}
    return f"{method} {route}" if method else route, {HTTP_ROUTE: route}
