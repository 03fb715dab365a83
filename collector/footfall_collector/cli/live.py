"""What a watch has seen, shown: a table that stands still in a terminal, or a line for each change."""

import datetime as dt
import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from queue import SimpleQueue
from typing import Any

import click
from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.table import Table
from rich.text import Text

from footfall_collector.cli.watching import Change, Watch
from footfall_exporters.postgres.today import MOST, Kind, Single, Thing

_FEWEST = 3
"""Rows of events that are shown, however low the terminal is."""
_AROUND = 8
"""Lines beside the rows: titles, heads, the prompt."""
_NOTHING = "Nothing stored yet today (UTC). Is TELEMETRY_ENABLED=true where the application runs?"


class Lines:
    """A line for each change.

    Args:
        as_json: Whether it is an object for scripts.
        err: Whether to standard error.
    """

    def __init__(self, *, as_json: bool = False, err: bool = False) -> None:
        self._as_json, self._err = as_json, err
        self._away = ""

    def show(self, watch: Watch, changes: Sequence[Change]) -> None:
        """See `Show`."""
        if watch.away and watch.away != self._away:
            click.echo(_away(watch), err=True)
        self._away = watch.away
        for change in sorted(changes, key=lambda each: each.thing):
            click.echo(_json(change) if self._as_json else _line(change), err=self._err)


class Singles(Lines):
    """A line for each observation that is stored, and for what is refused or lost."""

    def show(self, watch: Watch, changes: Sequence[Change]) -> None:
        """See `Show`."""
        for single in watch.singles:
            click.echo(_single_json(single) if self._as_json else _single_line(single))
        if len(watch.singles) == MOST:
            click.echo(f"more than {MOST} came at once: the others are left out", err=True)
        super().show(watch, [each for each in changes if each.thing.kind is not Kind.STORED])


class Screen:
    """A table at the lower end of a terminal, drawn anew when something has changed.

    Args:
        console: Of the terminal.
    """

    def __init__(self, console: Console) -> None:
        self._console = console
        self._picture = _Picture(Text(""))
        self._live = Live(self._picture, console=console, auto_refresh=False)
        self._drawn: Any = None
        self._waiting: SimpleQueue[str] = SimpleQueue()

    @contextmanager
    def open(self) -> Iterator["Screen"]:
        """Keeps its place until the context ends; what it showed last stays."""
        with self._live:
            yield self
            self._print(self._said())

    def say(self, text: str) -> None:
        """Prints lines above the table, when that is drawn next; from any thread, which waits for nothing."""
        self._waiting.put(text.rstrip("\n"))

    def show(self, watch: Watch, changes: Sequence[Change]) -> None:
        """See `Show`; whatever there is to say, it is drawn once."""
        said, now = self._said(), (self._console.size, watch.away, watch.totals)
        has_changed = bool(changes) or now != self._drawn
        if has_changed:
            self._drawn = now
            self._picture.now = pictured(watch, self._console.height)
        if said:
            self._print(said)
        elif has_changed:
            self._live.refresh()

    def _said(self) -> str:
        lines = [self._waiting.get() for _ in range(self._waiting.qsize())]
        return "\n".join(lines)

    def _print(self, text: str) -> None:
        """However long a line is, it is left whole; the table is drawn anew below."""
        if text:
            self._console.print(Text.from_ansi(text), soft_wrap=True)


@dataclass(slots=True)
class _Picture:
    """What stands below whatever is printed, as it is then."""

    now: RenderableType

    def __rich__(self) -> RenderableType:
        """As rich asks for it."""
        return self.now


def pictured(watch: Watch, height: int) -> RenderableType:
    """The tables of a watch, in so many lines; of more events those that came last."""
    stored = sorted(thing for thing in watch.totals if thing.kind is Kind.STORED)
    missed = sorted(thing for thing in watch.totals if thing.kind is not Kind.STORED)
    room = max(height - _AROUND - len(missed), _FEWEST)
    parts: list[RenderableType] = [_stored(watch, _latest(watch, stored, room))]
    if len(stored) > room:
        parts.append(Text(f"and {len(stored) - room} more that came earlier"))
    if not stored:
        parts = [Text(_NOTHING)]
    parts.append(_missed(watch, missed) if missed else Text("Nothing refused, nothing lost."))
    if watch.away:
        parts.append(Text(_away(watch), "bold red"))
    return Group(*parts)


def _latest(watch: Watch, things: Sequence[Thing], room: int) -> Sequence[Thing]:
    """Those that came last, in the order that they had."""
    if len(things) <= room:
        return things
    last = sorted(things, key=lambda thing: _last(watch, thing), reverse=True)[:room]
    return [thing for thing in things if thing in set(last)]


def _last(watch: Watch, thing: Thing) -> str:
    """When it came last, as far as that was seen."""
    if thing in watch.seen:
        return f"{watch.seen[thing]:%H:%M:%S}"
    hour = watch.totals[thing].hour
    return "" if hour is None else f"{hour:%H}:.."


def _stored(watch: Watch, things: Sequence[Thing]) -> Table:
    table = _table("stored today (UTC)", "event", "action")
    for thing in things:
        table.add_row(thing.name, thing.action, *_numbers(watch, thing))
    return table


def _missed(watch: Watch, things: Sequence[Thing]) -> Table:
    whose = ["whose"] if any(map(_whose, things)) else []
    table = _table("refused or lost today", "", "reason", "signal", *whose)
    for thing in things:
        named = [_whose(thing)] if whose else []
        table.add_row(thing.kind, thing.name, thing.signal, *named, *_numbers(watch, thing))
    return table


def _table(title: str, *columns: str) -> Table:
    table = Table(title=title, title_justify="left", title_style="bold", box=None, pad_edge=False)
    for name in columns:
        table.add_column(name, overflow="fold", header_style="dim")
    table.add_column("count", justify="right", header_style="dim", no_wrap=True)
    table.add_column("last", header_style="dim", no_wrap=True)
    return table


def _numbers(watch: Watch, thing: Thing) -> tuple[str, str]:
    return f"{watch.totals[thing].number:,}", _last(watch, thing)


def _whose(thing: Thing) -> str:
    named = [f"key {thing.key}" if thing.key else "", thing.service]
    return ", ".join(filter(None, named))


def _away(watch: Watch) -> str:
    return f"Postgres does not answer ({watch.away}); it is asked again every second."


def _line(change: Change) -> str:
    thing = change.thing
    names = [thing.name, thing.action, f"({thing.signal})" if thing.signal else "", _whose(thing)]
    said = " ".join(filter(None, names))
    return f"{change.at:%H:%M:%S}Z {thing.kind:8}{said} +{change.more:,} ({change.number:,} today)"


def _json(change: Change) -> str:
    thing = change.thing
    name = "event" if thing.kind is Kind.STORED else "reason"
    named = {"kind": thing.kind, name: thing.name, "action": thing.action,
             "signal": thing.signal, "key": thing.key, "service": thing.service}  # fmt: skip
    said = {key: value for key, value in named.items() if value}
    numbers = {"more": change.more, "count": change.number}
    return json.dumps({"time": f"{change.at:%Y-%m-%dT%H:%M:%SZ}"} | said | numbers)


def _single_line(single: Single) -> str:
    took = "" if single.duration_ms is None else f"{single.duration_ms:,} ms"
    more = (f"{name}={value}" for name, value in sorted(single.said.items()))
    words = " ".join(filter(None, [single.event, single.action, took, *more]))
    return f"{single.at.astimezone(dt.UTC):%H:%M:%S}Z {Kind.STORED:8}{words}"


def _single_json(single: Single) -> str:
    took = {} if single.duration_ms is None else {"duration_ms": single.duration_ms}
    named = {"kind": Kind.STORED, "event": single.event, "action": single.action}
    at = {"time": f"{single.at.astimezone(dt.UTC):%Y-%m-%dT%H:%M:%SZ}"}
    return json.dumps(at | named | took | {"attributes": dict(single.said)})
