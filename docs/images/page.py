"""Takes the pictures of the built-in page in Chromium, of what the demo has stored: light, dark, on a phone.

.venv/bin/python docs/images/page.py        # page-light.png, page-dark.png, page-phone.png; a minute
"""

import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import yaml
from playwright.sync_api import Browser, sync_playwright

import footfall_examples

HERE = Path(__file__).parent
FOOTFALL = str(Path(sys.executable).with_name("footfall"))
CATALOG = Path(footfall_examples.__file__).parent / "sahasrahbot/events.yaml"
READY = "html[data-ready=yes]"
VIEWS = (
    ("light", "light", {"width": 1280, "height": 900}),
    ("dark", "dark", {"width": 1280, "height": 900}),
    ("phone", "dark", {"width": 390, "height": 780}),
)


@contextmanager
def collecting(place: Path) -> Iterator[str]:
    """The page's address, of a collector over the demo's store."""
    subprocess.run([FOOTFALL, "demo", "--once", "--data", "demo"], cwd=place, check=True)
    free = "127.0.0.1:0"
    told = {
        "receivers": {"otlp": {"protocols": {"grpc": {"endpoint": free}, "http": None}}},
        "processors": {"footfall": {"catalog": str(CATALOG)}},
        "exporters": {"postgres": {"data_directory": "demo/postgres"}},
        "service": {"operator": {"endpoint": free}},
    }
    (place / "collector.yaml").write_text(yaml.safe_dump(told))
    command = [FOOTFALL, "up", "--config", "collector.yaml"]
    with subprocess.Popen(command, cwd=place, stdout=subprocess.PIPE, text=True) as process:
        try:
            for line in process.stdout or ():
                if found := re.search(r"the page +(http\S+)", line):
                    yield found[1]
                    break
        finally:
            process.terminate()


def take(browser: Browser, address: str) -> None:
    """Writes the pictures."""
    for name, scheme, size in VIEWS:
        page = browser.new_page(
            color_scheme=scheme,  # type: ignore[arg-type]
            viewport=size,  # type: ignore[arg-type]
            device_scale_factor=2 if name == "phone" else 1,
        )
        page.goto(address)
        page.wait_for_selector(READY, state="attached")
        page.screenshot(path=HERE / f"page-{name}.png")
        page.close()


def main() -> int:
    """Takes them with Debian's Chromium."""
    chromium = shutil.which("chromium")
    if chromium is None:
        print("needs Chromium: apt-get install chromium", file=sys.stderr)
        return 2
    place = Path(tempfile.mkdtemp(prefix="page-"))
    place.chmod(0o755)  # the user of an embedded Postgres enters it as well
    try:
        with collecting(place) as address, sync_playwright() as playwright:
            flags = ["--no-sandbox", "--disable-gpu"]
            browser = playwright.chromium.launch(executable_path=chromium, args=flags)
            take(browser, address)
            browser.close()
    finally:
        shutil.rmtree(place)
    return 0


if __name__ == "__main__":
    sys.exit(main())
