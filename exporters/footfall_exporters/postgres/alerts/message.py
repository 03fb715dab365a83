"""What people are told of an alert: what is so, since when, how sure that is, and what to look at first."""

import datetime as dt
from enum import StrEnum
from typing import Final

import msgspec

from footfall_exporters.postgres.alerts.finding import About
from footfall_exporters.postgres.alerts.rules import RULES
from footfall_processors.notice import Notice, Section
from footfall_processors.statement import Item, Paragraph


class Kind(StrEnum):
    """Why it is sent."""

    FIRES = "fires"
    CLEARED = "cleared"
    TEST = "test"


_SAID: Final = {Kind.FIRES: "Alert", Kind.CLEARED: "Over", Kind.TEST: "Test"}


class Message(msgspec.Struct, frozen=True, kw_only=True):
    """An alert that fires, or has cleared.

    Attributes:
        kind: Why it is sent.
        rule: Its name.
        product: Of which product; empty: of the whole store.
        subject: Which event, task, subscriber, reason or listener; empty: the product.
        what: What is so, or was.
        sure: How sure that is.
        since: Since when it is so, or was.
        at: When it began to fire, or cleared.
        first: What to look at first; empty: what the rule says.
    """

    kind: Kind
    rule: str
    product: str
    subject: str
    what: str
    sure: str
    since: dt.datetime
    at: dt.datetime
    first: str = ""

    @property
    def title(self) -> str:
        """In one line what it is about."""
        about = self.subject or self.product
        return f"{_SAID[self.kind]}: {about + ': ' if about else ''}{RULES[self.rule].title}"

    def notice(self, url: str | None) -> Notice:
        """As it is sent.

        Args:
            url: Where people reach the operator's listener; None: that is not said.
        """
        items = [Item("since", _time(self.since)), Item("how sure", self.sure)]
        if self.kind is Kind.CLEARED:
            items[1:] = [Item("until", _time(self.at))]
        else:
            items.append(Item("look first", f"{self.first or RULES[self.rule].first}."))
        if url:
            page = RULES[self.rule].path(self.product, self.subject)
            items.append(Item("see", "", url.rstrip("/") + page))
        heading = str(About(self.rule, self.product, self.subject))
        return Notice(self.title, [Section(heading, [Paragraph(f"{self.what}.", tuple(items))])])


def sample(rule: str, now: dt.datetime) -> Message:
    """A message that tries the way.

    Args:
        rule: In whose name.
        now: When that is.
    """
    return Message(
        kind=Kind.TEST,
        rule=rule,
        product="",
        subject="",
        what="this is a test of the way that alerts take: nothing is wrong",
        sure="certain: somebody asked for it",
        since=now,
        at=now,
        first="nothing",
    )


def _time(moment: dt.datetime) -> str:
    return f"{moment.astimezone(dt.UTC):%Y-%m-%d %H:%M} UTC"
