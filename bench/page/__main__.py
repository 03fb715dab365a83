"""How soon each page of the built-in page is drawn, and what each thing that can be done there costs.

A store of 500 features and 60 days behind a collector; Chromium on this machine. Of each page: first
contentful paint, and until all its figures are drawn, with an empty cache. Of each interaction: until the
next frame, and what the main thread's processor spends until then; until all of it is drawn, with what is
asked of the collector for it, and what is spent in all. Beside them a bare static page with a table, and
each report that the pages ask for, as the collector answers it.

Limits: a second until the first paint, 100 ms of the processor until the next frame after something is
done, 100 ms for a report. Times of a clock are shown and, but for the first paint, not judged: they grow
with whatever else the machine does.

Run it with `make bench BENCH=page`; it needs Debian's `chromium`. It ends with exit code 1 when a limit is
missed.
"""

import argparse
import asyncio
import json
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import httpx
import yaml
from playwright.sync_api import Browser

from footfall_exporters.embedded import EmbeddedPostgres
from page.chromium import Figures, Tab, chromium
from page.store import Filling, declared

LIMIT_PAINT_MS, LIMIT_ACT_MS, LIMIT_REPORT_MS = 1000.0, 100.0, 100.0
PAGES = {
    "Overview": "/", "Feature": "/feature?event=api.feature001", "Releases": "/releases",
    "Failures": "/failures", "Speed": "/speed", "Groups": "/groups", "Live": "/live",
    "Catalog": "/catalog", "Trust": "/trust",
}  # fmt: skip
FEATURES = 'section[aria-labelledby="features"]'
ACTS = (
    ("sort by failures", "/", f"{FEATURES} th.failed button", "click"),
    ("sort by name", "/", f"{FEATURES} th.feature button", "click"),
    ("a letter in the search", "/", f"{FEATURES} input[type=search]", "f"),
    ("search for one", "/", f"{FEATURES} input[type=search]", "feature 123"),
    ("all of them again", "/", f"{FEATURES} input[type=search]", ""),
    ("next page", "/", f"{FEATURES} .pages button:last-child", "click"),
    ("a verdict alone", "/", f"{FEATURES} .verdicts button:nth-child(2)", "click"),
    ("no verdict alone", "/", f"{FEATURES} .verdicts button:nth-child(1)", "click"),
    ("an owner alone", "/", f"{FEATURES} .tools select", "team-3"),
    ("any owner", "/", f"{FEATURES} .tools select", ""),
    ("a chart as a table", "/", "button[aria-label='Uses by surface as a table']", "click"),
    ("light or dark", "/", "button[title='Light or dark']", "click"),
    ("7 days", "/", "[aria-label=Period] button:nth-child(2)", "click"),
    ("30 days", "/", "[aria-label=Period] button:nth-child(4)", "click"),
    ("7 days, of a feature", PAGES["Feature"], "[aria-label=Period] button:nth-child(2)", "click"),
    ("30 days, of a feature", PAGES["Feature"], "[aria-label=Period] button:nth-child(4)", "click"),
    ("light or dark, of a feature", PAGES["Feature"], "button[title='Light or dark']", "click"),
    ("sort the catalog", "/catalog", "th.uses button", "click"),
    ("search the catalog", "/catalog", "input[type=search]", "feature 12"),
    ("sort failures", "/failures", "th.failed button", "click"),
)
"""What is done where: its name, its page, and what is clicked or gets a value."""


class Bare(BaseHTTPRequestHandler):
    """A static page with a table of a hundred rows, and nothing else."""

    def do_GET(self) -> None:  # the server's name
        """Answers with it."""
        row = "<tr><td>Feature</td><td>web.feature001</td><td>1,234</td><td>1.2 %</td></tr>"
        body = f"<!doctype html><title>Bare</title><table>{row * 100}</table>".encode()
        self.send_response(200)
        self.send_header("Content-Type", "text/html")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        """Says nothing."""


@contextmanager
def bare() -> Iterator[str]:
    """The address of a bare page."""
    with ThreadingHTTPServer(("127.0.0.1", 0), Bare) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_address[1]}/"
        server.shutdown()


@contextmanager
def collecting(folder: Path, dsn: str) -> Iterator[str]:
    """The page's address, of a collector of its own."""
    free = "127.0.0.1:0"
    told = {
        "receivers": {"otlp": {"protocols": {"grpc": {"endpoint": free}, "http": None}}},
        "processors": {"footfall": {"catalog": str(folder / "events.yaml")}},
        "exporters": {"postgres": {"dsn": dsn}},
        "service": {"operator": {"endpoint": free}},
    }
    (folder / "collector.yaml").write_text(yaml.safe_dump(told))
    footfall = Path(sys.executable).with_name("footfall")
    command = [footfall, "up", "--config", folder / "collector.yaml"]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    ) as on:
        try:
            yield next(
                f[1] for line in on.stdout or () if (f := re.search(r"the page +(http\S+)/", line))
            )
        finally:
            on.terminate()


def loads(
    browser: Browser, site: str, other: str, times: int
) -> tuple[dict[str, Figures], set[str]]:
    """Of each page its figures, and what the pages ask for."""
    found = {name: Figures() for name in (*PAGES, "a bare page")}
    asked: set[str] = set()
    for _ in range(times):
        for name, path in PAGES.items():
            tab = Tab(browser)
            tab.page.on("request", lambda request: asked.add(request.url))
            tab.load(site + path, found[name])
            tab.close()
        tab = Tab(browser)
        tab.load(other, found["a bare page"], is_ours=False)
        tab.close()
    return found, {url for url in asked if "/api/reports/" in url}


def acts(browser: Browser, site: str, times: int) -> dict[str, Figures]:
    """Of each interaction its figures, on pages that are open."""
    found: dict[str, Figures] = {}
    tab, at = Tab(browser), ""
    for _ in range(times):
        for name, path, selector, what in ACTS:
            if at != path:
                tab.load(site + path, Figures())
            at = path
            tab.act(selector, what, found.setdefault(name, Figures()))
    tab.close()
    return found


def opening(browser: Browser, site: str, times: int) -> Figures:
    """A feature that is opened from the overview, with what the browser has kept."""
    found, tab = Figures(), Tab(browser)
    for _ in range(times + 1):
        tab.load(site + "/", Figures())
        tab.load(site + PAGES["Feature"], found)
    tab.close()
    return found


def answers(asked: set[str], times: int) -> dict[str, float]:
    """Of each report the slowest of the questions that pages asked: the median of its answers in ms."""
    found: dict[str, float] = {}
    with httpx.Client() as client:
        for url in asked:
            taken = []
            for _ in range(times):
                start = time.perf_counter()
                answer = client.get(url, timeout=60)
                taken.append((time.perf_counter() - start) * 1000)
                if answer.status_code != 400:  # of what its catalog has not: the page does without
                    answer.raise_for_status()
            name = httpx.URL(url).path.removeprefix("/api/reports/")
            found[name] = max(found.get(name, 0.0), statistics.median(taken))
    return dict(sorted(found.items(), key=lambda each: -each[1]))


def table(heads: str, rows: Mapping[str, Figures], *names: str) -> None:
    """Prints medians."""
    print(f"\n| {heads} |\n" + "|---" * (len(names) + 1) + "|")
    for name, of in rows.items():
        print(f"| {name} | " + " | ".join(f"{of[each]:,.0f}" for each in names) + " |")


def told(pages: dict[str, Figures], done: dict[str, Figures], reports: dict[str, float]) -> int:
    """Prints tables, what is beyond its limit, and one line of JSON; the exit status."""
    table(
        "page | first paint, ms | drawn, ms | processor, ms | elements",
        pages,
        "fcp",
        "ready",
        "cpu",
        "nodes",
    )
    heads = "interaction | next frame, ms | processor until then, ms | drawn, ms | processor, ms"
    table(heads, done, "first", "own", "drawn", "cpu")
    print("\n| report | slowest question, ms |\n|---|---|")
    print(*(f"| {name} | {taken:,.0f} |" for name, taken in reports.items()), sep="\n")
    beyond = [
        f"{n}: first paint after {f['fcp']:.0f} ms"
        for n, f in pages.items()
        if f["fcp"] > LIMIT_PAINT_MS
    ]
    beyond += [
        f"{n}: {f['own']:.0f} ms of a processor until the next frame"
        for n, f in done.items()
        if f["own"] > LIMIT_ACT_MS
    ]
    beyond += [f"report {n}: {ms:.0f} ms" for n, ms in reports.items() if ms > LIMIT_REPORT_MS]
    print(
        f"\nlimits: {LIMIT_PAINT_MS:.0f} ms to the first paint, {LIMIT_ACT_MS:.0f} ms an interaction,",
        end=" ",
    )
    print(f"{LIMIT_REPORT_MS:.0f} ms a report")
    print(*(f"beyond its limit: {each}" for each in beyond), sep="\n")
    medians = {n: {k: round(f[k], 1) for k in f.samples} for n, f in (pages | done).items()}
    print(json.dumps(medians | {"reports": {n: round(ms, 1) for n, ms in reports.items()}}))
    return int(bool(beyond))


def run(browser_path: str, features: int, times: int) -> int:
    """Measures; the exit status."""
    with tempfile.TemporaryDirectory(prefix="footfall-bench-") as place:
        folder = Path(place)
        folder.chmod(0o755)  # root does not run Postgres itself
        catalog = declared(folder, features)
        with EmbeddedPostgres(folder / "postgres") as dsn:
            asyncio.run(Filling(catalog).run(dsn))
            with (
                collecting(folder, dsn) as site,
                bare() as other,
                chromium(browser_path) as browser,
            ):
                pages, asked = loads(browser, site, other, times)
                done = acts(browser, site, times)
                pages["Feature, from the overview"] = opening(browser, site, times)
            with collecting(folder, dsn) as site:
                there = {re.sub(r"^http://[^/]+", site, url) for url in asked}
                return told(pages, done, answers(there, times))


def main() -> int:
    """Its exit status."""
    parser = argparse.ArgumentParser(description="What the built-in page costs in Chromium.")
    parser.add_argument("--features", type=int, default=500)
    parser.add_argument("--times", type=int, default=5, help="how often all of it is done")
    asked = parser.parse_args()
    path = shutil.which("chromium")
    if path is None:
        print("needs Chromium: apt-get install chromium", file=sys.stderr)
        return 2
    return run(path, asked.features, asked.times)


if __name__ == "__main__":
    sys.exit(main())
