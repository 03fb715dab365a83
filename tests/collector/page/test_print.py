"""On paper: nothing of the controls, everything of the figures, and no line that is cut."""

import pytest

from collector.page.test_pages import PAGES

WIDTH = 1020
"""What a sheet of A4 has between its margins, as wide as it is drawn."""
OUTSIDE = """() => [...document.querySelectorAll("main *, footer *")]
    .filter((each) => each.checkVisibility() && !each.closest("svg, .sr, [aria-hidden=true]"))
    .filter((each) => each.getBoundingClientRect().right > innerWidth + 1)
    .map((each) => `${each.tagName} ${each.className} ${each.textContent.slice(0, 40)}`).slice(0, 8)"""
CHARTS = """() => [...document.querySelectorAll(".chart")].map((each) => {
    const [outer, inner] = [each, each.querySelector("svg")].map((one) => one.getBoundingClientRect());
    return [inner.height > 40, inner.right <= outer.right + 1, inner.bottom <= outer.bottom + 1];
})"""
CONTROLS = ["nav[aria-label=Pages]", ".right", ".filter-row", "input", "button.quiet"]
CONTROLS += [".seg button[aria-pressed=false]"]
GROUND = "getComputedStyle(document.documentElement).backgroundColor"


@pytest.mark.parametrize("path", PAGES)
def test_a_page_is_whole_on_paper(opened, path):
    at = opened("dark")
    page = at.go(path)
    page.emulate_media(media="print")
    page.set_viewport_size({"width": WIDTH, "height": 1400})
    assert page.evaluate(OUTSIDE) == []
    assert all(all(drawn) for drawn in page.evaluate(CHARTS))
    controls = page.locator("main, header, section").locator(", ".join(CONTROLS))
    assert [each for each in controls.all() if each.is_visible()] == []
    assert page.evaluate(GROUND) == "rgb(246, 246, 243)", "dark is for screens"
    if page.locator(".filters").count():
        assert page.is_visible(".filters summary"), "what the figures are of"
    for bar in page.locator(".bar > span, .diff > span, .heat td").all()[:5]:
        assert bar.evaluate("(one) => getComputedStyle(one).printColorAdjust") == "exact"
    assert page.pdf().startswith(b"%PDF")
    assert at.wrong == []
