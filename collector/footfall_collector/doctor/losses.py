"""What to do about a loss; docs/losses.md says more about each reason."""

from collections.abc import Sequence

from footfall_collector.doctor.checks import Check, Level, count
from footfall_collector.telemetry.instruments import Refused
from footfall_collector.telemetry.remedies import REFUSALS, SUBSCRIBER, advice, is_expected
from footfall_exporters.postgres.refused import COME_AGAIN
from footfall_exporters.postgres.retention import MISSED
from footfall_processors import Loss

NAMED = 3
"""Senders that are named at most."""
_GRAVE = {(SUBSCRIBER, MISSED)}
_GRAVE_REASONS = {Loss.REFUSED_BY_STORE, Loss.UNREADABLE_IN_SPOOL}


def check(signal: str, reason: str, number: int) -> Check:
    """Losses of one reason."""
    level = Level.WARNING
    if is_expected(signal, reason):
        level = Level.OK
    elif (signal, reason) in _GRAVE or reason in _GRAVE_REASONS:
        level = Level.PROBLEM
    return Check(
        "losses", level, f"{signal}: {reason}, {count(number, 'time')}", advice(signal, reason)
    )


def refused(reason: str, requests: int, senders: Sequence[str]) -> Check:
    """Requests that were refused for one reason.

    Args:
        reason: One of `Refused`.
        requests: How many.
        senders: Names of the keys or services, as far as they are known.
    """
    level = Level.OK if reason in COME_AGAIN else Level.WARNING
    if reason in (Refused.STORE, Refused.INTERNAL):
        level = Level.PROBLEM
    by = f", by {', '.join(senders[:NAMED])}{' and others' * (len(senders) > NAMED)}" * bool(
        senders
    )
    found = f"{count(requests, 'request')} refused ({reason}){by}"
    return Check("refused", level, found, REFUSALS.get(reason, "see docs/losses.md"))
