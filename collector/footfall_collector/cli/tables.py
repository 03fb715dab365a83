"""Reports as tables for a terminal, or for a pipe, in which every name stays whole.

What every row leaves empty is no column. Where that is too wide, neither is what the event's name or the
error's type says already, nor the trend, and there are no borders; where that is too wide as well, each row
is a block of lines, as psql's expanded format has it.
"""

import datetime as dt
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import replace
from decimal import Decimal
from typing import Any, NamedTuple

from rich.box import HEAVY_HEAD, SIMPLE_HEAD, Box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from footfall_exporters.postgres import REPORTS, Report
from footfall_exporters.postgres.reports.completeness import Completeness
from footfall_exporters.postgres.reports.kinds import ASIDE, KINDS
from footfall_exporters.postgres.reports.trends import Trend
from footfall_exporters.postgres.reports.zones import zone_of

_ENDLESS = 10_000
"""Columns, more than any terminal has."""
_BY_EVENT = frozenset({"surface", "feature", "product"})
"""What an event has in the catalog, and its name usually says."""
_BY_ERROR = frozenset({"status", "title"})
"""What the type of an error says, and what is of less interest."""
_ALWAYS = frozenset({"ratio"})
"""What says something where it is empty, too."""
_IF_ANY = frozenset({"untallied", "surplus"})
"""What says something only where there is some."""
_SHARES = frozenset({"share", "ratio", "failures", "failed", "failed_before", "adoption"})
_BARS = "▁▂▃▄▅▆▇█"
_NONE = "·"


class Beside(NamedTuple):
    """What is said beside the rows.

    Attributes:
        period: Of when they are.
        complete: How complete they are; None where nothing is said of it.
        trends: Of each row how it went; none where there is nothing to be drawn.
        chosen: Whether only some rows were asked for.
        first: The day on which what is stored begins, where there is no row.
    """

    period: str
    complete: Completeness | None = None
    trends: Sequence[Trend] = ()
    chosen: bool = False
    first: dt.date | None = None


class _Layout(NamedTuple):
    columns: Sequence[int]
    box: Box
    has_trend: bool


def print_report(report: Report, beside: Beside, console: Console | None = None) -> None:
    """Prints a report; numbers are aligned to the right, a missing value is a dash."""
    console = console or Console()
    title = f"{REPORTS[report.name]}, {beside.period} ({report.zone})"
    if not report.rows:
        console.print(Text(f"{title}: {_nothing(report, beside)}"), soft_wrap=True)
        return
    console.print(Text(title, "bold"))
    if beside.complete is not None:
        console.print(Text(told(beside.complete), "dim"))
    layouts = [*_layouts(report, has_trend=bool(beside.trends))]
    for layout in layouts:
        table = _table(report, layout, beside.trends)
        if _fits(console, table):
            if layout.box is SIMPLE_HEAD:
                console.print()
            console.print(table)
            break
    else:
        for row in report.rows:
            console.print()
            console.print(_block(report, row, layouts[-2].columns))
    for note in _notes(report):
        console.print(Text(note, "dim"))


def side_by_side(report: Report) -> Report:
    """Releases as people read them: what was before and what is now in one column."""

    def both(row: Mapping[str, Any], before: str, now: str) -> str:
        values = (_cell(name, row[name]) for name in (before, now))
        return " → ".join(values)

    records = report.records()
    groups = ("uses_per_group_before", "uses_per_group")
    has_groups = any(row[name] is not None for row in records for name in groups)
    rows = [
        (
            row["service"],
            both(row, "former", "version"),
            row["event"],
            both(row, "failed_before", "failed"),
            row["verdict"],
            both(row, "p95_before_ms", "p95_ms"),
            *([both(row, *groups)] if has_groups else []),
        )
        for row in records
    ]
    columns = ("service", "versions", "event", "failed", "verdict", "p95_ms")
    more = ("uses_per_group",) if has_groups else ()
    return replace(report, columns=columns + more, rows=rows)


def spoken(report: Report) -> str:
    """The period of a report, in words."""
    return period_of(report.since, report.until, zone_of(report.zone))


def period_of(
    since: dt.datetime | None, until: dt.datetime | None, zone: dt.tzinfo = dt.UTC
) -> str:
    """A period in words, the last day of whole days included."""
    if since is None:
        return "all that is kept"
    since, until = since.astimezone(zone), until and until.astimezone(zone)
    if until is None:
        days = (dt.datetime.now(zone).date() - since.date()).days + 1
        if _is_midnight(since) and days >= 1:
            return "today" if days == 1 else f"the last {days} days"
        return f"since {_local(since)}"
    if not (_is_midnight(since) and _is_midnight(until)):
        return f"{_local(since)} to {_local(until)}"
    last = (until - dt.timedelta(days=1)).date()
    return f"{since.date()}" if last == since.date() else f"{since.date()} to {last}"


def told(complete: Completeness) -> str:
    """How complete something is: never more than is known."""
    if complete.share is None:
        return "completeness unknown: no sender keeps a tally"
    known = f"completeness of all that is kept: {percent(complete.share)}"
    if not complete.untallied:
        return known
    return f"{known} of the {percent(complete.known, 0)} with a tally, else unknown"


def percent(share: float, digits: int = 1) -> str:
    """A share, of which neither nothing nor all is said unless it is."""
    text = f"{share:.{digits}%}"
    if text == f"{1:.{digits}%}" and share < 1:
        return f"{1 - 10 ** -(digits + 2):.{digits}%}"
    return f"<{10 ** -(digits + 2):.{digits}%}" if text == f"{0:.{digits}%}" and share > 0 else text


def sparkline(trend: Trend) -> str:
    """Values as bars, the greatest as the highest one; a dot where there is none."""
    most = max((value or 0 for value in trend), default=0)
    return "".join(
        _BARS[min(int(value / most * len(_BARS)), len(_BARS) - 1)] if value else _NONE
        for value in trend
    )


def _nothing(report: Report, beside: Beside) -> str:
    """Why there is no row."""
    if (
        beside.first is not None
        and report.until is not None
        and report.until.date() <= beside.first
    ):
        return f"nothing; what is stored begins on {beside.first}."
    now = dt.datetime.now(dt.UTC)
    yet = " yet" if report.until is None or report.until > now else ""
    said = "nothing that fits" if beside.chosen else "nothing"
    return " ".join(filter(None, [f"{said}{yet}.", KINDS[report.name].empty]))


def _notes(report: Report) -> Iterator[str]:
    if report.more:
        yield f"There are more rows: --limit {len(report.rows)} left them out."
    yield from (f"{note}." for note in report.notes)


def _layouts(report: Report, *, has_trend: bool) -> Iterator[_Layout]:
    """From what says most to what is narrowest."""
    filled = [n for n, name in enumerate(report.columns) if _is_shown(report, n, name)]
    fewer, fewest = (
        [n for n in filled if report.columns[n] not in implied]
        for implied in (_BY_EVENT, _BY_EVENT | _BY_ERROR)
    )
    for trend in (True, False) if has_trend else (False,):
        yield _Layout(filled, HEAVY_HEAD, trend)
        yield _Layout(fewer, HEAVY_HEAD, trend)
        yield _Layout(fewer, SIMPLE_HEAD, trend)
        yield _Layout(fewest, SIMPLE_HEAD, trend)


def _is_shown(report: Report, n: int, name: str) -> bool:
    """Whether a column says something, and is none that is left out here."""
    values = [row[n] for row in report.rows]
    if name in ASIDE or (name in _IF_ANY and not any(values)):
        return False
    return name in _ALWAYS or not any(all(v is same for v in values) for same in (None, True))


def _table(report: Report, layout: _Layout, trends: Sequence[Trend]) -> Table:
    edges = layout.box is HEAVY_HEAD
    padding = (0, 1) if edges else (0, 1, 0, 0)
    table = Table(box=layout.box, padding=padding, show_edge=edges, pad_edge=edges)
    for n in layout.columns:
        numeric = any(_is_number(row[n]) for row in report.rows)
        table.add_column(_header(report.columns[n]), justify="right" if numeric else "left")
    if layout.has_trend:
        table.add_column("trend", no_wrap=True)
    for number, row in enumerate(report.rows):
        cells = [Text(_cell(report.columns[n], row[n])) for n in layout.columns]
        if layout.has_trend:
            cells.append(Text(sparkline(trends[number]) if number < len(trends) else "", "cyan"))
        table.add_row(*cells)
    return table


def _block(report: Report, row: Sequence[Any], columns: Sequence[int]) -> Table:
    """One row: its first column above, the others below it; what is too long goes on in the next line."""
    first, *others = columns
    wide = max((len(_header(report.columns[n])) for n in others), default=0)
    block = Table.grid(padding=(0, 2, 0, 0))
    block.add_column(overflow="fold")
    block.add_row(Text(_cell(report.columns[first], row[first]), "bold"))
    for n in others:
        name, value = _header(report.columns[n]), _cell(report.columns[n], row[n])
        block.add_row(Text(f"  {name:{wide}}  {value}"))
    return block


def _fits(console: Console, table: Table) -> bool:
    """Whether no line of it has to be cut or wrapped."""
    endless = console.options.update(width=_ENDLESS)
    return console.measure(table, options=endless).maximum <= console.width


def _header(column: str) -> str:
    return column.replace("_", " ")


def print_rows(
    columns: Sequence[str], rows: Sequence[Sequence[Any]], console: Console | None = None
) -> None:
    """Prints what a statement gave: as a table where that fits into a line, else row by row."""
    console = console or Console()
    texts = [["" if value is None else _plain(value) for value in row] for row in rows]
    numbers = [
        column
        for column, values in zip(columns, zip(*rows, strict=True), strict=False)
        if any(isinstance(value, int | float | Decimal) for value in values)
    ]
    print_texts(Table(), columns, texts, numbers, console)
    console.print(f"{len(rows):,} row{'' if len(rows) == 1 else 's'}")


def print_texts(
    table: Table,
    columns: Sequence[str],
    rows: Sequence[Sequence[str]],
    numbers: Collection[str],
    console: Console,
) -> None:
    """Fills a table, the columns of numbers to the right, and prints it where it fits, else row by row."""
    for column in columns:
        table.add_column(column, justify="right" if column in numbers else "left")
    for row in rows:
        table.add_row(*map(Text, row))
    if _fits(console, table):
        console.print(table)
    else:
        print_apart(columns, rows, console)


def print_apart(columns: Sequence[str], rows: Sequence[Sequence[str]], console: Console) -> None:
    """Prints each row as a block of lines, for what is too wide to be a table."""
    for row in rows:
        console.rule(style="dim", characters="-" if console.options.ascii_only else "─")
        grid = Table.grid(padding=(0, 2))
        grid.add_column(no_wrap=True)
        grid.add_column(overflow="fold")
        for column, value in zip(columns, row, strict=True):
            grid.add_row(Text(column), Text(value))
        console.print(grid)


def _plain(value: Any) -> str:
    return f"{value:%Y-%m-%d %H:%M:%S}" if isinstance(value, dt.datetime) else str(value)


def _cell(column: str, value: Any) -> str:
    if value is None:
        return "unknown" if column in _ALWAYS else "-"
    if column in _SHARES and _is_number(value):
        return percent(value)
    if column == "change" and isinstance(value, float):
        return f"{value:+.0%}"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, dt.datetime):
        return _moment(value)
    return f"{value:,}" if _is_number(value) else str(value)


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _is_midnight(moment: dt.datetime) -> bool:
    return moment.time() == dt.time()


def _moment(moment: dt.datetime) -> str:
    return _local(moment.astimezone(dt.UTC))


def _local(moment: dt.datetime) -> str:
    return f"{moment:%Y-%m-%d %H:%M}"
