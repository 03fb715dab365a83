"""The statement to be published, on a site say, as HTML, Markdown or text: who counts, what, for how long.

It says nothing that the catalog and the configuration do not. What an operator or a catalog wrote is text,
whatever it looks like: it makes no markup.
"""

import html
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Final, NamedTuple

from footfall_processors.catalog import Catalog
from footfall_processors.statement import Item, Paragraph, paragraphs
from footfall_processors.wording import listed

STYLE: Final = (
    ":root{color-scheme:light dark}"
    "body{font:1rem/1.6 system-ui,sans-serif;margin:2rem auto;max-width:44rem;padding:0 1rem}"
    "h1{line-height:1.25}li{margin:.3rem 0}code{overflow-wrap:anywhere}"
)
_MARKUP: Final = re.compile(r"([\\`*_{}\[\]<>#|~&!])")
"""What Markdown could take for more than text."""


class Sooner(NamedTuple):
    """Single uses that go sooner than others.

    Attributes:
        days: That they stay for.
        product: In which they were made; None of every one.
        environment: In which they were made; None of every one.
    """

    days: int
    product: str | None = None
    environment: str | None = None


@dataclass(frozen=True)
class Keeping:
    """For how long and by whom what was counted is kept.

    Attributes:
        days: Of single observations; None when nothing is stored here.
        count_days: Of counts and sums.
        passed_on: The names of other services that get what is counted.
        ratings: Whether ratings of prompts are kept as well.
        sessions: Whether clients begin and end sessions here.
        installations: Whether it is kept of which installation a session is.
        receipts: Whether whoever holds a receipt is told what is kept, and has it erased.
        published: Of how many groups or people figures are that anybody may see; None: there are none.
        sooner: What of it goes before the others.
    """

    days: int | None
    count_days: int
    passed_on: tuple[str, ...] = ()
    ratings: bool = False
    sessions: bool = False
    installations: bool = False
    receipts: bool = False
    published: int | None = None
    sooner: tuple[Sooner, ...] = ()


_RATINGS: Final = (
    "Who rates a prompt gives it one to five stars and may write a note. Kept is the last rating of a prompt,"
    " a person and a day: the stars, the note, the prompt, its version, and what had been done with it."
)
_RATED: Final = (
    "Who rated is kept as a code alone, which is made with a secret key. Addresses, telephone numbers, ids"
    " and the like are taken out of notes before they are kept, and notes are cut at 280 characters. A name"
    " is not recognised: do not write any."
)
_SESSIONS: Final = (
    "A session, from its start to its end, has a random id that says nothing of anybody. Kept is when it"
    " began, when it last gave a sign of life, and what was used in it."
)
_INSTALLATIONS: Final = (
    "Of which installation it is, is kept as a code alone, which is made with a secret key. On request an"
    " installation is forgotten: its sessions are deleted, and what was used in them belongs to nobody. The"
    " totals of each day stay."
)
_PUBLISHED: Final = (
    "Anybody may see how often something was used on a day that is over, if at least {k} different groups or"
    " people used it, or if that holds of several things together. What tells nobody apart is shown if it was"
    " used so often. Such figures do not change afterwards, also when what they were made of is erased."
)
_YOURS: Final = "What is kept of you, and how to have it erased"
_RECEIPTS: Final = (
    "Whoever uses this may hold a receipt: a random token that stays with them, or with the program that they"
    " use. What they do is kept under a code of it, which is made with a secret key. Whoever has the token is"
    " told what is kept under it, and may have it erased, without saying who they are. Totals that were made"
    " of many people's use before, and copies of the server's disk, are not reached."
)
_NOT_REACHED: Final = (
    "Nor is what was passed on to {names} before: no token is known there, and that may be kept for as"
    " long as they like."
)


class Section(NamedTuple):
    """A heading, and what stands below it."""

    heading: str
    body: list[Paragraph]


@dataclass(frozen=True)
class Notice:
    """A statement to be published."""

    title: str
    sections: list[Section]


def notice(
    catalog: Catalog,
    operator: str | None = None,
    contact: str | None = None,
    keeping: Keeping | None = None,
) -> Notice:
    """What is to be published of a catalog.

    Args:
        catalog: One or more products' catalog.
        operator: Who is responsible.
        contact: Where questions go: an address, or words.
        keeping: What the collector's configuration says; without it nothing is said about that.
    """
    who = [
        Paragraph(f"{what}: {' '.join(said.split())}")
        for what, said in (("Responsible", operator), ("Questions", contact))
        if said and said.strip()
    ]
    others = list(_others(keeping)) if keeping else []
    sections = [Section("What is counted", paragraphs(catalog, alone=not others)), *others]
    if keeping:
        sections.append(Section("How long it is kept", list(_kept(keeping))))
        sections += _shown(keeping)
        if keeping.receipts:
            sections.append(Section(_YOURS, list(_erased(keeping))))
    if who:
        sections.insert(0, Section("Who counts", who))
    return Notice(f"What {listed(catalog.products)} counts", sections)


def _others(keeping: Keeping) -> Iterator[Section]:
    """What the HTTP API keeps beside what the catalog declares."""
    if keeping.ratings:
        yield Section("Ratings", [Paragraph(_RATINGS), Paragraph(_RATED)])
    if keeping.sessions:
        told = (_SESSIONS, _INSTALLATIONS) if keeping.installations else (_SESSIONS,)
        yield Section("Sessions", list(map(Paragraph, told)))


def _shown(keeping: Keeping) -> Iterator[Section]:
    if keeping.published is not None:
        yield Section("What anybody may see", [Paragraph(_PUBLISHED.format(k=keeping.published))])


def _kept(keeping: Keeping) -> Iterator[Paragraph]:
    if keeping.days is None:
        yield Paragraph("Nothing is stored here.")
    else:
        yield Paragraph(
            f"A single use is deleted when its day (UTC) is more than {_days(keeping.days)} ago; how often"
            f" something was used, and sums of that, when it is more than {_days(keeping.count_days)} ago."
            " Copies of the server's disk that were made before may hold them for longer."
        )
        if keeping.sooner:
            yield Paragraph(
                "Some single uses are deleted sooner:", tuple(map(_sooner, keeping.sooner))
            )
        if others := [n for n in ("ratings", "sessions") if getattr(keeping, n)]:
            yield Paragraph(f"What holds for single uses holds for {listed(others)} as well.")
    if keeping.passed_on:
        yield Paragraph(
            f"It is passed on to {listed(keeping.passed_on)}, which may keep it for longer."
        )


def _sooner(of: Sooner) -> Item:
    name = " in ".join(filter(None, (of.product, of.environment)))
    return Item(name, f"when their day is more than {_days(of.days)} ago.")


def _erased(keeping: Keeping) -> Iterator[Paragraph]:
    yield Paragraph(_RECEIPTS)
    if keeping.passed_on:
        yield Paragraph(_NOT_REACHED.format(names=listed(keeping.passed_on)))


def as_text(of: Notice) -> str:
    """Plain text, its headings underlined."""
    parts = [_underlined(of.title, "=")]
    for heading, body in of.sections:
        parts.append(_underlined(heading, "-"))
        parts += (_listed(each, "- {}: {}", str, str) for each in body)
    return "\n\n".join(parts)


def as_markdown(of: Notice) -> str:
    """Markdown (CommonMark)."""
    parts = [f"# {_plain(of.title)}"]
    for heading, body in of.sections:
        parts.append(f"## {_plain(heading)}")
        parts += (_listed(each, "- `{}`: {}", _code, _plain, "\n\n", "<{}>") for each in body)
    return "\n\n".join(parts)


def as_html(of: Notice) -> str:
    """A whole page, with no script and nothing that is loaded from elsewhere."""
    title = html.escape(of.title)
    body = "\n".join(
        f"<h2>{html.escape(heading)}</h2>\n" + "\n".join(map(_element, paragraphs))
        for heading, paragraphs in of.sections
    )
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{title}</title>\n<style>{STYLE}</style>\n</head>\n"
        f"<body>\n<main>\n<h1>{title}</h1>\n{body}\n</main>\n</body>\n</html>"
    )


FORMATS: Final[Mapping[str, Callable[[Notice], str]]] = {
    "html": as_html,
    "markdown": as_markdown,
    "text": as_text,
}


def _underlined(text: str, line: str) -> str:
    return f"{text}\n{line * len(text)}"


def _code(text: str) -> str:
    """A name, which ends no span of code."""
    return text.replace("`", "'")


def _plain(text: str) -> str:
    return _MARKUP.sub(r"\\\1", text)


def _listed(
    paragraph: Paragraph,
    form: str,
    name: Callable[[str], str],
    text: Callable[[str], str],
    between: str = "\n",
    link: str = "{}",
) -> str:
    """A paragraph, and its list with an item a line."""
    items = "\n".join(
        form.format(name(item.name), link.format(item.link) if item.link else text(item.text))
        for item in paragraph.items
    )
    return between.join(filter(None, (text(paragraph.text), items)))


def _element(paragraph: Paragraph) -> str:
    text = f"<p>{html.escape(paragraph.text)}</p>"
    if not paragraph.items:
        return text
    return f"{text}\n<ul>\n" + "\n".join(map(_item, paragraph.items)) + "\n</ul>"


def _item(item: Item) -> str:
    said = html.escape(item.text)
    if item.link:
        url = html.escape(item.link)
        said = f'<a href="{url}">{url}</a>'
    return f"<li><code>{html.escape(item.name)}</code>: {said}</li>"


def _days(number: int) -> str:
    return f"{number} day{'s' * (number != 1)}"
