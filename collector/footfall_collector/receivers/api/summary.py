"""`GET …/summary?days=N`: what was counted of whoever asks, and of nobody else (R-number B2)."""

import datetime as dt

from starlette.requests import Request
from starlette.responses import Response

from footfall_collector.decoding.decoder import Decoding
from footfall_collector.receivers.api.asking import Needs
from footfall_collector.receivers.api.endpoints import Asked, Endpoint, respond, short
from footfall_collector.receivers.api.errors import ApiError, Problem
from footfall_exporters.contracts import Unavailable
from footfall_exporters.postgres.summaries import Summaries

MOST_DAYS, USUAL_DAYS = 30, 7


class Summary:
    """Answers viewers.

    Args:
        viewer: The attribute in which they are.
        decoding: Knows what is stored of them.
        summaries: Asks the store.
    """

    def __init__(self, viewer: str, decoding: Decoding, summaries: Summaries) -> None:
        self._viewer, self._decoding = viewer, decoding
        self._summaries = summaries

    @property
    def endpoint(self) -> Endpoint:
        """The route."""
        return Endpoint("/summary", ("GET",), self._answer, short, Needs.VIEWER)

    async def _answer(self, asked: Asked) -> Response:
        if asked.who.viewer is None:  # a session alone
            raise ApiError(
                Problem.NO_VIEWER, "this names a session, and nobody whose counts to add"
            )
        wanted = days(asked.request)
        said = {"ok": True, "days": wanted, "counts": await self._counts(asked.who.viewer, wanted)}
        return respond(said)

    async def _counts(self, viewer: str, wanted: int) -> dict[str, int]:
        events = self._decoding.catalog.events
        asked = {event: self._decoding.stored_as(event, self._viewer, viewer) for event in events}
        stored_as = {event: pseudonym for event, pseudonym in asked.items() if pseudonym}
        if not stored_as:  # and perhaps no such column
            return {}
        since = dt.datetime.now(dt.UTC) - dt.timedelta(days=wanted)
        try:
            found = await self._summaries.counts([*{*stored_as.values()}], since)
        except Unavailable as away:
            text = "the store does not answer now"
            raise ApiError(Problem.UNAVAILABLE, text, retry_after=away.retry_after) from None
        return {event: found.get(event, 0) for event in stored_as}


def days(request: Request) -> int:
    """The days that are asked for: made an int, and clamped; what is none is the usual number."""
    try:
        number = int(request.query_params.get("days", ""))
    except ValueError:
        return USUAL_DAYS
    return min(max(number, 1), MOST_DAYS)
