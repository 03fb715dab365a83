"""What to do about a loss; docs/losses.md says more about each reason."""

from collections.abc import Mapping

from footfall_collector.doctoring import Check, Level, count
from footfall_exporters.postgres.retention import MISSED
from footfall_processors import Loss
from footfall_processors.catalog import Drop

SDK, SUBSCRIBER = "sdk", "subscriber"
"""The signals of `reporting.losses` beside those of OTLP."""
RECEIVED: Mapping[str, str] = {
    Loss.UNDECLARED_EVENT.value: "nothing, if it is foreign traffic; else declare the event in the catalog",
    Loss.UNDECLARED_ACTION.value: "add the action to the event in the catalog, or correct the sender",
    Loss.EXPIRED_EVENT.value: "ask the event's owner: renew `expires`, or take the event out of the code",
    Loss.OUT_OF_WINDOW.value: "set the sender's clock, or look for a queue that was held up for days",
    Loss.MALFORMED.value: "update the sender's SDK; if it stays, report it there",
    Loss.UNSUPPORTED_METRIC.value: "send a counter instead of a gauge or a histogram",
    Loss.COUNTER_BASELINE.value: "nothing after an upgrade; else see why senders change their identity",
    Loss.REFUSED_BY_STORE.value: "report it to Footfall: such data should have been dropped before",
    Loss.UNREADABLE_IN_SPOOL.value: "see the disk of the spool: requests that waited there were damaged",
    Loss.UNDECLARED_ATTRIBUTE.value: "nothing, if it is not wanted; else declare it and add it to the event",
    Loss.DUPLICATE_ATTRIBUTE.value: "correct the sender: it gives an attribute twice",
    Loss.ENUM_VALUE.value: "add the value to the catalog, or correct the sender",
    Loss.WRONG_TYPE.value: "correct the sender, or the type in the catalog",
    Loss.SALT_MISSING.value: "nothing, if rare; else look for a queue that was held up for days",
    Loss.RESOURCE_VALUE.value: "give the service a plain name and version, the same for everybody",
}
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
_EXPECTED = {Loss.UNDECLARED_EVENT, Loss.UNDECLARED_ATTRIBUTE, Loss.COUNTER_BASELINE}
"""That these happen is what the rules are for."""
_GRAVE = {(SUBSCRIBER, MISSED)}
_GRAVE_REASONS = {Loss.REFUSED_BY_STORE, Loss.UNREADABLE_IN_SPOOL}


def advice(signal: str, reason: str) -> str:
    """What to do about losses of a reason, by where they happened."""
    if signal == SUBSCRIBER:
        return DELIVERING.get(reason, REFUSED)
    return (SENDING if signal == SDK else RECEIVED).get(reason, "see docs/losses.md")


def check(signal: str, reason: str, number: int) -> Check:
    """Losses of one reason."""
    level = Level.WARNING
    if signal not in (SDK, SUBSCRIBER) and reason in _EXPECTED:
        level = Level.OK
    elif (signal, reason) in _GRAVE or reason in _GRAVE_REASONS:
        level = Level.PROBLEM
    return Check(
        "losses", level, f"{signal}: {reason}, {count(number, 'time')}", advice(signal, reason)
    )
