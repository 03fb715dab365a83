"""How a page is drawn, as Chromium sees it: what is cut off, what lies upon something else, what is empty."""

import base64
import os
import re
from pathlib import Path

PICTURES = "FOOTFALL_PICTURES"
"""The variable that names a folder for pictures of every page, so that people can look."""
HEIGHT = 15_000
FLAWS = Path(__file__).with_suffix(".js").read_text()
FILLED = """() => [...document.querySelectorAll(".chart")].every((each) => !each.checkVisibility() ||
    Math.abs(each.clientWidth - each.querySelector("svg")?.getAttribute("width")) < 2)"""
CHARTS = """() => {
    const shown = [...document.querySelectorAll(".chart")].filter((each) => each.checkVisibility());
    return shown.map((each) => {
        const {left, top, width, height} = each.getBoundingClientRect();
        return [each.getAttribute("aria-label"), [left, top + scrollY, width, height].map(Math.round)];
    });
}"""
COLOURS = """async ([picture, places]) => {
    const image = new Image();
    image.src = "data:image/png;base64," + picture;
    await image.decode();
    const canvas = new OffscreenCanvas(image.width, image.height);
    const context = canvas.getContext("2d");
    context.drawImage(image, 0, 0);
    return places.map(([left, top, width, height]) => {
        const seen = new Uint32Array(context.getImageData(left, top, width, height).data.buffer);
        const counts = new Map();
        for (const each of seen) counts.set(each, (counts.get(each) ?? 0) + 1);
        return seen.length - Math.max(...counts.values());
    });
}"""
LEAST = 150
"""Pixels that are not ground: an axis with its labels, and something between them."""


def flaws(page):
    """What Chromium says is not drawn well, in a window that is as high as the page."""
    page.wait_for_function(FILLED)
    size = page.viewport_size
    page.set_viewport_size({"width": size["width"], "height": tall(page)})
    found = [*page.evaluate(FLAWS), *empty_charts(page)]
    page.set_viewport_size(size)
    return found


def tall(page):
    """The height of all of it."""
    return min(HEIGHT, page.evaluate("document.documentElement.scrollHeight"))


def empty_charts(page):
    """The names of charts in which nothing has a colour of its own."""
    charts = page.evaluate(CHARTS)
    if not charts:
        return []
    picture = base64.b64encode(page.screenshot()).decode()
    other = page.context.new_page()
    seen = other.evaluate(COLOURS, [picture, [place for _, place in charts]])
    other.close()
    return [
        f"nothing is drawn: {name}" for (name, _), n in zip(charts, seen, strict=True) if n < LEAST
    ]


def pictured(page, name):
    """Keeps a picture of all of it, where that is asked for."""
    if folder := os.environ.get(PICTURES):
        Path(folder).mkdir(parents=True, exist_ok=True)
        file = re.sub(r"\W+", "-", name).strip("-") + ".png"
        size = page.viewport_size
        page.set_viewport_size({"width": size["width"], "height": tall(page)})
        page.screenshot(path=Path(folder) / file)
        page.set_viewport_size(size)
