"""The site of what is published: a page with its figures in it, JSON, CSV and badges, for any static host.

All of it is made of what `reporting.published` shows, and every sum is one of these figures (ADR 36).
"""

from collections.abc import Mapping
from urllib.parse import quote

from footfall_collector.site.badges import badge
from footfall_collector.site.data import csv_of, json_of
from footfall_collector.site.folder import MANIFEST, NotOurs, put
from footfall_collector.site.page import page
from footfall_collector.site.shown import Product, date, products
from footfall_exporters.postgres.published import Published

__all__ = ["NotOurs", "put", "site"]


def site(published: Published) -> Mapping[str, bytes]:
    """The files of the site, by their paths in its folder: the same for the same figures."""
    shown = products(published)
    badges = {path: text for product in shown for path, text in _badges(product).items()}
    names = sorted(["index.html", MANIFEST, "published.csv", *badges])
    files = {
        "index.html": page(shown, published, badges),
        MANIFEST: json_of(published, names),
        "published.csv": csv_of(published),
    }
    return {path: text.encode() for path, text in (files | badges).items()}


def _badges(product: Product) -> Mapping[str, str]:
    """One of all that the product shows, and one of each event."""
    name, until = quote(product.name, safe=""), date(product.days[-1])
    found = {f"badges/{name}.svg": badge(product.name, product.said(product.total), until)}
    for line in product.lines:
        if line.event is not None:
            path = f"badges/{name}/{quote(line.event, safe='')}.svg"
            found[path] = badge(line.title, product.said(line), until)
    return found
