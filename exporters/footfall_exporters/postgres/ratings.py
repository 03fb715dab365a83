"""Ratings: one for each prompt, owner and day (UTC), of which the last stands (ADR 30).

rate ── waits while a statement is asked ── all that wait in one: upsert, and what all say of these prompts
"""

import asyncio
import datetime as dt
import logging
import uuid
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager, closing
from typing import Literal, NamedTuple

import msgspec
import psycopg
from psycopg import AsyncConnection
from psycopg.errors import Diagnostic

from footfall_exporters.contracts import Unavailable
from footfall_exporters.faults import log_fault
from footfall_exporters.postgres import discretion, roles
from footfall_exporters.postgres.connecting import RATING, connect
from footfall_exporters.postgres.prepared import Prepared
from footfall_exporters.postgres.views import FEWEST
from footfall_processors import OperatorError

log = logging.getLogger("footfall.postgres")
LONGEST_PROMPT, LONGEST_VERSION, LONGEST_NOTE = 256, 64, 280
"""Characters."""
MOST_AT_ONCE = 64
"""Ratings of one statement."""
PATIENCE_S = 5.0
"""Seconds after which a rating is not kept waiting for Postgres any longer."""
RETRY_S = 1.0
"""Seconds between two attempts to reach a Postgres that is away."""
Source = Literal["copy", "duplicate", "manual", "other"]
_RATE = "SELECT prompt, owners, total, stars FROM footfall.rate($1::json)"
"""A function, because a statement alone does not see what others have put while it waited for them."""
_EXPIRE = "DELETE FROM footfall.ratings WHERE day < %s"
_EXPIRED = "SELECT count(*) FROM footfall.ratings WHERE day < %s"


class Rating(msgspec.Struct, frozen=True, kw_only=True):
    """One rating, as it is kept.

    Attributes:
        prompt: What is rated: 1 to LONGEST_PROMPT characters, of a pseudonym or an id.
        owner: Whose rating it is: a pseudonym.
        rating: Stars, 1 to 5.
        source: What the owner had done with the prompt.
        version: Of the prompt; LONGEST_VERSION characters at most.
        note: What the owner wrote; LONGEST_NOTE characters at most.
    """

    prompt: str
    owner: uuid.UUID
    rating: int
    source: Source
    version: str | None = None
    note: str | None = None

    def __repr__(self) -> str:
        """Nothing of it is shown."""
        return f"{type(self).__name__}(...)"


class Standing(NamedTuple):
    """What all that is kept says of a prompt; nothing where fewer than FEWEST owners have rated it.

    Attributes:
        average: Stars, to two places.
        total: How many ratings there are.
    """

    average: float | None = None
    total: int | None = None


_Waiting = tuple[Rating, asyncio.Future[Standing | None]]


class Ratings:
    """The ratings of one store, over a connection of their own; `run` must be running.

    Args:
        dsn: Of a database whose schema is current.
    """

    def __init__(self, dsn: str) -> None:
        self._dsn = dsn
        self._waiting: list[_Waiting] = []
        self._filled = asyncio.Event()
        self._away = self._warned = False

    async def rate(self, rating: Rating) -> Standing:
        """Keeps a rating, in the place of another of its prompt, owner and day; says how the prompt stands.

        Raises:
            Unavailable: Postgres is away, or does not answer: it may have been kept.
        """
        if self._away:
            raise _away()
        answer: asyncio.Future[Standing | None] = asyncio.get_running_loop().create_future()
        self._waiting.append((rating, answer))
        self._filled.set()
        try:
            async with asyncio.timeout(PATIENCE_S):
                standing = await answer
        except TimeoutError:  # and nobody asks for it any more, if it still waits
            standing = None
        if standing is None:
            raise _away()
        return standing

    async def run(self) -> None:
        """Asks Postgres; until cancelled."""
        while True:
            try:
                await self._serve()
            except (psycopg.OperationalError, OperatorError, Unavailable) as error:
                log.debug("ratings cannot be kept now: %s", type(error).__name__)
            except Exception as error:  # a fault of ours must not end it
                log_fault(log, "keeping ratings failed", error)
            await asyncio.sleep(RETRY_S)

    async def _serve(self) -> None:
        """Asks as long as Postgres answers; then nobody waits any more.

        Raises:
            psycopg.Error, OperatorError, Unavailable: it does not.
        """
        asked: list[_Waiting] = []
        try:
            async with self._statement() as statement:
                self._away = False
                while True:
                    await self._filled.wait()
                    asked = self._next()
                    await self._ask(statement, asked)
        finally:
            self._away = True
            for _, answer in (*asked, *self._waiting):
                _tell(answer, None)
            self._waiting.clear()

    @asynccontextmanager
    async def _statement(self) -> AsyncIterator[Prepared]:
        """The statement of a connection that is quiet, and has a writer's rights."""
        connection = await connect(self._dsn, RATING)
        try:
            await discretion.quiet(connection)
            await roles.become_writer(connection)
            connection.add_notice_handler(self._noticed)
            with closing(Prepared(connection)) as statement:
                await statement.prepare(_RATE)
                yield statement
        finally:
            await connection.close()

    def _next(self) -> list[_Waiting]:
        """Those who wait and are asked for now."""
        waiting = [each for each in self._waiting if not each[1].done()]
        self._waiting = waiting[MOST_AT_ONCE:]
        if not self._waiting:
            self._filled.clear()
        return waiting[:MOST_AT_ONCE]

    async def _ask(self, statement: Prepared, asked: Sequence[_Waiting]) -> None:
        last = {(rating.prompt, rating.owner): rating for rating, _ in asked}
        if not last:
            return
        self._warned = False
        rows = await statement.ask(msgspec.json.encode(list(last.values())))
        if self._warned:
            raise Unavailable("a commit ended with a warning")  # no standby has confirmed it
        standings = _standings(rows)
        for rating, answer in asked:
            _tell(answer, standings[rating.prompt])

    def _noticed(self, diagnostic: Diagnostic) -> None:
        self._warned = self._warned or diagnostic.severity_nonlocalized == "WARNING"


async def expire(connection: AsyncConnection, first_kept: dt.date) -> int:
    """Deletes the ratings of the days before, with what is left of them on their pages; how many.

    Args:
        connection: In autocommit mode, as the owner.
        first_kept: The first UTC day whose ratings stay.

    Raises:
        psycopg.Error: Postgres refused.
    """
    gone = (await connection.execute(_EXPIRE, [first_kept])).rowcount
    if gone:
        await connection.execute("VACUUM footfall.ratings")
    return gone


async def expired(connection: AsyncConnection, first_kept: dt.date) -> int:
    """How many ratings there are of the days before.

    Raises:
        psycopg.Error: Postgres refused.
    """
    found = await (await connection.execute(_EXPIRED, [first_kept])).fetchone()
    return found[0] if found else 0


def _standings(rows: Sequence[tuple[bytes, ...]]) -> Mapping[str, Standing]:
    """By prompt."""
    found = {}
    for prompt, *numbers in rows:
        owners, total, stars = map(int.from_bytes, numbers)
        known = owners >= FEWEST
        found[prompt.decode()] = Standing(round(stars / total, 2), total) if known else Standing()
    return found


def _tell(answer: asyncio.Future[Standing | None], standing: Standing | None) -> None:
    if not answer.done():  # who asked may have left
        answer.set_result(standing)


def _away() -> Unavailable:
    return Unavailable("ratings cannot be kept now: Postgres is away, or late", RETRY_S)
