"""Chromium before the page: how long until it is drawn, and what the main thread's processor spends on it.

Times of a clock grow with whatever else runs on a machine. Beside them stands the time that the main thread
was on a processor (Chromium's `TaskDuration` in the domain `threadTicks`), which grows far less.
"""

import statistics
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from playwright.sync_api import Browser, CDPSession, Page, sync_playwright

FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking"]
READY = "html[data-ready=yes]"
PATIENCE = 60_000
WATCH = """
new MutationObserver((_, watch) => {
    if (document.documentElement.dataset.ready !== "yes") return;
    watch.disconnect();
    requestAnimationFrame(() => requestAnimationFrame(() => { globalThis.benchReady = performance.now(); }));
}).observe(document, {attributes: true, subtree: true, attributeFilter: ["data-ready"]});
"""
HAS_PAINTED = """() => performance.getEntriesByName("first-contentful-paint").length"""
PAINTED = """() => ({
    fcp: performance.getEntriesByName("first-contentful-paint")[0]?.startTime ?? null,
    ready: globalThis.benchReady ?? performance.getEntriesByType("navigation")[0].loadEventEnd,
    nodes: document.querySelectorAll("*").length,
})"""
TIMED = """async ([selector, act]) => {
    const frame = () => new Promise((done) => requestAnimationFrame(done));
    const node = document.querySelector(selector);
    if (!node) throw new Error("nothing is " + selector);
    await frame();
    const start = performance.now();
    if (act === "click") node.click();
    else {
        node.value = act;
        node.dispatchEvent(new Event(node.tagName === "SELECT" ? "change" : "input", {bubbles: true}));
    }
    await frame();
    await new Promise((done) => setTimeout(done));
    globalThis.benchStart = start;
    return performance.now() - start;
}"""
DRAWN = """async () => {
    const frame = () => new Promise((done) => requestAnimationFrame(done));
    while (document.querySelector("main[aria-busy]")) await frame();
    await frame();
    await new Promise((done) => setTimeout(done));
    return performance.now() - globalThis.benchStart;
}"""


@dataclass
class Figures:
    """What was measured of one thing, in milliseconds: by a clock, and of the main thread's processor."""

    samples: dict[str, list[float]] = field(default_factory=dict)

    def add(self, **figures: float) -> None:
        """Takes a sample of each."""
        for name, value in figures.items():
            self.samples.setdefault(name, []).append(value)

    def __getitem__(self, name: str) -> float:
        """The median."""
        return statistics.median(self.samples[name])


@contextmanager
def chromium(path: str) -> Iterator[Browser]:
    """A browser that runs."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=FLAGS)
        yield browser
        browser.close()


class Tab:
    """A page with a cache of its own, empty at first.

    Args:
        browser: In which it is.
    """

    def __init__(self, browser: Browser) -> None:
        self.context = browser.new_context(viewport={"width": 1440, "height": 900})
        self.page: Page = self.context.new_page()
        self.page.add_init_script(WATCH)
        self._session: CDPSession = self.context.new_cdp_session(self.page)
        self._session.send("Performance.enable", {"timeDomain": "threadTicks"})

    def cpu(self) -> float:
        """Milliseconds that the main thread was on a processor for its tasks, so far."""
        found: Mapping[str, Any] = self._session.send("Performance.getMetrics")
        return next(
            each["value"] * 1000 for each in found["metrics"] if each["name"] == "TaskDuration"
        )

    def load(self, url: str, figures: Figures, *, is_ours: bool = True) -> None:
        """Opens a page, and waits until its figures are drawn."""
        before = self.cpu()
        self.page.goto(url)
        if is_ours:
            self.page.wait_for_selector(READY, state="attached", timeout=PATIENCE)
            self.page.wait_for_function("() => globalThis.benchReady", timeout=PATIENCE)
        self.page.wait_for_function(HAS_PAINTED, timeout=PATIENCE)
        found = self.page.evaluate(PAINTED)
        figures.add(**found, cpu=self.cpu() - before)

    def act(self, selector: str, what: str, figures: Figures) -> None:
        """Clicks something, or types into it, and waits until all of it is drawn."""
        before = self.cpu()
        first = self.page.evaluate(TIMED, [selector, what])
        own = self.cpu() - before
        drawn = self.page.evaluate(DRAWN)
        figures.add(first=first, own=own, drawn=drawn, cpu=self.cpu() - before)

    def close(self) -> None:
        """Ends it."""
        self.context.close()
