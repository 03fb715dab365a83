"""What a look at the rules of alerts costs: `make bench BENCH=alerts`.

The store has the rollups of a hundred million events of 30 days, made by statements: 200 features of two
versions, with successes and failures in every hour (as in query.py), durations of eight days by the hour, and
the ledger and the commits of a week of 60 requests a minute. Nothing that a look reads grows with the events.
"""

import datetime as dt
import sys
import tempfile
import time
from contextlib import closing
from pathlib import Path

import psycopg

from footfall_exporters.contracts import Settings
from footfall_exporters.embedded import EmbeddedPostgres
from footfall_exporters.postgres import connect_sync, prepare
from footfall_exporters.postgres.alerts.looking import USE, Looking
from footfall_exporters.postgres.alerts.rules import RULES, Thresholds
from footfall_processors import load_catalog
from query import FEATURES, catalog_text

LOOKS = 10
BOUND_MS = 100.0
FILL = (
    """
    INSERT INTO footfall.feature_dims
        (fingerprint, event, surface, feature, action, status, service, service_version)
    SELECT gen_random_uuid(), event, surface, feature, action,
           CASE action WHEN 'success' THEN 'ok' ELSE 'error' END, 'bench', v.version
    FROM footfall.catalog_events, unnest(ARRAY['success', 'failure']) AS a (action),
         unnest(ARRAY['1.0.0', '1.1.0']) AS v (version)
    """,
    """
    INSERT INTO footfall.feature_counts
    SELECT hour, id, 1 + (abs(hashint8(extract(epoch FROM hour)::bigint + id)) % 9 + 170)
           * CASE status WHEN 'ok' THEN 2 ELSE 0.02 END
    FROM footfall.feature_dims, generate_series(date_trunc('hour', now()) - interval '30 days',
                                                date_trunc('hour', now()), interval '1 hour') AS h (hour)
    ORDER BY 1, 2
    """,
    """
    INSERT INTO footfall.latency_hours
    SELECT hour, id, (
        SELECT sum(footfall.latency_histogram((bucket + id % 7)::smallint, 9 - abs(bucket - 105) / 8))
        FROM generate_series(90, 140) AS b (bucket)
    )
    FROM footfall.feature_dims, generate_series(date_trunc('hour', now()) - interval '8 days',
                                                date_trunc('hour', now()), interval '1 hour') AS h (hour)
    ORDER BY 1, 2
    """,
    """
    INSERT INTO footfall.ingest_batches (id, digest, received_at, signal, accepted, losses)
    SELECT n, gen_random_uuid(), now() - n * interval '1 second', 'traces', 100,
           CASE WHEN n % 50 = 0 THEN '{"enum_value": 1}'::jsonb ELSE '{}'::jsonb END
    FROM generate_series(1, 604800) AS n
    """,
    """
    INSERT INTO footfall.commits (position, committed_at, requests, last_time)
    SELECT n, now() - (604800 - n) * interval '1 second', '{}', now()
    FROM generate_series(1, 604800 - 400) AS n
    """,
    "VACUUM ANALYZE",
)
EVENTS = "SELECT sum(count) FROM footfall.feature_counts"


def fill(dsn: str) -> int:
    """Makes the store; how many events its counts are of."""
    with psycopg.connect(dsn, autocommit=True) as connection:
        for statement in FILL:
            connection.execute(statement)
        row = connection.execute(EVENTS).fetchone()
    return int(row[0]) if row else 0


def measure(dsn: str) -> dict[str, list[float]]:
    """Milliseconds of each rule, look by look; the first one reads what was before as well."""
    looking = Looking(Thresholds(), (), lambda *_: "")
    found: dict[str, list[float]] = {rule: [] for rule in RULES}
    with closing(connect_sync(dsn, USE)) as connection:
        for _ in range(LOOKS):
            for each in looking.look(connection, dt.datetime.now(dt.UTC)):
                assert each.is_known, each
                found[each.rule].append(1000 * each.seconds)
    return found


def run(folder: Path) -> int:
    """Prints the table; 1 where a look takes longer than it may."""
    (folder / "events.yaml").write_text(catalog_text())
    with EmbeddedPostgres(folder / "postgres") as dsn:
        prepare(dsn, Settings(load_catalog(folder / "events.yaml")))
        events = fill(dsn)
        began = time.process_time()
        found = measure(dsn)
        python = time.process_time() - began
    print(f"{events:,} events of {FEATURES} features; ms\n")
    print("| rule | first look of an hour | each minute, the slowest |\n|---|---|---|")
    for rule, times in found.items():
        print(f"| `{rule}` | {times[0]:.0f} | {max(times[1:]):.0f} |")
    first, later = (sum(times[n] for times in found.values()) for n in (0, 1))
    print(
        f"| all | {first:.0f} | {later:.0f} |\n\nthe collector's CPU: {1000 * python / LOOKS:.0f} ms a look"
    )
    return int(max(max(times[1:]) for times in found.values()) > BOUND_MS)


def main() -> int:
    """Its exit status."""
    with tempfile.TemporaryDirectory(prefix="footfall-bench-") as folder:
        Path(folder).chmod(0o755)  # root does not run Postgres itself
        return run(Path(folder))


if __name__ == "__main__":
    sys.exit(main())
