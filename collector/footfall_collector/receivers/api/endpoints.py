"""What all routes of the HTTP API do alike: switched off, asked by somebody, counted, answered in JSON."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import msgspec
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import Route

from footfall_collector.receivers import bodies
from footfall_collector.receivers.api import errors
from footfall_collector.receivers.api.asking import Asking, Needs
from footfall_collector.receivers.api.errors import ApiAnswer, ApiError, Problem
from footfall_collector.receivers.refusals import Refusal
from footfall_collector.security.identity.identity import Identity
from footfall_collector.security.limits import Verdict
from footfall_collector.telemetry import telemetry
from footfall_collector.telemetry.instruments import Refused
from footfall_collector.telemetry.trace_context import HEADER, TraceContext, current

_encode = msgspec.json.Encoder().encode
Json = Mapping[str, Any]


@dataclass(slots=True)
class Asked:
    """A request, and whose it is.

    Attributes:
        request: As it came; its body may wait.
        who: Sends it.
        verdict: What is left of their limit; changes with what its body weighs.
        seen: Counts it.
    """

    request: Request
    who: Identity
    verdict: Verdict
    seen: telemetry.Request


@dataclass(frozen=True, slots=True)
class Endpoint:
    """One route, below each prefix.

    Attributes:
        path: Below the prefix.
        methods: That it takes.
        handle: Answers. Raises ApiError or Refusal: it does not.
        error: The body of a refusal.
        needs: Who must be asking.
        signal: As which its refused requests are told; none where nothing is lost by a refusal.
        enabled: Whether it is there at all; if not, it is 404 like all others that are switched off.
    """

    path: str
    methods: tuple[str, ...]
    handle: Callable[[Asked], Awaitable[Response]]
    error: Callable[[ApiAnswer], Json]
    needs: Needs = Needs.SENDER
    signal: str = ""
    enabled: bool = True


class Endpoints:
    """Serves endpoints.

    Args:
        counted: Counts a request of a signal, on a path.
        asking: Says who asks.
        enabled: Whether anything is taken; if not, everything is 404.
    """

    def __init__(
        self,
        counted: Callable[[str, str], telemetry.Request],
        asking: Asking,
        *,
        enabled: bool,
    ) -> None:
        self._counted, self._asking, self._enabled = counted, asking, enabled

    def route(self, prefix: str, endpoint: Endpoint) -> Route:
        """The endpoint's route below a prefix."""

        async def answer(request: Request) -> Response:
            current.set(TraceContext(request.headers.get(HEADER)))
            asked: Asked | None = None
            with self._counted(endpoint.signal, prefix + endpoint.path) as seen:
                try:
                    asked = await self._asked(endpoint, request, seen)
                    response = await endpoint.handle(asked)
                    limits = self._asking.headers(asked.verdict)
                    response.raw_headers += [(k.encode(), v.encode()) for k, v in limits.items()]
                    return response
                except asyncio.CancelledError:  # a stopping server waits no longer
                    refused = errors.stopping()
                except ClientDisconnect:
                    seen.refused(Refused.GONE, 499)
                    return Response(status_code=400)
                except Refusal as refusal:
                    refused = errors.of(refusal.answer)
                except ApiError as error:
                    refused = error.answer
                seen.refused(refused.reason, refused.status)
                with suppress(asyncio.CancelledError):
                    await bodies.read_away(request)
                limits = self._asking.headers(asked.verdict) if asked else {}
                headers = {**limits, **refused.headers}
                return respond(endpoint.error(refused), refused.status, headers)

        return Route(prefix + endpoint.path, answer, methods=list(endpoint.methods))

    async def _asked(self, endpoint: Endpoint, request: Request, seen: telemetry.Request) -> Asked:
        if not self._enabled:  # before anybody is asked who they are
            raise ApiError(Problem.DISABLED, "telemetry is switched off here")
        if not endpoint.enabled:
            raise ApiError(Problem.FEATURE_DISABLED, "this is switched off here")
        who, verdict = await self._asking.who(request, endpoint.needs)
        seen.key = who.key.name if who.key else ""
        return Asked(request, who, verdict, seen)


def require_json(request: Request) -> None:
    """Refuses a body of another media type.

    Raises:
        ApiError: it is not JSON.
    """
    media_type = request.headers.get("content-type", "").partition(";")[0]
    if media_type.strip().lower() != "application/json":
        raise ApiError(Problem.MEDIA_TYPE, "the content type must be application/json")


def short(answer: ApiAnswer) -> Json:
    """A refusal as the document of the counts has it: nothing beside."""
    return {"ok": False, "error": answer.problem}


def trace_id() -> str:
    """The present request's trace, in hexadecimal."""
    context = current.get()
    return context.trace_id if context else ""


def respond(said: Json, status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    """An answer in JSON, which nobody keeps, with the trace that it belongs to."""
    context = current.get()
    trace = {} if context is None else {HEADER: f"00-{context.trace_id}-{context.span_id}-00"}
    sent = {"cache-control": "no-store", **trace, **(headers or {})}
    return Response(_encode(said), status, sent, "application/json")
