"""The HTTP API put together: who asks, how much they may, where what they say goes."""

import hmac
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AsyncExitStack, aclosing
from functools import partial

import psycopg
from starlette.routing import Route

from footfall_collector.config.config import Config
from footfall_collector.config.http_api import HttpApiConfig
from footfall_collector.process import gauges
from footfall_collector.process.backend import Backend
from footfall_collector.receivers.admission import Gate
from footfall_collector.receivers.api import sessions
from footfall_collector.receivers.api.asking import Asking, Needs
from footfall_collector.receivers.api.endpoints import Endpoint
from footfall_collector.receivers.api.health import Health
from footfall_collector.receivers.api.psr import Rater
from footfall_collector.receivers.api.receipt import Receipts, Work
from footfall_collector.receivers.api.routes import routes
from footfall_collector.receivers.api.sessions import Sessions
from footfall_collector.receivers.api.storing import Storing
from footfall_collector.receivers.api.summary import Summary
from footfall_collector.receivers.intake import Intake
from footfall_collector.security.identity.identities import identities
from footfall_collector.security.identity.session_tokens import SessionTokens
from footfall_collector.security.limits import Limiter, Limits
from footfall_exporters.background import beside
from footfall_exporters.contracts import Unavailable
from footfall_exporters.postgres import discretion
from footfall_exporters.postgres.connecting import ERASING, PURGING, connect
from footfall_exporters.postgres.erasing import Held, erase, held
from footfall_exporters.postgres.pulse import feel
from footfall_exporters.postgres.rates import Rates
from footfall_exporters.postgres.ratings import Ratings
from footfall_exporters.postgres.sessions import following, forgetting
from footfall_exporters.postgres.sessions.signs import Signs
from footfall_exporters.postgres.summaries import Summaries
from footfall_processors import Hash, OperatorError
from footfall_processors.catalog import hashed_column
from footfall_processors.hashing import STATIC_PERIOD


async def api(
    config: Config,
    intake: Intake,
    backend: Backend,
    gate: Gate,
    stack: AsyncExitStack,
    reloads: list[Callable[[], None]],
) -> list[Route]:
    """The routes of the HTTP API; none where it is off.

    Args:
        config: The collector's.
        intake: Where batches go.
        backend: Behind it.
        gate: Has the API keys.
        stack: Ends what goes on beside.
        reloads: Gets what reads the keys of JWTs again.
    """
    if config.http_api is None:
        return []
    tokens = _tokens(config, backend)
    known = await stack.enter_async_context(
        identities(config.http_api.identity, tokens, gate.keys, dev=config.development)
    )
    reloads.append(known.reload)
    limits = Limits(config.http_api.rate_limit.user, config.http_api.rate_limit.address)
    limiter = Limiter(limits, Rates(backend.dsn))
    await stack.enter_async_context(beside(limiter.run()))
    gauges.watch_limits(intake.telemetry, limiter)
    asking = Asking(known, limits, limiter, gate)
    storing = Storing(config.http_api, intake, backend.decoding)
    others: list[Endpoint] = []
    if tokens is not None:
        running = await _sessions(config, backend, tokens, stack)
        asking.alive = running.alive
        others += sessions.endpoints(running, storing, asking)
    others += await _told(config, backend, stack)
    rater = await _rater(config.http_api, backend, stack)
    return routes(config.http_api, storing, asking, rater, others)


async def _told(config: Config, backend: Backend, stack: AsyncExitStack) -> list[Endpoint]:
    """What tells viewers their counts, and servers how it goes; nothing without a store."""
    if config.http_api is None or config.postgres is None:
        return []
    servers = Needs.SENDER if config.development else Needs.SERVER
    health = Health(partial(feel, backend.dsn), servers)
    viewer = config.http_api.attributes.viewer
    summaries = Summaries(backend.dsn, hashed_column(viewer))
    await stack.enter_async_context(aclosing(summaries))
    summary = Summary(viewer, backend.decoding, summaries)
    return [summary.endpoint, health.endpoint, _receipts(config.http_api, backend)]


def _receipts(config: HttpApiConfig, backend: Backend) -> Endpoint:
    """What tells clients what is stored under their receipts, and erases it."""
    receipt = config.attributes.receipt
    column = hashed_column(receipt)

    def done(work: Callable[..., Awaitable[list[Held]]]) -> Work:
        async def do(pseudonyms: Sequence[bytes]) -> list[Held]:
            try:
                async with await connect(backend.dsn, ERASING) as connection:
                    await discretion.quiet(connection)
                    return await work(connection, column, pseudonyms)
            except (psycopg.Error, OperatorError) as error:
                raise Unavailable(type(error).__name__) from None

        return do

    return Receipts(receipt, backend.decoding, done(held), done(erase)).endpoint


async def _rater(config: HttpApiConfig, backend: Backend, stack: AsyncExitStack) -> Rater | None:
    """What keeps ratings; None where they are off."""
    if not config.psr.enabled:
        return None
    ratings = Ratings(backend.dsn)
    await stack.enter_async_context(beside(ratings.run()))
    return Rater(config.attributes, backend.decoding, ratings)


def _tokens(config: Config, backend: Backend) -> SessionTokens | None:
    """Signed with what all collectors of a store share; none for a gateway, which keeps no sessions."""
    salt = config.static_salts.get((Hash.STATIC, STATIC_PERIOD))
    if config.postgres is None or salt is None:
        return None
    key = hmac.digest(salt, b"the tokens of sessions", "sha256")
    return SessionTokens(key, config.postgres.session_timeout_s)


async def _sessions(
    config: Config, backend: Backend, tokens: SessionTokens, stack: AsyncExitStack
) -> Sessions:
    signs = Signs(backend.dsn)
    await stack.enter_async_context(beside(signs.run()))

    async def forget(installation: bytes) -> int:
        found = following.tracked(backend.decoding.catalog)
        try:
            async with await connect(backend.dsn, PURGING) as connection:
                await discretion.quiet(connection)
                return await forgetting.forget(connection, found, installation) if found else 0
        except psycopg.Error as error:
            raise Unavailable(type(error).__name__) from None

    lifetime_s = config.postgres.session_timeout_s if config.postgres else 0
    service = config.http_api.service if config.http_api else None
    return Sessions(backend.decoding, signs, tokens, forget, lifetime_s, service)
