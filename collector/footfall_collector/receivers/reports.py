"""`GET /api/reports/{name}` of the operator's listener: figures of a period (R-numbers C4, C5, C8)."""

import asyncio
import datetime as dt
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, Final, TypeVar

import msgspec
import psycopg
from psycopg import Connection
from starlette.requests import Request
from starlette.responses import Response

from footfall_collector.receivers import tables
from footfall_collector.receivers.api.health import verdict
from footfall_exporters.contracts import Unavailable
from footfall_exporters.postgres import REPORTS
from footfall_exporters.postgres.asking import NotAllowed, NotThere
from footfall_exporters.postgres.pulse import feel
from footfall_exporters.postgres.reader_sessions import AT_ONCE, ReaderSessions
from footfall_exporters.postgres.reports import ZONED, periods
from footfall_exporters.postgres.reports.asked import USUAL, YEARS, Period, WrongQuestion
from footfall_exporters.postgres.reports.distinct import Span
from footfall_exporters.postgres.reports.overview import foot, overview
from footfall_exporters.postgres.reports.periods import INTERVALS, MOST_INTERVALS, Attributes
from footfall_exporters.postgres.reports.state import OtherViews, of_this_version
from footfall_processors import OperatorError

PATH: Final = "/api/reports/{name}"
_NOT_GRANTED = (
    "footfall_reader may not read the views; start a collector again, or run `footfall migrate`"
)
_PERIOD = {"recent": dt.timedelta(hours=1)}
_encode = msgspec.json.Encoder().encode
Json = dict[str, Any]
T = TypeVar("T")


class Wrong(Exception):  # an answer, not a fault
    """A report that cannot be made.

    Args:
        status: HTTP's.
        word: For machines.
        text: What is wrong, and what would be right.
    """

    def __init__(self, status: int, word: str, text: str) -> None:
        super().__init__(text)
        self.status, self.word, self.text = status, word, text


@dataclass(frozen=True, slots=True)
class _Asked:
    span: Span
    interval: periods.Interval


_Maker = Callable[[Connection, _Asked], Json]


class Reports:
    """Answers operators.

    Args:
        dsn: Of the store, as it is known by now; empty where there is none.
        attributes: What stands for a user and a session.
    """

    def __init__(self, dsn: Callable[[], str], attributes: Attributes) -> None:
        self._dsn, self._attributes = dsn, attributes
        self._sessions = ReaderSessions()
        self._places = asyncio.Semaphore(AT_ONCE)
        self._made: dict[str, _Maker] = {
            "summary": lambda c, a: periods.summary(c, a.span, a.interval, attributes),
            "metrics": lambda c, a: periods.metrics(c, a.span, a.interval, attributes),
            "events": lambda c, a: periods.events(c, a.span),
            "recent": lambda c, a: periods.recent(c, a.span),
            "overview": lambda c, a: _overview(c, a.span),
            "state": lambda c, _: foot(c),
        }

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Keeps sessions meanwhile."""
        try:
            yield
        finally:
            self._sessions.close()

    async def answer(self, request: Request) -> Response:
        """The report that a request asks for."""
        name = request.path_params["name"]
        try:
            if name in REPORTS:
                return await self._table(name, request)
            return _respond(await self._make(name, request), 200)
        except Wrong as wrong:
            return _respond({"error": wrong.word, "message": wrong.text}, wrong.status)

    async def _table(self, name: str, request: Request) -> Response:
        """One that `footfall report` prints as well."""
        try:
            asked = tables.question(name, request, dt.datetime.now(dt.UTC))
            async with self._asking() as dsn:
                return await self._read(dsn, lambda connection: tables.answer(connection, asked))
        except WrongQuestion as wrong:
            raise Wrong(400, f"invalid_{wrong.word}", str(wrong)) from None

    async def _make(self, name: str, request: Request) -> Json:
        names = sorted([*self._made, "dashboard"])
        if name not in names:
            every = ", ".join(sorted([*names, *REPORTS]))
            raise Wrong(404, "unknown_report", f"the reports are {every}")
        asked = _asked(request.query_params, _PERIOD.get(name, USUAL))
        made = self._made.get(name)
        async with self._asking() as dsn:
            if made is None:
                return await self._dashboard(dsn)
            said = await self._read(dsn, lambda connection: made(connection, asked))
            return {"report": name, **said}

    async def _read(self, dsn: str, question: Callable[[Connection], T]) -> T:
        """In a thread."""
        return await asyncio.to_thread(self._sessions.ask, dsn, question)

    @asynccontextmanager
    async def _asking(self) -> AsyncIterator[str]:
        """The store, in one's turn.

        Raises:
            Wrong: it cannot be asked.
        """
        dsn = self._dsn()
        if not dsn:
            raise Wrong(503, "no_store", "there is no store here, or it is not open yet")
        try:
            async with self._places:
                with of_this_version():
                    yield dsn
        except WrongQuestion:
            raise
        except NotAllowed as error:
            raise Wrong(503, "no_reader", str(error)) from None
        except psycopg.errors.InsufficientPrivilege:
            raise Wrong(503, "no_reader", _NOT_GRANTED) from None
        except (NotThere, OtherViews) as error:
            raise Wrong(503, "unavailable", str(error)) from None
        except (psycopg.Error, OperatorError, Unavailable):
            text = "the store does not answer now, or not in time; a shorter period is less to read"
            raise Wrong(503, "unavailable", text) from None

    async def _dashboard(self, dsn: str) -> Json:
        """Of the last hour, by Postgres' clock."""
        pulse = await feel(dsn)

        def last_hour(connection: Connection) -> Json:
            return periods.last_hour(connection, pulse.at, self._attributes)

        found = await self._read(dsn, last_hour)
        return {"report": "dashboard", **found, "systemHealth": verdict(pulse)}


def _overview(connection: Connection, span: Span) -> Json:
    start, end = map(periods.written, span)
    return {**overview(connection, Period(*span)).record(), "period": {"start": start, "end": end}}


def _asked(query: Mapping[str, str], usual: dt.timedelta) -> _Asked:
    """What is asked for.

    Raises:
        Wrong: it cannot be.
    """
    if "tz" in query:
        right = f"this report is in UTC; in a time zone there are {', '.join(ZONED)}"
        raise Wrong(400, "invalid_tz", right)
    until = _moment(query, "until") or dt.datetime.now(dt.UTC)
    since = _moment(query, "since") or until - usual
    if since >= until:
        raise Wrong(400, "invalid_period", "`since` must be before `until`")
    wanted = query.get("interval", "day")
    for interval in INTERVALS:
        if interval == wanted:
            break
    else:
        raise Wrong(400, "invalid_interval", f"`interval` must be one of {', '.join(INTERVALS)}")
    if (until - since) / periods.LEAST[interval] > MOST_INTERVALS:
        text = f"a period has at most {MOST_INTERVALS} intervals: take a longer one, or a shorter period"
        raise Wrong(400, "invalid_interval", text)
    return _Asked(Span(since, until), interval)


def _moment(query: Mapping[str, str], name: str) -> dt.datetime | None:
    """A parameter that is ISO 8601, in UTC where it has no zone.

    Raises:
        Wrong: it is something else.
    """
    if name not in query:
        return None
    try:
        moment = dt.datetime.fromisoformat(query[name])
        moment = (moment if moment.tzinfo else moment.replace(tzinfo=dt.UTC)).astimezone(dt.UTC)
        if moment.year in YEARS:
            return moment
        raise OverflowError
    except (ValueError, OverflowError):
        right = f"`{name}` must be a date or a time of ISO 8601, such as 2026-11-29 or 2026-11-29T12:00:00Z"
        raise Wrong(400, "invalid_period", right) from None


def _respond(said: Json, status: int) -> Response:
    return Response(_encode(said), status, media_type="application/json")
