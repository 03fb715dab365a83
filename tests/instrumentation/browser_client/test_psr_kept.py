"""R-numbers D6, D8: from the Copy button to the row, with a real collector behind the page's own site."""

import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import psycopg
import pytest
from fastapi import FastAPI, Request, Response
from playwright.sync_api import Browser, expect

import footfall.fastapi
from collector.http_api.conftest import collector
from collector.keyed import NAMES
from conftest import new_database
from instrumentation.browser_client.ratings import PAGE, Ratings
from instrumentation.browser_client.test_psr import (  # noqa: F401  # fixtures
    OPEN,
    Open,
    prompts,
    rate,
    ratings,
)
from instrumentation.browser_client.tools import MODULE
from instrumentation.servers import asgi_server

ROWS = "SELECT rating, source, version, note FROM footfall.ratings"


@pytest.fixture(scope="module")
def kept(postgres_server: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """A collector that keeps ratings."""
    folder = tmp_path_factory.mktemp("kept")
    with (
        new_database(postgres_server) as dsn,
        ThreadPoolExecutor(1) as thread,
    ):  # this one has a loop
        api = thread.submit(collector, folder, dsn, psr={"enabled": True}).result()
        yield api
        api.http.close()
        api.up.stop()


def rows(kept: Any) -> list[tuple[Any, ...]]:
    with psycopg.connect(kept.dsn) as connection:
        return connection.execute(ROWS).fetchall()


def post(site: Ratings, stars: int) -> httpx.Response:
    """A rating by hand, as the viewer whom the page has."""
    body = {"prompt_id": "p1", "version": "4", "rating": stars, "source": "manual"}
    return httpx.post(f"{site.origin}/psr", json=body, cookies={"viewer": "v1"}, verify=False)


@pytest.mark.requirement("D8")
def test_a_copy_is_rated_once_a_day_and_the_last_rating_stands(
    prompts: Open,  # noqa: F811
    ratings: Ratings,  # noqa: F811
    kept: Any,
) -> None:
    ratings.collector = str(kept.http.base_url).removeprefix("http://").rstrip("/")
    page = prompts()
    rate(page)
    expect(page.get_by_role("status")).to_have_text("Thank you!")
    assert rows(kept) == [(4, "copy", "3", None)]

    page.click("#copy")
    assert page.evaluate("shown") == [True, False]
    assert page.evaluate(OPEN) is False, "a second copy on the same day shows nothing"

    answer = post(ratings, 2)
    assert (answer.status_code, answer.json()) == (200, {"avg_rating": None, "total_ratings": None})
    assert rows(kept) == [(2, "manual", "4", None)], "one row, with the new value"


@pytest.mark.requirement("D8")
def test_the_average_is_told_as_the_collector_has_it(
    prompts: Open,  # noqa: F811
    ratings: Ratings,  # noqa: F811
    kept: Any,
) -> None:
    ratings.collector = str(kept.http.base_url).removeprefix("http://").rstrip("/")
    with psycopg.connect(kept.dsn) as connection:
        connection.execute("DELETE FROM footfall.ratings")
    for viewer in range(4):
        rated = {"prompt_id": "p1", "rating": 5, "source": "copy"}
        assert kept.post("/psr", rated, viewer=f"w{viewer}").status_code == 200
    page = prompts()
    rate(page, 3)
    expect(page.get_by_role("status")).to_have_text("Thank you! It has 4.6 of 5 stars.")


# Through the site's own routes, in an application with a session


@pytest.fixture
def shop(kept: Any) -> Iterator[str]:
    """A FastAPI application that knows whoever has its cookie."""
    app = FastAPI()
    element = '<footfall-psr endpoint="/api/telemetry/psr">'
    answers = {
        "/": Response(PAGE.replace("<footfall-psr>", element), media_type="text/html"),
        "/psr.js": Response((MODULE / "psr.min.js").read_bytes(), media_type="text/javascript"),
    }
    answers["/"].set_cookie("session", "ada", httponly=True, samesite="none", secure=True)
    for path, answer in answers.items():
        app.add_api_route(path, lambda answer=answer: answer, response_model=None)

    def viewer(request: Request) -> str | None:
        return request.cookies.get("session")

    api = f"{kept.http.base_url}/telemetry"
    app.include_router(footfall.fastapi.router(get_viewer=viewer, collector=api, key=NAMES))
    with psycopg.connect(kept.dsn) as connection:
        connection.execute("DELETE FROM footfall.ratings")
    with asgi_server(app) as url:
        yield url


ELSEWHERE = """async ([url, options]) => {
    try { return (await fetch(url, {method: "POST", credentials: "include", ...options})).type; }
    catch (error) { return error.name; }
}"""


@pytest.mark.requirement("B4")
@pytest.mark.requirement("D8")
def test_the_sites_own_page_rates_and_anothers_does_not(
    browser: Browser, shop: str, kept: Any
) -> None:
    with browser.new_context() as context:
        page = context.new_page()
        page.goto(shop)
        rate(page)
        expect(page.get_by_role("status")).to_have_text("Thank you!")
        assert rows(kept) == [(4, "copy", "3", None)]

        rated = json.dumps({"prompt_id": "p1", "rating": 1, "source": "manual"})
        url = f"{shop}/api/telemetry/psr"
        plain = {"body": rated, "mode": "no-cors"}
        asked_first = {"body": rated, "headers": {"content-type": "application/json"}}
        for host in ("127.0.0.1", "localhost"):  # of the same site, and of another
            page.goto(f"http://{host}:{kept.http.base_url.port}/psr.js")
            assert page.evaluate(ELSEWHERE, [url, plain]) == "opaque"
            assert page.evaluate(ELSEWHERE, [url, asked_first]) == "TypeError"
        assert rows(kept) == [(4, "copy", "3", None)]
