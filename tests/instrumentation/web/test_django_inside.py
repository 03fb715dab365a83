"""Inside a Django view its use is the current one; a streamed response lasts until its end."""

import json
import time
from pathlib import Path

import pytest

from instrumentation.programs import run

CATALOG = """
product: shop
error_types: [sold_out, bad_request]
attributes:
  part: {type: enum, values: [sync, async, stream]}
events:
  seed.view:
    surface: web
    feature: view
    attributes: [part]
    match: [{route: "GET /view/<kind>"}, {route: "GET /view/async/<kind>"}]
  seed.stream:
    surface: web
    feature: stream
    attributes: [part]
    match: [{route: "GET /stream/<kind>/<end>"}]
  seed.made: {surface: web, feature: made, attributes: [part]}
"""
PROJECT = """
import asyncio, io, json, sys, time
import django, httpx
from django.conf import settings
from django.http import FileResponse, HttpResponse, StreamingHttpResponse
from django.urls import path

sys.path.insert(0, TESTS)
from instrumentation.servers import asgi_server, wsgi_server
import footfall
from footfall.web import instrument_django, route_event

class SoldOut(Exception): ...

def say(part):
    footfall.current().set(part=part)

def nothing_left():
    return type(footfall.current()).__name__ != "Measured"

def view(request, kind):
    say("sync")
    if kind == "fail": footfall.current().fail("sold_out")
    if kind == "deny": footfall.current().deny()
    with footfall.feature("seed.made", part="stream"): ...
    return HttpResponse(status=500 if kind == "deny" else 200)

async def later(request, kind):
    await asyncio.sleep(0)
    say("async")
    if kind == "afail": footfall.current().fail("sold_out")
    return HttpResponse()

@route_event("seed.made")
def made(request):
    say("sync")
    return HttpResponse()

def parts(end):
    say("stream")
    yield b"a" * 100
    time.sleep(0.1)
    if end == "broken": raise SoldOut("jane@example.org")
    for _ in range(200 if end == "left" else 1):
        yield b"b" * 100_000
        time.sleep(0.01)

async def later_parts(end):
    say("stream")
    yield b"a" * 100
    await asyncio.sleep(0.1)
    if end == "broken": raise SoldOut("jane@example.org")
    for _ in range(200 if end == "left" else 1):
        yield b"b" * 100_000
        await asyncio.sleep(0.01)

class Torn(io.BytesIO):
    def read(self, *size):
        if self.tell() > 8_000: raise SoldOut("jane@example.org")
        return super().read(*size)

def stream(request, kind, end):
    if kind == "sync": return StreamingHttpResponse(parts(end))
    if kind == "async": return StreamingHttpResponse(later_parts(end))
    content = (Torn if end == "broken" else io.BytesIO)(b"c" * 20_000)
    return FileResponse(content)

urlpatterns = [
    path("view/<kind>", view), path("view/async/<kind>", later), path("made", made),
    path("stream/<kind>/<end>", stream),
]

def sync_only(get_response):
    return lambda request: get_response(request)

settings.configure(
    ROOT_URLCONF=__name__, ALLOWED_HOSTS=["*"], SECRET_KEY="x", LOGGING_CONFIG=None,
    MIDDLEWARE=["__main__.sync_only"] if BETWEEN else [],
)
client = footfall.Client(strict=True)
instrument_django(client=client)
django.setup()
client.configure(CATALOG, ENDPOINT, enabled=True, errors={SoldOut: "sold_out"})
if ASGI:
    from django.core.asgi import get_asgi_application
    serving = asgi_server(get_asgi_application())
else:
    from django.core.wsgi import get_wsgi_application
    serving = wsgi_server(get_wsgi_application())
ends = []
with serving as url:
    for path in PATHS:
        with httpx.Client(base_url=url, trust_env=False, verify=False) as http:
            length = 0
            try:
                with http.stream("GET", path) as response:
                    for part in response.iter_raw():
                        length += len(part)
                        if path.endswith("left"): break
            except httpx.RemoteProtocolError:
                pass
            ends.append([response.status_code, length if "left" not in path else None])
        if path.endswith("left"): time.sleep(0.5)
client.flush()
client.shutdown()
print(json.dumps([ends, nothing_left()]))
"""
VIEWS = {
    "/view/ok": ("success", None, "sync"),
    "/view/fail": ("failure", "sold_out", "sync"),
    "/view/deny": ("failure", "permission_denied", "sync"),
    "/view/async/aok": ("success", None, "async"),
    "/view/async/afail": ("failure", "sold_out", "async"),
    "/made": ("success", None, "sync"),
}
STREAMS = {
    "/stream/sync/whole": ("success", None, "stream"),
    "/stream/sync/broken": ("failure", "sold_out", "stream"),
    "/stream/sync/left": ("success", None, "stream"),
    "/stream/file/whole": ("success", None, None),
    "/stream/file/broken": ("failure", "sold_out", None),
}
LATER = {
    "/stream/async/whole": ("success", None, "stream"),
    "/stream/async/broken": ("failure", "sold_out", "stream"),
    "/stream/async/left": ("success", None, "stream"),
}


@pytest.fixture
def catalog_text():
    return CATALOG


@pytest.mark.parametrize(
    ("asgi", "between"),
    [(False, False), (True, False), (True, True)],
    ids=["wsgi", "asgi", "asgi, with a middleware that is not"],
)
def test_a_view_says_how_its_use_ended_and_a_stream_lasts(asgi, between, catalog, received):
    paths = {**VIEWS, **STREAMS, **(LATER if asgi else {})}
    known = {
        "ASGI": asgi,
        "BETWEEN": between,
        "CATALOG": str(catalog),
        "ENDPOINT": received.endpoint,
        "TESTS": str(Path(__file__).parents[2]),
        "PATHS": list(paths),
    }
    code = "".join(f"{name} = {value!r}\n" for name, value in known.items()) + PROJECT
    before = time.monotonic()
    done = run("-W", "ignore:StreamingHttpResponse must", "-c", code)
    assert done.returncode == 0, done.stderr
    ends, nothing_left = json.loads(done.stdout.splitlines()[-1])
    assert nothing_left
    assert time.monotonic() - before < 60
    observed = [
        (o["feature.action"], o.get("error.type"), o.get("part"))
        for o in received.observations()
        if (o["event"], o.get("part")) != ("seed.made", "stream")
    ]
    assert observed == list(paths.values())
    whole = {path: end for path, end in zip(paths, ends, strict=True) if "whole" in path}
    assert all(end[1] in (100_100, 20_000) for end in whole.values())
    lengths = [s.end_time_unix_nano - s.start_time_unix_nano for s in received.spans()]
    assert max(lengths) > 90e6
    assert b"jane" not in received.bytes
    assert received.dropped() == {}
