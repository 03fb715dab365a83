"""The published statement says what the catalog and the configuration say, in every format."""

import html
import re
from dataclasses import replace
from html.parser import HTMLParser

import pytest
from markdown_it import MarkdownIt

from footfall_processors import load_catalog
from footfall_processors.notice import FORMATS, Keeping, Sooner, notice
from footfall_processors.statement import statement

HOSTILE = (
    '<script>alert(1)</script> & "x" <img src=http://e.x/> [a](http://e.x) ![b](c) *d* _e_ `f` &lt;'
    " # g | h ~i~ {j} \\\\"
)
CATALOG = f"""
product: shop
attributes:
  guild_id: {{type: string, hash: daily, description: 'The server {HOSTILE}'}}
events:
  shop.order: {{surface: web, feature: order, description: '{HOSTILE}', attributes: [guild_id]}}
  shop.visit: {{surface: web, feature: visit}}
"""
KEEPING = Keeping(12, 345, ("posthog", "otlp/headquarters"))


class Page(HTMLParser):
    """What a page consists of."""

    VOID = ("meta",)

    def __init__(self, text):
        super().__init__()
        self.tags, self.attributes, self.text, self.open = [], {}, {}, []
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag, attributes):
        self.tags.append(tag)
        self.attributes.setdefault(tag, []).append(dict(attributes))
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if self.open and data.strip():
            self.text.setdefault(self.open[-1], []).append(data)


@pytest.fixture
def catalog(tmp_path):
    (tmp_path / "events.yaml").write_text(CATALOG)
    return load_catalog(tmp_path / "events.yaml")


@pytest.fixture(params=sorted(FORMATS))
def form(request):
    return request.param


def words(form, text):
    """What a reader sees, whatever the format."""
    if form == "text":
        return text
    return seen(MarkdownIt().render(text) if form == "markdown" else text)


def seen(page):
    """The text of a page; items of lists begin with a dash, as in plain text."""
    page = re.sub(r"<style>.*?</style>|<title>.*?</title>", "", page, flags=re.DOTALL)
    return html.unescape(re.sub(r"<[^>]+>", "", page.replace("<li>", "- ")))


def plain(text):
    return " ".join(text.split())


def test_every_format_has_the_whole_statement_and_nothing_that_looks_like_markup(catalog, form):
    said = plain(words(form, FORMATS[form](notice(catalog))))
    assert plain(statement(catalog)) in said
    assert said.removesuffix(plain(statement(catalog))).replace("=", "").replace(
        "-", ""
    ).split() == [
        *("What", "shop", "counts"),
        *("What", "is", "counted"),
    ]


def test_one_day_is_one(catalog):
    said = words("markdown", FORMATS["markdown"](notice(catalog, keeping=Keeping(1, 345))))
    assert "more than 1 day ago" in plain(said)


def test_what_anybody_may_see_is_said_where_there_is_some(catalog, form):
    def said(keeping):
        return words(form, FORMATS[form](notice(catalog, keeping=keeping)))

    assert "What anybody may see" not in said(KEEPING)
    shown = said(replace(KEEPING, published=7))
    assert "What anybody may see" in shown
    assert "at least 7 different groups or people" in plain(shown)


def test_what_goes_sooner_is_named(catalog, form):
    sooner = (Sooner(2, environment="dev"), Sooner(1, "shop"), Sooner(7, "shop", "staging"))
    said = plain(
        words(form, FORMATS[form](notice(catalog, keeping=Keeping(12, 345, sooner=sooner))))
    )
    assert "Some single uses are deleted sooner:" in said
    for name, days in (("dev", "2 days"), ("shop", "1 day"), ("shop in staging", "7 days")):
        assert f"{name}: when their day is more than {days} ago." in said
    assert "sooner" not in words(form, FORMATS[form](notice(catalog, keeping=KEEPING)))


def test_who_counts_and_for_how_long_is_said_where_it_is_known(catalog, form):
    published = notice(catalog, f"The shop {HOSTILE}", "privacy@example.org", KEEPING)
    said = plain(words(form, FORMATS[form](published)))
    assert plain(f"Responsible: The shop {HOSTILE}") in said
    assert "Questions: privacy@example.org" in said
    assert "deleted when its day (UTC) is more than 12 days ago" in said
    assert "more than 345 days ago" in said
    assert "It is passed on to posthog and otlp/headquarters" in said
    for less in (notice(catalog), notice(catalog, " ", "")):
        said = words(form, FORMATS[form](less))
        for unknown in ("Responsible", "Questions", "Who counts", "days ago", "passed on"):
            assert unknown not in said


def test_what_is_only_passed_on_is_not_called_stored(catalog, form):
    said = words(form, FORMATS[form](notice(catalog, keeping=Keeping(None, 0, ("otlp",)))))
    assert "Nothing is stored here." in said
    assert "deleted" not in said.partition("How long it is kept")[2]
    assert "It is passed on to otlp," in said


def test_the_page_stands_alone_and_can_be_read_aloud(catalog):
    page = Page(FORMATS["html"](notice(catalog, HOSTILE, HOSTILE, KEEPING)))
    assert set(page.tags) == {
        *("html", "head", "meta", "title", "style", "body", "main"),
        *("h1", "h2", "p", "ul", "li", "code"),
    }
    assert page.attributes["html"] == [{"lang": "en"}]
    named = {name for found in page.attributes.values() for each in found for name in each}
    assert named == {"lang", "charset", "name", "content"}
    assert page.text["title"] == page.text["h1"] == ["What shop counts"]
    assert page.text["h2"] == ["Who counts", "What is counted", "How long it is kept"]
    assert "url" not in page.text["style"][0]


def test_markdown_makes_headings_and_lists_and_nothing_else(catalog):
    rendered = MarkdownIt().render(FORMATS["markdown"](notice(catalog, HOSTILE, HOSTILE, KEEPING)))
    assert set(re.findall(r"<(\w+)", rendered)) == {"h1", "h2", "p", "ul", "li", "code"}
