"""The rating widget in Chromium: by keyboard, once a day, silent, and in nobody's way."""

import json
import runpy
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Locator, Page, expect

from instrumentation.browser_client.ratings import Ratings, rating_server
from instrumentation.browser_client.tools import REPOSITORY

PATIENCE = 10_000
"""Milliseconds: a machine under load is no failure."""
OPEN = "document.querySelector('footfall-psr').shadowRoot.querySelector('form') != null"
FOCUSED = "document.querySelector('footfall-psr').shadowRoot.activeElement?.value"
STORED = "Object.fromEntries(Object.entries(localStorage))"


@pytest.fixture
def ratings() -> Iterator[Ratings]:
    with rating_server() as server:
        yield server
    assert server.broken == []


Open = Callable[..., Page]


@pytest.fixture
def prompts(browser: Browser, ratings: Ratings) -> Iterator[Open]:
    """Opens the page of prompts as somebody new; it must cause no error."""
    errors: list[str] = []

    def open_page(before: str = "", clock: str | None = None, **options: Any) -> Page:
        page = stack.enter_context(browser.new_context(**options)).new_page()
        page.on("pageerror", lambda error: errors.append(str(error)))
        page.on("console", lambda said: said.type == "error" and errors.append(said.text))
        if clock:
            page.clock.set_fixed_time(clock)
        page.add_init_script(before)
        page.set_default_timeout(PATIENCE)
        page.goto(ratings.origin)  # a module runs before the page is loaded
        return page

    with ExitStack() as stack:
        yield open_page
    assert [error for error in errors if "Failed to load resource" not in error] == []


def stars(page: Page) -> Locator:
    return page.get_by_role("radiogroup", name="How was this prompt?").get_by_role("radio")


def rate(page: Page, stars: int = 4) -> None:
    """Copies the prompt and rates it, all by keyboard."""
    page.focus("#copy")
    page.keyboard.press("Enter")
    page.keyboard.press("Tab")
    page.keyboard.press("Space")
    for _ in range(stars - 1):
        page.keyboard.press("ArrowRight")
    page.keyboard.press("Enter")


def test_four_stars_by_keyboard_after_a_copy(prompts: Open, ratings: Ratings) -> None:
    page = prompts()
    page.focus("#copy")
    page.keyboard.press("Enter")
    expect(stars(page)).to_have_count(5)
    assert page.evaluate("document.activeElement.id") == "copy", "the focus is not taken"
    expect(page.get_by_role("status")).to_have_text("How was this prompt?")
    page.keyboard.press("Tab")
    page.keyboard.press("Space")
    for _ in range(3):
        page.keyboard.press("ArrowRight")
    assert page.evaluate(FOCUSED) == "4"
    expect(page.get_by_role("radio", name="4 stars")).to_be_checked()
    page.keyboard.press("Tab")
    page.keyboard.type("Worked at once.")
    expect(page.get_by_role("textbox", name="Note (optional)")).to_have_accessible_description(
        "15/280"
    )
    assert ratings.posted == [], "nothing is sent before Send"
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    expect(page.get_by_role("status")).to_have_text("Thank you!")
    assert page.evaluate(OPEN) is False
    assert page.evaluate("document.activeElement.id") == "copy", "the focus is given back"
    rated = {"prompt_id": "p1", "version": "3", "rating": 4, "note": "Worked at once."}
    assert ratings.posted == [("/psr", rated | {"source": "copy"})]
    assert ratings.cookies == ["viewer=v1"]


def test_a_second_copy_on_the_same_day_shows_nothing(prompts: Open, ratings: Ratings) -> None:
    page = prompts(clock="2026-03-01T23:30:00+01:00", timezone_id="Europe/Vienna")
    rate(page)
    expect(page.get_by_role("status")).to_have_text("Thank you!")
    page.click("#copy")
    assert page.evaluate("shown") == [True, False]
    assert page.evaluate(OPEN) is False
    assert page.evaluate(STORED) == {"psr:last:p1": "2026-03-01"}
    page.reload()
    page.click("#copy")
    assert page.evaluate("shown") == [False], "nor on another page"
    page.evaluate("prompt_id = 'p2'")
    page.click("#copy")
    assert page.evaluate("shown") == [False, True], "another prompt"
    page.clock.set_fixed_time("2026-03-02T00:30:00+01:00")
    page.evaluate("prompt_id = 'p1'")
    page.click("#copy")
    assert page.evaluate("shown.at(-1)") is False, "the day is that of UTC"
    page.clock.set_fixed_time("2026-03-02T00:00:00Z")
    page.click("#copy")
    assert page.evaluate("shown.at(-1)") is True
    assert page.evaluate(STORED) == {"psr:last:p1": "2026-03-02"}, "days gone by are forgotten"
    assert len(ratings.posted) == 1


BLOCKED = (
    """Object.defineProperty(window, "localStorage", {get() { throw new DOMException("no") }});"""
)


def test_where_storage_is_blocked_the_page_remembers(prompts: Open) -> None:
    page = prompts(BLOCKED)
    page.click("#copy")
    page.keyboard.press("Escape")
    page.click("#copy")
    assert page.evaluate("shown") == [True, False]


@pytest.mark.parametrize("inside", [True, False])
def test_escape_dismisses_it(prompts: Open, ratings: Ratings, inside: bool) -> None:
    page = prompts()
    page.focus("#copy")
    page.keyboard.press("Enter")
    if inside:
        page.keyboard.press("Tab")
        page.keyboard.press("Space")
    page.keyboard.press("Escape")
    assert page.evaluate(OPEN) is False
    assert page.evaluate("document.activeElement.id") == "copy"
    assert page.get_by_role("status").inner_text() == ""
    assert ratings.posted == []


def test_its_button_dismisses_it_and_the_tabs_lead_there_and_on(prompts: Open) -> None:
    page = prompts()
    page.focus("#copy")
    page.keyboard.press("Enter")
    page.keyboard.press("Tab")
    page.keyboard.press("Tab")
    expect(page.get_by_role("button", name="Dismiss")).to_be_focused()
    page.keyboard.press("Tab")
    expect(page.locator("#next")).to_be_focused()
    page.get_by_role("button", name="Dismiss").click()
    assert page.evaluate(OPEN) is False


def test_a_dialog_around_it_stays_open(prompts: Open) -> None:
    page = prompts()
    page.evaluate("""() => {
        const dialog = document.body.appendChild(document.createElement("dialog"));
        dialog.append(document.querySelector("footfall-psr"));
        dialog.showModal();
        offer({promptId: "p1"});
    }""")
    stars(page).first.focus()
    page.keyboard.press("Escape")
    assert page.evaluate(OPEN) is False
    assert page.evaluate("document.querySelector('dialog').open") is True
    page.keyboard.press("Escape")
    assert page.evaluate("document.querySelector('dialog').open") is False


def test_the_stars_can_be_clicked(prompts: Open, ratings: Ratings) -> None:
    page = prompts()
    page.click("#copy")
    expect(page.get_by_role("textbox")).to_have_count(0)
    page.get_by_role("radio", name="2 stars").click()
    page.get_by_role("button", name="Send").click()
    expect(page.get_by_role("status")).to_have_text("Thank you!")
    [(_, rated)] = ratings.posted
    assert rated == {"prompt_id": "p1", "version": "3", "rating": 2, "source": "copy"}


def test_a_note_is_cut_at_280_characters(prompts: Open, ratings: Ratings) -> None:
    page = prompts()
    page.click("#copy")
    page.get_by_role("radio", name="5 stars").check()
    note = page.get_by_role("textbox")
    note.focus()
    page.keyboard.insert_text("x" * 300)
    expect(note).to_have_accessible_description("280/280")
    note.evaluate("note => { note.value = 'y'.repeat(300) }")  # what no key can do
    page.get_by_role("button", name="Send").click()
    expect(page.get_by_role("status")).to_have_text("Thank you!")
    assert ratings.posted[0][1]["note"] == "y" * 280


def test_an_average_is_told_when_the_server_tells_it(prompts: Open, ratings: Ratings) -> None:
    ratings.answer = {"avg_rating": 4.26, "total_ratings": 17}
    page = prompts()
    rate(page)
    expect(page.get_by_role("status")).to_have_text("Thank you! It has 4.3 of 5 stars.")


def test_any_success_is_one(prompts: Open, ratings: Ratings) -> None:
    ratings.status, ratings.answer = 201, None
    page = prompts()
    rate(page)
    expect(page.get_by_role("status")).to_have_text("Thank you!")


# Silence


@pytest.mark.parametrize("status", [400, 401, 404, 429, 500])
def test_an_error_is_silent(prompts: Open, ratings: Ratings, status: int) -> None:
    ratings.status = status
    page = prompts()
    with page.expect_console_message(lambda said: said.type == "debug") as said:
        rate(page)
    assert said.value.text == f"footfall-psr: not rated: {status}"
    assert page.evaluate(OPEN) is False
    assert page.get_by_role("status").inner_text() == ""


def test_where_there_are_no_ratings_it_does_not_come_again(prompts: Open, ratings: Ratings) -> None:
    ratings.status = 404
    page = prompts()
    with page.expect_console_message(lambda said: said.type == "debug"):
        rate(page)
    page.evaluate("prompt_id = 'p2'")
    page.click("#copy")
    assert page.evaluate("shown") == [True, False]
    assert "psr:last:p2" not in page.evaluate(STORED)


def test_it_does_not_wait_for_ever_and_the_page_not_at_all(prompts: Open, ratings: Ratings) -> None:
    ratings.seconds = 1
    page = prompts()
    page.evaluate("document.querySelector('footfall-psr').setAttribute('timeout', '50')")
    with page.expect_console_message(lambda said: said.type == "debug") as said:
        rate(page)
        assert page.evaluate(OPEN) is False
    assert "TimeoutError" in said.value.text
    assert page.get_by_role("status").inner_text() == ""


KEPT = """const real = fetch;
window.fetch = (...call) => { window.kept = new Request(...call).keepalive; return real(...call); };"""


def test_a_rating_arrives_though_its_page_is_left(prompts: Open, ratings: Ratings) -> None:
    page = prompts(KEPT)
    with page.expect_request("**/psr"):
        rate(page)
        assert page.evaluate("kept") is True, "on loopback it would arrive without, too"
        page.goto("about:blank")
    page.goto(ratings.origin)
    assert len(ratings.posted) == 1


NASTY = """() => {
    const thrower = {get promptId() { throw new Error("getter") }};
    const odd = [undefined, null, 7, "p1", {}, {promptId: 7}, {promptId: null}, thrower];
    return odd.map((what) => offer(what));
}"""


def test_nothing_that_is_offered_makes_it_throw(prompts: Open) -> None:
    page = prompts()
    assert page.evaluate(NASTY) == [False] * 8
    assert page.evaluate(OPEN) is False


# Several prompts, other pages


def test_another_prompt_takes_its_place_until_somebody_rates(
    prompts: Open, ratings: Ratings
) -> None:
    page = prompts()
    page.click("#copy")
    page.evaluate("prompt_id = 'p2'")
    page.click("#copy")
    page.get_by_role("radio", name="1 star", exact=True).check()
    page.evaluate("prompt_id = 'p3'")
    page.click("#copy")
    assert page.evaluate("shown") == [True, True, False]
    page.get_by_role("button", name="Send").click()
    expect(page.get_by_role("status")).to_have_text("Thank you!")
    assert ratings.posted[0][1]["prompt_id"] == "p2"
    page.click("#copy")
    assert page.evaluate("shown.at(-1)") is True, "it was not offered yet"


def test_a_page_without_the_element_gets_one_and_may_speak_another_language(
    prompts: Open, ratings: Ratings
) -> None:
    page = prompts()
    page.evaluate("""() => {
        document.querySelector("footfall-psr").remove();
        offer({promptId: "p1", source: "duplicate", texts: {
            question: "Wie war dieser Prompt?", send: "Senden", stars: (n) => `${n} Sterne`}});
        document.querySelector("footfall-psr").setAttribute("endpoint", "/api/psr");
    }""")
    page.get_by_role("radiogroup", name="Wie war dieser Prompt?").get_by_label("3 Sterne").check()
    page.get_by_role("button", name="Senden").click()
    expect(page.get_by_role("status")).to_have_text("Thank you!")
    assert ratings.posted == [("/api/psr", {"prompt_id": "p1", "rating": 3, "source": "duplicate"})]


# How it looks, and what it costs


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing_serious(prompts: Open, workshop: Path, scheme: str) -> None:
    page = prompts(color_scheme=scheme, reduced_motion="reduce")
    axe = (workshop / "node_modules" / "axe-core" / "axe.min.js").read_text()
    page.click("#copy")
    page.get_by_role("radio", name="4 stars").check()
    page.evaluate(axe)
    found = page.evaluate("axe.run({resultTypes: ['violations', 'incomplete']})")
    serious = [rule for rule in found["violations"] if rule["impact"] in ("serious", "critical")]
    assert serious == [], json.dumps(serious, indent=1)
    looked_at = {node["target"][0][0] for rule in found["passes"] for node in rule["nodes"]
                 if isinstance(node["target"][0], list)}  # fmt: skip
    assert "footfall-psr" in looked_at, "it looks into the widget"


def test_it_is_light_or_dark_as_the_page_is(prompts: Open) -> None:
    page = prompts(color_scheme="dark")
    page.click("#copy")
    background = """getComputedStyle(document.querySelector("footfall-psr").shadowRoot
        .querySelector("form")).backgroundColor"""
    dark = page.evaluate(background)
    page.evaluate("document.documentElement.style.colorScheme = 'light'")
    assert page.evaluate(background) == "rgb(255, 255, 255)" != dark
    page.evaluate("""document.querySelector("footfall-psr").style
        .setProperty("--psr-background", "rgb(1, 2, 3)")""")
    assert page.evaluate(background) == "rgb(1, 2, 3)"


@pytest.mark.parametrize(("motion", "moves"), [("reduce", 0), ("no-preference", 1)])
def test_it_moves_for_nobody_who_does_not_want_it(prompts: Open, motion: str, moves: int) -> None:
    page = prompts(reduced_motion=motion)
    running = """offer({promptId: "p1"}), document.querySelector("footfall-psr").shadowRoot
        .querySelector("form").getAnimations().length"""
    assert page.evaluate(running) == moves


def test_showing_and_hiding_it_is_one_layout_each(prompts: Open) -> None:
    page = prompts(reduced_motion="reduce")
    devtools = page.context.new_cdp_session(page)
    devtools.send("Performance.enable")

    def layouts() -> int:
        page.evaluate(
            "new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))"
        )
        metrics = devtools.send("Performance.getMetrics")["metrics"]
        return int(next(m["value"] for m in metrics if m["name"] == "LayoutCount"))

    before = layouts()
    assert page.evaluate("offer({promptId: 'p1'})") is True
    shown = layouts()
    page.keyboard.press("Escape")
    hidden = layouts()
    assert 1 <= shown - before <= 2
    assert 1 <= hidden - shown <= 2


def test_its_pictures_can_be_taken_again(browser: Browser, tmp_path: Path) -> None:
    script = runpy.run_path(str(REPOSITORY / "docs" / "images" / "psr.py"))
    script["take"](browser, tmp_path)
    light, dark = (tmp_path / f"psr-{scheme}.png" for scheme in ("light", "dark"))
    assert light.read_bytes() != dark.read_bytes()
