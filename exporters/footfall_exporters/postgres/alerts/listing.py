"""The rules and what they found, as the views say it (`footfall alerts list`)."""

import datetime as dt
from collections.abc import Sequence
from typing import NamedTuple

from psycopg import Connection

from footfall_exporters.postgres.alerts import keeping
from footfall_exporters.postgres.alerts.rules import RULES
from footfall_exporters.postgres.alerts.state import Silence

_RULES = "SELECT rule, looked_at, took_ms, outcome, overdue FROM reporting.alert_rules"
_ALERTS = """
    SELECT rule, product, subject, firing, since, fired_at, silenced_until, what, sure
    FROM reporting.alerts ORDER BY firing DESC, since, product, subject
"""
_PRODUCTS = "SELECT DISTINCT product FROM reporting.catalog ORDER BY product"


class Found(NamedTuple):
    """What a rule found; the columns of `reporting.alerts`."""

    product: str | None
    subject: str | None
    firing: bool
    since: dt.datetime
    fired_at: dt.datetime | None
    silenced_until: dt.datetime | None
    what: str
    sure: str


class Looked(NamedTuple):
    """How a rule was looked at last.

    Attributes:
        at: When; None: it is off, or nobody has yet.
        took_ms: How long that took.
        outcome: How it went.
        overdue: Whether it should have been looked at again.
    """

    at: dt.datetime | None = None
    took_ms: int | None = None
    outcome: str = "not looked at"
    overdue: bool = False


class Listed(NamedTuple):
    """A rule.

    Attributes:
        rule: Its name.
        state: `off`, `quiet`, `pending` (found, and not often enough yet) or `fires`.
        looked: How it was looked at.
        silenced_until: Until when nobody is told of it, whatever the product.
        alerts: What it found.
    """

    rule: str
    state: str
    looked: Looked
    silenced_until: dt.datetime | None
    alerts: Sequence[Found]


def listed(connection: Connection, now: dt.datetime) -> list[Listed]:
    """Every rule.

    Args:
        connection: Of the owner.
        now: When that is.

    Raises:
        psycopg.Error: Postgres refused.
    """
    looked = {row[0]: Looked(*row[1:]) for row in connection.execute(_RULES).fetchall()}
    found: dict[str, list[Found]] = {}
    for rule, *rest in connection.execute(_ALERTS).fetchall():
        found.setdefault(rule, []).append(Found(*rest))
    quiet = [each for each in keeping.silences(connection, now) if not each.product]
    return [
        Listed(
            rule,
            _state(found.get(rule, ()), is_on=rule in looked or not looked),
            looked.get(rule, Looked()),
            _until(quiet, rule),
            found.get(rule, ()),
        )
        for rule in RULES
    ]


def products(connection: Connection) -> list[str]:
    """Those that a catalog of this store has, or had.

    Raises:
        psycopg.Error: Postgres refused.
    """
    return [product for (product,) in connection.execute(_PRODUCTS).fetchall()]


def _until(quiet: Sequence[Silence], rule: str) -> dt.datetime | None:
    return max((each.until for each in quiet if each.rule in ("all", rule)), default=None)


def _state(found: Sequence[Found], *, is_on: bool) -> str:
    if not is_on:
        return "off"
    if any(each.firing for each in found):
        return "fires"
    return "pending" if found else "quiet"
