"""Requests of a Django project, under WSGI and ASGI.

Django knows the route when the request has passed the other middlewares: the use begins right before the
view, or ends at once if a middleware has answered instead.
"""

from collections.abc import Awaitable, Callable, Iterable, Iterator
from typing import TYPE_CHECKING, Any, Final

from asgiref.sync import iscoroutinefunction, markcoroutinefunction
from django import conf  # type: ignore[import-untyped]
from django.http import HttpRequest, HttpResponseBase  # type: ignore[import-untyped]
from django.urls import (  # type: ignore[import-untyped]
    Resolver404,
    ResolverMatch,
    get_resolver,
    resolve,
)
from opentelemetry.trace import Span, TracerProvider, get_current_span

from footfall._guard import guarded
from footfall.web._parts import AsyncParts, Parts
from footfall.web._request import Visit, trace_headers
from footfall.web._tracing import Traced, Tracing

if TYPE_CHECKING:
    from footfall._client import Client

GetResponse = Callable[[HttpRequest], Any]

CLIENT: Final = "_FOOTFALL_CLIENT"
"""The setting that holds the client: Django makes middlewares itself, from their names."""
TRACING: Final = "_FOOTFALL_TRACING"
"""The setting that holds what makes spans."""
_OPENTELEMETRY: Final = "opentelemetry.instrumentation.django."
_ERROR: Final = "_footfall_error"
_SPAN: Final = "_footfall_span"
_VISIT: Final = "_footfall_visit"


class Middleware:
    """Measures each request, inside OpenTelemetry's middleware.

    Args:
        get_response: The middlewares and the view inside it.
    """

    sync_capable = True
    async_capable = True

    def __init__(self, get_response: GetResponse) -> None:
        self._get_response = get_response
        self._client: Client = getattr(conf.settings, CLIENT)
        self._client.applications.add(self)
        self._tracing: Tracing = Tracing(None) if _is_traced() else getattr(conf.settings, TRACING)
        self._is_async = iscoroutinefunction(get_response)
        if self._is_async:
            markcoroutinefunction(self)
            # Else Django would call it in a thread.
            self.process_view = self._process_view  # type: ignore[method-assign]

    def offered(self) -> Iterator[str]:
        """All routes, as rules name them; they are open to any method."""
        return offered(get_resolver().url_patterns)

    def __call__(self, request: HttpRequest) -> HttpResponseBase | Awaitable[HttpResponseBase]:
        """Answers one request; what the project raises passes through."""
        if self._is_async:
            return self._answer(request)
        traced, visit = self._traced(request), self._visit(request)
        try:
            response: HttpResponseBase = self._get_response(request)
        except BaseException as error:
            self._end(visit, request, None, error)
            raise
        else:
            self._end(visit, request, response, None, traced)
            return response
        finally:
            if traced is not None:
                traced.end()

    async def _answer(self, request: HttpRequest) -> HttpResponseBase:
        traced, visit = self._traced(request), self._visit(request)
        try:
            response: HttpResponseBase = await self._get_response(request)
        except BaseException as error:
            self._end(visit, request, None, error)
            raise
        else:
            self._end(visit, request, response, None, traced)
            return response
        finally:
            if traced is not None:
                traced.end()

    def process_view(self, request: HttpRequest, view: object, *_: Any) -> Any:
        """Begins the use, so that it is the current one within the view.

        The server's span is kept, where OpenTelemetry's middleware was put inside ours later.
        """
        setattr(request, _SPAN, get_current_span())
        visit: Visit | None = getattr(request, _VISIT, None)
        if visit is not None:
            with guarded(self._client.trouble):
                _route(visit, request)

    async def _process_view(self, request: HttpRequest, view: object, *rest: Any) -> None:
        type(self).process_view(self, request, view, *rest)

    def process_exception(self, request: HttpRequest, exception: Exception) -> None:
        """Keeps what a view raised: of the response that Django makes of it, only its status is known."""
        setattr(request, _ERROR, exception)

    def _traced(self, request: HttpRequest) -> Traced | None:
        with guarded(self._client.trouble):
            return self._tracing.begin(request.method or "", request.headers.items())
        return None

    def _visit(self, request: HttpRequest) -> Visit | None:
        if self._client.recorder is None:
            return None
        visit = Visit(self._client)
        setattr(request, _VISIT, visit)
        return visit

    def _end(
        self,
        visit: Visit | None,
        request: HttpRequest,
        response: HttpResponseBase | None,
        error: BaseException | None,
        traced: Traced | None = None,
    ) -> None:
        """Counts the request, and adds the trace headers unless the response has them."""
        with guarded(self._client.trouble):
            if visit is not None:
                if visit.use is None:
                    _route(visit, request)
                if response is not None:
                    visit.answer(response.status_code, getattr(request, _ERROR, None))
                if response is not None and response.streaming and visit.use is not None:
                    _follow(visit, response)
                else:
                    visit.end(error)
            if response is not None:
                if traced is not None:
                    match = _resolved(request)
                    route = match and f"/{match.route}"
                    traced.answer(request.method or "", route, response.status_code)
                for name, value in trace_headers(_span(request)):
                    response.headers.setdefault(name, value)


def _span(request: HttpRequest) -> Span:
    span = get_current_span()
    return span if span.get_span_context().is_valid else getattr(request, _SPAN, span)


def _route(visit: Visit, request: HttpRequest) -> None:
    match = _resolved(request)
    if match is not None:
        visit.routed(request.method or "", f"/{match.route}")
        visit.handled(match.func)


def _follow(visit: Visit, response: Any) -> None:
    """Lets a visit go on until all of the response was made, or until it is closed.

    Its own iterator is replaced, not its content, which would take from a file that it can be sent as one.
    """
    visit.pause()
    parts = AsyncParts if response.is_async else Parts
    response._iterator = parts(visit, response._iterator)
    response._resource_closers.append(visit.closed)


def _resolved(request: HttpRequest) -> ResolverMatch | None:
    """The route, also of a request that a middleware answered before Django looked for it."""
    if request.resolver_match is not None:
        return request.resolver_match
    try:
        return resolve(request.path_info, getattr(request, "urlconf", None))
    except Resolver404:
        return None


def offered(patterns: Iterable[Any], prefix: str = "") -> Iterator[str]:
    """All routes below these patterns, as rules name them; Django opens each to any method."""
    for each in patterns:
        route = str(each.pattern)
        whole = prefix + route.removeprefix("^") if prefix else route
        if hasattr(each, "url_patterns"):
            yield from offered(each.url_patterns, whole)
        else:
            yield f"* /{whole}"


def instrument(client: "Client", tracer_provider: TracerProvider | None) -> None:
    """See `footfall.web.instrument_django`."""
    name = f"{Middleware.__module__}.{Middleware.__qualname__}"
    if name in conf.settings.MIDDLEWARE:
        return
    middlewares = list(conf.settings.MIDDLEWARE)
    outer = [n for n, each in enumerate(middlewares) if each.startswith(_OPENTELEMETRY)]
    middlewares.insert(outer[-1] + 1 if outer else 0, name)
    setattr(conf.settings, CLIENT, client)
    setattr(conf.settings, TRACING, Tracing(tracer_provider))
    conf.settings.MIDDLEWARE = middlewares


def _is_traced() -> bool:
    """Whether OpenTelemetry's middleware is there by now, inside or outside of ours."""
    return any(each.startswith(_OPENTELEMETRY) for each in conf.settings.MIDDLEWARE)
