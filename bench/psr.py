"""What showing and hiding the rating widget costs a page's main thread in Chromium, from a trace.

Every sample is one offer and one Escape, each in a task of its own, and everything that the main thread
does until two frames later: script, style, layout, paint. Beside it stands the same with nothing to show:
what it costs to mark the time and draw two frames. The page has a thousand paragraphs. Motion is reduced, so
that a sample ends.

Run it with `make bench BENCH=psr`; it needs Debian's `chromium`. It ends with exit code 1 when the 95th
percentile is beyond the limit.
"""

import json
import shutil
import statistics
import sys
from collections import defaultdict
from importlib.resources import files
from typing import Any

from playwright.sync_api import Route, sync_playwright

LIMIT_MS, SAMPLES = 16, 100
CATEGORIES = ["toplevel", "devtools.timeline", "blink.user_timing"]
ORIGIN = "https://prompts.example"
PAGE = f"""<!doctype html><html lang="en"><title>Prompts</title>
{"<p>A prompt that somebody may copy.</p>" * 1000}<footfall-psr></footfall-psr>
<script type="module">
import {{ offer }} from "/psr.js";
const frame = () => new Promise(requestAnimationFrame);
const frames = async () => {{
    await frame();
    await frame();
    await new Promise((done) => setTimeout(done));
}};
const work = {{
    show: (n) => offer({{promptId: "p" + n}}),
    hide: () => dispatchEvent(new KeyboardEvent("keydown", {{key: "Escape"}})),
    nothing: () => {{}},
}};
window.run = async (samples) => {{
    for (let n = 0; n < samples; n++) {{
        for (const [name, call] of Object.entries(work)) {{
            await frames();
            performance.mark(name + " begins");
            await new Promise((done) => setTimeout(done));
            call(n);
            await frames();
            performance.mark(name + " ends");
        }}
    }}
}};
</script>"""


def serve(route: Route) -> None:
    """The page and the module; there is nothing else at this address."""
    if route.request.url.endswith("/psr.js"):
        module = (files("footfall") / "browser" / "psr.min.js").read_text("utf-8")
        route.fulfill(body=module, content_type="text/javascript")
    else:
        route.fulfill(body=PAGE, content_type="text/html; charset=utf-8")


def trace(chromium: str) -> list[dict[str, Any]]:
    """The events of a trace over all samples."""
    with sync_playwright() as playwright:
        flags = ["--no-sandbox", "--disable-gpu"]
        browser = playwright.chromium.launch(executable_path=chromium, args=flags)
        page = browser.new_page(reduced_motion="reduce")
        page.route("**", serve)
        page.goto(ORIGIN)
        browser.start_tracing(page=page, categories=CATEGORIES)
        page.evaluate("samples => run(samples)", SAMPLES)
        recorded = json.loads(browser.stop_tracing())
        browser.close()
    events: list[dict[str, Any]] = recorded["traceEvents"]
    return events


def costs(events: list[dict[str, Any]]) -> dict[str, list[float]]:
    """Milliseconds of the main thread's tasks in every sample, by what was done."""
    marks = [e for e in events if e["name"].endswith((" begins", " ends"))]
    marks.sort(key=lambda event: event["ts"])
    thread = {(e["pid"], e["tid"]) for e in marks}
    tasks = [
        e
        for e in events
        if e["name"].endswith("RunTask") and e["ph"] == "X" and (e["pid"], e["tid"]) in thread
    ]
    found = defaultdict(list)
    for begin, end in zip(marks[::2], marks[1::2], strict=True):
        within = (
            min(t["ts"] + t["dur"], end["ts"]) - max(t["ts"], begin["ts"])
            for t in tasks
            if t["ts"] < end["ts"] and t["ts"] + t["dur"] > begin["ts"]
        )
        found[begin["name"].split()[0]].append(sum(within) / 1000)
    return found


def main() -> int:
    """Measures, prints a table and one line of JSON."""
    chromium = shutil.which("chromium")
    if chromium is None:
        print("needs Chromium: apt-get install chromium", file=sys.stderr)
        return 2
    found = costs(trace(chromium))
    result: dict[str, float] = {}
    print(f"ms of the main thread, {SAMPLES} samples    median      p95      most")
    for name, values in found.items():
        median, p95 = statistics.median(values), statistics.quantiles(values, n=20)[18]
        print(f"{name:<36}{median:10.2f} {p95:8.2f} {max(values):9.2f}")
        result |= {f"{name}_ms": round(median, 2), f"{name}_p95_ms": round(p95, 2)}
    worst = max(result["show_p95_ms"], result["hide_p95_ms"])
    print(f"worse p95 of both: {worst:.2f} (limit {LIMIT_MS})\n")
    print(json.dumps(result))
    return int(worst > LIMIT_MS)


if __name__ == "__main__":
    sys.exit(main())
