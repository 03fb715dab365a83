"""Secrets in every request of the HTTP API: a search of all that is left finds its control values alone."""

import asyncio
import gzip
import json
import secrets
import shutil
import time
import uuid
from functools import cache
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import ClassVar

import httpx
import jwt
import psycopg
import pytest

from collector.keyed import NAMES, write_keys
from conftest import copied, make_directory
from e2e.leaks.planting import Book, Place
from e2e.leaks.searching import Search
from footfall_exporters.embedded import EmbeddedPostgres
from support.up import Up
from support.waiting import wait_until

CATALOG = """
product: shop
attributes:
  viewer_id: {type: string, hash: static}
  owner_id: {type: string, hash: static}
  session_id: {type: string, hash: static}
  installation_id: {type: string, hash: static}
  prompt_id: {type: string, hash: static}
  note: {type: string, max_length: 280}
events:
  suggestion_shown: {surface: web, feature: suggestions, actions: [shown], attributes: [viewer_id]}
  prompt_copied: {surface: web, feature: prompts, actions: [copied],
                  attributes: [viewer_id, owner_id, session_id, installation_id, prompt_id, note]}
  plugin.session: {surface: plugin, feature: session, actions: [start, alive, end],
                   attributes: [session_id, installation_id]}
"""
TALKATIVE = (
    "log_statement = 'all'",
    "log_min_duration_statement = 0",
    "log_error_verbosity = 'verbose'",
)
PIPELINE = {"exporters": ["postgres", "otlphttp", "logs"]}
PERSONAL = ("email", "ipv4", "phone", "snowflake", "jwt", "key", "url")
JWT_SECRET = secrets.token_hex(32)


class Backend(BaseHTTPRequestHandler):
    """Takes everything, and keeps it."""

    received: ClassVar[list[bytes]] = []

    def do_POST(self):
        body = self.rfile.read(int(self.headers["content-length"]))
        if self.headers["content-encoding"] == "gzip":
            body = gzip.decompress(body)
        self.received.append(str(self.headers).encode() + body)
        self.send_response(200)
        self.send_header("content-length", "0")
        self.end_headers()

    def log_message(self, *_):
        """Nothing."""


class Client:
    """Sends, and keeps what it is answered."""

    def __init__(self, address):
        self.http = httpx.Client(base_url=f"http://{address}", timeout=60, verify=False)
        self.answers = []

    def send(self, method, path, body=None, **headers):
        said = {name.replace("_", "-"): value for name, value in headers.items()}
        content = None if body is None else json.dumps(body)
        said |= {} if body is None else {"content-type": "application/json"}
        answer = self.http.request(method, path, content=content, headers=said)
        self.answers.append(str(answer.headers).encode() + answer.content)
        return answer


def configuration(home, dsn, backend):
    (home / "events.yaml").write_text(CATALOG)
    write_keys(home / "keys.yaml", site=(NAMES, {"names_viewers": True}))
    told = {
        "receivers": {
            "otlp": {
                "protocols": {"grpc": None, "http": {"endpoint": "127.0.0.1:0"}},
                "auth": {"keys_file": "keys.yaml"},
            },
            "http_api": {
                "identity": {
                    "jwt": {"algorithms": ["HS256"], "secret": JWT_SECRET},
                    "header": {"name": "x-viewer", "from": ["127.0.0.1"]},
                },
                "psr": {"enabled": True},
            },
        },
        "processors": {"footfall": {"catalog": "events.yaml", "hash_salt": secrets.token_hex(32)}},
        "exporters": {
            "postgres": {"dsn": dsn, "spool": {"directory": "spool", "max_mib": 1}},
            "otlphttp": {"endpoint": backend, "pseudonyms": True},
            "logs": {"path": str(home / "events.jsonl"), "pseudonyms": True},
        },
        "service": {
            "pipelines": {
                s: {"exporters": ["postgres", "otlphttp", "logs"]}
                for s in ("logs", "traces", "metrics")
            },
            "operator": None,
            "telemetry": {"logs": {"level": "debug", "encoding": "json"}},
        },
    }
    path = home / "collector.yaml"
    path.write_text(json.dumps(told))
    return path


def bearer(place, **claims):
    now = int(time.time())
    token = {
        "exp": now + 600,
        "sub": place.text("subject"),
        "sid": place.text("session of a JWT"),
        **claims,
    }
    return "Bearer " + jwt.encode(token, JWT_SECRET, "HS256")


def event(book, place, *, kept=True, **more):
    """One whose note is stored, apart from what is personal in it."""
    word = book.declare(f"{place.where} / note", kept=kept)
    return {
        "event": "prompt_copied",
        "ts": time.time() * 1000,
        "session_id": place.text("session id"),
        "prompt_id": place.text("prompt"),
        "user_id": place.text("user id"),
        "note": " ".join([word, *(place.of(kind, "note") for kind in PERSONAL)]),
        place.text("a key"): place.text("a value"),
        "q": place.text("a raw query"),
        "email": place.of("email", "email"),
        "nested": {place.text("nested key"): [place.text("nested value")]},
        **more,
    }


def whoever(place):
    """Each way to say who asks, with what a browser and a proxy add."""
    address = {
        "x_forwarded_for": place.of("ipv4", "address"),
        "user_agent": place.text("user agent"),
    }
    address |= {
        "cookie": f"sd_viewer={place.text('cookie')}",
        "referer": place.of("url", "referer"),
    }
    yield {"authorization": bearer(place), **address}
    yield {"x_viewer": place.text("viewer of a header"), **address}
    yield {
        "authorization": f"Bearer {NAMES}",
        "footfall_viewer": place.text("viewer of a key"),
        **address,
    }


def body_of(path, book, place):
    """What a route takes."""
    if path == "ingest":
        return {"event": "suggestion_shown", "count": 2, "viewer_id": place.text("viewer id")}
    if path == "track":
        said = {"userId": place.text("user"), "sessionId": place.text("session")}
        now, properties = time.time() * 1000, event(book, place)
        return {"event": "prompt_copied", "timestamp": now, "properties": properties, **said}
    if path == "events":
        rejected = event(book, place, kept=False, body=place.text("body"))
        return {"events": [event(book, place), rejected]}
    return {
        "prompt_id": place.text("rated"),
        "rating": 4,
        "source": "copy",
        "version": place.of("email", "version"),
        "title": place.text("title"),
        "note": f"good {place.of('phone', 'rating')}",
    }


def take_through(book, client, situation):
    """Every route, in every way to ask, taken and refused."""
    for path in ("ingest", "track", "events", "psr"):
        place = Place(book, situation, path)
        for who in whoever(place):
            named = {"idempotency_key": place.text("a name")} | who
            body = body_of(path, book, place)
            client.send("POST", f"/telemetry/{path}", body, **named)
            client.send(
                "POST", f"/telemetry/{path}", {**body, "more": place.text("conflict")}, **named
            )
            undeclared = {
                "event": place.text("an event"),
                "ts": 1,
                "rating": place.text("a rating"),
            }
            client.send("POST", f"/telemetry/{path}", undeclared, **who)
        client.send(
            "POST", f"/telemetry/{path}", body, authorization=f"Bearer {place.text('token')}"
        )
        client.send(
            "POST",
            f"/telemetry/{path}?user={place.text('query')}",
            body,
            x_viewer="\x01" + place.text("no name"),
        )
    place = Place(book, situation, "reads")
    for who in whoever(place):
        client.send("GET", f"/telemetry/summary?days={place.text('days')}", **who)
        client.send("GET", f"/telemetry/{place.text('a path')}", **who)
        client.send(
            "GET", f"/telemetry/start-session?installation_id={place.text('no uuid')}", **who
        )


def live(book, client, situation):
    """A session from its start to its end."""
    place = Place(book, situation, "session")
    own = str(uuid.UUID(int=book.random.getrandbits(128), version=4))
    place.plant("installation", own, own, own.replace("-", ""))
    begun = client.send("GET", f"/telemetry/start-session?installation_id={own}").json()
    if "session_id" not in begun:
        return
    session, token = begun["session_id"], begun["session_token"]
    place.plant("session", session, session, session.replace("-", ""))
    place.plant("token", token, token)
    told = {"authorization": f"Bearer {token}"}
    client.send("POST", "/telemetry/ingest", event(book, place), **told)
    client.send("POST", "/telemetry/ingest", event(book, place) | {"session_token": token})
    client.send("GET", "/telemetry/still-alive", **told)
    other = client.send("GET", f"/telemetry/start-session?installation_id={own}").json()
    place.plant("session", other["session_id"], other["session_id"])
    place.plant("token", other["session_token"], other["session_token"])
    forgotten = {"authorization": f"Bearer {other['session_token']}"}
    assert client.send("DELETE", "/telemetry/installation", **forgotten).json()["sessions"] == 2
    client.send("GET", "/telemetry/end-session", **told)


@pytest.fixture(scope="module")
def evidence(pristine):
    """(what was planted, what is left by place)."""
    book, home, backend = Book(), make_directory(), ThreadingHTTPServer(("127.0.0.1", 0), Backend)
    Thread(target=backend.serve_forever, daemon=True).start()
    server = EmbeddedPostgres(copied(pristine, home / "postgres"), {"fsync": "off"})
    up = None
    try:
        dsn = server.start()
        with psycopg.connect(dsn, autocommit=True) as connection:
            for setting in TALKATIVE:
                connection.execute(f"ALTER DATABASE footfall SET {setting}")
        up = Up(configuration(home, dsn, f"http://127.0.0.1:{backend.server_port}"))
        client = Client(asyncio.run(up.address("OTLP/HTTP")))
        take_through(book, client, "all is well")
        live(book, client, "all is well")
        server.stop()
        take_through(book, client, "Postgres is away")
        live(book, client, "Postgres is away")
        server.start()
        words = [value.value.encode() for value in book.declared]
        wait_until(lambda: all(word in b"".join(Backend.received) for word in words), 90)
        up.stop()
        server.stop()
        client.http.close()
        yield book, places(home, client)
    finally:
        if up is not None:
            up.stop()
        server.stop()
        backend.shutdown()
        backend.server_close()
        shutil.rmtree(home)


def places(home, client):
    files = {
        path.relative_to(home): path.read_bytes() for path in home.rglob("*") if path.is_file()
    }
    data = {str(name): content for name, content in files.items() if "data" in name.parts}
    return {
        "data directory": b"".join(data.values()),
        "server log": files[next(n for n in files if n.name == "postgres.log")],
        "log": (home / "collector.log").read_bytes(),
        "spool": b"".join(content for name, content in files.items() if "spool" in name.parts),
        "sent on": b"".join(Backend.received) + (home / "events.jsonl").read_bytes(),
        "answers": b"".join(client.answers),
    }


@pytest.fixture(scope="module")
def hits(evidence):
    book, left = evidence
    search = Search([*book.secrets, *book.declared, *book.lost])
    return cache(lambda place: search.find(left[place]))


PLACES = ("data directory", "server log", "log", "spool", "sent on", "answers")


@pytest.mark.parametrize("place", PLACES)
def test_nobody_is_found_anywhere(evidence, hits, place):
    book, _ = evidence
    where = {value.where for value in book.secrets}
    own = "session / session", "session / token"  # what start-session gives is in its answer
    found = [hit for hit in hits(place) if hit.planted in book.secrets or hit.planted is None]
    if place == "answers":
        found = [hit for hit in found if not (hit.planted and hit.planted.where.endswith(own))]
    assert [str(hit) for hit in found[:20]] == []
    assert len(where) > 200


@pytest.mark.parametrize("place", ["data directory", "sent on"])
def test_what_is_declared_is_found_by_the_same_search(evidence, hits, place):
    book, _ = evidence
    there = {hit.planted for hit in hits(place)}
    assert [value.where for value in book.declared if value not in there] == []


@pytest.mark.parametrize(
    ("place", "said"),
    [
        ("server log", b"INSERT INTO footfall.housekeeping"),
        ("log", b"Postgres is away"),
        ("sent on", b"prompt_copied"),
        ("answers", b'"accepted":1'),
        ("data directory", b"[email]"),
    ],
)
def test_the_places_have_been_searched(evidence, place, said):
    assert said in evidence[1][place]
