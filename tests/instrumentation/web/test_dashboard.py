"""R-number B5: the page on which developers see what is counted of them, in Chromium, of a real collector."""

import datetime as dt
import subprocess
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import httpx
import psycopg
import pytest
from fastapi import FastAPI
from playwright.sync_api import Browser, Page, sync_playwright
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.middleware.sessions import SessionMiddleware
from starlette.routing import Mount, Route

import footfall.web
from collector.http_api.conftest import collector
from collector.keyed import NAMES
from conftest import new_database
from instrumentation.browser_client.conftest import (  # noqa: F401  # fixtures
    FLAGS,
    chromium,
    workshop,
)
from instrumentation.servers import asgi_server
from instrumentation.web.test_proxy import shop

PAGE = "/developer/telemetry"
get = partial(httpx.get, verify=False)
GUIDE = Path(__file__).parents[3] / "docs" / "guides" / "viewer-counts.md"
FILES = Path(footfall.web.__file__).parent / "developer"
ENDS = {"accepted": 7, "skipped": 5, "edited": 3, "undo": 1}
SHARES = {"Accept": "58.3%", "Skip": "41.7%", "Edit": "25%", "Undo": "8.3%"}
"""Of twelve that were shown."""
Look = Callable[..., Page]


@pytest.fixture(scope="module")
def api(postgres_server: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """A collector that counts by viewer, as the guide has it."""
    folder = tmp_path_factory.mktemp("suggestions")
    named = GUIDE.read_text().partition("```yaml\n")[2].partition("```")[0]
    (folder / "events.yaml").write_text(named)
    with new_database(postgres_server) as dsn:
        api = collector(folder, dsn, catalog=folder / "events.yaml")  # type: ignore[no-untyped-call]
        yield api
        api.http.close()
        api.up.stop()


@pytest.fixture(scope="module")
def browser(api: Any, chromium: str) -> Iterator[Browser]:  # noqa: F811  # after what needs no loop
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=FLAGS)
        yield browser
        browser.close()


@pytest.fixture
def look(browser: Browser) -> Iterator[Look]:
    """Opens the page of a site, as whoever is named; nothing may be said on the console."""
    context = browser.new_context()
    wrong: list[str] = []

    def look(url: str, name: str | None = None, path: str = PAGE) -> Page:
        page = context.new_page()
        page.on("pageerror", lambda error: wrong.append(str(error)))
        page.on("console", lambda said: said.type == "error" and wrong.append(said.text))
        if name:
            page.request.post(f"{url}/login/{name}")
        page.goto(url + path)
        page.wait_for_selector("html[data-ready=yes]")
        return page

    yield look
    context.close()
    assert [text for text in wrong if "401" not in text and "503" not in text] == []


def site(api: Any, **options: Any) -> FastAPI:
    return shop(f"{api.http.base_url}/telemetry", environment="development", **options)


def twenty_days_ago(api: Any) -> None:
    """Moves all that is stored there."""
    [(day, name)] = api.query("SELECT current_date - 20, to_char(current_date - 20, 'YYYYMMDD')")
    with psycopg.connect(api.dsn, autocommit=True) as connection:
        connection.execute(
            f"CREATE TABLE footfall.feature_events_{name} PARTITION OF footfall.feature_events"
            f" FOR VALUES FROM ('{day} 00:00+00') TO ('{day + dt.timedelta(days=1)} 00:00+00')"
        )
        connection.execute(f"UPDATE footfall.feature_events SET time = '{day} 12:00+00'")


def cells(page: Page, caption: str) -> dict[str, list[str]]:
    rows = page.locator("table", has=page.locator(f"caption:text-is('{caption}')")).locator(
        "tbody tr"
    )
    lines = [text.split("\t") for text in rows.all_inner_texts()]
    return {name: rest for name, *rest in lines}


@pytest.mark.requirement("B5")
def test_it_says_the_counts_and_rates_of_whoever_is_logged_in(api: Any, look: Look) -> None:
    with asgi_server(site(api)) as url:
        for who in ("ada", "ben"):
            http = httpx.Client(base_url=url, verify=False)
            http.post(f"/login/{who}")
            for end, count in {"shown": 12, **ENDS}.items():
                posted = {"event": f"suggestion_{end}", "count": count}
                assert http.post("/api/telemetry", json=posted).json() == {"ok": True}
            http.close()
        ada = look(url, "ada")
        twenty_days_ago(api)
        ben = look(url, "ben")
        counts = cells(ada, "How often each event was")
        assert {name: counts[f"suggestion_{name}"] for name in ENDS} == {
            name: [str(count)] * 2 for name, count in ENDS.items()
        }
        rates = cells(ada, "suggestion: of what was shown")
        assert rates == {name: [share] * 2 for name, share in SHARES.items()}
        assert cells(ben, "suggestion: of what was shown") == {
            name: ["\N{EN DASH}", share] for name, share in SHARES.items()
        }
        assert cells(ben, "How often each event was")["suggestion_shown"] == ["0", "12"]


@pytest.mark.parametrize("said", [None, "production", "staging"])
def test_production_has_no_such_page_and_its_own_route_stays(
    api: Any,
    said: str | None,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delenv("OTEL_RESOURCE_ATTRIBUTES", raising=False)
    app = shop(f"{api.http.base_url}/telemetry", environment=said)
    mounted = footfall.web.dashboard(environment=said)
    with asgi_server(app) as url, asgi_server(mounted) as own:
        for at in (url + PAGE, f"{url}{PAGE}?dashboard.js", own, f"{own}/?dashboard.js"):
            assert get(at).status_code == 404

    @app.get(PAGE)
    def theirs() -> str:
        return "the shop's"

    with asgi_server(app) as url:
        assert get(url + PAGE).json() == "the shop's"


def test_whoever_is_not_logged_in_or_uses_nothing_is_told_what_to_do(api: Any, look: Look) -> None:
    with asgi_server(site(api)) as url:
        assert "Nobody is logged in" in look(url).inner_text("#said")
        page = look(url, "nobody")
        assert "Nothing was counted of you in 30 days" in page.inner_text("#said")
        rates = cells(page, "suggestion: of what was shown")
        assert {each for row in rates.values() for each in row} == {"\N{EN DASH}"}
    away = shop("http://127.0.0.1:9/telemetry", environment="dev")
    with asgi_server(away) as url:
        assert "The collector cannot be asked" in look(url, "ada").inner_text("#said")


def test_it_is_found_below_an_application_that_is_mounted_and_without_fastapi(
    api: Any,
    look: Look,
) -> None:
    proxy = footfall.web.proxy(
        lambda scope: scope["session"].get("user"),
        collector=f"{api.http.base_url}/telemetry",
        key=NAMES,
        path="/counts",
    )
    page = footfall.web.dashboard(endpoint="/counts", environment="test")
    routes = [Mount("/shop", site(api)), Mount("/dev", page), Route("/counts", proxy)]
    session = Middleware(SessionMiddleware, secret_key="the site's own")
    with asgi_server(Starlette(routes=routes, middleware=[session])) as url:
        assert "Nobody is logged in" in look(url, path=f"/shop{PAGE}").inner_text("#said")
        assert "Nobody is logged in" in look(url, path="/dev/").inner_text("#said")


def test_it_runs_nothing_but_its_own_module_and_is_framed_by_nobody(
    api: Any,
    look: Look,
    workshop: Path,  # noqa: F811
) -> None:
    endpoint = '/t"><script>document.title="taken"</script>'
    with asgi_server(footfall.web.dashboard(endpoint=endpoint, environment="dev")) as url:
        answer = get(url)
        assert "<script>document" not in answer.text
        policy = dict(
            part.strip().split(" ", 1)
            for part in answer.headers["content-security-policy"].split(";")
        )
        assert policy["default-src"] == "'none'"
        assert policy["script-src"] == policy["style-src"] == policy["connect-src"] == "'self'"
        assert policy["frame-ancestors"] == "'none'"
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert answer.headers["cache-control"] == "no-store"
        assert "set-cookie" not in answer.headers
        kinds = {
            f"?dashboard.{kind}": f"text/{said}"
            for kind, said in (("js", "javascript"), ("css", "css"))
        }
        for part, kind in kinds.items():
            assert get(f"{url}/{part}").headers["content-type"].startswith(kind)
        assert get(f"{url}/?../__init__.py").headers["content-type"].startswith("text/html")
        assert httpx.post(url, verify=False).status_code == 405
        assert httpx.head(url).content == b""
    with asgi_server(site(api)) as url:
        page = look(url, "ada")
        axe = workshop / "node_modules" / "axe-core" / "axe.min.js"
        page.evaluate(axe.read_text())
        found = page.evaluate("axe.run({resultTypes: ['violations']})")["violations"]
        assert [each["id"] for each in found] == []


def test_its_module_has_types_that_hold_and_makes_no_html_of_text(workshop: Path) -> None:  # noqa: F811
    module = FILES / "dashboard.js"
    assert not {"innerHTML", "outerHTML", "insertAdjacentHTML", "eval("} & {
        *module.read_text().split()
    }
    tsc = workshop / "node_modules" / ".bin" / "tsc"
    options = (
        "--ignoreConfig --noEmit --allowJs --checkJs --strict --noUnusedLocals --target es2024"
    )
    done = subprocess.run(
        [tsc, *options.split(), "--module", "es2022", "--lib", "es2024,dom,dom.iterable", module],
        cwd=workshop, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert (done.stdout, done.returncode) == ("", 0)
