"""What `footfall.feature()` costs its host, beside a bare OpenTelemetry span and counter.

Both sides hand each span to a BatchSpanProcessor whose exporter throws it away, with the same three
attributes, and both are timed until the last span has left the queue. `feature()` does more: it
checks every attribute against the catalog, counts the start of the use, and keeps the tally against
which the store is compared. The five runs alternate; the medians are compared. What a call costs while
telemetry is off is the least of many short runs, over an empty loop: the rest is the machine's noise.

Then, in the same run and in turns, the same use by others: plain OpenTelemetry, and posthog, sentry-sdk,
logfire and a statsd client if they were installed (`sdk/`). Nothing of it leaves the machine.

Get the peers: python bench sdk --install      (once)
Run:           make bench BENCH=sdk               (options: python bench sdk --help)

It ends with exit code 1 when a limit is missed.
"""

import argparse
import json
import os
import statistics
import sys

from rich.console import Console

from sdk import compare, install
from sdk.uses import RUNS, measure

RATIO_LIMIT, DISABLED_LIMIT = 1.5, 0.5


def main() -> int:
    """Installs the peers; or measures, prints tables and one line of JSON."""
    parser = argparse.ArgumentParser(
        prog="python bench sdk",
        description=__doc__,
        formatter_class=argparse.RawTextHelpFormatter,
    )
    parser.add_argument("--install", action="store_true", help="get the peers, once, and stop")
    parser.add_argument("--rounds", type=int, default=9, help="turns of each peer; 0 for no peers")
    parser.add_argument("--json", action="store_true", help="print the peers' figures as JSON too")
    options = parser.parse_args()
    if options.install:
        return int(not install.install())
    for name in [n for n in os.environ if n.startswith(("OTEL_", "TELEMETRY_"))]:
        del os.environ[name]
    feature_us, bare_us, off_us = measure()
    print(
        "µs per call, three attributes    " + "".join(f"{f'run {n + 1}':>8}" for n in range(RUNS))
    )
    for name, runs in (("feature()", feature_us), ("bare span and counter", bare_us)):
        print(f"{name:<33}" + "".join(f"{run:8.2f}" for run in runs))
    print(f"{'feature() while off':<33}{off_us:8.2f}   (limit {DISABLED_LIMIT})\n")
    feature, bare = statistics.median(feature_us), statistics.median(bare_us)
    result = {
        "feature_us": round(feature, 2),
        "bare_us": round(bare, 2),
        "feature_ratio": round(feature / bare, 3),
        "disabled_us": round(off_us, 3),
    }
    print(json.dumps(result))
    if options.rounds:
        console = Console()
        peers = compare.measure(options.rounds, console)
        compare.show(console, peers, options.rounds)
        if options.json:
            print(json.dumps(result | {"peers": peers}))
    return int(feature / bare > RATIO_LIMIT or off_us > DISABLED_LIMIT)


if __name__ == "__main__":
    sys.exit(main())
