"""Server spans where an application has asked Footfall for them, and nobody else makes any.

They go to the TracerProvider that the application names. Of a request they have method, route and status.
"""

from collections.abc import Iterable
from typing import Final

from opentelemetry import context, propagate
from opentelemetry.trace import (
    Span,
    SpanKind,
    Status,
    StatusCode,
    TracerProvider,
    get_current_span,
    set_span_in_context,
)

_METHOD: Final = "http.request.method"
_STATUS: Final = "http.response.status_code"
ROUTE: Final = "http.route"


class Tracing:
    """Makes the spans.

    Args:
        tracer_provider: Where they go; None for nowhere.
    """

    def __init__(self, tracer_provider: TracerProvider | None) -> None:
        self._tracer = None if tracer_provider is None else tracer_provider.get_tracer("footfall")

    def begin(self, method: str, headers: Iterable[tuple[str, str]]) -> "Traced | None":
        """Makes the current span, unless there is one.

        Args:
            method: The request's method.
            headers: In which the caller's trace is looked for.
        """
        if self._tracer is None or get_current_span().get_span_context().is_valid:
            return None
        caller = propagate.extract({name.lower(): value for name, value in headers})
        span = self._tracer.start_span(method, caller, SpanKind.SERVER, {_METHOD: method})
        return Traced(span, caller)


class Traced:
    """One request's span, which is the current one until it ends.

    Args:
        span: The span.
        caller: The context that it goes on in.
    """

    def __init__(self, span: Span, caller: context.Context) -> None:
        self._span = span
        self._token = context.attach(set_span_in_context(span, caller))
        self._ended = False

    def answer(self, method: str, route: str | None, status: int) -> None:
        """Notes how the request is answered.

        Args:
            method: Its method.
            route: The route's template; None where none fits.
            status: The answer's status.
        """
        if route is not None:
            self._span.update_name(f"{method} {route}")
            self._span.set_attribute(ROUTE, route)
        self._span.set_attribute(_STATUS, status)
        if status >= 500:
            self._span.set_status(Status(StatusCode.ERROR))

    def end(self) -> None:
        """Ends the span; only the first call does."""
        if not self._ended:
            self._ended = True
            context.detach(self._token)
            self._span.end()
