"""The rules of alerts as a table, for a terminal or a pipe, and below it what they found, one by one."""

import datetime as dt
from collections.abc import Iterator, Sequence

from rich.console import Console
from rich.table import Table
from rich.text import Text

from footfall_exporters.postgres.alerts.listing import Found, Listed
from footfall_exporters.postgres.alerts.rules import RULES

_STYLES = {"fires": "bold red", "pending": "yellow", "off": "dim"}


def print_rules(rules: Sequence[Listed], console: Console | None = None) -> None:
    """Prints each rule's state, then what was found, and when that was looked at."""
    console = console or Console()
    console.print(_table(rules))
    for note in (note for rule in rules for note in _notes(rule)):
        console.print(Text(note, "yellow"), soft_wrap=True)
    for rule in rules:
        for found in rule.alerts:
            console.print()
            console.print(_heading(rule.rule, found), overflow="fold")
            console.print(_block(rule.rule, found))
    console.print()
    console.print(Text(_looked(rules), "dim"))


def time_of(moment: dt.datetime) -> str:
    """A moment, in UTC."""
    return f"{moment.astimezone(dt.UTC):%Y-%m-%d %H:%M} UTC"


def _table(rules: Sequence[Listed]) -> Table:
    table = Table(title="Alerts", title_justify="left")
    table.add_column("rule", overflow="fold")
    table.add_column("state", no_wrap=True)
    table.add_column("fires when")
    for rule in rules:
        table.add_row(Text(rule.rule), _state(rule.state), Text(RULES[rule.rule].title))
    return table


def _notes(rule: Listed) -> Iterator[str]:
    if rule.looked.outcome.startswith("failed"):
        yield f"{rule.rule} is as it was before; its last look {rule.looked.outcome}"
    if rule.silenced_until:
        yield f"nobody is told of {rule.rule} until {time_of(rule.silenced_until)}"


def _heading(rule: str, found: Found) -> Text:
    named = " ".join(filter(None, (found.subject, found.product and f"of {found.product}")))
    state = _state("fires" if found.firing else "pending")
    return Text.assemble((rule, "bold"), f" {named}: " if named else ": ", state)


def _block(rule: str, found: Found) -> Table:
    """What was found, line by line."""
    block = Table.grid(padding=(0, 2, 0, 0))
    block.add_column(no_wrap=True)
    block.add_column(overflow="fold")
    for name, value in _lines(rule, found):
        block.add_row(Text(f"  {name}"), value)
    return block


def _lines(rule: str, found: Found) -> Iterator[tuple[str, Text]]:
    yield "what", Text(found.what)
    yield "since", Text(time_of(found.since))
    yield "how sure", Text(found.sure)
    yield "look first", Text(RULES[rule].first)
    if found.silenced_until:
        yield "silenced", Text(f"until {time_of(found.silenced_until)}", "yellow")


def _state(state: str) -> Text:
    return Text(state, _STYLES.get(state, ""))


def _looked(rules: Sequence[Listed]) -> str:
    times = [rule.looked.at for rule in rules if rule.looked.at]
    if not times:
        return "no collector has looked yet: one does so every minute"
    is_overdue = any(rule.looked.overdue for rule in rules)
    advice = ", which is overdue: see whether a collector runs" if is_overdue else ""
    return f"looked at {time_of(max(times))}{advice}"
