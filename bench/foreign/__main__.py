"""Whether counts are right with software that nobody here wrote: SDKs, Collectors, telemetrygen.

    senders  ->  Collector  ->  Footfall  ->  Collector

The senders are small programs with the official SDKs for Go, Java, JavaScript, Rust and Python and with
Footfall's own (bench/foreign/senders). Each makes spans and increments, exports its counters every second,
and says in its journal how many it made. The Collector in front has the very configuration of
docs/guides/collector-in-front.md: it joins and splits exports, keeps what it could not deliver on disk, and
sends it again. Meanwhile Footfall is killed three times, and its Postgres with it; the third time it stays
away until the senders have ended and the Collector in front was restarted. What is stored (plain SQL) must
be what the journals say, and what the Collector behind has written to a file, after making deltas
cumulative, what is stored. telemetrygen joins exports by itself: a counter that stands at 19 is sent as
points that add up to 190.

Then a receiver that refuses what it gets looks whether the Collector, killed and started again, sends
what was refused as the same bytes: Footfall's ledger knows a request by them.

Status 0: everything exact; 1: something is not, and is named; 2: something is missing on this machine.

Get the Collector: python bench peers --install           (once; about 6 minutes)
Run:               make bench BENCH=foreign                  (about 3 minutes; --quick: about 2;
                                                              the first time some 5 more, to make the senders)
"""

import argparse
import json
import signal
import sys
from dataclasses import asdict
from typing import Any

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table

from faults.processes import Stuck
from foreign import again, programs
from foreign.play import BY_NAME, GENERATED, SENDERS, Options, Outcome, Stage, faults
from foreign.programs import Missing
from foreign.reckoning import COUNTED, SEEN
from foreign.scene import scene

QUICK_S, FULL_S = 20.0, 60.0


def show(console: Console, outcome: Outcome, retries: dict[str, int]) -> None:
    """The table, and the lines below it."""
    table = Table(box=SIMPLE_HEAD, show_edge=False, padding=(0, 1, 0, 0))
    table.add_column("\nsender")
    for heading in (
        "spans\nmade", "spans\nstored", "counter\nmade", "counter\nstored", "\nemitted", "spans\nbehind",
        "counter\nbehind",
    ):  # fmt: skip
        table.add_column(heading, justify="right")
    for service, made in outcome.made.items():
        table.add_row(service, *_cells(outcome, service, SEEN, COUNTED, made, made))
    for seen, counted, number in (
        (BY_NAME[0], "foreign.cumulative", GENERATED - 1),
        (BY_NAME[1], "foreign.delta", sum(range(GENERATED))),
    ):
        cells = _cells(outcome, "telemetrygen", seen, counted, GENERATED, number)
        table.add_row(
            f"telemetrygen: {seen.partition('.')[2]}, {counted.partition('.')[2]}", *cells
        )
    console.print(table)
    for event, ratio in sorted(outcome.completeness.items()):
        console.print(f"completeness of {event}: {ratio:.4f}")
    for (signal_name, reason), number in sorted(outcome.losses.items()):
        console.print(f"losses: {signal_name}, {reason}: {number:,}")
    console.print(f"spans that came to the Collector behind more than once: {outcome.behind.twice}")
    console.print(
        f"everything had arrived, and nothing came any more, after {outcome.waited:.0f} s"
    )
    for what, number in retries.items():
        console.print(f"the Collector's retries: {what.replace('_', ' ')}: {number:,}")
    for service, errors in outcome.errors.items():
        console.print(f"{service} complained {len(errors)} times: {errors[0]}", markup=False)


def _cells(
    outcome: Outcome, service: str, seen: str, counted: str, spans: int, counter: int
) -> tuple[str, ...]:
    numbers = (
        spans,
        outcome.stored.spans.get((service, seen), 0),
        counter,
        outcome.stored.counts.get((service, counted), 0),
        outcome.stored.emitted.get((service, seen), 0),
        outcome.behind.spans.get((service, seen), 0),
        outcome.behind.counts.get((service, counted), 0),
    )
    return tuple(f"{number:,}" for number in numbers)


def bench(options: Options, console: Console) -> tuple[Outcome, dict[str, int]]:
    """Makes what is missing, plays, and looks at the retries."""
    names = options.senders or [name for name, _ in SENDERS]
    with scene(console, names) as (folder, step):
        step("making telemetrygen")
        programs.telemetrygen()
        step("starting")
        stage = Stage(folder, options, step)
        with stage.running():
            outcome = stage.play()
        catalog = stage.footfall.catalog
        return outcome, again.observe(folder / "again", options.batching, catalog, step, 4)


def result(outcome: Outcome, retries: dict[str, int], found: list[str]) -> dict[str, Any]:
    """Everything, for --json."""
    plain = {
        key: {" ".join(k): v for k, v in value.items()} if key == "losses" else value
        for key, value in asdict(outcome).items()
    }
    for side in ("stored", "behind"):
        tallies = plain[side]
        plain[side] = {
            name: {" ".join(k): v for k, v in tally.items()} if isinstance(tally, dict) else tally
            for name, tally in tallies.items()
        }
    return plain | {"retries": retries, "faults": found}


def main() -> None:
    """Plays and prints the table; status 1 when something is not exact, 2 when something is missing."""
    parser = argparse.ArgumentParser(
        prog="python bench foreign",
        description=__doc__,
        formatter_class=argparse.RawTextHelpFormatter,
    )
    parser.add_argument("--quick", action="store_true", help="20 s of sending, not a minute")
    parser.add_argument("--rate", type=int, default=50, help="spans a second of each sender")
    parser.add_argument(
        "--sender",
        action="append",
        choices=[name for name, _ in SENDERS],
        help="only this; may be repeated",
    )
    parser.add_argument(
        "--batching",
        choices=("processor", "queue"),
        default="processor",
        help="where the Collector in front batches; with queue it is killed, not stopped",
    )
    parser.add_argument(
        "--deduplicate", metavar="WHAT", help="receivers.otlp.deduplicate of Footfall: spans"
    )
    parser.add_argument("--json", action="store_true", help="print one JSON object at the end too")
    chosen = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("told to stop"))
    console = Console()
    options = Options(
        QUICK_S if chosen.quick else FULL_S,
        chosen.rate,
        chosen.batching,
        chosen.deduplicate,
        tuple(chosen.sender or ()),
    )
    try:
        outcome, retries = bench(options, console)
    except (Missing, Stuck) as reason:
        console.print(str(reason), markup=False)
        sys.exit(2)
    show(console, outcome, retries)
    found = faults(outcome) + again.faults(retries, options.batching)
    for line in found:
        console.print(f"not exact: {line}", markup=False)
    if chosen.json:
        print(json.dumps(result(outcome, retries, found)))
    sys.exit(bool(found))


if __name__ == "__main__":
    main()
