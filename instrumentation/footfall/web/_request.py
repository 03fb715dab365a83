"""One request of a web application as one use of a feature, and its trace id for the answer.

Every framework's hooks feed the same `Visit`, so that a status means the same everywhere; what it means
stands in `footfall_processors.error_types`, by which the collector judges spans of others as well. Besides:

| how the request was answered               | outcome                                               |
|--------------------------------------------|-------------------------------------------------------|
| an exception, before or in the answer      | failure, by its class                                 |
| no answer at all                           | failure, `unexpected_error`                           |
| the client left before the answer          | failure, `provider_timeout`                           |
| the client left in the answer              | what it was answered                                  |

What the handler says itself, by `footfall.current().fail(...)`, goes before its status. Nothing of the
request is read but its method and the template of its route, and neither is sent: they only say which
event of the catalog this is.
"""

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from secrets import token_hex
from typing import TYPE_CHECKING, Any, Final, TypeVar

from opentelemetry.trace import Span

from footfall._feature import Measured
from footfall._guard import guarded
from footfall._recording.outcome import is_one_of
from footfall_processors.error_types import UNEXPECTED_ERROR, http_error, is_vague
from footfall_processors.matching import Match

if TYPE_CHECKING:
    from footfall._client import Client
    from footfall._recording.recorder import Recorder

F = TypeVar("F", bound=Callable[..., Any])

STATUS_CLASS: Final = "status_class"
"""An attribute that is filled (`2xx` to `5xx`) for events that declare it."""
TRACEPARENT: Final = "traceparent"
TRACE_ID: Final = "x-trace-id"
TRACE: Final = slice(3, 35)
"""Where a `traceparent` has the trace id."""
GONE: Final = frozenset(("ClientDisconnect", "WebSocketDisconnect", "CancelledError", "Cancelled"))
"""What an application ends with when the client leaves in the middle of an answer: it had enough."""
_MARK: Final = "_footfall_event"


def mark(handler: F, match: Match) -> F:
    """`handler` itself, with the event that it stands for noted on it."""
    with suppress(AttributeError, TypeError):  # what takes no attributes cannot be marked
        setattr(handler, _MARK, match)
    return handler


def traceparent(span: Span) -> str:
    """The `traceparent` of a server span (W3C Trace Context, 3.2).

    Where nothing traces, there is no span; then the ids are random, and nobody else knows them.
    """
    context = span.get_span_context()
    if not context.is_valid:
        return f"00-{token_hex(16)}-{token_hex(8)}-00"
    flags = context.trace_flags & 0xFF
    return f"00-{context.trace_id:032x}-{context.span_id:016x}-{flags:02x}"


def trace_headers(span: Span) -> tuple[tuple[str, str], tuple[str, str]]:
    """The headers that tell an answer's trace: names and values."""
    value = traceparent(span)
    return (TRACEPARENT, value), (TRACE_ID, value[TRACE])


class Visit:
    """One request, which is a use of a feature if the catalog says so; no method of it raises.

    It is what `client.feature()` makes, but can begin before its event is known. Inside the handler it is
    `footfall.current()`.

    Args:
        client: What sends; it sends nothing while telemetry is off.

    Attributes:
        answered: Whether the application began to answer.
        open: Whether something may still be noted: telemetry is on, and the visit has not ended.
        use: The use; None as long as the request is not known to be one.
    """

    answered = False
    use: Measured | None = None

    def __init__(self, client: "Client") -> None:
        self._client = client
        self._recorder = recorder = client.recorder
        self.open = recorder is not None
        self._clock = time.perf_counter_ns()

    def routed(self, method: str, route: str | None) -> None:
        """Notes which route the request takes; from now on it is a use, if a rule names the route.

        Args:
            method: Its HTTP method.
            route: The route's template, such as `/seeds/{id}`; None where no route fits.
        """
        recorder = self._recorder
        if recorder is not None:
            with guarded(self._client.trouble):
                if recorder.is_telling:
                    recorder.tell_of_rules(_offered(self._client))
                match = recorder.matchers["route"].find(f"{method} {route}")
                if match is not None:
                    self._begin(recorder, match)

    def handled(self, handler: object) -> None:
        """Notes what handles the request: it may be marked with an event, which a rule goes before."""
        recorder = self._recorder
        if recorder is not None and self.open and self.use is None:
            with guarded(self._client.trouble):
                match = getattr(handler, _MARK, None)
                if isinstance(match, Match):
                    self._begin(recorder, match)

    def answer(self, status: int, error: BaseException | None = None) -> None:
        """Notes the answer's status, and the exception that it was made of, if there is one."""
        self.answered = True
        use = self.use
        if use is None or use.plan is None:
            return
        if STATUS_CLASS in use.plan.checks:
            use.set(**{STATUS_CLASS: f"{status // 100}xx"})
        failure = http_error(status)
        if failure is not None and use.error is None:  # what the handler said itself goes before
            use.fail(error if error is not None and failure == UNEXPECTED_ERROR else failure)
            if status < 500 and error is not None:
                _say_more(use, error)

    def pause(self) -> None:
        """The handler has returned; its answer is not complete yet."""
        if self.use is not None:
            self.use._pause()

    def resume(self) -> None:
        """More of the answer is made."""
        if self.use is not None and self.open:
            self.use._resume()

    def closed(self) -> None:
        """Ends a visit whose answer the server has closed, maybe because it could not be read."""
        error = sys.exception()
        self.end(None if isinstance(error, ConnectionError) else error)

    def end(self, error: BaseException | None = None) -> None:
        """Sends the observation; only the first call does.

        Args:
            error: What the application raised instead of answering, or while it did.
        """
        use, is_open, self.open = self.use, self.open, False
        if use is None or not is_open:
            return
        if error is None and not self.answered:
            use.fail(UNEXPECTED_ERROR)
        if error is not None and self.answered and is_one_of(error, GONE):
            error = None
        use.__exit__(None if error is None else type(error), error, None)

    def _begin(self, recorder: "Recorder", match: Match) -> None:
        event, action = match
        use = self.use = Measured(self._client, event, action, {}, recorder)
        use.__enter__()
        use.clock = self._clock  # the request began before its event was known


def _offered(client: "Client") -> Iterator[str]:
    for application in list(client.applications):
        yield from application.offered()


def _say_more(use: Measured, error: BaseException) -> None:
    """An exception that was turned into a refusal says more than the status, if its class is known."""
    before = use.error
    if is_vague(before):
        use.fail(error)
        if use.error in (None, UNEXPECTED_ERROR):
            use.error = before
