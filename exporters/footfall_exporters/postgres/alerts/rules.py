"""The rules: what each looks at, and what to look at first where it fires (docs/alerts.md).

The collector's evaluator, `footfall alerts` and the alert rules for Grafana are made of these.
"""

from collections.abc import Mapping
from typing import Final, NamedTuple
from urllib.parse import urlencode

import msgspec


class Rule(NamedTuple):
    """What may become an alert.

    Attributes:
        name: As it is configured.
        title: What it says when it fires, in a few words.
        first: What to look at first.
        page: Which page of the operator's listener shows it.
    """

    name: str
    title: str
    first: str
    page: str

    def path(self, product: str, subject: str) -> str:
        """The page of what an alert is about, as seen from the listener's address."""
        event = subject if self.page == _FEATURE else ""
        about = {key: value for key, value in (("event", event), ("product", product)) if value}
        return self.page + (f"?{urlencode(about)}" if about else "")


class Thresholds(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """From where on a rule finds something.

    Attributes:
        low_event_rate: Below which share of its average.
        no_events_minutes: After how long without any event.
        failure_times: By which factor more often than before something fails.
        latency_times: By which factor the 95th percentile is higher than before.
        losses: Of one reason, within an hour.
        refused_requests: Requests refused for one reason, within an hour.
        expired_events: Within an hour.
        subscriber_minutes: How old the oldest is that a subscriber has not taken.
        certificate_days: Before a certificate ends.
    """

    low_event_rate: float = 0.5
    no_events_minutes: float = 5
    failure_times: float = 1.5
    latency_times: float = 1.5
    losses: int = 10
    refused_requests: int = 10
    expired_events: int = 1
    subscriber_minutes: float = 60
    certificate_days: float = 14


_FEATURE: Final = "/feature"
_ALL: Final = (
    Rule(
        "low_event_rate",
        "far fewer events than usual",
        "whether a release or a host that is down keeps applications from sending; then footfall doctor",
        "/",
    ),
    Rule(
        "no_events",
        "no events, though senders are alive",
        "what was refused or dropped since then: the applications reach the collector, and tell of no use",
        "/trust",
    ),
    Rule(
        "failure_share",
        "more failures than before",
        "which type of error it is, and whether it came with a version",
        _FEATURE,
    ),
    Rule(
        "latency_p95",
        "slower than before",
        "whether it came with a version, and whether what it waits for is slow",
        _FEATURE,
    ),
    Rule(
        "losses",
        "events are lost",
        "what footfall doctor says of this reason",
        "/trust",
    ),
    Rule(
        "refused_requests",
        "requests are refused",
        "what footfall doctor says of this reason, and whose they are",
        "/trust",
    ),
    Rule(
        "expired_events",
        "expired events still come",
        "whose they are: renew `expires` in the catalog, or take them out of the code",
        "/trust",
    ),
    Rule(
        "housekeeping_overdue",
        "housekeeping is overdue",
        "the collector's log and Postgres' for why it fails; as long as it does, nothing goes that should",
        "/trust",
    ),
    Rule(
        "subscriber_behind",
        "a subscriber is behind",
        "the collector's log for what its backend answers",
        "/trust",
    ),
    Rule(
        "certificate_ending",
        "a certificate is about to end",
        "what renews it; the collector reads it again after footfall reload",
        "/trust",
    ),
)
RULES: Final[Mapping[str, Rule]] = {rule.name: rule for rule in _ALL}
