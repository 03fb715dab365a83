"""R-numbers B3, B4: a site's own routes to the HTTP API, whose session says who the viewer is."""

import hashlib
import hmac
import json
import logging
import socket
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import httpx
import psycopg
import pytest
from fastapi import FastAPI, HTTPException, Request
from starlette.applications import Starlette
from starlette.middleware.base import BaseHTTPMiddleware
from starlette.middleware.sessions import SessionMiddleware
from starlette.routing import Mount, Route

import footfall.fastapi
from collector.http_api.conftest import SALT, collector
from collector.keyed import ALL, NAMES
from conftest import new_database
from footfall import _api
from footfall.web import _proxy, proxy
from instrumentation.servers import asgi_server, serving
from support.ports import free_port

HERE = "/api/telemetry"
SHOWN = {"event": "suggestion_shown", "count": 3}
OK = (200, {"ok": True})


@pytest.fixture(scope="module")
def shared(postgres_server: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """A collector, whose trusted header (`x-viewer`) no browser may get through to."""
    with new_database(postgres_server) as dsn:
        api = collector(tmp_path_factory.mktemp("proxied"), dsn, psr={"enabled": True})  # type: ignore[no-untyped-call]
        yield api
        api.http.close()
        api.up.stop()


@pytest.fixture
def api(shared: Any) -> Any:
    """The same with nothing in it."""
    with psycopg.connect(shared.dsn, autocommit=True) as connection:
        connection.execute("TRUNCATE footfall.feature_events, footfall.feature_counts")
        connection.execute("DELETE FROM footfall.ratings")
    return shared


def logged_in(request: Request) -> Any:
    return request.session.get("user")


def shop(url: str, get_viewer: Callable[[Request], Any] = logged_in, **options: Any) -> FastAPI:
    """An application with a session of its own."""
    app = FastAPI()
    app.add_middleware(SessionMiddleware, secret_key="the shop's own")

    @app.post("/login/{name}")
    async def login(name: str, request: Request) -> None:
        request.session["user"] = name

    options = {"collector": url, "key": NAMES, **options}
    app.include_router(footfall.fastapi.router(get_viewer=get_viewer, **options))
    return app


Serve = Callable[[Any], httpx.Client]


@pytest.fixture
def serve() -> Iterator[Serve]:
    """Serves an application; a browser's own client of it."""
    with ExitStack() as stack:

        def serve(app: Any) -> httpx.Client:
            url = stack.enter_context(asgi_server(app))
            return stack.enter_context(httpx.Client(base_url=url, timeout=30, verify=False))

        yield serve


@pytest.fixture
def site(api: Any, serve: Serve) -> httpx.Client:
    """The shop before the collector, and nobody logged in."""
    return serve(shop(f"{api.http.base_url}/telemetry"))


def told(answer: httpx.Response) -> tuple[int, Any]:
    return answer.status_code, answer.json()


def refused(answer: httpx.Response, status: int, error: str) -> None:
    said = answer.json()
    assert (answer.status_code, said["ok"], said["error"]) == (status, False, error)
    assert NAMES not in answer.text + str(answer.headers)


def pseudonym(name: str, value: str) -> uuid.UUID:
    message = f"\0shop\0{name}\0{value}".encode()
    return uuid.UUID(bytes=hmac.new(SALT.encode(), message, hashlib.sha256).digest()[:16])


def viewers(api: Any) -> set[uuid.UUID]:
    return {v for (v,) in api.query("SELECT DISTINCT viewer_hash FROM footfall.feature_events")}


# Before a real collector


@pytest.mark.requirement("B4")
def test_a_count_of_whom_the_sites_session_knows(api: Any, site: httpx.Client) -> None:
    refused(site.post(HERE, json=SHOWN), 401, "no_viewer")
    assert api.counts() == {}
    site.post("/login/ada")
    assert told(site.post(HERE, json=SHOWN)) == OK
    assert api.counts() == {"suggestion_shown": 3}
    assert viewers(api) == {pseudonym("viewer_id", "ada")}


@pytest.mark.requirement("B3")
def test_nothing_that_a_browser_says_of_who_it_is_counts(api: Any, site: httpx.Client) -> None:
    lies = {
        "x-viewer": "ben",
        "footfall-viewer": "ben",
        "x-sd-viewer": "ben",
        "authorization": f"Bearer {ALL}",
    }
    refused(site.post(HERE, json=SHOWN, headers=lies), 401, "no_viewer")
    site.post("/login/ada")
    body = {**SHOWN, "viewer": "ben", "viewer_id": "ben"}
    assert told(site.post(HERE, json=body, headers=lies)) == OK
    assert viewers(api) == {pseudonym("viewer_id", "ada")}


@pytest.mark.requirement("B4")
def test_a_summary_is_that_of_whom_the_session_knows(api: Any, site: httpx.Client) -> None:
    refused(site.get(f"{HERE}?days=7"), 401, "no_viewer")
    site.post("/login/ada")
    assert told(site.post(HERE, json=SHOWN)) == OK
    said = site.get(f"{HERE}?days=7").json()
    assert (said["ok"], said["days"], said["counts"]["suggestion_shown"]) == (True, 7, 3)
    site.post("/login/ben")
    assert site.get(f"{HERE}?days=7&viewer=ada").json()["counts"]["suggestion_shown"] == 0


@pytest.mark.requirement("B4")
def test_the_guides_application_is_one(api: Any, serve: Serve, monkeypatch: Any) -> None:
    monkeypatch.setenv("FOOTFALL_API_URL", f"{api.http.base_url}/telemetry")
    monkeypatch.setenv("FOOTFALL_API_KEY", NAMES)
    guide = (Path(__file__).parents[3] / "docs" / "guides" / "http-api.md").read_text()
    section = guide.partition("## From your own site")[2]
    written: dict[str, Any] = {}
    exec(section.partition("```python\n")[2].partition("```")[0], written)

    class Known(BaseHTTPMiddleware):
        async def dispatch(self, request: Request, call_next: Any) -> Any:
            request.scope["session"] = {"user_id": request.headers.get("x-known")}
            return await call_next(request)

    written["app"].add_middleware(Known)
    site = serve(written["app"])
    refused(site.post(HERE, json=SHOWN), 401, "no_viewer")
    assert told(site.post(HERE, json=SHOWN, headers={"x-known": "ada"})) == OK
    assert viewers(api) == {pseudonym("viewer_id", "ada")}


@pytest.mark.requirement("B4")
def test_what_the_collector_says_comes_back(api: Any, site: httpx.Client) -> None:
    site.post("/login/ada")
    refused(site.post(HERE, json={"event": "suggestion_stolen"}), 400, "invalid_event")
    trace = "4bf92f3577b34da6a3ce929d0e0e4736"
    said = site.post(HERE, json=SHOWN, headers={"traceparent": f"00-{trace}-00f067aa0ba902b7-01"})
    assert said.headers["traceparent"].split("-")[1] == trace
    assert '"user";r=' in said.headers["ratelimit"]
    assert '"user";q=120' in said.headers["ratelimit-policy"]
    assert said.headers["cache-control"] == "no-store"


def test_a_named_request_is_stored_once(api: Any, site: httpx.Client) -> None:
    site.post("/login/ada")
    for _ in range(2):
        assert told(site.post(HERE, json=SHOWN, headers={"idempotency-key": "k1"})) == OK
    assert api.counts() == {"suggestion_shown": 3}


def test_the_other_routes_of_the_browser_pieces(api: Any, site: httpx.Client) -> None:
    site.post("/login/ada")
    now = time.time() * 1000
    copied = {"events": [{"event": "prompt_copied", "ts": now, "variant": "json"}]}
    assert site.post(f"{HERE}/events", json=copied).json()["accepted"] == 1
    clicked = {"event": "button_click", "timestamp": now, "properties": {"button_id": "buy"}}
    assert site.post(f"{HERE}/track", json=clicked).json()["accepted"] == 1
    assert told(site.post(f"{HERE}/ingest", json=SHOWN)) == OK
    rating = {"prompt_id": "p1", "rating": 4, "source": "copy"}
    assert site.post(f"{HERE}/psr", json=rating).status_code == 200
    assert api.counts() == {"prompt_copied": 1, "button_click": 1, "suggestion_shown": 3}
    assert api.query("SELECT owner FROM footfall.ratings") == [(pseudonym("owner_id", "ada"),)]


@pytest.mark.requirement("G7")
@pytest.mark.parametrize("kind", ["router", "proxy"])
def test_receipts_are_passed_on(api: Any, serve: Serve, kind: str) -> None:
    url = f"{api.http.base_url}/telemetry"
    app = proxy(plain, collector=url, key=NAMES)
    site = serve(shop(url, lambda _: "ada") if kind == "router" else app)
    cookie = {"cookie": "session=ada"}
    mine, other = "k3-Q_m1xRr0aY7pTz5uWcg", "a-token-of-somebody-else"
    for token in (mine, mine, other):
        digest = hashlib.sha256(token.encode()).hexdigest()
        headers = cookie | {"footfall-receipt": digest}
        assert told(site.post(HERE, json=SHOWN, headers=headers)) == OK
    ask = cookie | {"footfall-receipt-token": mine}
    assert site.get(f"{HERE}/receipt", headers=ask).json()["events"] == 6
    refused(
        site.delete(f"{HERE}/receipt", headers=ask | {"sec-fetch-site": "cross-site"}),
        403,
        "forbidden",
    )
    said = site.delete(f"{HERE}/receipt", headers=ask)
    assert (said.status_code, said.json()["events"]) == (200, 6)
    assert site.get(f"{HERE}/receipt", headers=ask).json()["events"] == 0
    assert api.counts() == {"suggestion_shown": 3}
    bad = site.get(f"{HERE}/receipt", headers=cookie)
    assert (bad.status_code, bad.json()["error"]) == (400, "invalid_request")
    assert (
        site.post(HERE, json=SHOWN, headers=cookie | {"footfall-receipt": "no"}).status_code == 400
    )


@pytest.mark.requirement("G7")
def test_a_token_goes_nowhere_but_to_its_route(serve: Serve) -> None:
    seen: list[dict[str, str]] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["content-length"]))
            seen.append({name.lower(): value for name, value in self.headers.items()})
            self.send_response(200)
            self.send_header("content-type", "application/json")
            self.send_header("content-length", "2")
            self.end_headers()
            self.wfile.write(b"{}")

        def log_message(self, format: str, *args: object) -> None: ...

    with serving(ThreadingHTTPServer(("127.0.0.1", 0), Handler)) as url:
        site = serve(shop(url, lambda _: "ada"))
        site.post(HERE, json=SHOWN, headers={"footfall-receipt-token": "t" * 22})
    assert len(seen) == 1
    assert "footfall-receipt-token" not in seen[0]


async def plain(scope: Any) -> str | None:
    """A session without any framework."""
    cookies = dict(scope["headers"]).get(b"cookie", b"").decode()
    return cookies.removeprefix("session=") or None


@pytest.mark.requirement("B4")
@pytest.mark.parametrize("way", ["alone", "route", "mount"])
def test_an_application_without_a_framework_or_of_starlette(
    api: Any, serve: Serve, way: str
) -> None:
    made = proxy(plain, collector=f"{api.http.base_url}/telemetry", key=NAMES)
    apps = {
        "alone": made,
        "route": Starlette(routes=[Route(HERE, made), Mount(HERE, made)]),
        "mount": Starlette(routes=[Mount("/api", made)]),
    }
    site = serve(apps[way])
    refused(site.post(HERE, json=SHOWN), 401, "no_viewer")
    cookie = {"cookie": "session=ada"}
    assert told(site.post(HERE, json=SHOWN, headers=cookie)) == OK
    assert told(site.post(f"{HERE}/ingest", json=SHOWN, headers=cookie)) == OK
    assert api.counts() == {"suggestion_shown": 6}
    assert viewers(api) == {pseudonym("viewer_id", "ada")}


@pytest.mark.requirement("B4")
def test_a_collector_that_is_not_there_is_said_at_once_and_in_the_same_form(
    api: Any, serve: Serve, caplog: Any
) -> None:
    port = free_port()
    site = serve(shop(f"http://127.0.0.1:{port}/telemetry", lambda _: "ada"))
    begun = time.monotonic()
    for _ in range(3):
        answer = site.post(HERE, json=SHOWN)
        refused(answer, 503, "unavailable")
        assert int(answer.headers["retry-after"]) >= 1
    assert time.monotonic() - begun < 5
    said = [record.getMessage() for record in caplog.records if record.name == "footfall"]
    assert said == ["footfall: proxy: the collector's HTTP API is not reached: ConnectionError"], (
        "once, however often it happens"
    )


def test_a_wrong_key_is_the_operators_fault_and_not_the_viewers(
    api: Any, serve: Serve, caplog: Any
) -> None:
    for key in (ALL, "ffk_wrong", ""):
        site = serve(shop(f"{api.http.base_url}/telemetry", lambda _: "ada", key=key))
        refused(site.post(HERE, json=SHOWN), 502, "unavailable")
    assert "it does not take the key" in caplog.text
    assert "the proxy has no key" in caplog.text
    assert ALL not in caplog.text
    assert api.counts() == {}


# Whom get_viewer names


class Session:
    async def __call__(self, request: Request) -> str:
        return "ada"


async def asynchronous(request: Request) -> str:
    return "ada"


def on_a_thread(request: Request) -> str:
    assert threading.current_thread().name.startswith("footfall-proxy")
    return "ada"


def fails(request: Request) -> str:
    raise RuntimeError("the session's database is away")


def denies(request: Request) -> str:
    raise HTTPException(401)


@pytest.mark.requirement("B3")
@pytest.mark.parametrize(
    ("get_viewer", "named"),
    [
        (asynchronous, "ada"),
        (Session(), "ada"),
        (on_a_thread, "ada"),
        (lambda request: asynchronous(request), "ada"),
        (lambda _: 7, "7"),
        (lambda _: uuid.UUID(int=7), str(uuid.UUID(int=7))),
        (lambda _: "Ädä", "Ädä"),
        (lambda _: "x" * 256, "x" * 256),
        (lambda _: None, None),
        (denies, None),
        (lambda _: "", None),
        (lambda _: " ada", None),
        (lambda _: "a\r\nx-viewer: ben", None),
        (lambda _: "x" * 257, None),
        (lambda _: True, None),
        (lambda _: object(), None),
    ],
)
def test_whoever_is_named_is_the_viewer(
    api: Any, serve: Serve, get_viewer: Any, named: str | None
) -> None:
    site = serve(shop(f"{api.http.base_url}/telemetry", get_viewer))
    answer = site.post(HERE, json=SHOWN)
    if named is None:
        refused(answer, 401, "no_viewer")
        assert api.counts() == {}
    else:
        assert told(answer) == OK
        assert viewers(api) == {pseudonym("viewer_id", named)}


def test_a_session_that_fails_is_no_exception(api: Any, serve: Serve, caplog: Any) -> None:
    site = serve(shop(f"{api.http.base_url}/telemetry", fails))
    refused(site.post(HERE, json=SHOWN), 503, "unavailable")
    assert "get_viewer() failed: RuntimeError" in caplog.text
    assert "database is away" not in caplog.text


# What goes on, and what does not: before a server that notes it


@dataclass
class Noted:
    """A collector's place, and what comes to it.

    Attributes:
        url: Of the prefix.
        requests: Method, path, headers by lower-case name, body.
        answer: Status, headers and body.
        wait: Is set when it may answer.
    """

    url: str = ""
    requests: list[tuple[str, str, dict[str, str], bytes]] = field(default_factory=list)
    answer: tuple[int, dict[str, str], bytes] = (200, {"Content-Type": "application/json"}, b"{}")
    wait: threading.Event = field(default_factory=threading.Event)


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    noted: Noted

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"] or 0))
        headers = {name.lower(): value for name, value in self.headers.items()}
        self.noted.requests.append((self.command, self.path, headers, body))
        self.noted.wait.wait(20)
        status, said, content = self.noted.answer
        self.send_response(status)
        for name, value in {**said, "Content-Length": str(len(content))}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(content)

    do_GET = do_POST

    def log_message(self, format: str, *args: object) -> None: ...


class Server(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Who waits no longer has left."""


@contextmanager
def noting() -> Iterator[Noted]:
    noted = Noted()
    noted.wait.set()
    with serving(Server(("127.0.0.1", 0), type("Handler", (Handler,), {"noted": noted}))) as url:
        noted.url = f"{url}/telemetry"
        yield noted
        noted.wait.set()


@pytest.fixture
def noted() -> Iterator[Noted]:
    with noting() as noted:
        yield noted


@pytest.fixture
def before(noted: Noted, serve: Serve) -> httpx.Client:
    """A site whose viewer is ada."""
    return serve(shop(noted.url, lambda _: "ada"))


@pytest.mark.requirement("B4")
def test_the_body_goes_on_as_it_is_and_of_the_headers_these(
    noted: Noted, before: httpx.Client
) -> None:
    headers = {
        "content-type": "application/json; charset=utf-8",
        "cookie": "session=secret",
        "authorization": "Bearer of-the-site",
        "x-forwarded-for": "192.0.2.7",
        "user-agent": "Mozilla/5.0",
        "referer": "https://shop.example/private",
        "accept-language": "de-AT",
        "idempotency-key": "k1",
        "traceparent": "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
        "tracestate": "vendor=1",
    }
    body = b' {"event" : "caf\xc3\xa9"}\n'
    before.post(f"{HERE}?days=7&token=secret", content=body, headers=headers)
    [(method, path, sent, content)] = noted.requests
    assert (method, path, content) == ("POST", "/telemetry/ingest", body)
    host = httpx.URL(noted.url).netloc.decode()
    assert sent == {
        "host": host,
        "content-length": str(len(body)),
        "content-type": "application/json",
        "accept": "application/json",
        "accept-encoding": "identity",
        "user-agent": "footfall",
        "authorization": f"Bearer {NAMES}",
        "footfall-viewer": "ada",
        "idempotency-key": "k1",
        "traceparent": headers["traceparent"],
    }


@pytest.mark.requirement("B4")
@pytest.mark.parametrize(
    ("asked", "path"),
    [
        ("", "/telemetry/summary"),
        ("?days=7", "/telemetry/summary?days=7"),
        ("/summary?a=1&days=abc&b=2", "/telemetry/summary?days=abc"),
        ("?days=-7", "/telemetry/summary?days=-7"),
        ("?days=7%26viewer=ben", "/telemetry/summary"),
        ("?viewer=ben", "/telemetry/summary"),
        ("?days=" + "9" * 99, "/telemetry/summary"),
    ],
)
def test_a_summary_is_asked_for_some_days(
    noted: Noted, before: httpx.Client, asked: str, path: str
) -> None:
    answer = {"ok": True, "days": 7, "counts": {}}
    noted.answer = (200, {"Content-Type": "application/json"}, json.dumps(answer).encode())
    assert told(before.get(HERE + asked)) == (200, answer)
    [(method, target, sent, body)] = noted.requests
    assert (method, target, body) == ("GET", path, b"")
    assert sent["footfall-viewer"] == "ada"


def test_of_an_answers_headers_these_come_back(noted: Noted, before: httpx.Client) -> None:
    kept = {
        "Retry-After": "17",
        "RateLimit": '"user";r=0;t=17',
        "RateLimit-Policy": '"user";q=120;w=60',
        "Traceparent": "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-00",
    }
    said = {"Content-Type": "application/json", "Set-Cookie": "a=b", "X-Inside": "yes"}
    noted.answer = (429, {**kept, **said}, b'{"ok": false, "error": "rate_limited"}')
    answer = before.post(HERE, json=SHOWN)
    refused(answer, 429, "rate_limited")
    assert {name: answer.headers[name] for name in kept} == kept
    assert "set-cookie" not in answer.headers
    assert "x-inside" not in answer.headers


@pytest.mark.parametrize(
    "answer",
    [
        (200, {"Content-Type": "text/html"}, b"<html>a proxy's page"),
        (404, {}, b""),
        (302, {"Location": "http://elsewhere.example/"}, b""),
        (401, {"Content-Type": "application/json"}, b"{}"),
        (403, {"Content-Type": "application/json"}, b"{}"),
        (200, {"Content-Type": "application/json"}, b'"' + b"x" * 2**20 + b'"'),
    ],
    ids=lambda answer: str(answer[0]),
)
def test_what_is_no_answer_of_the_api_is_502(
    noted: Noted, before: httpx.Client, answer: Any
) -> None:
    noted.answer = answer
    refused(before.post(HERE, json=SHOWN), 502, "unavailable")
    assert len(noted.requests) == 1


def test_a_collector_that_says_nothing_is_not_waited_for(
    noted: Noted, before: httpx.Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_api, "PATIENCE_S", (0.3, 0.3))
    monkeypatch.setattr(_proxy, "PATIENCE_S", 60.0)
    noted.wait.clear()
    begun = time.monotonic()
    refused(before.post(HERE, json=SHOWN), 503, "unavailable")
    assert time.monotonic() - begun < 8


def test_whatever_takes_too_long_altogether_ends(
    noted: Noted, before: httpx.Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_proxy, "PATIENCE_S", 0.3)
    monkeypatch.setattr(_api, "PATIENCE_S", (60.0, 60.0))
    noted.wait.clear()
    begun = time.monotonic()
    refused(before.post(HERE, json=SHOWN), 503, "unavailable")
    assert time.monotonic() - begun < 8
    noted.wait.set()


def test_more_than_it_can_carry_is_told_to_come_again(
    noted: Noted, before: httpx.Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_proxy, "WAITING", 1)
    noted.wait.clear()
    answers: list[httpx.Response] = []
    first = threading.Thread(target=lambda: answers.append(before.post(HERE, json=SHOWN)))
    first.start()
    while not noted.requests:
        time.sleep(0.01)
    refused(before.post(HERE, json=SHOWN), 503, "unavailable")
    noted.wait.set()
    first.join()
    assert answers[0].status_code == 200
    assert len(noted.requests) == 1


@pytest.mark.parametrize("url", ["ftp://collector.example", "collector.example:4318", "http://"])
def test_an_address_that_is_none_is_no_exception(serve: Serve, url: str) -> None:
    site = serve(shop(url, lambda _: "ada"))
    refused(site.post(HERE, json=SHOWN), 503, "unavailable")


def test_address_and_key_are_variables(
    noted: Noted, serve: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FOOTFALL_API_URL", noted.url)
    monkeypatch.setenv("FOOTFALL_API_KEY", NAMES)
    site = serve(shop(None, lambda _: "ada", key=None))  # type: ignore[arg-type]
    assert site.post(HERE, json=SHOWN).status_code == 200
    assert noted.requests[0][2]["authorization"] == f"Bearer {NAMES}"


# What other sites' pages cannot do


@pytest.mark.requirement("B4")
@pytest.mark.parametrize(
    ("headers", "allowed"),
    [
        ({}, True),
        ({"sec-fetch-site": "same-origin"}, True),
        ({"sec-fetch-site": "none"}, True),
        ({"sec-fetch-site": "same-origin", "origin": "https://by-another-name.example"}, True),
        ({"origin": "HOST"}, True),
        ({"sec-fetch-site": "same-site"}, False),
        ({"sec-fetch-site": "cross-site"}, False),
        ({"sec-fetch-site": "cross-site", "origin": "HOST"}, False),
        ({"origin": "https://elsewhere.example"}, False),
        ({"origin": "null"}, False),
        ({"origin": "HOST.elsewhere.example"}, False),
        ({"origin": "http://[::1"}, False),
        ({"origin": ""}, False),
    ],
)
def test_only_the_sites_own_pages_may_send(
    noted: Noted, before: httpx.Client, headers: dict[str, str], allowed: bool
) -> None:
    host = str(before.base_url).rstrip("/")
    sent = {name: value.replace("HOST", host) for name, value in headers.items()}
    for answer in (before.post(HERE, json=SHOWN, headers=sent), before.get(HERE, headers=sent)):
        if allowed:
            assert answer.status_code == 200
        else:
            refused(answer, 403, "forbidden")
    assert len(noted.requests) == 2 * allowed


def test_headers_that_are_there_twice_pass_no_check(noted: Noted, before: httpx.Client) -> None:
    twice = [("sec-fetch-site", "same-origin"), ("sec-fetch-site", "cross-site")]
    refused(before.post(HERE, json=SHOWN, headers=twice), 403, "forbidden")
    assert noted.requests == []


@pytest.mark.parametrize(
    "headers",
    [
        {"content-type": "text/plain"},
        {"content-type": "application/x-www-form-urlencoded"},
        {"content-type": "application/json-patch"},
        {"content-type": "application/json", "content-encoding": "gzip"},
        {},
    ],
)
def test_only_json_is_taken(noted: Noted, before: httpx.Client, headers: dict[str, str]) -> None:
    answer = before.post(HERE, content=b"{}", headers=headers)
    refused(answer, 415, "unsupported_media_type")
    assert noted.requests == []


HEAD = (
    f"POST {HERE} HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n"
).encode()


def connected(site: httpx.Client) -> socket.socket:
    return socket.create_connection((site.base_url.host, site.base_url.port or 80), timeout=20)


def test_what_is_too_long_is_refused_before_it_is_read(noted: Noted, before: httpx.Client) -> None:
    kind = {"content-type": "application/json"}
    refused(before.post(HERE, content=b" " * (2**19 + 1), headers=kind), 413, "too_large")
    with connected(before) as one:  # and sends nothing of it
        one.sendall(HEAD % (2**19 + 1))
        assert one.recv(99).startswith(b"HTTP/1.1 413 ")
    parts = (b" " * 2**16 for _ in range(9))
    refused(before.post(HERE, content=parts, headers=kind), 413, "too_large")
    assert noted.requests == []
    assert before.post(HERE, content=b" " * 2**19, headers=kind).status_code == 200


def test_other_methods_and_places(noted: Noted, before: httpx.Client) -> None:
    answer = before.put(HERE, json=SHOWN)
    refused(answer, 405, "method_not_allowed")
    assert answer.headers["allow"] == "POST, GET"
    refused(before.get(f"{HERE}/events"), 405, "method_not_allowed")
    assert before.post(f"{HERE}/start-session", json={}).status_code == 404
    assert noted.requests == []


def test_a_body_that_breaks_off_is_no_exception(
    noted: Noted, before: httpx.Client, caplog: Any
) -> None:
    caplog.set_level(logging.INFO)
    with connected(before) as one:
        one.sendall(HEAD % 9 + b"{")
    assert before.post(HERE, json=SHOWN).status_code == 200
    assert len(noted.requests) == 1
    assert [record for record in caplog.records if record.levelno >= logging.ERROR] == []
