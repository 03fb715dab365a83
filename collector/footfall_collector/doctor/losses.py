"""What to do about a loss; docs/losses.md says more about each reason."""

from collections.abc import Mapping, Sequence

from footfall_collector.doctor.checks import Check, Level, count
from footfall_collector.telemetry.instruments import Refused
from footfall_exporters.postgres.refused import COME_AGAIN
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
    Loss.LOOP.value: "see which exporter sends back here, directly or by others, and take it out",
    Loss.MALFORMED.value: "update the sender's SDK; if it stays, report it there",
    Loss.UNSUPPORTED_METRIC.value: "send a counter instead of a gauge or a histogram",
    Loss.DEPRECATED_ENCODING.value: "update the sender's SDK: its metrics have the form of before July 2021",
    Loss.COUNTER_BASELINE.value: "nothing after an upgrade; else see why senders change their identity",
    Loss.COUNTER_RESET.value: "nothing after restarts; else give each sender a service.instance.id",
    Loss.COUNTER_LIMIT.value: "take attributes with many values off the counter",
    Loss.FRACTION.value: "count whole occurrences, or send a cumulative counter",
    Loss.REPEATED_WITHOUT_ID.value: "nothing if senders retry; else give each a service.instance.id",
    Loss.DUPLICATE_SPAN.value: "nothing: it was stored before",
    Loss.REFUSED_BY_STORE.value: "report it to Footfall: such data should have been dropped before",
    Loss.UNREADABLE_IN_SPOOL.value: "see the disk of the spool: requests that waited there were damaged",
    Loss.UNDECLARED_ATTRIBUTE.value: "nothing, if it is not wanted; else declare it and add it to the event",
    Loss.DUPLICATE_ATTRIBUTE.value: "correct the sender: it gives an attribute twice",
    Loss.ENUM_VALUE.value: "add the value to the catalog, or correct the sender",
    Loss.WRONG_TYPE.value: "correct the sender, or the type in the catalog",
    Loss.SALT_MISSING.value: "nothing, if rare; else look for a queue that was held up for days",
    Loss.RESOURCE_VALUE.value: "give the service a plain name, and a version such as 1.2.3",
    Loss.RESOURCE_UNLISTED.value: "add it to the catalog's `services` or `environments`, if it is yours",
    Loss.RESOURCE_PERSONAL.value: "see what the sender puts there (a host, a path, a user?), or list it",
    Loss.RESOURCE_LIMIT.value: "list `services` in the catalog, and give each sender a key of its own",
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
REFUSALS: Mapping[str, str] = {
    Refused.KEY.value: "give the sender its key (`footfall keys new`), or let it send the new one",
    Refused.SERVICE.value: "let the key's `services` name what it sends for, or give that sender its own key",
    Refused.TOO_LARGE.value: "set smaller batches in the sender, or a larger limit here",
    Refused.INVALID.value: "see what sends it: it is no OTLP of this signal, or was damaged on its way",
    Refused.MEDIA_TYPE.value: "set the sender to OTLP over HTTP, protobuf or JSON",
    Refused.ENCODING.value: "set the sender's compression to gzip",
    Refused.PATH.value: "correct the sender's endpoint: OTLP/HTTP is POST /v1/traces, /v1/metrics, /v1/logs",
    Refused.ORIGIN.value: "add the page's origin to `cors.allowed_origins`, if it is yours",
    Refused.STORE.value: "report it to Footfall: such data should have been dropped before",
    Refused.ADMISSION.value: "nothing, if rare: senders retry; else see docs/operations.md on its size",
    Refused.RATE.value: "nothing, if rare: senders retry; else raise the key's requests_per_minute",
    Refused.UNAVAILABLE.value: "nothing, if it is over: senders retry; else see the collector's log",
    Refused.INTERNAL.value: "read the collector's log, and report it to Footfall",
    Refused.GONE.value: "nothing, if rare: the sender left before it was answered, and retries",
}
"""Of whole requests."""
NAMED = 3
"""Senders that are named at most."""
_EXPECTED = {
    Loss.UNDECLARED_EVENT,
    Loss.UNDECLARED_ATTRIBUTE,
    Loss.COUNTER_BASELINE,
    Loss.DUPLICATE_SPAN,
}
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
