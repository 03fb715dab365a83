"""What to do about a loss; docs/losses.md says more about each reason."""

from collections.abc import Mapping, Sequence

from footfall_collector.doctor.checks import Check, Level, count
from footfall_collector.telemetry.instruments import Refused
from footfall_collector.telemetry.remedies import EXPECTED, RECEIVED, REFUSALS
from footfall_exporters.postgres.erasing import ERASED
from footfall_exporters.postgres.refused import COME_AGAIN
from footfall_exporters.postgres.retention import MISSED
from footfall_processors import Loss
from footfall_processors.catalog import Drop

SDK, SUBSCRIBER = "sdk", "subscriber"
"""The signals of `reporting.losses` beside those of OTLP."""
SENDING: Mapping[str, str] = {
    Drop.QUEUE_FULL.value: "sample the event, or see why sending is slow",
    Drop.EXPORT_FAILED.value: "look at the collector's log, and at the endpoint that the SDK sends to",
    Drop.UNDECLARED_EVENT.value: "declare the event, or correct the application's code",
    Drop.UNDECLARED_ATTRIBUTE.value: "declare the attribute, or remove it from the application's code",
    Drop.WRONG_TYPE.value: "correct the application's code, or the type in the catalog",
}
DELIVERING: Mapping[str, str] = {
    MISSED: "bring it with `footfall export` while it is stored; see why the backend was away for a week",
}
REFUSED = "look at the backend's own log; correct it, then bring them with `footfall export`"
"""Of what a backend refused; the reason is in its words."""
NAMED = 3
"""Senders that are named at most."""
_GRAVE = {(SUBSCRIBER, MISSED)}
_GRAVE_REASONS = {Loss.REFUSED_BY_STORE, Loss.UNREADABLE_IN_SPOOL}


def advice(signal: str, reason: str) -> str:
    """What to do about losses of a reason, by where they happened."""
    if signal == SUBSCRIBER:
        return DELIVERING.get(reason, REFUSED)
    if reason == ERASED:
        return "nothing: whoever has the receipt of these events asked for it"
    return (SENDING if signal == SDK else RECEIVED).get(reason, "see docs/losses.md")


def check(signal: str, reason: str, number: int) -> Check:
    """Losses of one reason."""
    level = Level.WARNING
    if signal not in (SDK, SUBSCRIBER) and (reason in EXPECTED or reason == ERASED):
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
