"""Whether what was acknowledged is stored, once, whatever fails (docs/failure-modes.md).

Each scenario has a Postgres, a `footfall up` and a sender of its own. The sender imports nothing of
Footfall. Its threads send spans with a unique id each, and cumulative counters, over gRPC and HTTP, and send
each request again until it is answered, as an SDK does. Its journal says what was acknowledged; plain SQL
says what is stored. Under that load things fail: see the table, or --list.

A request may be stored though its sender got no answer ("answer lost", counted after each kill of the
collector, before the retry); it comes again, and the ledger knows it. What an
answer names as refused (partial success: with a clock that is a day behind, events lie in the future) is
not lost: its sender was told.

    --break-ledger   takes away the ledger's uniqueness: the bench must then find duplicates, and exit with 1;
                     with 2 when nothing that was stored came again, so that it could not find any

Run: make bench BENCH=faults        (about 20 minutes; --quick: about 3)
"""

import argparse
import json
import signal
import sys
from typing import Any

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from faults.play import QUICK, play
from faults.scenarios import SCENARIOS
from faults.stage import Scale


def show(console: Console, results: dict[str, dict[str, Any]]) -> None:
    """The table, and below it what is wrong."""
    table = Table(box=SIMPLE_HEAD, show_edge=False, padding=(0, 1, 0, 0))
    table.add_column("\nscenario")
    for heading in (
        "events\nsent",
        "acked,\nlost",
        "stored\ntwice",
        "told\nrefused",
        "requests\nretried",
        "answer\nlost",
        "\ncounters",
        "\ns",
    ):
        table.add_column(heading, justify="right")
    for name, result in results.items():
        table.add_row(name, *_cells(result))
    console.print(table)
    for name, result in results.items():
        for line in [*result.get("notes", ()), *result["faults"]]:
            console.print(f"{name}: {line}", soft_wrap=True, markup=False)


def _cells(result: dict[str, Any]) -> tuple[str, ...]:
    if "missing" in result:
        return (result["missing"],)
    exact = result["counters_least"] <= result["counters"] <= result["counters_most"]
    return (
        f"{result['sent']:,}",
        f"{result['lost']:,}",
        f"{result['duplicated']:,}",
        f"{result['rejected']:,}",
        f"{result['retried']:,}",
        f"{result['answer_lost']:,}",
        "exact" if exact else f"{result['counters'] - result['counters_least']:+,}",
        f"{result['seconds']:,}",
    )


def main() -> None:
    """Plays the scenarios and prints the table; status 1 when something is wrong, 2 for an idle control."""
    parser = argparse.ArgumentParser(
        prog="python bench faults",
        description=__doc__,
        formatter_class=argparse.RawTextHelpFormatter,
    )
    parser.add_argument(
        "--scenario", action="append", choices=SCENARIOS, help="only this; may be repeated"
    )
    parser.add_argument("--list", action="store_true", help="say what the scenarios are, and stop")
    parser.add_argument("--quick", action="store_true", help="a few rounds of each")
    parser.add_argument("--away", type=float, default=Scale.away, help="seconds without Postgres")
    parser.add_argument("--break-ledger", action="store_true", help="the control: must fail")
    parser.add_argument(
        "--json",
        action="store_true",
        help="print each result as JSON too, at once",
    )
    options = parser.parse_args()
    # What it started ends with it.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("told to stop"))
    console = Console()
    if options.list:
        for name, scenario in SCENARIOS.items():
            console.print(f"{name:16}{scenario.title}", soft_wrap=True)
        return
    scale = QUICK if options.quick else Scale(away=options.away)
    columns = (
        TextColumn("{task.description:16}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
    )
    with Progress(*columns, console=console, transient=True) as progress:
        results = {}
        for name in options.scenario or SCENARIOS:
            results[name] = play(name, scale, progress, break_ledger=options.break_ledger)
            if options.json:
                progress.console.print(
                    json.dumps({name: results[name]}), soft_wrap=True, markup=False, highlight=False
                )
    show(console, results)
    if options.break_ledger and not any(result.get("duplicated") for result in results.values()):
        console.print(
            "This control shows nothing: no request that was stored came again, so none could be stored"
            " twice. Run more of it: without --quick, or all scenarios."
        )
        sys.exit(2)
    sys.exit(any(result["faults"] for result in results.values()))


if __name__ == "__main__":
    main()
