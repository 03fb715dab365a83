"""The routes of a FastAPI application (A8, F3); see `footfall._web_starlette`."""

from typing import TYPE_CHECKING, Any

from opentelemetry.instrumentation.fastapi import _get_default_span_details
from opentelemetry.trace import TracerProvider

from footfall import _web_starlette
from footfall._web_routes import Found, Routes, Scope, named, search

if TYPE_CHECKING:
    from footfall._client import Client


def instrument(app: Any, client: "Client", tracer_provider: TracerProvider | None) -> None:
    """See `footfall.web.instrument_fastapi`."""
    _web_starlette.instrument(
        app, client, tracer_provider, Routes(details, replaces=_get_default_span_details)
    )


def details(scope: Scope) -> Found:
    """What OpenTelemetry finds out for its span, found faster.

    It makes an object of each route at each request, for the sake of included routers: by far the most
    of what it costs. It is asked itself only where the request meets one.
    """
    try:
        return named(scope, search(scope["app"].routes, scope))
    except AttributeError:
        found: Found = _get_default_span_details(scope)
        return found
