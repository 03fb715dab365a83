"""Plays three newcomers from empty environments, word by word after the documents, and their mistakes.

    python bench newcomers                          # all of it, about five minutes
    python bench newcomers --only bot --only mistakes
    python bench newcomers --wheelhouse DIR         # where no package index can be reached

The owner of a FastAPI site, the owner of a Discord bot and an operator begin with nothing but Python: a
new environment, the wheel of this checkout, the commands and files of the documents as they stand there.
Their time ends when `footfall report` shows their event. Then typical mistakes are made, and the product
itself has to name each and its cure within ten seconds: in the log of the application or of the collector,
in what a command answers, or in `footfall doctor`. Status 1 when anything is not said, or a limit is missed.

The seconds are those of the clock: run it where nothing else runs.
"""

import json
import os
import sys
import tempfile
import time
from pathlib import Path

import click
from rich.console import Console
from rich.table import Table

from newcomers.journeys import JOURNEYS
from newcomers.machine import Environment, Failed, built
from newcomers.mistakes import play


@click.command(help=str(__doc__).replace("\n    python", "\n\n\b\n    python", 1))
@click.option("--only", multiple=True, type=click.Choice([*JOURNEYS, "mistakes"]))
@click.option("--wheelhouse", type=click.Path(exists=True, path_type=Path))
@click.option("--json", "as_json", is_flag=True, help="One JSON object in place of tables.")
def main(only: tuple[str, ...], wheelhouse: Path | None, as_json: bool) -> None:
    """See the module."""
    console = Console(stderr=as_json)
    chosen = only or (*JOURNEYS, "mistakes")
    home = Path("/var/tmp") if os.geteuid() == 0 else None  # noqa: S108  # for Postgres' user
    with tempfile.TemporaryDirectory(prefix="footfall-newcomers-", dir=home) as name:
        folder = Path(name)
        folder.chmod(0o755)
        wheel = built(folder)
        times = [
            _journey(key, folder, wheel, wheelhouse, console) for key in JOURNEYS if key in chosen
        ]
        said = _mistakes(folder, wheel, wheelhouse, console) if "mistakes" in chosen else []
    if as_json:
        print(json.dumps({"newcomers": times, "mistakes": said}))
    sys.exit(not all(row["good"] for row in [*times, *said]))


def _journey(
    key: str, folder: Path, wheel: Path, wheelhouse: Path | None, console: Console
) -> dict[str, object]:
    """One newcomer, and a line about them."""
    who, journey, limit = JOURNEYS[key]
    place = folder / key
    environment = Environment(place, wheel, wheelhouse)
    place.chmod(0o755)
    try:
        seconds = journey(place, environment)
    except Failed as error:
        console.print(f"{who}: [red]did not arrive[/]\n{error}", highlight=False)
        return {"who": key, "seconds": None, "limit": limit, "good": False}
    good = seconds <= limit
    colour = "green" if good else "red"
    console.print(f"{who}: first figure after [{colour}]{seconds:.0f} s[/] (limit {limit:.0f} s)")
    return {"who": key, "seconds": round(seconds, 1), "limit": limit, "good": good}


def _mistakes(
    folder: Path, wheel: Path, wheelhouse: Path | None, console: Console
) -> list[dict[str, object]]:
    """All mistakes, and a table of where each was said."""
    begun = time.monotonic()
    rows = play(folder / "mistakes", wheel, wheelhouse)
    table = Table(title=f"Mistakes ({time.monotonic() - begun:.0f} s)", title_justify="left")
    for column in ("mistake", "where it was said", "s"):
        table.add_column(column)
    for row in rows:
        after = f"{row.seconds:.1f}" if row.where else "[red]not said[/]"
        table.add_row(row.mistake, row.where or "", after)
    console.print(table)
    for row in rows:
        if not row.where:
            console.print(f"{row.mistake}, of which was heard:\n{row.line}", markup=False)
    return [
        {"mistake": r.mistake, "where": r.where, "seconds": round(r.seconds, 1), "said": r.line,
         "good": bool(r.where)}
        for r in rows
    ]  # fmt: skip


if __name__ == "__main__":
    main()
