"""Takes the pictures of the rating widget in Chromium, on a light and on a dark page.

.venv/bin/python docs/images/psr.py        # psr-light.png and psr-dark.png
"""

import shutil
import sys
from importlib.resources import files
from pathlib import Path

from playwright.sync_api import Browser, Route, sync_playwright

HERE = Path(__file__).parent
ORIGIN = "https://prompts.example"
SIZE = {"width": 720, "height": 400}
PAGE = """<!doctype html><html lang="en"><title>Prompts</title><style>
:root { color-scheme: light dark; font: 16px/1.5 system-ui, sans-serif }
body { margin: 2rem 2.5rem; background: light-dark(#f6f7f9, #12151b); color: light-dark(#1f2430, #eceef2) }
h1 { font-size: 1.375rem; margin: 0 }
p { max-width: 34rem; margin: .75rem 0 1.25rem; color: light-dark(#4b5261, #b4bac6) }
button { font: inherit; font-weight: 600; padding: .375rem 1rem; border-radius: 8px; color: inherit;
  border: 1px solid light-dark(#c3c8d1, #434b59); background: light-dark(#fff, #1d2129) }
</style>
<h1>Summarise a meeting</h1>
<p>Sum up the notes below in five points: what was decided, who does what until when, and what is still open.
Leave out small talk.</p>
<button id="copy">Copied</button>
<script type="module">
import { offer } from "/psr.js";
offer({ promptId: "p1" });
</script>"""


def serve(route: Route) -> None:
    """The page and the module; there is nothing else at this address."""
    if route.request.url.endswith("/psr.js"):
        module = (files("footfall") / "browser" / "psr.min.js").read_text("utf-8")
        route.fulfill(body=module, content_type="text/javascript")
    else:
        route.fulfill(body=PAGE, content_type="text/html; charset=utf-8")


def take(browser: Browser, folder: Path) -> None:
    """Writes both pictures."""
    for scheme in ("light", "dark"):
        page = browser.new_page(
            color_scheme=scheme,  # type: ignore[arg-type]
            viewport=SIZE,  # type: ignore[arg-type]
            device_scale_factor=2,
            reduced_motion="reduce",
        )
        page.route("**", serve)
        page.goto(ORIGIN)
        page.get_by_role("radio", name="4 stars").check()
        page.get_by_role("textbox").fill("Worked at once. The tone was a little formal.")
        page.screenshot(path=folder / f"psr-{scheme}.png")
        page.close()


def main() -> int:
    """Takes them with Debian's Chromium."""
    chromium = shutil.which("chromium")
    if chromium is None:
        print("needs Chromium: apt-get install chromium", file=sys.stderr)
        return 2
    with sync_playwright() as playwright:
        flags = ["--no-sandbox", "--disable-gpu"]
        browser = playwright.chromium.launch(executable_path=chromium, args=flags)
        take(browser, HERE)
        browser.close()
    return 0


if __name__ == "__main__":
    sys.exit(main())
