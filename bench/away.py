"""What senders lose while the collector is away, by SDK (docs/failure-modes.md has the table).

Small programs with the official SDKs (bench/foreign/senders) send spans and counters to a real `footfall
up`, each over gRPC, over HTTP, and through an OpenTelemetry Collector that is set up as
docs/guides/collector-in-front.md says. Then the collector is killed and started again after 2 s, after 8 s,
and paused for 8 s (connections are taken, and nothing is answered). Their journals say what they made, plain
SQL what is stored. The SDKs have their defaults, but export spans and counters every second, so that an
absence of 2 s meets an export.

Status 1 when a counter is not exact in the end, when something is stored twice, or when spans that
went through the Collector are lost; 2 when something is missing on this machine.

Get the Collector: python bench peers --install     (once; about 6 minutes)
Run:               make bench BENCH=away               (about 3 minutes; the first time some 5 more)
"""

import argparse
import json
import signal
import sys
from dataclasses import asdict

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table

from faults.processes import Stuck
from foreign.absence import Absence, Row, play
from foreign.programs import PROGRAMS, Missing
from foreign.scene import scene

ABSENCES = (Absence(2), Absence(8), Absence(8, frozen=True))


Rows = dict[str, list[Row]]
"""By how the collector was away, and for how long in fact."""


def show(console: Console, rows: Rows) -> None:
    """Lost spans of those that were made meanwhile, and lost increments, for each absence."""
    table = Table(box=SIMPLE_HEAD, show_edge=False, padding=(0, 1, 0, 0))
    table.add_column("\n\nSDK", no_wrap=True)
    table.add_column("\n\nover")
    for title in rows:
        how = title.replace(" s ", " s\n")
        table.add_column(f"{how}\nspans", justify="right")
        table.add_column("\n\ncounter", justify="right")
    for each in zip(*rows.values(), strict=True):
        cells = (cell for row in each for cell in _cells(row))
        table.add_row(each[0].sdk, each[0].protocol, *cells)
    console.print(table)
    console.print(
        "spans: lost / made meanwhile; *: counted by the SDK itself. counter: increments lost"
    )


def _cells(row: Row) -> tuple[str, str]:
    told = "*" if row.dropped and row.dropped == row.spans_lost else ""
    return f"{row.spans_lost}{told}/{row.meanwhile}", f"{row.counters_lost}"


def faults(rows: Rows) -> list[str]:
    """What must not be, whatever an SDK does."""
    found = []
    for title, each in rows.items():
        for row in each:
            where = f"{title}: {row.sdk} over {row.protocol}"
            if not row.ended:
                found.append(f"{where}: the program did not come to its end")
            if row.counters_lost:
                found.append(f"{where}: counter off by {-row.counters_lost:+,}")
            if row.spans_lost < 0:
                found.append(f"{where}: {-row.spans_lost:,} spans too many")
            if row.spans_lost > 0 and row.protocol == "collector":
                found.append(f"{where}: {row.spans_lost:,} spans lost")
    return found


def bench(options: argparse.Namespace, console: Console) -> Rows:
    """All absences, one after the other."""
    names = tuple(options.sender or PROGRAMS)
    rows: Rows = {}
    with scene(console, names) as (folder, step):
        for number, absence in enumerate(ABSENCES):
            seconds, each = play(
                folder / str(number), absence, names,
                rate=options.rate, timeout=options.timeout, step=step,
            )  # fmt: skip
            rows[absence.title(seconds)] = each
    return rows


def main() -> None:
    """Plays and prints the table; status 1 when something is wrong, 2 when something is missing."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--sender", action="append", choices=PROGRAMS, help="may be repeated")
    parser.add_argument("--rate", type=int, default=20, help="spans a second of each sender")
    parser.add_argument(
        "--timeout", type=float, metavar="SECONDS",
        help="OTEL_EXPORTER_OTLP_TIMEOUT, in each SDK's own unit (their default: 10)",
    )  # fmt: skip
    parser.add_argument("--json", action="store_true", help="print one JSON object at the end too")
    options = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("told to stop"))
    console = Console()
    try:
        rows = bench(options, console)
    except (Missing, Stuck) as reason:
        console.print(str(reason), markup=False)
        sys.exit(2)
    show(console, rows)
    found = faults(rows)
    for line in found:
        console.print(line, markup=False)
    if options.json:
        print(json.dumps({title: [asdict(row) for row in each] for title, each in rows.items()}))
    sys.exit(bool(found))


if __name__ == "__main__":
    main()
