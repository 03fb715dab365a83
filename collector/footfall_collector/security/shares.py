"""Links to one view of the page: what it is made of, for looking alone, until a day (ADR 39).

A link says which page, which filters and until when, signed. With it the page may be opened as it was
shared, and the reports that it is made of be asked under the same filters, no further back than it shows.
"""

import datetime as dt
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Final, NamedTuple
from urllib.parse import parse_qsl, urlencode, urlsplit

from footfall_collector.security.login import NoSecret, Secret
from footfall_collector.security.signing import Signed, Unsigned
from footfall_exporters.postgres.reports.asked import USUAL, WrongQuestion, moment
from footfall_exporters.postgres.reports.kinds import KINDS

PARAMETER: Final = "share"
REPORTS: Final = "/api/reports/"
LONGEST_S: Final = 366 * 86_400
_EVERY = ("annotations", "features", "releases", "usage")
_FOOT = ("losses", "state")
"""What was lost, how far the store is, and how complete: of all, whatever the filters."""
VIEWS: Final[Mapping[str, Sequence[str]]] = {
    "/": (*_EVERY, *_FOOT, "changes", "groups", "latency", "outcomes"),
    "/feature": (
        *(*_EVERY, "attributes", "catalog", "completeness", "distribution", "errors", "groups"),
        *("latency", "outcomes"),
    ),
    "/releases": (*_EVERY, *_FOOT, "errors", "latency", "outcomes"),
    "/failures": (*_EVERY, *_FOOT, "errors", "outcomes"),
    "/speed": (*_EVERY, *_FOOT, "latency"),
    "/groups": (
        *(
            *_EVERY,
            *_FOOT,
            "concurrent",
            "depth",
            "groups",
            "ratings",
            "session_length",
            "sessions",
        ),
    ),
    "/catalog": (*_EVERY, *_FOOT, "attributes", "catalog"),
}
"""Pages that can be shared → the reports that they are made of."""
_COLUMNS: Final = {"event": "event", "env": "environment", "version": "version"}
"""Filters of an address → the column of reports that each is a condition of."""
_ALL_OF = frozenset(_COLUMNS.values())
_HELD: Final[Mapping[str, frozenset[str]]] = {
    "usage": _ALL_OF, "errors": _ALL_OF, "latency": _ALL_OF, "changes": _ALL_OF, "releases": _ALL_OF,
    "outcomes": _ALL_OF, "distribution": _ALL_OF, "attributes": frozenset({"event"}),
    "features": frozenset({"event"}), "catalog": frozenset({"event"}), "groups": frozenset({"event"}),
    "completeness": frozenset({"event"}),
}  # fmt: skip
"""Which of these columns each report has."""
_PERIODS: Final = {"24h": 1, "7d": 7, "14d": 14, "30d": 30}
_COMPARED: Final = {"week": 7, "month": 28, "none": 0}
_ORDERS: Final = ("sort", "vs", "ps", "rs", "ls", "hs", "ws", "qs", "bs")
"""Of each table the parameter of an address that says its order."""
_CHOSEN: Final = (
    "q", "verdict", "owner", "surface", "column", "scale", "changed", "service", "release",
)  # fmt: skip
_LOOKS: Final = frozenset((*_ORDERS, *_CHOSEN, "theme"))
"""Parameters that change nothing of what is told: the page writes them itself, of what it has in hand."""
_TRENDS: Final = dt.timedelta(days=29)
"""Four weeks of whole days: the lines of all features (page/pages/inventory.js), whatever the period."""
_LONGEST_SHOWN: Final = dt.timedelta(days=400)
"""Of periods that are chosen, as state.js has it."""
_NONE, _EVERYTHING = "(none)", "all"


_Span = tuple[dt.datetime, dt.datetime | None]


class Refused(Exception):  # an answer, not a fault
    """A link that is not good for that; says why."""


class NotShared(Exception):  # an answer, not a fault
    """A view that cannot be shared; says why, and what can."""


class Share(NamedTuple):
    """What a link says.

    Attributes:
        path: Of the page.
        filters: As its address has them, in order; what is only looks is not among them.
        lasts_s: For how many seconds it is good.
    """

    path: str
    filters: tuple[tuple[str, str], ...]
    lasts_s: int


def share(address: str, lasts_s: int) -> Share:
    """A link to a view, to be signed.

    Args:
        address: Path and query, as the browser shows it; a host is left aside.
        lasts_s: For how many seconds it is good.

    Raises:
        NotShared: there is no such view, or it cannot be limited to what it shows.
    """
    parts = urlsplit(address)
    if parts.path not in VIEWS:
        raise NotShared(f"no view at this path can be shared; there are {', '.join(VIEWS)}")
    given = _given(parts.query)
    if given.get("product", _EVERYTHING) != _EVERYTHING:
        text = (
            "a link cannot be limited to a product: take it out of the address, or share a feature"
        )
        raise NotShared(text)
    if parts.path == "/feature" and "event" not in given:
        raise NotShared("name the event: /feature?event=NAME")
    if given.get("period") == "custom" and not _is_period(given):
        days = f"a day and {_LONGEST_SHOWN.days} days later at most"
        raise NotShared(f"`from` and `to` must be {days}, such as from=2026-11-01&to=2026-11-28")
    if not 0 < lasts_s <= LONGEST_S:
        raise NotShared("a link lasts a minute at least, and 366 days at most")
    return Share(parts.path, _filters(given.items()), lasts_s)


class Shares:
    """Links of one listener.

    Args:
        secret: Signs them; raises NoSecret.
        clock: The time in seconds since the Unix epoch.
    """

    def __init__(self, secret: Secret, clock: Callable[[], float] = time.time) -> None:
        self._secret, self._clock = secret, clock
        self._signed = signed(clock)

    async def narrowed(self, path: str, query: bytes, token: str) -> bytes:
        """What a request asks for, limited to what a link covers.

        Raises:
            Refused: it covers nothing of that, or is over.
        """
        asked = parse_qsl(query.decode("latin-1"), keep_blank_values=True)
        shared = await self._read(token)
        if path.startswith(REPORTS):
            asked = self._report(shared, path.removeprefix(REPORTS), asked)
        elif path != shared.path or _filters(asked) != _filters(shared.filters):
            raise Refused("this link is for another view")
        return urlencode(asked).encode()

    async def _read(self, token: str) -> Share:
        try:
            return self._signed.read(await self._secret(), token, lambda share: share.lasts_s)
        except NoSecret:
            raise Refused(
                "links cannot be checked now: the store is away, or not open yet"
            ) from None
        except Unsigned as error:
            over = "this link is over: ask for another one"
            raise Refused(over if error.expired else "this is no link of ours, whole") from None

    def _report(
        self, shared: Share, name: str, asked: Sequence[tuple[str, str]]
    ) -> list[tuple[str, str]]:
        if name not in VIEWS[shared.path]:
            raise Refused("this link does not cover that report")
        if name in KINDS and (KINDS[name].time or KINDS[name].dated):
            self._check_period(shared, name, dict(asked))
        more = []
        for column, value in conditions(shared).items():
            if column not in _HELD.get(name, ()):
                continue
            given = {each for of, each in _conditions(asked) if of == column}
            if given - {value}:
                raise Refused("this link is of other values")
            if not given:
                more.append(("where", f"{column}={value}"))
        return [*asked, *more]

    def _check_period(self, shared: Share, name: str, asked: Mapping[str, str]) -> None:
        """Refuses what is further back than the view shows, or later."""
        now = dt.datetime.fromtimestamp(self._clock(), dt.UTC)
        try:
            period = _period(name, asked, now)
            is_shown = any(_covers(reach, period) for reach in _reaches(shared, name, now))
        except WrongQuestion as wrong:
            raise Refused(str(wrong)) from None
        except OverflowError:
            is_shown = False
        if not is_shown:
            raise Refused("this link does not cover that period")


def linked(address: str, token: str) -> str:
    """An address, as it was given, with a link in it."""
    parts = urlsplit(address)
    return f"{parts.path}?{urlencode(_given(parts.query) | {PARAMETER: token})}"


def taken(query: bytes) -> tuple[str, bytes]:
    """The link in a query, empty without one; and the query without it."""
    pairs = parse_qsl(query.decode("latin-1"), keep_blank_values=True)
    token = next((value for name, value in pairs if name == PARAMETER), "")
    if not token:
        return "", query
    return token, urlencode([pair for pair in pairs if pair[0] != PARAMETER]).encode()


def signed(clock: Callable[[], float] = time.time) -> Signed[Share]:
    """What makes and reads links."""
    return Signed(Share, b"footfall.share", clock)


def conditions(shared: Share) -> dict[str, str]:
    """The conditions under which reports are asked: column → value; empty for what has none."""
    held = {_COLUMNS[name]: value for name, value in shared.filters if name in _COLUMNS}
    none = {c for c, v in held.items() if v == _EVERYTHING and c != "event"}
    return {c: "" if v == _NONE else v for c, v in held.items() if c not in none}


def _period(name: str, asked: Mapping[str, str], now: dt.datetime) -> _Span:
    """What a report reads, where it is asked like this; the end is None where it goes on."""
    if not KINDS[name].time and asked.keys().isdisjoint(("since", "until")):
        return dt.datetime.min.replace(tzinfo=dt.UTC), None  # all that is kept
    until = moment("until", asked["until"], now) if "until" in asked else None
    end = until or now
    since = moment("since", asked["since"], now) if "since" in asked else end - USUAL
    return since - (end - since if name == "changes" else dt.timedelta()), until


def _covers(reach: _Span, period: _Span) -> bool:
    (first, last), (since, until) = reach, period
    return since >= first and (last is None or (until is not None and until <= last))


def _reaches(shared: Share, name: str, now: dt.datetime) -> Iterator[_Span]:
    """What the view shows of a report: its period, the one before, and the trends of its features."""
    filters = dict(shared.filters)
    if name == "changes" and filters.get("compare") != "none":
        filters["compare"] = "previous"
    yield _reach(filters, now)
    if (name, shared.path) == ("usage", "/"):
        yield now - _TRENDS, None


def _reach(filters: Mapping[str, str], now: dt.datetime) -> _Span:
    """From when, and until when, a view shows something; the end is None where it goes on."""
    day = dt.timedelta(days=1)
    period, compare = filters.get("period", "30d"), filters.get("compare", "previous")
    if period != "custom":
        days = _PERIODS.get(period, 30)
        return now - (days + _COMPARED.get(compare, days) + 3) * day, None
    first, last = _date(filters.get("from", ""), now), _date(filters.get("to", ""), now)
    length = max(last - first, day) + day
    back = _COMPARED.get(compare)
    return first - (length if back is None else back * day) - 2 * day, last + 2 * day


def _is_period(filters: Mapping[str, str]) -> bool:
    """Whether a period that was chosen is one."""
    now = dt.datetime.now(dt.UTC)
    try:
        first = moment("from", filters.get("from", ""), now)
        last = moment("to", filters.get("to") or now.isoformat(), now)
    except WrongQuestion:
        return False
    return dt.timedelta() <= last - first <= _LONGEST_SHOWN


def _date(text: str, now: dt.datetime) -> dt.datetime:
    try:
        return moment("from", text, now)
    except WrongQuestion:
        return now


def _given(query: str) -> dict[str, str]:
    """The parameters of an address, without a link."""
    given = dict(parse_qsl(query, keep_blank_values=True))
    return {name: value for name, value in given.items() if name != PARAMETER}


def _filters(given: Iterable[tuple[str, str]]) -> tuple[tuple[str, str], ...]:
    """Parameters of an address, in order, without those that change nothing."""
    return tuple(sorted(pair for pair in given if pair[0] not in _LOOKS))


def _conditions(asked: Sequence[tuple[str, str]]) -> list[tuple[str, str]]:
    """What a request makes conditions of: `where=COLUMN=VALUE`, or `COLUMN=VALUE`."""
    found = []
    for name, value in asked:
        column, _, wanted = value.partition("=") if name == "where" else (name, "", value)
        column = column.strip()
        found.append(("version" if column == "service_version" else column, wanted))
    return found
