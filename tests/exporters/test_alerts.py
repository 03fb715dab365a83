"""R-numbers C7 and A10: alerts fire and clear over a scripted fortnight, on a real Postgres."""

import datetime as dt
import random
import uuid
from collections import defaultdict

import psycopg
import pytest

from exporters.fortnights import DAY, HOUR, SHARES, Fortnight, histogram, slots
from footfall_exporters.contracts import Settings
from footfall_exporters.postgres import prepare
from footfall_exporters.postgres.alerts.evaluating import Evaluator
from footfall_exporters.postgres.alerts.looking import Looking
from footfall_exporters.postgres.alerts.rules import RULES, Thresholds
from footfall_exporters.postgres.alerts.state import Hysteresis, Turn
from footfall_processors import load_catalog

CATALOG = """
product: {product}
events:
{events}
"""
MONDAY, TUESDAY, WEDNESDAY, THURSDAY, FRIDAY = range(5)
STEP = dt.timedelta(minutes=45)
SHOWN = """
    INSERT INTO footfall.feature_counts
    SELECT hour, dim_id, round(count * %(share)s) FROM planned WHERE hour = %(hour)s
    ON CONFLICT (hour, dim_id) DO UPDATE SET count = excluded.count
"""
TOOK = """
    INSERT INTO footfall.latency_hours SELECT hour, dim_id, histogram FROM measured WHERE hour = %s
    ON CONFLICT DO NOTHING
"""
COMMITTED = """
    INSERT INTO footfall.commits (position, committed_at, requests, last_time)
    SELECT floor(extract(epoch FROM minute) / 60)::bigint, minute, '{}',
           CASE WHEN minute < %(from)s OR minute >= %(to)s THEN minute END
    FROM generate_series(%(since)s, %(until)s - interval '1 second', interval '1 minute') AS minutes (minute)
    ON CONFLICT DO NOTHING
"""


def catalogs(folder):
    """One of each product."""
    files = []
    for product in ("bakery", "bot"):
        events = "\n".join(
            f"  {event}: {{surface: web, feature: {event.partition('.')[2]}}}"
            for event in SHARES
            if event.startswith(f"{product}.")
        )
        file = folder / f"{product}.yaml"
        file.write_text(CATALOG.format(product=product, events=events))
        files.append(file)
    return load_catalog(files)


class Store:
    """A database in which a fortnight passes."""

    def __init__(self, connection, fortnight):
        self.connection, self.fortnight = connection, fortnight
        connection.execute("CREATE TEMP TABLE planned (hour timestamptz, dim_id int, count bigint)")
        connection.execute(
            "CREATE TEMP TABLE measured (hour timestamptz, dim_id int, histogram numeric)"
        )
        self.dims = {}

    def dim(self, event, status="ok", **more):
        key = event, status
        if key not in self.dims:
            row = {
                "surface": "footfall" if event.startswith("footfall.") else "web",
                "feature": event, "event": event, "status": status,
                "action": "success" if status == "ok" else "failure", "fingerprint": uuid.uuid4(), **more,
            }  # fmt: skip
            self.dims[key] = self.connection.execute(
                f"INSERT INTO footfall.feature_dims ({', '.join(row)})"
                f" VALUES ({', '.join(['%s'] * len(row))}) RETURNING id",
                list(row.values()),
            ).fetchone()[0]
        return self.dims[key]

    def plan(self):
        """By COPY what each hour will have; what was before the fortnight is there at once."""
        for event in SHARES:
            self.dim(event), self.dim(event, "error")
        with self.connection.cursor().copy("COPY planned FROM STDIN") as copy:
            for hour, made in self.fortnight.hours.items():
                for event, (number, failures) in made.items():
                    copy.write_row((hour, self.dim(event), number - failures))
                    copy.write_row((hour, self.dim(event, "error"), failures))
        self.connection.execute(
            "INSERT INTO footfall.feature_counts SELECT * FROM planned WHERE hour < %s",
            [self.fortnight.start],
        )

    def measure(self, event, middle):
        """How long an event takes in each hour of the last nine days: about as long as `middle` says."""
        draw = random.Random(event)
        with self.connection.cursor().copy("COPY measured FROM STDIN") as copy:
            hour = self.fortnight.until - 9 * DAY
            while hour < self.fortnight.until:
                found = slots(draw, 150, middle(hour) * draw.gauss(1, 0.05))
                copy.write_row((hour, self.dim(event), histogram(found)))
                hour += HOUR

    def pass_to(self, now, silent):
        """What came in the last step."""
        this = now.replace(minute=0)
        shown = {"hour": this, "share": (now - this) / HOUR}
        self.connection.execute(SHOWN, shown)
        self.connection.execute(SHOWN, {"hour": (now - STEP).replace(minute=0), "share": 1}
                                if now - STEP < this else shown)  # fmt: skip
        self.connection.execute(TOOK, [(now - STEP).replace(minute=0)])
        times = {"from": silent[0], "to": silent[1], "since": now - STEP, "until": now}
        self.connection.execute(COMMITTED, times)


def within(time, when):
    return when[0] <= time < when[1]


def planned(fortnight):
    """What goes wrong, and when; the evaluator is told nothing of it."""
    on = fortnight.on
    yesterday = fortnight.until - DAY
    return {
        "drop": on(MONDAY, 0, 10, 15), "failing": on(TUESDAY, 0, 9, 14), "silence": on(WEDNESDAY, 1, 11, 14),
        "full": on(THURSDAY, 0, 13, 15), "expired": on(FRIDAY, 1, 13, 15),
        "slow": (yesterday + 9 * HOUR, yesterday + 14 * HOUR),
    }  # fmt: skip


def plans(when):
    def wrong(hour, event):
        often, worse = 1.0, 1.0
        if within(hour, when["drop"]) and event.startswith("bakery."):
            often = 0.2
        if within(hour, when["silence"]):
            often = 0.0
        if within(hour, when["failing"]) and event == "bakery.order":
            worse = 12.0
        return often, worse

    return wrong


@pytest.fixture
def store(store_database, tmp_path):
    until = dt.datetime.now(dt.UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    when = planned(Fortnight(until, 0, 1))
    fortnight = Fortnight(until, "fortnight", 500, [plans(when)])
    prepare(store_database, Settings(catalogs(tmp_path)))
    with psycopg.connect(store_database, autocommit=True) as connection:
        connection.execute("SET timezone = 'UTC'")
        found = Store(connection, fortnight)
        found.plan()
        yield found, when


def advice(signal, reason):
    return f"see {signal} {reason}"


@pytest.mark.requirement("C7")
@pytest.mark.requirement("A10")
def test_a_fortnight(store, store_database):
    store, when = store
    slow = when["slow"]
    store.measure("bot.ask", lambda hour: 300 if within(hour, slow) else 100)
    full = store.dim("footfall.dropped", drop_reason="queue_full")
    with store.connection.cursor().copy("COPY planned FROM STDIN") as copy:
        for n in range(2):
            copy.write_row((when["full"][0] + n * HOUR, full, 50))
    times, turns = [], defaultdict(list)
    evaluator = Evaluator(store_database, Looking(Thresholds(), ["housekeeping_overdue"], advice),
                          Hysteresis(2, 3), clock=lambda: times[-1])  # fmt: skip
    with psycopg.connect(store_database, autocommit=True) as asking:
        for now in store.fortnight.times(STEP):
            times.append(now)
            store.pass_to(now, when["silence"])
            if within(now, when["expired"]):
                store.connection.execute(
                    "INSERT INTO footfall.ingest_batches (id, digest, received_at, signal, accepted, losses)"
                    """ VALUES (%s, gen_random_uuid(), %s, 'traces', 0, '{"expired_event": 3}')""",
                    [len(times), now - dt.timedelta(minutes=1)],
                )
            done = evaluator.look(store.connection, asking)
            assert {each.outcome for each in done.looked} == {"looked"}
            for change in done.changes:
                turns[change.state.about].append((change.turn, now))
    fired = {
        about: [at for turn, at in told if turn is Turn.FIRES] for about, told in turns.items()
    }
    cleared = {a: [at for turn, at in told if turn is Turn.CLEARED] for a, told in turns.items()}
    expected = {
        ("low_event_rate", "bakery", ""): [when["drop"], when["silence"]],
        ("low_event_rate", "bot", ""): [when["silence"]],
        ("no_events", "", ""): [when["silence"]],
        ("failure_share", "bakery", "bakery.order"): [when["failing"]],
        ("latency_p95", "bot", "bot.ask"): [slow],
        ("losses", "", "sdk queue_full"): [when["full"]],
        ("expired_events", "", ""): [when["expired"]],
    }
    assert {about: len(at) for about, at in fired.items()} == {
        about: len(periods) for about, periods in expected.items()
    }
    for about, periods in expected.items():
        for (begin, end), at, over in zip(periods, fired[about], cleared[about], strict=True):
            assert begin < at <= min(end, begin + 3 * HOUR), about
            assert end < over <= end + 5 * HOUR, about
    assert {about.rule for about in turns} <= set(RULES)
