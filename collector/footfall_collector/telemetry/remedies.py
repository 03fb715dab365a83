"""What to do about what was refused or dropped; docs/losses.md says more of each reason."""

from collections.abc import Mapping

from footfall_collector.telemetry.instruments import Refused
from footfall_exporters.postgres.erasing import ERASED
from footfall_exporters.postgres.retention import MISSED
from footfall_processors import Loss
from footfall_processors.catalog import Drop

RECEIVED: Mapping[str, str] = {
    Loss.UNDECLARED_EVENT.value: "nothing, if it is foreign traffic; else declare the event in the catalog",
    Loss.UNDECLARED_ACTION.value: "add the action to the event in the catalog, or correct the sender",
    Loss.EXPIRED_EVENT.value: "ask the event's owner: renew `expires`, or take the event out of the code",
    Loss.OUT_OF_WINDOW.value: "set the sender's clock, or look for a queue that was held up for days",
    Loss.LOOP.value: "see which exporter sends back here, directly or by others, and take it out",
    Loss.BODY.value: "send what the catalog declares alone; nothing with a key `body` is taken",
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
"""Of spans, points and records."""
REFUSALS: Mapping[str, str] = {
    Refused.KEY.value: "give the sender its key (`footfall keys new`), or let it send the new one",
    Refused.SERVICE.value: "let the key's `services` name what it sends for, or give that sender its own key",
    Refused.TOO_LARGE.value: "set smaller batches in the sender, or a larger limit here",
    Refused.INVALID.value: (
        "see what sends it: it is no OTLP of this signal (or not what the HTTP API takes), or was damaged"
    ),
    Refused.MEDIA_TYPE.value: "set the sender to OTLP over HTTP, protobuf or JSON",
    Refused.PROTOCOL.value: "send gRPC to the port of OTLP/gRPC (4317), and TLS to a listener that has it",
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
EXPECTED = {
    Loss.UNDECLARED_EVENT,
    Loss.UNDECLARED_ATTRIBUTE,
    Loss.COUNTER_BASELINE,
    Loss.DUPLICATE_SPAN,
}
"""That these happen is what the rules are for."""
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


def advice(signal: str, reason: str) -> str:
    """What to do about losses of a reason, by where they happened."""
    if signal == SUBSCRIBER:
        return DELIVERING.get(reason, REFUSED)
    if reason.removeprefix("refused_") in REFUSALS:
        return REFUSALS[reason.removeprefix("refused_")]
    if reason == ERASED:
        return "nothing: whoever has the receipt of these events asked for it"
    return (SENDING if signal == SDK else RECEIVED).get(reason, "see docs/losses.md")


def is_expected(signal: str, reason: str) -> bool:
    """Whether the rules of privacy, or whoever asked for an erasure, are what these losses come of."""
    return signal not in (SDK, SUBSCRIBER) and (reason in EXPECTED or reason == ERASED)
