"""Which route template an ASGI request has: `/seeds/{id}` for `/seeds/17` (A8).

OpenTelemetry's middleware looks for the template before it starts its span; what it found is kept, so
that routes are searched once. It stops at a mounted application, inside which the search goes on here.
"""

from collections.abc import Awaitable, Callable, Iterable, Iterator, MutableMapping
from types import SimpleNamespace
from typing import Any, Final

from opentelemetry.util.http import sanitize_method

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
_LAYERS: Final = 64
"""How many middlewares around an application are looked through."""


class Routes:
    """Finds the template of a request among the routes of an application.

    Args:
        details: Finds it among the routes of `scope["app"]`.
        app: The application, where the framework has not noted it in the scope yet.
        replaces: What finds the same for OpenTelemetry's middleware, more slowly.
    """

    def __init__(
        self, details: Details, app: object = None, replaces: Details | None = None
    ) -> None:
        self.replaces = replaces
        self._details = details
        self._app = app

    def details(self, scope: Scope) -> Found:
        """What OpenTelemetry asks for; the template is kept for `template()`."""
        found = self._details(scope if self._app is None else self._with_app(scope))
        scope[_KEPT] = found[1].get(HTTP_ROUTE)
        return found

    def template(self, scope: Scope) -> str | None:
        """The template, with the prefixes of mounted applications; None where no route fits."""
        if _KEPT not in scope:  # OpenTelemetry was told to leave this request alone
            self.details(scope)
        route: str | None = scope.pop(_KEPT)
        if route is not None and scope["path"].count("/") <= route.count("/"):
            return route
        return self._within(scope if self._app is None else self._with_app(scope), route)

    def _with_app(self, scope: Scope) -> Scope:
        return {**scope, "app": self._app}

    def _within(self, scope: Scope, route: str | None) -> str | None:
        """Goes on inside a mounted application: `route` is one if the path is longer."""
        found = route or ""
        path = scope["path"].removeprefix(scope.get("root_path", ""))
        if path.count("/") <= found.count("/"):
            return route
        for mount in scope["app"].routes:
            inside = getattr(mount, "routes", None)
            if inside and getattr(mount, "path", None) == found:
                match, child = mount.matches(scope)
                if match._value_ == _FULL:
                    deeper = {**scope, **child, "app": SimpleNamespace(routes=inside)}
                    rest = self._within(deeper, self._details(deeper)[1].get(HTTP_ROUTE))
                    return f"{found}{rest}" if rest else route
        return route


class Paths:
    """For applications that have no routes to be found: rules are compared with the path itself."""

    def details(self, scope: Scope) -> Found:
        """A span's name without the path, of which there are too many."""
        return scope.get("method", "GET"), {}

    def template(self, scope: Scope) -> str | None:
        """The path."""
        return str(scope["path"])


def layers(app: Any) -> Iterator[Any]:
    """An application and what it is wrapped around, from the outside to the inside."""
    for _ in range(_LAYERS):
        if app is None:
            return
        yield app
        app = getattr(app, "app", None)


def routes_of(app: object) -> Routes | Paths:
    """How the routes of `app`, or of the application inside its middlewares, are found."""
    routed = next((layer for layer in layers(app) if hasattr(layer, "routes")), None)
    if routed is None:
        return Paths()
    if hasattr(routed, "dependency_overrides"):  # FastAPI's include routers
        from footfall._web_fastapi import details

        return Routes(details, routed)
    return Routes(starlette, routed)


def search(routes: Iterable[Any], scope: Scope) -> str | None:
    """The template of the first route that fits, else of the last that fits but for its method.

    Raises:
        AttributeError: the route has no template, as a route by host has none.
    """
    path: str | None = None
    for route in routes:
        match, _ = route.matches(scope)
        if match._value_:  # starlette.routing.Match: NONE is 0, PARTIAL 1, FULL 2
            path = route.path
            if match._value_ == _FULL:
                break
    return path


def named(scope: Scope, route: str | None) -> Found:
    """A span's name and attributes, as opentelemetry-instrumentation-fastapi makes them."""
    method = sanitize_method(scope.get("method", "").strip())
    method = "HTTP" if method == "_OTHER" else method
    if not route:
        return method, {}
    return f"{method} {route}" if method else route, {HTTP_ROUTE: route}


def starlette(scope: Scope) -> Found:
    """What OpenTelemetry asks for, among the routes of an application of Starlette."""
    try:
        return named(scope, search(scope["app"].routes, scope))
    except AttributeError:
        return named(scope, None)
