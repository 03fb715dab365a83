"""What a rule finds."""

import datetime as dt
from typing import Final, NamedTuple

COUNTED: Final = "certain: it was counted"


class About(NamedTuple):
    """What an alert is about.

    Attributes:
        rule: Its name.
        product: Of which product; empty: of the whole store.
        subject: Which event, task, subscriber, reason or listener; empty: the product.
    """

    rule: str
    product: str = ""
    subject: str = ""

    def __str__(self) -> str:
        return " ".join(filter(None, (self.rule, self.product, self.subject)))


class Finding(NamedTuple):
    """Something is so just now.

    Attributes:
        about: What it is about.
        what: What is so, in one sentence; never a value that was sent.
        sure: How sure that is.
        since: Since when; None: since it was found first.
        first: What to look at first; empty: what the rule says.
    """

    about: About
    what: str
    sure: str = COUNTED
    since: dt.datetime | None = None
    first: str = ""
