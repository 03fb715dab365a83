"""Requests of a Flask application."""

import sys
from collections.abc import Callable, Iterator
from types import GeneratorType
from typing import TYPE_CHECKING, Any, Final

from flask import Flask, Response, current_app, request
from opentelemetry.trace import TracerProvider, get_current_span

from footfall._guard import guarded
from footfall.web._parts import Parts, end_with_file
from footfall.web._request import Visit, trace_headers
from footfall.web._tracing import Traced, Tracing

if TYPE_CHECKING:
    from footfall._client import Client

_MARK: Final = "_is_instrumented_by_footfall"
_VISIT: Final = "footfall.visit"
_TRACED: Final = "footfall.traced"


class Hooks:
    """What Flask calls around each request; ours is the first before it and the last after it.

    Args:
        app: The application.
        client: What sends; it may be configured later.
        tracing: Makes spans, where the application wants them.
    """

    def __init__(self, app: Flask, client: "Client", tracing: Tracing) -> None:
        self._client = client
        self._app = app
        self._tracing = tracing
        client.applications.add(self)

    def offered(self) -> Iterator[str]:
        """All routes, as rules name them."""
        return offered(self._app)

    def before(self) -> None:
        """Begins a visit."""
        with guarded(self._client.trouble):
            if not getattr(current_app, "_is_instrumented_by_opentelemetry", False):
                traced = self._tracing.begin(request.method, request.headers.items())
                request.environ.setdefault(_TRACED, traced)
            if self._client.recorder is not None and _VISIT not in request.environ:
                visit = request.environ[_VISIT] = Visit(self._client)
                if request.url_rule is not None:
                    visit.routed(request.method, request.url_rule.rule)
                    visit.handled(current_app.view_functions.get(request.endpoint or ""))

    def after(self, response: Response) -> Response:
        """Notes the response, and adds the trace headers unless it has them."""
        with guarded(self._client.trouble):
            for name, value in trace_headers(get_current_span()):
                response.headers.setdefault(name, value)
            traced: Traced | None = request.environ.get(_TRACED)
            if traced is not None:
                route = None if request.url_rule is None else request.url_rule.rule
                traced.answer(request.method, route, response.status_code)
            visit: Visit | None = request.environ.get(_VISIT)
            if visit is not None:
                visit.answer(response.status_code, sys.exception())  # Flask is handling it
                # What Flask makes of abort() seems streamed too, but is complete.
                if response.is_streamed and response.status_code < 400 and visit.use is not None:
                    _follow(visit, response)
                else:
                    visit.end()
        return response

    def teardown(self, error: BaseException | None) -> None:
        """Ends the visit of a request that is not answered: its exception goes on to the server."""
        traced: Traced | None = request.environ.pop(_TRACED, None)
        if traced is not None:
            traced.end()
        visit: Visit | None = request.environ.get(_VISIT)
        if visit is not None and not visit.answered and error is not None:
            visit.end(error)


def _follow(visit: Visit, response: Response) -> None:
    """Lets a visit go on until all of the response was made."""
    visit.pause()
    body = response.response
    if response.direct_passthrough and not isinstance(body, GeneratorType):
        end_with_file(visit, body)
    else:
        response.response = Parts(visit, body)
    response.call_on_close(visit.end)


def offered(app: Flask) -> Iterator[str]:
    """All routes of an application, as rules name them."""
    for rule in app.url_map.iter_rules():
        yield from (f"{method} {rule.rule}" for method in sorted(rule.methods or ("GET",)))


def instrument(app: Flask, client: "Client", tracer_provider: TracerProvider | None) -> None:
    """See `footfall.web.instrument_flask`."""
    if getattr(app, _MARK, False):
        return
    hooks = Hooks(app, client, Tracing(tracer_provider))
    _first(app.before_request_funcs, hooks.before)
    _first(app.after_request_funcs, hooks.after)  # Flask calls these in reverse
    _first(app.teardown_request_funcs, hooks.teardown)
    setattr(app, _MARK, True)


def _first(functions: dict[Any, list[Any]], function: Callable[..., Any]) -> None:
    functions.setdefault(None, []).insert(0, function)
