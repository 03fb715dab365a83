"""Takes the pictures of a published page in Chromium: light, dark, and as a phone shows it.

.venv/bin/python docs/images/publishing.py        # publishing-light.png, -dark.png, -phone.png
"""

import datetime as dt
import math
import random
import shutil
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from playwright.sync_api import Browser, sync_playwright

from footfall_collector.site import put, site
from footfall_exporters.postgres.published import Day, Figure, Published

HERE = Path(__file__).parent
LAST, DAYS = dt.date(2026, 11, 28), 56
PRODUCT = "sahasrahbot"
EVENTS = (
    ("discord.generator", "Seeds", 150),
    ("discord.multiworld", "Multiworlds", 40),
    ("racetime.room", "Race rooms", 30),
    ("web.preset", "Presets saved", 22),
    ("discord.daily", "Daily challenge", 15),
)
VIEWS = (
    ("light", "light", {"width": 1000, "height": 820}),
    ("dark", "dark", {"width": 1000, "height": 820}),
    ("phone", "dark", {"width": 390, "height": 760}),
)


def figures() -> Iterator[Figure]:
    """Made up: more at weekends, more by and by, and a small event that is not shown every day."""
    chance = random.Random(4)  # noqa: S311  # no secret
    for ago in range(DAYS - 1, -1, -1):
        day = LAST - dt.timedelta(days=ago)
        level = (1.35 if day.weekday() > 4 else 0.9) * (1.3 - ago / 200 + math.sin(ago / 9) / 4)
        for event, title, usual in EVENTS:
            uses = round(usual * level * chance.uniform(0.8, 1.2))
            if uses > 14:
                yield Figure(day, PRODUCT, event, title, "", "", uses)
        if chance.random() < 0.6:
            yield Figure(day, PRODUCT, None, None, None, None, chance.randint(5, 14))


def take(browser: Browser, page_url: str) -> None:
    """Writes the pictures."""
    for name, scheme, size in VIEWS:
        page = browser.new_page(
            color_scheme=scheme,  # type: ignore[arg-type]
            viewport=size,  # type: ignore[arg-type]
            device_scale_factor=1.5,
        )
        page.goto(page_url)
        page.screenshot(path=HERE / f"publishing-{name}.png")
        page.close()


def main() -> int:
    """Takes them with Debian's Chromium."""
    chromium = shutil.which("chromium")
    if chromium is None:
        print("needs Chromium: apt-get install chromium", file=sys.stderr)
        return 2
    days = [Day(LAST - dt.timedelta(days=ago), PRODUCT, 5) for ago in range(DAYS - 1, -1, -1)]
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        put(Path(folder) / "site", site(Published(days, list(figures()))))
        flags = ["--no-sandbox", "--disable-gpu"]
        browser = playwright.chromium.launch(executable_path=chromium, args=flags)
        take(browser, (Path(folder) / "site/index.html").as_uri())
        browser.close()
    return 0


if __name__ == "__main__":
    sys.exit(main())
