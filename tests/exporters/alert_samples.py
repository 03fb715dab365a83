"""Messages of docs/alerts.md, made by the rules: `PYTHONPATH=tests python -m exporters.alert_samples`."""

import datetime as dt
import math
import random
import re
from pathlib import Path

from exporters.fortnights import DAY, HOUR, Fortnight, slots
from footfall_exporters.postgres.alerts import facts, rates, refusals, shares
from footfall_exporters.postgres.alerts.counts import Counts, Hour, Part, Slow
from footfall_exporters.postgres.alerts.message import Kind, Message
from footfall_processors.notice import as_text

DOCUMENT = Path(__file__).parents[2] / "docs" / "alerts.md"
NOW = dt.datetime(2026, 6, 16, 14, 40, tzinfo=dt.UTC)
URL = "https://footfall.example.org"
MINUTE = dt.timedelta(minutes=1)
PRODUCTS = {
    event: event.partition(".")[0]
    for event in ("bakery.order", "bakery.cart", "bakery.search", "bot.ask")
}


def seen(fortnight, now):
    """What the store would say at a time: the hour that is not over as far as it is."""
    last = now.replace(minute=0)
    part = (now - last) / HOUR
    former, present = {}, {}
    for back in range(29):
        for less in range(3):
            hour = last - back * DAY - less * HOUR
            for event, (number, failures) in fortnight.hours.get(hour, {}).items():
                share = part if hour == last else 1
                made = Hour(*(round(share * n) for n in (number, number, failures)))
                (former if back else present).setdefault(event, {})[hour] = made
    return Counts(now, former, present, PRODUCTS)


def p95_of(hours):
    """By nearest rank, in milliseconds: the middle of its slot."""
    every = sorted(slot for hour in hours for slot in hour.elements())
    slot = every[math.ceil(0.95 * len(every)) - 1]
    return 2 ** ((slot - 1) / 16) * 2 / (1 + 2 ** (1 / 16))


def slower(hours, ms):
    """Of each hour how many durations there are, and how many in later slots than that one."""
    return [
        Part(hour.total(), sum(n for slot, n in hour.items() if 2 ** ((slot - 1) / 16) > ms))
        for hour in hours
    ]


def wrong(hour, event):
    late = hour >= NOW - 2 * HOUR
    return (0.2 if late and event.startswith("bot.") else 1), (
        8 if late and event == "bakery.order" else 1
    )


def findings():
    """One of each rule."""
    counts = seen(Fortnight(NOW + HOUR, "sample", 800, [wrong]), NOW)
    before = rates.former(counts)
    yield from rates.low_event_rate(counts, before, 0.5)
    yield from rates.no_events(counts, before, rates.Silence(NOW - 7 * MINUTE, NOW, MINUTE / 60), 5)
    yield from shares.failure_share(counts, shares.past_failures(counts), 1.5)
    draw = random.Random("sample")
    former, present = (
        [slots(draw, 200, middle) for _ in range(n)] for n, middle in ((21, 120), (3, 310))
    )
    usual, now = p95_of(former), p95_of(present)
    past = shares.past_durations({"bakery.cart": Slow(usual, slower(former, usual))})
    slow = {"bakery.cart": slower(present, usual)}
    yield from shares.latency_p95(slow, past, PRODUCTS, 1.5, lambda _: now)
    found = {("sdk", "queue_full"): 1240, ("traces", "expired_event"): 36}
    yield from facts.losses(found, 10, lambda *_: "sample the event, or see why sending is slow")
    days = [1240, *(12,) * 8]
    refused = [refusals.Busiest("traces", "key", False, ago, n) for ago, n in enumerate(days)]
    give = "give the sender its key (`footfall keys new`), or let it send the new one"
    yield from refusals.refused_requests(refused, 10, lambda *_: give)
    yield from facts.expired_events(found, 1, lambda: ["bakery.fax of shop-team"])
    yield facts.overdue("rollups", "failed: DiskFull (SQLSTATE 53100)", 74 * 60, is_overdue=False)
    yield facts.behind("otlp/warehouse", 4210, 95 * 60)
    yield facts.ending("OTLP/HTTP", NOW + 9 * DAY)


def samples():
    """By rule what people are sent."""
    for about, what, sure, since, first in findings():
        yield about.rule, as_text(
            Message(
                kind=Kind.FIRES, rule=about.rule, product=about.product, subject=about.subject, what=what,
                sure=sure, since=since or NOW - 3 * MINUTE, at=NOW, first=first,
            ).notice(URL)
        )  # fmt: skip


def sample_of(rule, document):
    """What the document shows."""
    return re.search(rf"(?s)(### `{rule}`.*?```text\n)(.*?)(\n```)", document)


def main():
    text = DOCUMENT.read_text(encoding="utf-8")
    for rule, sample in samples():
        found = sample_of(rule, text)
        text = text[: found.start(2)] + sample + text[found.end(2) :]
    DOCUMENT.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
