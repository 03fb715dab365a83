"""What `track()` costs the main thread of a page in Chromium, beside an empty function.

A page's clock is too coarse for one call (5 µs when the page is isolated, as here), so a sample is CALLS
calls in a task of their own. They schedule flushes, whose requests go to a server on loopback while others
are measured; the queue is full most of the time, so dropping is measured too. `track()` is given three
fields, or a count. Samples of an empty function alternate with them, and of one that looks at the clock for
15 µs: its p99 above its median is what the machine adds, and is taken off. Beside it stands what a page pays
once, when it is left with a full queue: most of it is the browser's fetch().

Run it with `make bench BENCH=browser`; it needs Debian's `chromium`. It ends with exit code 1 when a
limit is missed.
"""

import json
import shutil
import statistics
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from importlib.resources import files
from typing import Any

from playwright.sync_api import sync_playwright

LIMIT_US, CALLS, SAMPLES = 100, 10, 2000
FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
]
NAMES = {
    "event": "track(event, props)",
    "count": "track(event, number)",
    "empty": "an empty function",
    "busy": "15 µs of looking at the clock",
    "hide": "a page that is left with 200 events",
}
MODULE = (files("footfall") / "browser" / "footfall.min.js").read_bytes()
SCRIPT = """async ([calls, samples]) => {
    const { configure, track, status } = await import("/footfall.js");
    configure({consent: true});
    const nothing = () => {};
    const work = {
        busy: () => { const end = performance.now() + 0.015; while (performance.now() < end); },
        empty: () => nothing("prompt_copied", {prompt_id: "p1", variant: "json", latency_ms: 12}),
        event: () => track("prompt_copied", {prompt_id: "p1", variant: "json", latency_ms: 12}),
        count: () => track("suggestion_shown", 3),
    };
    const found = {busy: [], empty: [], event: [], count: [], hide: []};
    for (let sample = 0; sample < samples; sample++) {
        for (const [name, call] of Object.entries(work)) {
            await new Promise((done) => setTimeout(done));
            const start = performance.now();
            for (let n = 0; n < calls; n++) call();
            found[name].push((performance.now() - start) * 1000 / calls);
        }
    }
    for (let view = 0; view < 50; view++) {
        for (let n = 0; n < 200; n++) work.event();
        const start = performance.now();
        dispatchEvent(new Event("pagehide"));
        found.hide.push((performance.now() - start) * 1000);
        await new Promise((done) => setTimeout(done, 50));
    }
    return {...found, dropped: status().dropped, isolated: crossOriginIsolated};
}"""


class Handler(BaseHTTPRequestHandler):
    """Serves a page and the module; takes everything."""

    protocol_version = "HTTP/1.1"
    requests = 0

    def do_GET(self) -> None:  # the server's name
        """The module, or a page that may use the finer clock."""
        script = self.path == "/footfall.js"
        self.answer(MODULE if script else b"<!doctype html>", "javascript" if script else "html")

    def do_POST(self) -> None:
        """Takes it."""
        self.rfile.read(int(self.headers["Content-Length"]))
        Handler.requests += 1
        self.answer(b"{}", "plain")

    def answer(self, body: bytes, kind: str) -> None:
        """200."""
        self.send_response(200)
        self.send_header("Content-Type", f"text/{kind}")
        self.send_header("Content-Length", str(len(body)))
        self.send_header("Cross-Origin-Opener-Policy", "same-origin")
        self.send_header("Cross-Origin-Embedder-Policy", "require-corp")
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        """Says nothing."""


class Server(ThreadingHTTPServer):
    """Its threads end with their connections."""

    def handle_error(self, request: Any, client_address: Any) -> None:
        """The browser ends with connections open."""


def measure(chromium: str) -> dict[str, Any]:
    """µs per call of every sample, by what was called."""
    with Server(("127.0.0.1", 0), Handler) as server, sync_playwright() as playwright:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        browser = playwright.chromium.launch(executable_path=chromium, args=FLAGS)
        page = browser.new_page()
        page.goto(f"http://127.0.0.1:{server.server_address[1]}/")
        found: dict[str, Any] = page.evaluate(SCRIPT, [CALLS, SAMPLES])
        browser.close()
        server.shutdown()
    assert found["isolated"], "the clock is fine enough"
    assert found["dropped"] > 0, "the queue was full"
    assert Handler.requests > 0, "something was sent"
    return found


def main() -> int:
    """Measures, prints a table and one line of JSON."""
    chromium = shutil.which("chromium")
    if chromium is None:
        print("needs Chromium: apt-get install chromium", file=sys.stderr)
        return 2
    found = measure(chromium)
    print(f"µs per call, {SAMPLES} samples of {CALLS} calls        median      p99")
    result: dict[str, float] = {}
    for key, name in NAMES.items():
        median, p99 = statistics.median(found[key]), statistics.quantiles(found[key], n=100)[98]
        print(f"{name:<40}{median:10.2f} {p99:8.2f}")
        result |= {f"{key}_us": round(median, 2), f"{key}_p99_us": round(p99, 2)}
    machine = result["busy_p99_us"] - result["busy_us"]
    worst = max(result["event_p99_us"], result["count_p99_us"]) - machine
    print(f"p99 of track() without the machine's {machine:.2f}: {worst:.2f} (limit {LIMIT_US})\n")
    print(json.dumps(result | {"track_p99_us": round(worst, 2)}))
    return int(max(worst, result["event_us"], result["count_us"]) > LIMIT_US)


if __name__ == "__main__":
    sys.exit(main())
