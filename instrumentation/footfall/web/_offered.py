"""The routes that an application of Starlette or FastAPI has; needs neither of them, nor OpenTelemetry."""

from collections.abc import Iterable, Iterator
from typing import Any, Final

_LAYERS: Final = 64
"""How many middlewares around an application are looked through."""


def layers(app: Any) -> Iterator[Any]:
    """An application and what it is wrapped around, from the outside to the inside."""
    for _ in range(_LAYERS):
        if app is None:
            return
        yield app
        app = getattr(app, "app", None)


def flat(routes: Iterable[Any]) -> Iterator[Any]:
    """Routes, with those of the routers that FastAPI includes as they are: with its prefixes."""
    for route in routes:
        included = getattr(route, "effective_route_contexts", None)
        if included is None:
            yield route
        else:
            for each in included():
                yield getattr(each, "starlette_route", None) or each


def inside(route: Any) -> list[Any]:
    """The routes of an application that is mounted, also within middlewares; none where it has none."""
    apps = layers(getattr(route, "app", None))
    return next((list(app.routes) for app in apps if hasattr(app, "routes")), [])


def offered(routes: Iterable[Any], prefix: str = "") -> Iterator[str]:
    """All routes as rules name them, whole."""
    for route in flat(routes):
        path = prefix + (getattr(route, "path", None) or "")
        deeper = [] if hasattr(route, "endpoint") else inside(route)
        if deeper:
            yield from offered(deeper, path)
        else:
            methods = getattr(route, "methods", None) or ("GET",)
            yield from (f"{method} {path}" for method in sorted(methods))
