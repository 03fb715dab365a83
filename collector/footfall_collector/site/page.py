"""The page: HTML that runs nothing and asks nobody for anything. Whatever a catalog says is text."""

import datetime as dt
from collections.abc import Mapping, Sequence
from html import escape
from urllib.parse import quote

from footfall_collector.site.charts import bars, ceiling
from footfall_collector.site.data import GENERATOR, embedded
from footfall_collector.site.shown import WEEK, WEEKS, Line, Product, date
from footfall_collector.site.style import HASH, STYLE
from footfall_exporters.postgres.published import Published

_POLICY = (
    f"default-src 'none'; style-src '{HASH}'; img-src data:; base-uri 'none'; form-action 'none'"
)
_HEAD = f"""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="{_POLICY}">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="referrer" content="no-referrer">
<meta name="generator" content="{GENERATOR}">
<link rel="icon" href="data:,">
<title>{{title}}</title>
<style>{STYLE.replace("{", "{{").replace("}", "}}")}</style>
</head>
"""
_LEAD = "How often each feature is used: counted, never by whom."
_NOTHING = (
    "Nothing is published yet. The first figures come six hours after the end of a day (UTC)."
)
_RULES = """
<section aria-labelledby="how"><h2 id="how">How to read this</h2>
<ul>
<li>A day (UTC) is shown once it is over. What is used of one thing on one day is shown if at least {k}
different groups or people used it; what tells nobody apart, if it was used {k} times. Smaller figures are
added up as <em>Other</em>, or left out.</li>
<li>Every sum is the sum of what is shown here. So sums may be lower than all that was used.</li>
<li>No figure changes later, so nobody can tell from a difference that somebody came late, or had something
erased.</li>
<li>A bar or figure that is missing means: not used, or by too few to say.</li>
</ul></section>
"""
_FOOT = """
<footer><p>All figures: <a href="published.json">JSON</a>, <a href="published.csv">CSV</a>.
Counted with Footfall.</p></footer>
"""


def page(products: Sequence[Product], published: Published, badges: Mapping[str, str]) -> str:
    """The page.

    Args:
        products: What is shown, and counted together.
        published: The same row for row, which is in the page as data.
        badges: By their paths.
    """
    names = ", ".join(product.name for product in products)
    title = f"What is used: {names}" if products else "What is used"
    body = "".join(_section(product) for product in products)
    body = body or f"<section><p>{_NOTHING}</p></section>"
    rules = _RULES.format(k=min(product.k for product in products)) if products else ""
    data = f'<script type="application/json" id="figures">{embedded(published)}</script>'
    return (
        f"{_HEAD.format(title=escape(title))}<body>\n"
        f'<header><h1>What is used</h1><p class="lead">{_LEAD}</p></header>\n'
        f"<main>{body}{rules}{_badges(badges)}</main>{_FOOT}{data}\n</body>\n</html>\n"
    )


def _section(product: Product) -> str:
    total, days = product.total, product.recent(WEEK * WEEKS)
    counts = [total.within([day]) for day in days]
    parts = [_week(product, total)]
    if product.lines:
        parts += [_chart(product, days, counts), _events(product, days), _by_day(product, days)]
    name = escape(product.name)
    return f'<section aria-labelledby="of-{name}"><h2 id="of-{name}">{name}</h2>{"".join(parts)}</section>\n'


def _week(product: Product, total: Line) -> str:
    count, change = total.within(product.recent(WEEK)), product.change(total)
    said = f"{_uses(count)} in the week to {date(product.days[-1])}"
    compared = "" if change is None else f"<span>{_moved(change)}</span>"
    number, _, words = said.partition(" ")
    return f'<p class="week"><strong>{number}</strong> <span>{words}</span> {compared}</p>'


def _moved(change: float) -> str:
    if abs(change) < 0.005:
        return "as many as in the week before"
    arrow, words = ("▲", "more") if change > 0 else ("▼", "fewer")
    return (
        f'<span aria-hidden="true">{arrow}</span> {abs(change):.0%} {words} than in the week before'
    )


def _chart(product: Product, days: Sequence[dt.date], counts: Sequence[int]) -> str:
    most = ceiling(max(*counts, 1))
    said = [_on(product, day, count) for day, count in zip(days, counts, strict=True)]
    label = (
        f"Uses by day, from {date(days[0])} to {date(days[-1])}: the table below has the figures"
    )
    return (
        f"<figure><figcaption><span>Uses by day</span><span>{most:,}</span></figcaption>"
        f"{bars(counts, said, most, label)}"
        f'<div class="axis"><span>{date(days[0])}</span><span>{date(days[-1])}</span></div></figure>'
    )


def _on(product: Product, day: dt.date, count: int) -> str:
    if day not in product.days:
        return f"{date(day)}: not published"
    return f"{date(day)}: {_uses(count) if count else 'none, or too few to say'}"


def _events(product: Product, days: Sequence[dt.date]) -> str:
    rows = "".join(_event(product, line, days) for line in product.lines)
    heads = "".join(
        f'<th scope="col">{h}</th>' for h in ("7 days", f"{len(days)} days", "All days")
    )
    return _wide(
        "Uses by event",
        f"<caption>Uses by event, since {date(product.days[0])}</caption><thead><tr>"
        f'<th scope="col">Event</th><th scope="col" class="drawn">{WEEKS} weeks</th>{heads}</tr></thead>'
        f"<tbody>{rows}</tbody><tfoot>{_event(product, product.total, days)}</tfoot>",
    )


def _event(product: Product, line: Line, days: Sequence[dt.date]) -> str:
    counts = [line.within([day]) for day in days]
    drawn = bars(counts, [_on(product, d, n) for d, n in zip(days, counts, strict=True)],
                 max(*counts, 1), kind="trend")  # fmt: skip
    name = escape(line.event or "").replace(".", ".<wbr>")  # where a phone may break it
    code = f'<span class="code">{name}</span>' if name else ""
    numbers = (line.within(product.recent(WEEK)), sum(counts), line.ever)
    return (
        f'<tr><th scope="row">{escape(line.title)}{code}</th><td class="drawn">{drawn}</td>'
        f"{''.join(_cell(number) for number in numbers)}</tr>"
    )


def _by_day(product: Product, days: Sequence[dt.date]) -> str:
    """The figures of the chart, in a table that is opened."""
    heads = "".join(f'<th scope="col">{escape(line.title)}</th>' for line in _columns(product))
    rows = "".join(_day(product, day) for day in reversed(days) if day in product.days)
    head = f'<thead><tr><th scope="col">Day</th>{heads}</tr></thead>'
    table = _wide("Figures by day", f"{head}<tbody>{rows}</tbody>")
    return f"<details><summary>Figures by day</summary>{table}</details>"


def _columns(product: Product) -> Sequence[Line]:
    return [*product.lines, product.total]


def _day(product: Product, day: dt.date) -> str:
    cells = "".join(_cell(line.within([day])) for line in _columns(product))
    return f'<tr><th scope="row" class="day">{date(day)}</th>{cells}</tr>'


def _cell(count: int) -> str:
    return (
        f"<td>{count:,}</td>"
        if count
        else '<td><span title="none, or too few to say">-</span></td>'
    )


def _wide(label: str, table: str) -> str:
    """A table that scrolls by itself where it is wider than the page, with the keyboard as well."""
    return f'<div class="wide" role="region" aria-label="{label}" tabindex="0"><table>{table}</table></div>'


def _badges(badges: Mapping[str, str]) -> str:
    if not badges:
        return ""
    rows = "".join(_badge(path, drawn) for path, drawn in badges.items())
    return (
        '<section aria-labelledby="badges"><h2 id="badges">Badges</h2>'
        '<p class="small">For a README: put the address of this page before the path.</p>'
        f'<details><summary>{len(badges)} of them</summary><ul class="badges">{rows}</ul></details></section>'
    )


def _badge(path: str, drawn: str) -> str:
    """Its picture, drawn in the page, and where the file is."""
    return f'<li>{drawn}<a href="{escape(quote(path))}"><code>{escape(path)}</code></a></li>'


def _uses(count: int) -> str:
    return f"{count:,} use{'' if count == 1 else 's'}"
