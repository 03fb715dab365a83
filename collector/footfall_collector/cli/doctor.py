"""The command `footfall doctor`: prints what was found, the worst first, and what to do."""

import json
import sys
import textwrap
from collections.abc import Sequence

import click
from rich.console import Console
from rich.text import Text

from footfall_collector.cli.options import catalog_option, config_option, json_option
from footfall_collector.doctor.checks import Check, Level, count
from footfall_collector.doctor.examine import examine

STATUS = {Level.OK: 0, Level.PROBLEM: 1, Level.WARNING: 3}
"""Exit status by the worst that was found; 2 is for a wrong argument, as everywhere."""
_MARKS = {Level.OK: "green", Level.WARNING: "yellow", Level.PROBLEM: "bold red"}
_WORST_FIRST = (Level.PROBLEM, Level.WARNING, Level.OK)
_INDENT = 9
_WIDEST = 100
"""Columns: longer lines are hard to read, however wide the terminal is."""


@click.command()
@config_option
@catalog_option
@click.option("--all", "everything", is_flag=True, help="Print what is well, too.")
@json_option
def doctor(config: str | None, catalog: str | None, everything: bool, as_json: bool) -> None:
    """Check configuration, catalog, collector, store and losses, and say what to do.

    It asks the running collector too: whether it works by the files as they are now.

    The exit status is 1 when there is a problem, 3 when there are warnings and no problem, 0 when all is
    well.
    """
    checks = list(examine(config, catalog))
    worst = next(level for level in _WORST_FIRST if _of(checks, level) or level is Level.OK)
    if as_json:
        rows = [_row(check) for check in checks]
        click.echo(json.dumps({"healthy": worst is not Level.PROBLEM, "checks": rows}))
    else:
        _print(checks, everything)
    sys.exit(STATUS[worst])


def _of(checks: Sequence[Check], level: Level) -> list[Check]:
    return [check for check in checks if check.level is level]


def _row(check: Check) -> dict[str, object]:
    advice = " ".join((check.advice, *check.commands))
    return {
        "area": check.area,
        "level": check.level,
        "found": check.found,
        "advice": advice,
        "commands": list(check.commands),
    }


def _print(checks: Sequence[Check], everything: bool) -> None:
    console = Console(highlight=False)
    for level in _WORST_FIRST:
        for check in _of(checks, level) if everything or level is not Level.OK else ():
            _print_check(console, check)
    well = count(len(_of(checks, Level.OK)), "check")
    hint = "" if everything or well.startswith("0") else " (`footfall doctor --all` shows them)"
    bad = [(len(_of(checks, level)), level.value) for level in (Level.PROBLEM, Level.WARNING)]
    if any(number for number, _ in bad):
        said = ", ".join(count(number, what) for number, what in bad)
        console.print(f"{said}; {well} well{hint}", soft_wrap=True)
    else:
        console.print(f"All is well: {well}{hint}", soft_wrap=True)


def _print_check(console: Console, check: Check) -> None:
    """What is, what to do, and commands, which are not wrapped: they can be copied."""
    mark = Text(f"{check.level:{_INDENT}}", _MARKS[check.level])
    first, *others = _wrapped(console, f"{check.area}: {check.found}")
    console.print(mark + first, soft_wrap=True)
    if check.advice:
        ends = "" if check.advice.endswith(":") else "."
        others += _wrapped(console, f"{check.advice[0].upper()}{check.advice[1:]}{ends}")
    for line in others:
        console.print(Text(" " * _INDENT + line), soft_wrap=True)
    for command in check.commands:
        console.print(Text(f"{' ' * _INDENT}{command}"), soft_wrap=True)


def _wrapped(console: Console, text: str) -> list[str]:
    """Lines that fit beside the indent; a name that is longer is left whole."""
    width = max(min(console.width, _WIDEST) - _INDENT, 20)
    return textwrap.wrap(text, width, break_long_words=False, break_on_hyphens=False)
