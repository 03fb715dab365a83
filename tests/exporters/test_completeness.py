"""The view `completeness` against a plain model: tallies are held against those who keep them."""

import asyncio
import time
from collections import Counter

import psycopg
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from footfall_processors import Batch, Dimension
from support.stores import rows_of, writing

HOUR = 3600 * 10**6
EVENTS = ("shop.order", "shop.ping")
digests = iter(lambda: time.time_ns().to_bytes(16, "big"), None)
senders = st.tuples(
    st.sampled_from([None, "shop", "bot"]),
    st.sampled_from([None, "1.2"]),
    st.sampled_from([None, "production"]),
    st.sampled_from([None, "0123456789abcdef"]),
    st.sampled_from([None, "footfall"]),
)
numbers = st.integers(0, 1000)
said = st.tuples(senders, st.sampled_from(EVENTS), st.integers(0, 50), numbers, numbers)


def use(who, event, provider):
    name, version, environment, path, distro = who
    enums = (("provider", provider),) if provider else ()
    fixed = (event, "web", event, "success", "ok", None, name, version, environment)
    return Dimension(*fixed, enums, path, distro)


def tally(who, event):
    name, version, environment, path, distro = who
    fixed = ("footfall.emitted", "footfall", "emitted", "count", "ok", None)
    enums = (("emitted_event", event),)
    return Dimension(*fixed, name, version, environment, enums, path, distro)


def expected(found):
    """Per event, from (sender, event, hours back, stored, emitted)."""
    stored, emitted = Counter(), Counter()
    for who, event, _, there, counted in found:
        stored[event, who] += there
        emitted[event, who] += counted
    rows = {}
    for event in {event for event, who in stored if stored[event, who] or emitted[event, who]}:
        known = {who for e, who in emitted if e == event and emitted[event, who]}
        others = {who for e, who in stored if e == event} - known
        there = sum(stored[event, who] for who in known)
        counted = sum(emitted[event, who] for who in known)
        rows[event] = (
            there,
            counted,
            there / counted if counted else None,
            sum(stored[event, who] for who in others),
            sum(max(stored[event, who] - emitted[event, who], 0) for who in known),
        )
    return rows


@settings(
    max_examples=20,
    suppress_health_check=list(HealthCheck),
    deadline=None,
    phases=[Phase.explicit, Phase.generate],  # to shrink takes minutes, as each example is stored
)
@given(found=st.lists(said, min_size=1, max_size=12))
def test_completeness_is_that_of_the_senders_that_keep_a_tally(found, store_database, catalog):
    async def store():
        now = time.time_ns() // 1000 // HOUR * HOUR
        async with writing(store_database, catalog) as writer:
            for at, (who, event, back, there, counted) in enumerate(found):
                provider = (None, "smz3")[at % 2] if event == "shop.order" else None
                counts = {(now - back * HOUR, use(who, event, provider)): there} if there else {}
                if counted:
                    counts[now, tally(who, event)] = counted
                await writer.consume(Batch(next(digests), "metrics", counts=counts))

    with psycopg.connect(store_database, autocommit=True) as connection:
        connection.execute("TRUNCATE footfall.feature_counts")
        asyncio.run(store())
        rows = rows_of(connection, "SELECT * FROM reporting.completeness")
    assert {event: tuple(rest) for event, *rest in rows} == expected(found)


@settings(
    max_examples=20,
    suppress_health_check=list(HealthCheck),
    deadline=None,
    phases=[Phase.explicit, Phase.generate],
)
@given(found=st.lists(st.tuples(senders, st.sampled_from(EVENTS), st.integers(0, 3), numbers, numbers),
                      min_size=1, max_size=12))  # fmt: skip
def test_completeness_of_a_day_is_that_of_its_uses_and_tallies(found, store_database, catalog):
    midnight = time.time_ns() // 1000 // (24 * HOUR) * 24 * HOUR

    async def store():
        async with writing(store_database, catalog) as writer:
            for who, event, back, there, counted in found:
                at = midnight - back * 24 * HOUR
                counts = {(at, use(who, event, None)): there} if there else {}
                if counted:
                    counts[at, tally(who, event)] = counted
                await writer.consume(Batch(next(digests), "metrics", counts=counts))

    keep = {(event, who) for who, event, _, _, counted in found if counted}
    stored, emitted = Counter(), Counter()
    for who, event, back, there, counted in found:
        stored[back, event, who] += there
        emitted[back, event, who] += counted
    days = {}
    for back, event, who in stored:
        one = days.setdefault((back, event), [0, 0, 0, 0])
        there, counted = stored[back, event, who], emitted[back, event, who]
        one[0 if (event, who) in keep else 2] += there
        one[1] += counted
        one[3] += max(there - counted, 0) if (event, who) in keep else 0
    with psycopg.connect(store_database, autocommit=True) as connection:
        connection.execute("TRUNCATE footfall.feature_counts, footfall.feature_dims CASCADE")
        connection.execute("TRUNCATE footfall.feature_counts_days")
        asyncio.run(store())
        rows = rows_of(
            connection,
            "SELECT (now() AT TIME ZONE 'UTC')::date - day, event, stored, emitted, untallied, surplus, ratio"
            " FROM reporting.completeness_by_day",
        )
    for *_, there, counted, _, _, ratio in rows:
        assert ratio == (there / counted if counted else None)
    assert {(back, event): [*rest[:-1]] for back, event, *rest in rows} == {
        key: one for key, one in days.items() if any(one)
    }
