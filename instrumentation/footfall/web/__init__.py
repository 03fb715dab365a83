"""Web applications: their routes become uses of features, by rules of the catalog.

One call measures a whole application; no handler is edited. A request whose method and route template
fit a `match` rule of the catalog is one use of that event: its start, its outcome by the answer's
status, its duration. Any other request is not counted at all. Neither the path, nor a header, nor
anything else of a request is sent.

Footfall takes nobody's place: instrumentations of OpenTelemetry may be added before or after, and taken
away, and have the spans, hooks and metrics that they have without Footfall. It makes no server span of its
own, unless a `tracer_provider` is named, and nothing else traces the request. It reads none: what the
application samples or excludes is counted all the same. Every answer gets the headers `traceparent` and
`x-trace-id`, whether telemetry is on or off, unless the application has set them itself.

    >>> import footfall
    >>> from fastapi import FastAPI
    >>> app = FastAPI()
    >>> footfall.instrument_fastapi(app)
"""

import os
from collections.abc import Callable, MutableMapping
from typing import TYPE_CHECKING, Any, Final, TypeVar

from footfall import _threads
from footfall._client import Client, default
from footfall._decision import is_development
from footfall._guard import guarded
from footfall._log import log

if TYPE_CHECKING:
    from fastapi import FastAPI
    from flask import Flask
    from opentelemetry.trace import TracerProvider

    from footfall.web._forwarding import Forwarding

PROXY_PATH: Final = "/api/telemetry"
DASHBOARD_PATH: Final = "/developer/telemetry"
F = TypeVar("F", bound=Callable[..., Any])


def instrument_fastapi(
    app: "FastAPI",
    *,
    client: Client | None = None,
    tracer_provider: "TracerProvider | None" = None,
) -> None:
    """Measures the routes of a FastAPI application, its mounted applications and its WebSockets.

    Called a second time for the same application it does nothing. It never raises: without the extra
    `footfall[fastapi]`, it logs one warning and the application runs on.

    Args:
        app: The application, before or after it has started.
        client: What sends; None is the client behind `footfall.configure()`, which may be called later.
        tracer_provider: Where Footfall sends a span for each request that nobody else traces; None is
            nowhere.

    Example:
        >>> import footfall
        >>> from fastapi import FastAPI
        >>> app = FastAPI()
        >>> footfall.instrument_fastapi(app)
    """

    def run(client: Client) -> None:
        from opentelemetry.instrumentation.fastapi import _get_default_span_details

        from footfall.web._routes import Routes
        from footfall.web._starlette import instrument

        instrument(app, client, tracer_provider, Routes(app, _get_default_span_details))

    _instrument("fastapi", run, client)


def instrument_asgi(
    app: Any,
    *,
    client: Client | None = None,
    tracer_provider: "TracerProvider | None" = None,
) -> Any:
    """Measures any ASGI application.

    Route templates are found in applications built on Starlette; for others, rules are compared with
    the path itself, such as `GET /seeds/*`. A FastAPI application is measured as by
    `instrument_fastapi()`. It never raises; it needs the extra `footfall[fastapi]`.

    Args:
        app: The application.
        client: What sends; None is the client behind `footfall.configure()`, which may be called later.
        tracer_provider: Where Footfall sends a span for each request that nobody else traces; None is
            nowhere.

    Returns:
        The application to serve; `app` itself where it was measured already or could not be.

    Example:
        >>> import footfall
        >>> from starlette.applications import Starlette
        >>> app = footfall.instrument_asgi(Starlette())
    """
    wrapped = app

    def run(client: Client) -> None:
        nonlocal wrapped
        if hasattr(app, "build_middleware_stack") and hasattr(app, "dependency_overrides"):
            instrument_fastapi(app, client=client, tracer_provider=tracer_provider)
            return
        from footfall.web._asgi import instrument

        wrapped = instrument(app, client, tracer_provider)

    _instrument("fastapi", run, client)
    return wrapped


def instrument_django(
    *,
    client: Client | None = None,
    tracer_provider: "TracerProvider | None" = None,
) -> None:
    """Measures the routes of a Django project.

    Call it once the settings can be read and before Django makes the application: in `wsgi.py` or
    `asgi.py`, before `get_wsgi_application()`. It adds its middleware to MIDDLEWARE. It never raises; it
    needs Django, which `footfall[django]` brings.

    Args:
        client: What sends; None is the client behind `footfall.configure()`, which may be called later.
        tracer_provider: Where Footfall sends a span for each request that nobody else traces; None is
            nowhere.

    Example:
        >>> import footfall
        >>> footfall.instrument_django()  # in wsgi.py, before get_wsgi_application()
    """

    def run(client: Client) -> None:
        from footfall.web._django import instrument

        instrument(client, tracer_provider)

    _instrument("django", run, client)


def instrument_flask(
    app: "Flask",
    *,
    client: Client | None = None,
    tracer_provider: "TracerProvider | None" = None,
) -> None:
    """Measures the routes of a Flask application.

    Called a second time for the same application it does nothing. It never raises; it needs the extra
    `footfall[flask]`.

    Args:
        app: The application, before its first request.
        client: What sends; None is the client behind `footfall.configure()`, which may be called later.
        tracer_provider: Where Footfall sends a span for each request that nobody else traces; None is
            nowhere.

    Example:
        >>> import footfall
        >>> from flask import Flask
        >>> app = Flask(__name__)
        >>> footfall.instrument_flask(app)
    """

    def run(client: Client) -> None:
        from footfall.web._flask import instrument

        instrument(app, client, tracer_provider)

    _instrument("flask", run, client)


def route_event(event: str, /, action: str | None = None) -> Callable[[F], F]:
    """Says which event a handler stands for, where the catalog has no rule for its route.

    It returns the handler itself, so that its signature and whatever else frameworks look at stay; put
    it below the framework's own decorator. Where the catalog has a rule for the route too, that counts.

    Args:
        event: A declared event.
        action: What a use that goes well is called, one of the event's actions; its start is then not
            counted. None is `success`, or the only action there is.

    Example:
        >>> import footfall
        >>> from fastapi import FastAPI
        >>> app = FastAPI()
        >>> @app.post("/seeds")
        ... @footfall.route_event("api.seed.generate")
        ... async def generate() -> dict[str, str]:
        ...     return {}
    """

    def decorate(handler: F) -> F:
        if not _threads.may_start():
            return handler
        from footfall.web._request import mark
        from footfall_processors.matching import Match

        return mark(handler, Match(event, action))

    return decorate


def proxy(
    get_viewer: Callable[[MutableMapping[str, Any]], Any],
    *,
    collector: str | None = None,
    key: str | None = None,
    path: str = PROXY_PATH,
) -> Any:
    """The same routes as `footfall.fastapi.router()` has, as an ASGI application that needs no framework.

    Args:
        get_viewer: Says who sends a request, given its ASGI scope: text, a number or a UUID; None for nobody.
            A function that is not a coroutine function is called on a thread.
        collector: The URL of the HTTP API's prefix; FOOTFALL_API_URL, or
            http://localhost:4318/telemetry, when not given.
        key: An API key that may name viewers; FOOTFALL_API_KEY when not given.
        path: Where it is mounted; what comes after it chooses the route.

    Returns:
        The application to mount.
    """
    from footfall.web._proxy import Proxy

    return Proxy(get_viewer, forwarding(collector, key), path)


def developers_only(app: Any, *, environment: str | None = None) -> Any:
    """An ASGI application that is there in development; anywhere else all of it is 404 (R-number B5).

    Args:
        app: The application, such as a page that shows developers what is counted.
        environment: `development`, `dev`, `local`, `test` or `testing` are development; None is
            `deployment.environment.name` in OTEL_RESOURCE_ATTRIBUTES. Where nobody says it, it is production.

    Example:
        >>> import footfall.web
        >>> from fastapi import FastAPI
        >>> app, dashboard = FastAPI(), FastAPI()
        >>> app.mount("/developer", footfall.web.developers_only(dashboard))
    """
    if is_development(os.environ, environment):
        return app
    from footfall.web._proxy import nothing_here

    return nothing_here


def dashboard(*, endpoint: str = PROXY_PATH, environment: str | None = None) -> Any:
    """A page for developers: what is counted of whoever is logged in to their site (R-number B5).

    It shows the counts of 7 and 30 days, and of what was shown (`suggestion_shown`) the shares that were
    accepted, skipped, edited and undone. In production it is 404. `footfall.fastapi.router()` has it already.

    Args:
        endpoint: Where `proxy()` is, or a route of your own that answers `GET ?days=N` as it does.
        environment: As for `developers_only`.

    Returns:
        The ASGI application to mount, at `/developer/telemetry` or elsewhere.

    Example:
        >>> import footfall.web
        >>> from starlette.applications import Starlette
        >>> from starlette.routing import Route
        >>> app = Starlette(routes=[Route("/developer/telemetry", footfall.web.dashboard())])
    """
    from footfall.web._dashboard import Dashboard

    return developers_only(Dashboard(endpoint), environment=environment)


def forwarding(collector: str | None, key: str | None) -> "Forwarding":
    """What sends to the HTTP API; one warning where it has no key. See `proxy`."""
    from footfall.web._forwarding import Forwarding

    url = collector or os.environ.get("FOOTFALL_API_URL") or "http://localhost:4318/telemetry"
    known = key or os.environ.get("FOOTFALL_API_KEY", "")
    if not known:
        log.warning(
            "footfall: the proxy has no key; make one with footfall keys new --names-viewers"
        )
    return Forwarding(url, known)


def _instrument(extra: str, run: Callable[[Client], None], client: Client | None) -> None:
    """Runs what may need an extra that is not installed; nothing where telemetry cannot be on."""
    used = default if client is None else client
    with guarded(used.trouble):
        try:
            if _threads.may_start():
                run(used)
        except ImportError:
            log.warning(
                "footfall: the routes are not measured; run pip install 'footfall[%s]'", extra
            )
