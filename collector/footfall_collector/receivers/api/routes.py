"""The routes of the HTTP API, under each of its prefixes, on the listener of OTLP/HTTP."""

import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Final

from starlette.responses import Response
from starlette.routing import Route

from footfall_collector.config.http_api import HttpApiConfig
from footfall_collector.decoding import halves
from footfall_collector.receivers import bodies
from footfall_collector.receivers.api import contracts, naming, openapi, psr, receipt
from footfall_collector.receivers.api.asking import Asking, Needs
from footfall_collector.receivers.api.described import OPERATIONS
from footfall_collector.receivers.api.endpoints import (
    Asked,
    Endpoint,
    Endpoints,
    Json,
    require_json,
    respond,
    short,
    trace_id,
)
from footfall_collector.receivers.api.errors import ApiAnswer, ApiError, Problem
from footfall_collector.receivers.api.naming import named
from footfall_collector.receivers.api.storing import Storing
from footfall_collector.security.identity.identity import Identity
from footfall_processors import Batch

MAX_BYTES: Final = 2**19
"""Of a body: as many events as a request may have, each as long as it may be."""


@dataclass(frozen=True, slots=True)
class Contract:
    """One way to post.

    Attributes:
        path: Below the prefix.
        read: What a body means.
        answer: What is said once it is stored: the batch, and how many events were posted.
        error: What is said when nothing of it is.
        needs: Who must be asking.
        in_session: What a body means of somebody of whom only a session is known, where that is another.
    """

    path: str
    read: contracts.Reader
    answer: Callable[[Batch, int], Json]
    error: Callable[[ApiAnswer], Json]
    needs: Needs = Needs.SENDER
    in_session: contracts.Reader | None = None

    def of(self, who: Identity) -> contracts.Reader:
        """What reads the bodies of somebody."""
        return self.in_session if self.in_session and who.started else self.read


def _ok(batch: Batch, _: int) -> Json:
    if not batch.size:
        raise ApiError(
            Problem.INVALID_EVENT, "the catalog declares no such event, or it has expired"
        )
    return {"ok": True}


def _numbers(batch: Batch, posted: int) -> Json:
    numbers = {"accepted": batch.size, "rejected": posted - batch.size, "trace_id": trace_id()}
    if posted and not batch.size:
        text = "no event is declared, or readable, or of these days"
        raise ApiError(Problem.INVALID_EVENT, text, numbers=numbers)
    return numbers


def _long(answer: ApiAnswer) -> Json:
    numbers = answer.numbers or {"accepted": 0, "rejected": 0, "trace_id": trace_id()}
    return {**numbers, "error": answer.problem, "message": answer.text}


CONTRACTS: Final = (
    Contract("/ingest", contracts.ingest, _ok, short, Needs.VIEWER, contracts.metrics),
    Contract("/track", contracts.track, _numbers, _long),
    Contract("/events", contracts.events, _numbers, _long),
)


def routes(
    config: HttpApiConfig,
    storing: Storing,
    asking: Asking,
    rater: psr.Rater | None,
    others: Sequence[Endpoint] = (),
) -> list[Route]:
    """The API's routes.

    Args:
        config: The receiver's.
        storing: Makes a batch of what is posted, and has it stored.
        asking: Says who asks.
        rater: Keeps ratings; None where they are switched off.
        others: Endpoints beside those that take what is posted.
    """
    endpoints = Endpoints(storing.request, asking, enabled=config.enabled)
    posts = [
        Endpoint(
            each.path, ("POST",), _stored(each, storing, asking), each.error, Needs.NOBODY, "logs"
        )
        for each in CONTRACTS
    ]
    ratings = psr.endpoint(rater, storing)
    every = [
        *((p, each) for p in config.prefixes for each in (*posts, ratings, *others)),
        ("", ratings),
    ]
    for _, each in every:
        if OPERATIONS[each.path].methods != each.methods:
            raise AssertionError(f"{each.path} is described with other methods")
    described = openapi.route(config.prefixes)
    return [*(endpoints.route(prefix, each) for prefix, each in every), described]


def _stored(
    contract: Contract, storing: Storing, asking: Asking
) -> Callable[[Asked], Awaitable[Response]]:
    """What has the requests of one contract stored."""

    async def store(asked: Asked) -> Response:
        request, who, seen = asked.request, asked.who, asked.seen
        if who != Identity() or not asking.takes_tokens:
            await asking.settle(who, contract.needs)  # before the body is read
        require_json(request)
        under = receipt.sent(request.headers)
        with storing.open(who, request) as passage:
            body = halves.mended(await passage.receive(bodies.read(request, MAX_BYTES, passage)))
            if who == Identity():
                who = asking.by_token(contracts.token(body)) or who
                await asking.settle(who, contract.needs)
            read = contract.of(who)(body, time.time_ns())
            asked.verdict = await asking.weigh(who, read.size, asked.verdict)
            key = request.headers.get(naming.HEADER)
            key = read.name if key is None else key
            called = named(key, contract.path, who, body)
            batch = await storing.store(read, who, seen, called, under)
        return respond(contract.answer(batch, read.size))

    return store
