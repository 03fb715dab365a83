"""How well personal data is recognised in declared text, and how often harmless text is taken for it.

A corpus is drawn from the rules in redaction/personal.py and redaction/harmless.py, which know formats and
nothing of how they are recognised; the same numbers each time. Of personal data nothing may be left: no six
characters on end. Harmless text must come out as it went in. docs/privacy.md has the figures.

Run: make bench BENCH=redaction        (options: python bench redaction --help)
"""

import argparse
import json
import random
import sys
import time
from collections import defaultdict
from dataclasses import dataclass, field

from rich.console import Console
from rich.table import Table

from footfall_processors import redact
from redaction import harmless, personal

LEAST_RECALL, MOST_ALARMS = 0.99, 0.002
"""Of all personal texts; of harmless ones but for CLASHING."""
CLASHING = ("seeds of 9 and 10 digits", "long hashes (32 digits and more)")
"""Nobody can tell these from telephone numbers and keys: they are taken on purpose."""
SHOWN = 5


@dataclass
class Measured:
    """What was found.

    Attributes:
        personal: Class to (texts, of which nothing was left).
        harmless: Class to (texts, changed).
        missed: Some texts of which something was left, by class.
        alarms: Some harmless texts that were changed, by class.
        seconds: CPU time.
        characters: In all texts.
    """

    personal: dict[str, list[int]] = field(default_factory=dict)
    harmless: dict[str, list[int]] = field(default_factory=dict)
    missed: dict[str, list[str]] = field(default_factory=lambda: defaultdict(list))
    alarms: dict[str, list[str]] = field(default_factory=lambda: defaultdict(list))
    seconds: float = 0.0
    characters: int = 0

    @property
    def recall(self) -> float:
        """The share of personal texts of which nothing was left."""
        texts, found = map(sum, zip(*self.personal.values(), strict=True))
        return found / texts

    @property
    def false_alarms(self) -> float:
        """The share of harmless texts that were changed, without CLASHING."""
        counted = [numbers for name, numbers in self.harmless.items() if name not in CLASHING]
        texts, changed = map(sum, zip(*counted, strict=True))
        return changed / texts


def measure(each: int, seed: int) -> Measured:
    """Draws the corpus and looks at every text."""
    found = Measured()
    before = time.process_time()
    for name, text, planted in personal.drawn(random.Random(seed), each):
        kept, numbers = redact(text), found.personal.setdefault(name, [0, 0])
        found.characters += len(text)
        numbers[0] += 1
        if any(piece in kept for piece in personal.pieces(planted)):
            found.missed[name].append(text)
        else:
            numbers[1] += 1
    for name, text in harmless.drawn(random.Random(seed)):
        numbers = found.harmless.setdefault(name, [0, 0])
        found.characters += len(text)
        numbers[0] += 1
        if redact(text) != text:
            numbers[1] += 1
            found.alarms[name].append(text)
    found.seconds = time.process_time() - before
    return found


def show(found: Measured, console: Console) -> None:
    """Prints both tables, with some of what went wrong."""
    for title, classes, wrong, share in (
        ("Personal: nothing left of", found.personal, found.missed, "recall"),
        ("Harmless: changed", found.harmless, found.alarms, "false alarms"),
    ):
        table = Table(title=title, title_justify="left")
        for column in (
            "class",
            "texts",
            title.rpartition(" ")[2],
            share,
            "examples of what is wrong",
        ):
            table.add_column(column, overflow="fold")
        for name, (texts, number) in classes.items():
            shown = ", ".join(ascii(text) for text in wrong.get(name, ())[:SHOWN])
            table.add_row(
                name, str(texts), str(number), f"{number / texts:.2%}", shown, end_section=False
            )
        console.print(table, markup=False)
    console.print(
        f"recall {found.recall:.2%}, false alarms {found.false_alarms:.3%} without what clashes;"
        f" {found.seconds / found.characters * 1e6:.2f} µs of CPU a character"
    )


def main() -> int:
    """Measures and prints; 1 where the corpus is recognised worse than it should be."""
    parser = argparse.ArgumentParser(
        prog="python bench redaction",
        description=__doc__,
        formatter_class=argparse.RawTextHelpFormatter,
    )
    parser.add_argument("--each", type=int, default=100, help="personal texts of each class (100)")
    parser.add_argument("--seed", type=int, default=1, help="of the corpus (1)")
    parser.add_argument("--json", action="store_true", help="print JSON in place of tables")
    options = parser.parse_args()
    found = measure(options.each, options.seed)
    if options.json:
        print(
            json.dumps(vars(found) | {"recall": found.recall, "false_alarms": found.false_alarms})
        )
    else:
        show(found, Console())
    return int(found.recall < LEAST_RECALL or found.false_alarms > MOST_ALARMS)


if __name__ == "__main__":
    sys.exit(main())
