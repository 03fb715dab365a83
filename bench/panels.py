"""How long each panel of Grafana takes, over 7 days and over 30, in stores of 1 and 10 million events.

The stores are those of query.py, rolled up as housekeeping does it. Each panel's, variable's and
annotation's query is asked as Grafana asks it, of everything: macros and variables expanded
(tests/grafana/panels.py), by a session that may do what `footfall_reader` may, with the settings of the login
that Footfall makes for it.

Run it with `make bench BENCH=panels`; with BENCH_FULL=1 there are a hundred million events as well. It ends
with exit code 1 when a 95th percentile is beyond the limit.
"""

import argparse
import asyncio
import datetime as dt
import json
import os
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import psycopg

from footfall_exporters.contracts import Settings
from footfall_exporters.embedded import EmbeddedPostgres
from footfall_exporters.postgres import prepare
from footfall_processors import load_catalog
from query import AS_REPORTS, FULL, MILLION, Filling, Measured, ask, catalog_text, p50_p95

sys.path.append(str(Path(__file__).parents[1] / "tests"))
from grafana.panels import DASHBOARDS, NAMES, View, dashboard, expand, panels

LIMIT_MS, TIMES = 100.0, 20
RANGES = {"7 days": 7, "30 days": 30}
Timings = dict[str, dict[str, list[float]]]
"""Of each query the times in ms, by range."""


def queries() -> Iterator[tuple[str, str, Mapping[str, Any]]]:
    """What is asked, each query once: its name, its SQL, and the dashboard in which it is."""
    seen = set()
    for name in NAMES:
        model = dashboard(DASHBOARDS / f"footfall-{name}.json")
        found = {title: panel["targets"][0]["rawSql"] for title, panel in panels(model).items()}
        found |= {f"variable {v['name']}": v["query"] for v in model["templating"]["list"][:6]}
        found |= {
            f"annotation {a['name']}": a["target"]["rawSql"] for a in model["annotations"]["list"]
        }
        for title, sql in found.items():
            if sql not in seen:
                seen.add(sql)
                yield title, sql, model


def measure(dsn: str, now: dt.datetime) -> Timings:
    """Asks everything."""
    found: Timings = {}
    options = f"{AS_REPORTS} -c role=footfall_reader"
    with psycopg.connect(dsn, autocommit=True, options=options) as connection:
        for title, sql, model in queries():
            found[title] = {}
            for name, days in RANGES.items():
                asked = expand(sql, model, View(now - dt.timedelta(days), now))
                ask(connection, asked, None, 1)  # what is read from the disk then is at hand
                found[title][name], _ = ask(connection, asked, None, TIMES)
    return found


def run(folder: Path, numbers: Sequence[int]) -> int:
    """Measures stores of these sizes, one after the other; the exit status."""
    (folder / "events.yaml").write_text(catalog_text())
    catalog = load_catalog(folder / "events.yaml")
    stores: dict[int, Timings] = {}
    for number in numbers:
        with tempfile.TemporaryDirectory(dir=folder) as place:
            Path(place).chmod(0o755)  # root does not run Postgres itself
            with EmbeddedPostgres(Path(place) / "postgres") as dsn:
                prepare(dsn, Settings(catalog))
                filling = Filling(dsn, catalog, Measured(number))
                asyncio.run(filling.run())
                stores[number] = measure(dsn, dt.datetime.now(dt.UTC))
    return tell(stores)


def tell(stores: Mapping[int, Timings]) -> int:
    """Prints p50/p95 of each query, by size of the store and range; the exit status."""
    heads = [f"{number // MILLION} M, {name}" for number in stores for name in RANGES]
    print("| query | " + " | ".join(heads) + " |\n" + "|---" * (1 + len(heads)) + "|")
    told, beyond = {}, []
    for title in next(iter(stores.values())):
        figures = [p50_p95(timings[title][name]) for timings in stores.values() for name in RANGES]
        print(f"| {title} | " + " | ".join(f"{a:,.0f}/{b:,.0f}" for a, b in figures) + " |")
        told[title] = dict(zip(heads, figures, strict=True))
        if max(b for _, b in figures) > LIMIT_MS:
            beyond.append(f"{title}: p95 of {max(b for _, b in figures):.0f} ms")
    print(*(f"beyond its limit: {each}" for each in beyond), sep="\n")
    print(json.dumps(told))
    return int(bool(beyond))


def main() -> int:
    """Its exit status."""
    parser = argparse.ArgumentParser(description="How long each panel of Grafana takes.")
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
