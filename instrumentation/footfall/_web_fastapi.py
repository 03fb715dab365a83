"""Puts the measuring middleware into a FastAPI application (A8, F3)."""

import sys
from types import MethodType
from typing import TYPE_CHECKING, Any, Final

from opentelemetry.instrumentation.asgi import OpenTelemetryMiddleware
from opentelemetry.instrumentation.fastapi import FastAPIInstrumentor, _get_default_span_details
from opentelemetry.trace import TracerProvider

from footfall._web_asgi import OPTIONS, Measured, innermost, watch_router
from footfall._web_routes import App, Routes

if TYPE_CHECKING:
    from footfall._client import Client

_MARK: Final = "_is_instrumented_by_footfall"


def instrument(app: Any, client: "Client", tracer_provider: TracerProvider | None) -> None:
    """See `footfall.web.instrument_fastapi`."""
    if getattr(app, _MARK, False):
        return
    if not _traced(app) and (tracer_provider is not None or not _native()):
        FastAPIInstrumentor.instrument_app(app, tracer_provider=tracer_provider, **OPTIONS)
    watch_router(app)
    routes = Routes(app, _get_default_span_details)
    client.applications.add(routes)
    build = app.build_middleware_stack

    def build_middleware_stack(_: Any) -> App:
        stack: App = build()
        try:
            return measured(stack, client, routes)
        except Exception as error:
            client.trouble(error)
            return stack

    app.build_middleware_stack = MethodType(build_middleware_stack, app)
    if app.middleware_stack is not None:  # it has started; otherwise it builds them when it starts
        app.middleware_stack = app.build_middleware_stack()
    setattr(app, _MARK, True)


def measured(stack: App, client: "Client", routes: Routes) -> App:
    """A stack of middlewares with ours in its place: inside OpenTelemetry's, or around them all."""
    outer = innermost(stack)
    if outer is None:
        return Measured(stack, client, routes)
    if outer.default_span_details is _get_default_span_details:
        # So that routes are searched once; and FastAPI makes no object of each route at each request.
        outer.default_span_details = routes.details
    outer.app = Measured(outer.app, client, routes)
    return stack


def _traced(app: Any) -> bool:
    """Whether the application has OpenTelemetry's middleware already."""
    marked = getattr(app, "_is_instrumented_by_opentelemetry", False)
    return marked or any(each.cls is OpenTelemetryMiddleware for each in app.user_middleware)


def _native() -> bool:
    """Whether FastAPI makes server spans itself.

    It does once the application has a TracerProvider, and stops, also with its metrics and logs, when
    it finds OpenTelemetry's middleware: adding that would take something from the application.
    """
    return "fastapi.telemetry" in sys.modules
