"""The routes of a FastAPI application; see `footfall.web._starlette`."""

from typing import TYPE_CHECKING, Any

from opentelemetry.instrumentation.fastapi import _get_default_span_details
from opentelemetry.trace import TracerProvider

from footfall.web import _starlette
from footfall.web._routes import Routes

if TYPE_CHECKING:
    from footfall._client import Client


def instrument(app: Any, client: "Client", tracer_provider: TracerProvider | None) -> None:
    """See `footfall.web.__init__.instrument_fastapi`."""
    routes = Routes(app, _get_default_span_details)
    _starlette.instrument(app, client, tracer_provider, routes)
