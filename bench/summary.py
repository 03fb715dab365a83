"""How long a viewer's summary over 30 days takes, for one who has 10,000 events among 10 million.

A collector and a Postgres of their own are started. The rows are written by SQL, spread over 30 days and
1,000 viewers in random order; the last sixth of each day is left as autovacuum leaves it at worst.
Housekeeping builds the index, as where the HTTP API is turned on in a store that has rows. Then viewers ask
one after another, each seldom twice. Beside it stands the same route's answer to nobody (401): what a request
costs; and the CPU time of Postgres' session. Every summary must be exact.

Run it with `make bench BENCH=summary` (it needs some 2 GB of disk, and takes minutes). It ends with exit
code 1 when the 95th percentile is beyond the limit, or a count is wrong.
"""

import argparse
import asyncio
import datetime as dt
import json
import random
import secrets
import statistics
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import psycopg

from faults.processes import free_addresses, until
from footfall_exporters.contracts import Settings
from footfall_exporters.embedded import EmbeddedPostgres
from footfall_exporters.postgres import connect, partitions, prepare
from footfall_exporters.postgres.connecting import PARTITIONS
from footfall_processors import keyed_hash, load_catalog
from ingest import cpu_of

LIMIT_MS, DAYS, VIEWERS, SAMPLES = 20.0, 30, 1000, 300
CATALOG = """
product: bench
attributes:
  viewer_id: {type: string, hash: static, description: Whose counts these are}
events:
  shown: {surface: web, feature: suggestions, actions: [used], attributes: [viewer_id]}
  accepted: {surface: web, feature: suggestions, actions: [used], attributes: [viewer_id]}
"""
SALT = secrets.token_hex(32)
FILL = """
    INSERT INTO footfall.feature_events (time, batch_id, ordinal, dim_id, quantity, viewer_hash)
    SELECT %(midnight)s::timestamptz + n * interval '1 day' / %(number)s, 0, n,
           (%(dims)s::int[])[1 + (random() < 0.3)::int], 2,
           (%(hashes)s::uuid[])[1 + floor(random() * %(viewers)s)::int]
    FROM generate_series(%(first)s::int, %(last)s - 1) AS n
"""
SESSION = "SELECT pid FROM pg_stat_activity WHERE application_name = 'footfall summary'"
BUILT = (
    "SELECT outcome LIKE '% indexed, % vacuumed' FROM footfall.housekeeping WHERE task = 'indexes'"
)
COUNTED = """
    SELECT viewer_hash, event, sum(quantity)::int FROM footfall.feature_events e
    JOIN footfall.feature_dims d ON d.id = e.dim_id GROUP BY 1, 2
"""


@contextmanager
def collector(folder: Path, dsn: str) -> Iterator[str]:
    """Runs one, whose HTTP API believes a header; yields its address."""
    [address] = free_addresses(1)
    api = {
        "identity": {"header": {"name": "x-viewer", "from": ["127.0.0.1"]}},
        "rate_limit": {"user": 10**6, "address": 10**6},
    }
    otlp = {"protocols": {"grpc": None, "http": {"endpoint": address}}}
    config = {
        "receivers": {"otlp": otlp, "http_api": api},
        "processors": {"footfall": {"catalog": "events.yaml", "hash_salt": SALT}},
        "exporters": {"postgres": {"dsn": dsn, "retention_days": 60}},
        "service": {"operator": None},
    }
    (folder / "collector.yaml").write_text(json.dumps(config))
    footfall = Path(sys.executable).with_name("footfall")
    with (folder / "log").open("w") as log:
        process = subprocess.Popen(
            [footfall, "up", "--config", folder / "collector.yaml"], stdout=log, stderr=log
        )
        try:
            until("the collector answers", lambda: _answers(address))
            yield f"http://{address}"
        finally:
            process.terminate()
            process.wait(30)


def _answers(address: str) -> bool:
    try:
        return httpx.get(f"http://{address}/telemetry/summary").status_code == 401
    except httpx.HTTPError:
        return False


async def make_days(dsn: str, days: list[dt.date]) -> None:
    """Their partitions."""
    async with await connect(dsn, PARTITIONS) as connection:
        await partitions.ensure(connection, days)


def fill(connection: psycopg.Connection, dsn: str, hashes: list[uuid.UUID], rows: int) -> None:
    """Writes the rows of the last 30 days, a day at a time."""
    dims = [
        row[0]
        for row in connection.execute(
            "INSERT INTO footfall.feature_dims (fingerprint, event, surface, feature, action, status)"
            " SELECT gen_random_uuid(), e, 'web', 'suggestions', 'used', 'ok'"
            " FROM unnest(ARRAY['shown', 'accepted']) AS e RETURNING id"
        ).fetchall()
    ]
    days = [dt.datetime.now(dt.UTC).date() - dt.timedelta(days=n) for n in range(DAYS)]
    asyncio.run(make_days(dsn, days))
    number = rows // DAYS
    known = {"number": number, "dims": dims, "hashes": hashes, "viewers": len(hashes)}
    for first, last in ((0, number * 5 // 6), (number * 5 // 6, number)):
        for day in days:
            part = {"midnight": f"{day} 00:00:00+00", "first": first, "last": last}
            connection.execute(FILL, known | part)
        if first == 0:
            connection.execute("VACUUM footfall.feature_events")


def expected(connection: psycopg.Connection) -> dict[uuid.UUID, dict[str, int]]:
    """What each viewer's summary over 30 days must say, by plain SQL."""
    found: dict[uuid.UUID, dict[str, int]] = {}
    for viewer, event, number in connection.execute(COUNTED).fetchall():
        found.setdefault(viewer, {})[event] = number
    return found


def ask(http: httpx.Client, viewers: dict[str, dict[str, int]]) -> tuple[list[float], int]:
    """How long summaries take, in ms; how many were wrong."""
    waited, wrong = [], 0
    for name in random.choices(list(viewers), k=SAMPLES):
        began = time.perf_counter()
        answer = http.get("/telemetry/summary", params={"days": 30}, headers={"x-viewer": name})
        waited.append((time.perf_counter() - began) * 1000)
        wrong += answer.json().get("counts") != viewers[name]
    return waited, wrong


def nobody(http: httpx.Client) -> tuple[list[float], int]:
    """The same of requests that name nobody."""
    waited = []
    for _ in range(SAMPLES):
        began = time.perf_counter()
        http.get("/telemetry/summary")
        waited.append((time.perf_counter() - began) * 1000)
    return waited, 0


def run(folder: Path, rows: int) -> int:
    """Fills a store, measures, prints a table and one line of JSON."""
    result: dict[str, float] = {}
    wrong = 0
    (folder / "events.yaml").write_text(CATALOG)
    names = [f"walker-{number}" for number in range(VIEWERS)]
    salt = SALT.encode()
    hashes = {n: uuid.UUID(bytes=keyed_hash(salt, "viewer_id", n, "bench")) for n in names}
    with (
        EmbeddedPostgres(folder / "postgres") as dsn,
        psycopg.connect(dsn, autocommit=True) as connection,
    ):
        prepare(dsn, Settings(load_catalog(folder / "events.yaml")))
        fill(connection, dsn, list(hashes.values()), rows)
        counts = expected(connection)
        viewers = {name: counts[hashes[name]] for name in names}
        began = time.monotonic()
        print(f"{rows:,} rows of {VIEWERS:,} viewers         median      p95      p99")
        with collector(folder, dsn) as address, httpx.Client(base_url=address) as http:
            until("there is an index", lambda: connection.execute(BUILT).fetchone() == (True,), 600)
            result["index_s"] = round(time.monotonic() - began, 1)
            ask(http, viewers)  # what is read from the disk then is at hand
            [[session]] = connection.execute(SESSION).fetchall()
            began_cpu = cpu_of(session)
            for what, (waited, mistakes) in (
                ("summary", ask(http, viewers)),
                ("nobody", nobody(http)),
            ):
                wrong += mistakes
                cut = statistics.quantiles(waited, n=100)
                print(f"{what:<36} {cut[49]:8.2f} {cut[94]:8.2f} {cut[98]:8.2f}")
                result |= {f"{what}_ms": round(cut[49], 2), f"{what}_p95_ms": round(cut[94], 2)}
            result["postgres_cpu_ms"] = round((cpu_of(session) - began_cpu) / SAMPLES * 1000, 2)
    worst = result["summary_p95_ms"]
    print(
        f"CPU of Postgres' session: {result['postgres_cpu_ms']} ms; index built in {result['index_s']} s"
    )
    print(f"p95: {worst:.2f} ms (limit {LIMIT_MS:.0f}); wrong: {wrong}\n")
    print(json.dumps(result | {"wrong": wrong}))
    return int(worst > LIMIT_MS or wrong > 0)


def main() -> int:
    """Its exit status."""
    parser = argparse.ArgumentParser(description="How long a viewer's summary takes.")
    parser.add_argument("--rows", type=int, default=10**7, help="of all viewers (10,000,000)")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="footfall-bench-") as folder:
        Path(folder).chmod(0o755)  # root does not run Postgres itself
        return run(Path(folder), arguments.rows)


if __name__ == "__main__":
    sys.exit(main())
