"""The routes of the HTTP API, under each of its prefixes, on the listener of OTLP/HTTP."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Final

import msgspec
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import Route

from footfall_collector.config.http_api import HttpApiConfig
from footfall_collector.receivers import bodies
from footfall_collector.receivers.api import contracts, errors, naming
from footfall_collector.receivers.api.asking import Asking
from footfall_collector.receivers.api.errors import ApiAnswer, ApiError, Problem
from footfall_collector.receivers.api.naming import named
from footfall_collector.receivers.api.storing import Storing
from footfall_collector.receivers.refusals import Refusal
from footfall_collector.telemetry import telemetry
from footfall_collector.telemetry.instruments import Refused
from footfall_collector.telemetry.trace_context import HEADER, TraceContext, current
from footfall_processors import Batch

MAX_BYTES: Final = 2**19
"""Of a body: as many events as a request may have, each as long as it may be."""
_encode = msgspec.json.Encoder().encode
Json = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Contract:
    """One way to post.

    Attributes:
        path: Below the prefix.
        read: What a body means.
        answer: What is said once it is stored: the batch, and how many events were posted.
        error: What is said when nothing of it is.
        needs_viewer: Whether an API key alone is not enough.
    """

    path: str
    read: contracts.Reader
    answer: Callable[[Batch, int], Json]
    error: Callable[[ApiAnswer], Json]
    needs_viewer: bool = False


def _ok(batch: Batch, _: int) -> Json:
    if not batch.size:
        raise ApiError(
            Problem.INVALID_EVENT, "the catalog declares no such event, or it has expired"
        )
    return {"ok": True}


def _numbers(batch: Batch, posted: int) -> Json:
    numbers = {"accepted": batch.size, "rejected": posted - batch.size, "trace_id": _trace_id()}
    if posted and not batch.size:
        text = "no event is declared, or readable, or of these days"
        raise ApiError(Problem.INVALID_EVENT, text, numbers=numbers)
    return numbers


def _short(answer: ApiAnswer) -> Json:
    """As the document of the counts has it: nothing beside."""
    return {"ok": False, "error": answer.problem}


def _long(answer: ApiAnswer) -> Json:
    numbers = answer.numbers or {"accepted": 0, "rejected": 0, "trace_id": _trace_id()}
    return {**numbers, "error": answer.problem, "message": answer.text}


CONTRACTS: Final = (
    Contract("/ingest", contracts.ingest, _ok, _short, needs_viewer=True),
    Contract("/track", contracts.track, _numbers, _long),
    Contract("/events", contracts.events, _numbers, _long),
)


def routes(config: HttpApiConfig, storing: Storing, asking: Asking) -> list[Route]:
    """The API's routes.

    Args:
        config: The receiver's.
        storing: Makes a batch of what is posted, and has it stored.
        asking: Says who asks.
    """
    posts = _Posts(config, storing, asking)
    return [
        Route(prefix + contract.path, posts.endpoint(prefix, contract), methods=["POST"])
        for prefix in config.prefixes
        for contract in CONTRACTS
    ]


class _Posts:
    """Takes what is posted.

    Args:
        config, storing, asking: As for `routes`.
    """

    def __init__(self, config: HttpApiConfig, storing: Storing, asking: Asking) -> None:
        self._config, self._storing, self._asking = config, storing, asking

    def endpoint(self, prefix: str, contract: Contract) -> Callable[[Request], Awaitable[Response]]:
        """What answers one contract's requests."""

        async def post(request: Request) -> Response:
            current.set(TraceContext(request.headers.get(HEADER)))
            with self._storing.request(prefix + contract.path) as seen:
                try:
                    return await self._stored(contract, request, seen)
                except asyncio.CancelledError:  # a stopping server waits no longer
                    answer = errors.stopping()
                except ClientDisconnect:
                    seen.refused(Refused.GONE, 499)
                    return Response(status_code=400)
                except Refusal as refusal:
                    answer = errors.of(refusal.answer)
                except ApiError as error:
                    answer = error.answer
                seen.refused(answer.reason, answer.status)
                with suppress(asyncio.CancelledError):
                    await bodies.read_away(request)
                return _response(contract.error(answer), answer.status, answer.headers)

        return post

    async def _stored(
        self, contract: Contract, request: Request, seen: telemetry.Request
    ) -> Response:
        if not self._config.enabled:  # before anybody is asked who they are
            raise ApiError(Problem.DISABLED, "telemetry is switched off here")
        who, verdict = await self._asking.who(request, needs_viewer=contract.needs_viewer)
        seen.key = who.key.name if who.key else ""
        media_type = request.headers.get("content-type", "").partition(";")[0]
        if media_type.strip().lower() != "application/json":
            raise ApiError(Problem.MEDIA_TYPE, "the content type must be application/json")
        with self._storing.open(who, request) as passage:
            body = await passage.receive(bodies.read(request, MAX_BYTES, passage))
            read = contract.read(body, time.time_ns())
            verdict = await self._asking.weigh(who, read.size, verdict)
            called = named(request.headers.get(naming.HEADER), contract.path, who, body)
            batch = await self._storing.store(read, who, seen, called)
        return _response(contract.answer(batch, read.size), 200, self._asking.headers(verdict))


def _trace_id() -> str:
    context = current.get()
    return context.trace_id if context else ""


def _response(said: Json, status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    context = current.get()
    trace = {} if context is None else {HEADER: f"00-{context.trace_id}-{context.span_id}-00"}
    sent = {"cache-control": "no-store", **trace, **(headers or {})}
    return Response(_encode(said), status, sent, "application/json")
