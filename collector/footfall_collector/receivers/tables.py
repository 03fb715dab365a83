"""The tables of `footfall report` over HTTP: the same questions, as JSON or CSV, with a tag."""

import datetime as dt
import hashlib
import importlib.metadata
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cache
from typing import Any, Final

import msgspec
from psycopg import Connection
from starlette.requests import Request
from starlette.responses import Response

from footfall_exporters.postgres.reports import Report, ask, asked, zones
from footfall_exporters.postgres.reports.asked import Asked, Period, WrongQuestion
from footfall_exporters.postgres.reports.building import step_of
from footfall_exporters.postgres.reports.kinds import KINDS
from footfall_exporters.postgres.reports.state import freshness

JSON: Final = "application/json"
CSV: Final = "text/csv"
_FORMS: Final = {"json": JSON, "csv": CSV}
_OWN: Final = frozenset({"since", "until", "where", "by", "limit", "format", "interval", "tz"})
"""Parameters that are no column."""
_OF_COMMITS: Final = frozenset({"usage"})
"""Views that change with a commit, and when something is erased or dropped: never else."""
_ALSO_OF_DURATIONS: Final = frozenset({"releases"})
"""Reports of these views that say more, which is rolled up after a commit."""


@dataclass(frozen=True, slots=True)
class Question:
    """A table that is asked for.

    Attributes:
        name: Of the report.
        asked: What is asked.
        form: JSON or CSV.
        known: The tags of answers that the client has.
        hour: In which it is asked: what is old may be deleted in the next one.
    """

    name: str
    asked: Asked
    form: str
    known: Sequence[str]
    hour: dt.datetime


def question(name: str, request: Request, now: dt.datetime) -> Question:
    """What a request asks.

    Args:
        name: Of the report.
        request: With its parameters: since, until, tz, where, by, limit, format; any other names
            a column.
        now: UTC.

    Raises:
        WrongQuestion: it cannot be asked so.
    """
    query = request.query_params
    pairs = [*query.getlist("where")]
    pairs += [f"{key}={value}" for key, value in query.multi_items() if key not in _OWN]
    by = [column for each in query.getlist("by") for column in each.split(",")]
    zone = query.get("tz", zones.UTC)
    there = zones.zone_of(zone)
    period = _period(name, query.get("since"), query.get("until"), now, there)
    return Question(
        name,
        Asked(
            period,
            asked.conditions(pairs),
            by,
            _limit(query.get("limit")),
            bound=asked.MOST_ROWS,
            zone=zone,
        ),
        _form(query.get("format"), request.headers.get("accept", "")),
        [*_tags(request.headers.get("if-none-match", ""))],
        now.replace(minute=0, second=0, microsecond=0),
    )


def answer(connection: Connection, question: Question) -> Response:
    """The table, or that it has not changed.

    Args:
        connection: Of any role that may read `reporting`.
        question: What is asked.

    Raises:
        WrongQuestion: it cannot be asked so.
        NotThere, OtherViews, psycopg.Error: the database cannot be asked.
    """
    tag = _tag_of_commits(connection, question)
    if tag is not None and _is_known(tag, question.known):
        return _response(question, tag, None)
    body = _written(question, ask(connection, question.name, question.asked))
    tag = tag or _hashed([question.form, body])
    return _response(question, tag, None if _is_known(tag, question.known) else body)


def _period(
    name: str, since: str | None, until: str | None, now: dt.datetime, zone: dt.tzinfo
) -> Period | None:
    if since is None and until is None and not KINDS[name].time:
        return None
    period = asked.period(since, until, asked.USUAL, now, zone)
    return period if period.until else period._replace(until=now)


def _limit(written: str | None) -> int | None:
    if written is None:
        return None
    if written.isdecimal() and written.isascii() and 1 <= int(written[:9]) <= asked.MOST_ROWS:
        return int(written[:9])
    raise WrongQuestion("limit", "`limit` is no number of rows", f"give 1 to {asked.MOST_ROWS}")


def _form(named: str | None, accepted: str) -> str:
    if named is None:
        return CSV if CSV in accepted and JSON not in accepted else JSON
    if named not in _FORMS:
        raise WrongQuestion("format", "`format` is none that there is", "give json or csv")
    return _FORMS[named]


def _written(question: Question, found: Report) -> bytes:
    if question.form == CSV:
        return found.csv().encode()
    return msgspec.json.encode({"report": question.name, **found.document()})


def _response(question: Question, tag: str, body: bytes | None) -> Response:
    headers = {"etag": tag, "vary": "accept"}
    if body is None:
        return Response(status_code=304, headers=headers)
    return Response(body, media_type=question.form, headers=headers)


def _tag_of_commits(connection: Connection, question: Question) -> str | None:
    """The tag of an answer that is not made yet; None where it follows from more than commits."""
    kind, period = KINDS[question.name], question.asked.period
    if kind.view not in _OF_COMMITS or question.name in _ALSO_OF_DURATIONS:
        return None
    fresh = freshness(connection)
    whole = replace(question.asked, period=period and period.whole(step_of(kind)))
    state = [fresh.position, fresh.erased, fresh.observed_from, question.hour]
    return _hashed([_version(), question.name, question.form, whole, state])


def _hashed(parts: Sequence[Any]) -> str:
    return f'"{hashlib.sha256(msgspec.json.encode(parts)).hexdigest()[:32]}"'


def _tags(header: str) -> Iterator[str]:
    for tag in header.split(","):
        yield tag.strip().removeprefix("W/")


def _is_known(tag: str, known: Sequence[str]) -> bool:
    return tag in known or "*" in known


@cache
def _version() -> str:
    return importlib.metadata.version("footfall")
