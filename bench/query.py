"""How long the questions of `reporting` take, beside the same ones asked of single observations.

A Postgres of its own gets events of 30 days, as decoded batches, through the writer of the collector
(COPY, a day after the other, as if the clock were stepped): 200 features of two versions, success and
failure, 2,000 groups a day, durations over four powers of ten. After each day housekeeping's tasks
`latency` and `groups` run, and their CPU time (of Postgres' session) is taken, per event. Then each
question is asked (questions.py: of each view, and the reports as the page asks for them), and the same of
the rows: answers must agree, to 2.2 % where it is a percentile. At the end all days are declared unfilled and
filled anew, which is what a store of an earlier version waits for.

Run it with `make bench BENCH=query`. One and ten million events take some five minutes and 2 GB of disk.
With BENCH_FULL=1 there are a hundred million as well. It ends with exit code 1 when a question's 95th
percentile is beyond the limit, when it grew more than twofold from the smallest store to the largest, or
an answer was wrong.
"""

import argparse
import asyncio
import datetime as dt
import itertools
import json
import math
import os
import random
import re
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psycopg

from footfall_exporters.background import beside
from footfall_exporters.contracts import Settings
from footfall_exporters.embedded import EmbeddedPostgres
from footfall_exporters.postgres import comparisons, connect, groups, latency, partitions, prepare
from footfall_exporters.postgres.connecting import HOUSEKEEPING, PLANNING
from footfall_exporters.postgres.writer import Writer
from footfall_processors import Batch, Catalog, Dimension, Rows, Shape, load_catalog
from ingest import cpu_of
from questions import DAYS, QUESTIONS, Asking, Days, Question

LIMIT_MS, GROWTH, OFF = 100.0, 2.0, 0.022
AS_REPORTS = " ".join(
    f"-c {name}={value}" for name, value in {"TimeZone": "UTC", **PLANNING}.items()
)
"""As sessions of reports are, and of the readers that Footfall makes."""
FLOOR_MS = 5.0
"""Faster answers are all the same: what they grow by is the machine's."""
FEATURES, GROUPS, ROWS = 200, 2000, 8192
TIMES, TIMES_RAW, TOGETHER = 40, 3, 4
MILLION = 10**6
FRESH = range(1, 7)
"""Days back that are rolled up as what is new is, by hours as well."""
LOOKED_AT: Mapping[str, range] = {"latency": FRESH, "groups": range(1, DAYS)}
"""Of which days the CPU time is taken: of those for groups, which have weeks to be counted among them."""
FULL = """\
BENCH_FULL: 100,000,000 events take some 9 GB in {folder}, and an hour or more.
The questions to the rows alone take minutes each."""
HOUR_US, DAY_US = 3600 * 10**6, 86_400 * 10**6


@dataclass
class Measured:
    """Of one store: what rolling up cost, and how long each question took, in ms."""

    events: int
    cpu_us: dict[str, float] = field(default_factory=dict)
    bytes_per_event: dict[str, float] = field(default_factory=dict)
    asked: dict[str, list[float]] = field(default_factory=dict)
    of_rows: dict[str, list[float]] = field(default_factory=dict)
    fill_s: float = 0.0
    wrong: list[str] = field(default_factory=list)


def catalog_text() -> str:
    """200 features with a group each."""
    events = {
        f"bench.feature_{n:03}": {
            "surface": "web",
            "feature": f"feature_{n:03}",
            "attributes": ["group"],
        }
        for n in range(FEATURES)
    }
    group = {"type": "string", "hash": "weekly", "description": "Of whom there are 2,000 a day"}
    return json.dumps({"product": "bench", "attributes": {"group": group}, "events": events})


def shapes() -> list[Shape]:
    """Of each feature two versions, nine successes for one failure."""
    return [
        Shape(
            Dimension(
                f"bench.feature_{n:03}", "web", f"feature_{n:03}", "success" if good else "failure",
                "ok" if good else "error", None if good else "TimeoutError", "bench", version, None, (),
            ),
            1.0,
            ("group",),
        )
        for n in range(FEATURES) for version in ("1.0", "1.1") for good in [True] * 9 + [False]
    ]  # fmt: skip


def batches(midnight: int, events: int, end: int, chosen: random.Random) -> Iterator[Batch]:
    """A day's events up to a moment, in the order of their times, in requests of ROWS."""
    kinds = shapes()
    groups = [chosen.randbytes(16) for _ in range(GROUPS)]
    step = (min(midnight + DAY_US, end) - midnight) // events
    for first in range(0, events, ROWS):
        size = min(ROWS, events - first)
        times = range(midnight + first * step, midnight + (first + size) * step, step)
        of = chosen.choices(kinds, k=size)
        durations = [int(math.exp(chosen.uniform(0, 9))) for _ in range(size)]
        counts: dict[tuple[int, Dimension], int] = {}
        for time_us, shape in zip(times, of, strict=True):
            key = time_us // HOUR_US * HOUR_US, shape.dimension
            counts[key] = counts.get(key, 0) + 1
        rows = Rows(times, durations, of, [chosen.choices(groups, k=size)])
        yield Batch(chosen.randbytes(16), "traces", [rows], counts, (), {})


class Filling:
    """Fills a store, and has housekeeping follow."""

    def __init__(self, dsn: str, catalog: Catalog, found: Measured) -> None:
        self._dsn, self._catalog, self._found = dsn, catalog, found
        self.now = time.time_ns() // 1000
        self.today = self.now // DAY_US * DAY_US

    async def run(self) -> None:
        """Writes all days, the last one up to now."""
        spent = dict.fromkeys(("latency", "groups"), 0.0)
        async with await connect(self._dsn, HOUSEKEEPING) as keeping:
            days = [moment(self.today - n * DAY_US).date() for n in range(-1, DAYS)]
            await partitions.ensure(keeping, days)
        writer = Writer(self._dsn, self._catalog)
        async with beside(writer.run()):
            for back in range(DAYS - 1, -1, -1):
                await self._write(writer, self.today - back * DAY_US)
                # A session that is idle for long is ended, and a day may take longer than that to write.
                async with await connect(self._dsn, HOUSEKEEPING) as keeping:
                    kept = await self._keep(keeping, back)
                for task, seconds in kept.items():
                    spent[task] += seconds if back in LOOKED_AT[task] else 0
        async with await connect(self._dsn, HOUSEKEEPING) as keeping:
            await keeping.execute("VACUUM (ANALYZE)")
            await comparisons.keep(keeping)
        for task, seconds in spent.items():
            counted = self._found.events // DAYS * len(LOOKED_AT[task])
            self._found.cpu_us[task] = round(seconds / counted * 1e6, 3)

    async def _write(self, writer: Writer, midnight: int) -> None:
        chosen = random.Random(midnight)
        number = self._found.events // DAYS
        drawn = batches(midnight, number, self.now, chosen)
        while some := list(itertools.islice(drawn, TOGETHER)):
            await asyncio.gather(*map(writer.consume, some))

    async def _keep(self, keeping: psycopg.AsyncConnection, back: int) -> dict[str, float]:
        pid = keeping.info.backend_pid
        began = cpu_of(pid)
        while (await latency.keep_up(keeping)).more:
            pass
        between = cpu_of(pid)
        settled = moment(self.today - back * DAY_US + DAY_US) + groups.SETTLED
        while back and (await groups.count_settled(keeping, settled)).left:
            pass
        return {"latency": between - began, "groups": cpu_of(pid) - between}


def moment(us: int) -> dt.datetime:
    """As a time."""
    return dt.datetime.fromtimestamp(us / 1e6, dt.UTC)


def ask(
    connection: psycopg.Connection, question: str | Asking, days: Days | None, times: int
) -> tuple[list[float], list[tuple[Any, ...]]]:
    """How long it takes, in ms, each time anew; and the answer."""
    waited: list[float] = []
    answer: Sequence[tuple[Any, ...]] = []
    for _ in range(times):
        began = time.perf_counter()
        if isinstance(question, str):
            answer = connection.execute(question, days, prepare=False).fetchall()
        else:
            answer = question(connection, days or {})
        waited.append((time.perf_counter() - began) * 1000)
    return waited, list(answer)


def agree(found: Sequence[tuple[Any, ...]], exact: Sequence[tuple[Any, ...]], near: bool) -> bool:
    """Whether answers are the same, percentiles as nearly as is promised."""
    if not near:
        return sorted(found, key=repr) == sorted(exact, key=repr)
    return len(found) == len(exact) and all(
        a == b or (isinstance(a, float) and abs(a - b) <= OFF * b)
        for one, other in zip(found, exact, strict=True)
        for a, b in zip(one, other, strict=True)
    )


def measure(dsn: str, catalog: Catalog, events: int) -> Measured:
    """Fills a store, asks all questions, then the rows, and has it filled anew."""
    found = Measured(events)
    filling = Filling(dsn, catalog, found)
    say(f"{events:,} events are written and rolled up")
    asyncio.run(filling.run())
    answers: dict[str, Sequence[tuple[Any, ...]]] = {}
    with psycopg.connect(dsn, autocommit=True, options=AS_REPORTS) as connection:
        check_all_are_asked(connection)
        say(f"{len(QUESTIONS)} questions are asked")
        for name, question in QUESTIONS.items():
            days = days_of(question, filling.today)
            ask(connection, question.asked, days, 1)  # what is read from the disk then is at hand
            found.asked[name], answers[name] = ask(connection, question.asked, days, TIMES)
        for name, question in QUESTIONS.items():
            if question.of_rows:
                say(f"the rows are asked: {name}")
                times = TIMES_RAW if events < 10 * MILLION else 1  # seconds, and minutes, each
                days = days_of(question, filling.today)
                found.of_rows[name], exact = ask(connection, question.of_rows, days, times)
                if not agree(answers[name], exact, question.near):
                    found.wrong.append(name)
        found.bytes_per_event = sizes(connection, events)
        say("the rollups are filled anew")
        fill_anew(dsn, connection, found)
    return found


def days_of(question: Question, today: int) -> Days:
    """The days that a question is of."""
    return {
        "since": moment(today - (question.days - 1) * DAY_US),
        "until": moment(today + DAY_US),
    }


def say(what: str) -> None:
    """What is done now, beside the table."""
    print(what, file=sys.stderr, flush=True)


def check_all_are_asked(connection: psycopg.Connection) -> None:
    """Ends the bench where a view of `reporting` is in no question."""
    views = connection.execute("SELECT viewname FROM pg_views WHERE schemaname = 'reporting'")
    texts = " ".join(f"{name} {question.asked}" for name, question in QUESTIONS.items())
    if missing := [view for (view,) in views if not re.search(rf"\b{view}\b", texts)]:
        raise SystemExit(f"nothing is asked of reporting.{', '.join(missing)}")


def sizes(connection: psycopg.Connection, events: int) -> dict[str, float]:
    """What each table of rollups takes, with its index."""
    rows = connection.execute(
        "SELECT relname, pg_total_relation_size(oid) FROM pg_class"
        " WHERE relnamespace = 'footfall'::regnamespace"
        " AND relname IN ('feature_counts', 'feature_counts_days', 'latency_hours', 'latency_days',"
        " 'latency_percentiles', 'groups_counts')"
        " ORDER BY 1"
    )
    return {name: round(size / events, 2) for name, size in rows}


def fill_anew(dsn: str, connection: psycopg.Connection, found: Measured) -> None:
    """As a store of an earlier version is filled: every day from its observations."""
    before = connection.execute(
        "SELECT * FROM reporting.latency ORDER BY day, event, action"
    ).fetchall()
    for table in ("hours", "days", "percentiles"):
        connection.execute(f"TRUNCATE footfall.latency_{table}")
    connection.execute(
        "INSERT INTO footfall.latency_unfilled SELECT DISTINCT day FROM unnest(%s::date[]) AS d (day)",
        [[row[0] for row in before]],
    )

    async def fill() -> None:
        async with await connect(dsn, HOUSEKEEPING) as keeping:
            while (await latency.keep_up(keeping)).more:
                pass

    began = time.monotonic()
    asyncio.run(fill())
    found.fill_s = round(time.monotonic() - began, 1)
    after = connection.execute(
        "SELECT * FROM reporting.latency ORDER BY day, event, action"
    ).fetchall()
    if before != after:
        found.wrong.append("filled anew")


def p50_p95(waited: Sequence[float]) -> tuple[float, float]:
    """The median, and the 95th percentile."""
    cut = statistics.quantiles(waited, n=20, method="inclusive")
    return cut[9], cut[18]


def print_table(stores: Sequence[Measured]) -> None:
    """Of each question p50/p95 in ms, by size of the store, and the median of the rows alone."""
    sizes_of = [f"{each.events // MILLION} M" for each in stores]
    print("| question | " + " | ".join(f"{size} | {size}, of the rows" for size in sizes_of) + " |")
    print("|---" * (1 + 2 * len(stores)) + "|")
    for name in QUESTIONS:
        cells = []
        for each in stores:
            cells.append("/".join(f"{ms:,.1f}" for ms in p50_p95(each.asked[name])))
            raw = each.of_rows.get(name)
            cells.append(f"{statistics.median(raw):,.0f}" if raw else "")
        print(f"| {name} | " + " | ".join(cells) + " |")
    for each in stores:
        cpu = ", ".join(f"{task} {us} µs" for task, us in each.cpu_us.items())
        stored = ", ".join(f"{table} {size}" for table, size in each.bytes_per_event.items())
        print(
            f"\n{each.events:,} events: CPU of Postgres an event: {cpu}; bytes an event: {stored};"
        )
        print(f"filled anew in {each.fill_s} s; wrong: {', '.join(each.wrong) or 'nothing'}")


def missed(stores: Sequence[Measured]) -> list[str]:
    """What is beyond its limit."""
    found = [f"{name} is wrong" for each in stores for name in each.wrong]
    for name in QUESTIONS:
        slow = [p50_p95(each.asked[name])[1] for each in stores]
        if max(slow) > LIMIT_MS:
            found.append(f"{name}: p95 of {max(slow):.0f} ms")
        medians = [max(FLOOR_MS, p50_p95(each.asked[name])[0]) for each in (stores[0], stores[-1])]
        if medians[1] > GROWTH * medians[0]:
            found.append(f"{name}: {medians[1] / medians[0]:.1f} times the smallest store's")
    return found


def run(folder: Path, numbers: Sequence[int]) -> int:
    """Measures stores of these sizes, one after the other; the exit status."""
    (folder / "events.yaml").write_text(catalog_text())
    catalog = load_catalog(folder / "events.yaml")
    stores = []
    for number in numbers:
        with tempfile.TemporaryDirectory(dir=folder) as place:
            Path(place).chmod(0o755)  # root does not run Postgres itself
            with EmbeddedPostgres(Path(place) / "postgres") as dsn:
                prepare(dsn, Settings(catalog))
                stores.append(measure(dsn, catalog, number))
    print_table(stores)
    for each in (beyond := missed(stores)):
        print(f"beyond its limit: {each}")
    told = ("events", "cpu_us", "bytes_per_event", "fill_s", "wrong")
    print(json.dumps([{name: getattr(each, name) for name in told} for each in stores]))
    return int(bool(beyond))


def main() -> int:
    """Its exit status."""
    parser = argparse.ArgumentParser(description="How long the questions of reporting take.")
    parser.add_argument("--events", type=int, nargs="+", default=[MILLION, 10 * MILLION])
    numbers = parser.parse_args().events
    with tempfile.TemporaryDirectory(prefix="footfall-bench-") as folder:
        Path(folder).chmod(0o755)
        if os.environ.get("BENCH_FULL") == "1":
            print(FULL.format(folder=folder), flush=True)
            numbers = [*numbers, 100 * MILLION]
        return run(Path(folder), numbers)


if __name__ == "__main__":
    sys.exit(main())
