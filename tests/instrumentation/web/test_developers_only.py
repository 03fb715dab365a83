"""R-number B5: a page for developers, which production does not have."""

import httpx
import pytest
from fastapi import FastAPI, WebSocket
from websockets.exceptions import InvalidStatus
from websockets.sync.client import connect

from footfall.web import developers_only
from instrumentation.servers import asgi_server


def site(environment=None):
    app, dashboard = FastAPI(), FastAPI()

    @dashboard.get("/telemetry")
    def page():
        return {"suggestion_shown": 3}

    @dashboard.websocket("/live")
    async def live(socket: WebSocket):
        await socket.accept()
        await socket.close()

    app.mount("/developer", developers_only(dashboard, environment=environment))
    return app


def answers(app):
    with asgi_server(app) as url, httpx.Client(base_url=url, verify=False) as http:
        page, docs = http.get("/developer/telemetry"), http.get("/developer/docs")
        elsewhere = http.post("/developer/telemetry", content=b"x" * 100)
        return page, docs.status_code, elsewhere.status_code


@pytest.mark.parametrize("said", ["development", "Dev", "local", "test", "testing"])
def test_developers_have_the_page(said, monkeypatch):
    monkeypatch.setenv("OTEL_RESOURCE_ATTRIBUTES", f"deployment.environment.name={said}")
    page, docs, _ = answers(site())
    assert (page.status_code, page.json(), docs) == (200, {"suggestion_shown": 3}, 200)


@pytest.mark.parametrize(
    "said", ["", "deployment.environment.name=production", "deployment.environment.name=developers"]
)
def test_production_has_nothing_there_and_neither_has_whoever_says_nothing(said, monkeypatch):
    monkeypatch.setenv("OTEL_RESOURCE_ATTRIBUTES", said)
    page, docs, elsewhere = answers(site())
    assert (page.status_code, page.text, docs, elsewhere) == (404, "Not Found", 404, 404)


def test_what_the_program_says_counts_more_than_the_variable(monkeypatch):
    monkeypatch.setenv("OTEL_RESOURCE_ATTRIBUTES", "deployment.environment.name=development")
    assert answers(site("production"))[0].status_code == 404
    monkeypatch.delenv("OTEL_RESOURCE_ATTRIBUTES")
    assert answers(site("dev"))[0].status_code == 200


def opened(app):
    """Whether the page's WebSocket can be opened."""
    with asgi_server(app) as url:
        try:
            with connect(f"{url.replace('http', 'ws')}/developer/live"):
                return True
        except InvalidStatus:
            return False


def test_a_websocket_is_refused_as_well():
    assert opened(site("test"))
    assert not opened(site("production"))
