"""The command `footfall doctor`: prints what was looked at, what was found and what to do."""

import json
import sys

import click
from rich.console import Console
from rich.table import Table
from rich.text import Text

from footfall_collector.cli.options import catalog_option, config_option, json_option
from footfall_collector.doctor.checks import Check, Level, count
from footfall_collector.doctor.examine import examine

_MARKS = {Level.OK: "green", Level.WARNING: "yellow", Level.PROBLEM: "bold red"}


@click.command()
@config_option
@catalog_option
@json_option
def doctor(config: str | None, catalog: str | None, as_json: bool) -> None:
    """Check configuration, catalog, store, clocks, losses and housekeeping, and say what to do.

    The exit status is 1 when there is a problem, 0 otherwise.
    """
    checks = list(examine(config, catalog))
    healthy = not any(check.level is Level.PROBLEM for check in checks)
    if as_json:
        rows = [
            {"area": c.area, "level": c.level, "found": c.found, "advice": c.advice} for c in checks
        ]
        click.echo(json.dumps({"healthy": healthy, "checks": rows}))
    else:
        _print(checks)
    sys.exit(0 if healthy else 1)


def _print(checks: list[Check]) -> None:
    table = Table(title="footfall doctor", title_justify="left")
    for column in ("area", "", "what is", "what to do"):
        table.add_column(column, overflow="fold")
    for check in checks:
        table.add_row(
            check.area,
            Text(check.level, _MARKS[check.level]),
            Text(check.found),
            Text(check.advice),
        )
    console = Console()
    console.print(table)
    numbers = [
        count(sum(check.level is level for check in checks), level.value)
        for level in (Level.PROBLEM, Level.WARNING)
    ]
    console.print(", ".join(numbers))
