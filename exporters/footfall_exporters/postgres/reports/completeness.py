"""How much of what senders counted is stored: no more than is known, and never rounded up."""

import math
from collections.abc import Collection
from typing import NamedTuple

from psycopg import Connection

_SUMS = """
    SELECT coalesce(sum(stored), 0)::bigint, coalesce(sum(emitted), 0)::bigint,
           coalesce(sum(untallied), 0)::bigint, coalesce(sum(surplus), 0)::bigint
    FROM reporting.completeness WHERE %(events)s::text[] IS NULL OR event = ANY(%(events)s)
"""


class Completeness(NamedTuple):
    """Of some events, in all that is kept: see `reporting.completeness`.

    Attributes:
        stored: What is stored of senders that keep a tally.
        emitted: What these counted.
        untallied: What is stored of the others.
        surplus: By how much more is stored of a sender than it counted.
    """

    stored: int
    emitted: int
    untallied: int
    surplus: int

    @property
    def share(self) -> float | None:
        """What is stored of what was counted, down to a thousandth; None where nobody counts.

        What one sender has too much does not make up for what another one lacks.
        """
        if not self.emitted:
            return None
        return math.floor(1000 * (self.stored - self.surplus) / self.emitted) / 1000

    @property
    def known(self) -> float:
        """The share of what is stored that is of senders which keep a tally, rounded down."""
        every = self.stored + self.untallied
        return math.floor(100 * self.stored / every) / 100 if every else 0.0


def completeness(connection: Connection, events: Collection[str] | None = None) -> Completeness:
    """How complete some events are, or all.

    Args:
        connection: Of any role that may read `reporting`.
        events: Their names; None: all.

    Raises:
        psycopg.Error: Postgres refused.
    """
    names = None if events is None else sorted(events)
    row = connection.execute(_SUMS, {"events": names}).fetchone()
    return Completeness(*row) if row else Completeness(0, 0, 0, 0)
