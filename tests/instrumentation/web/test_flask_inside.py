"""Inside a Flask view its use is the current one; a streamed response lasts until its end."""

import contextlib
import io
import time

import flask
import httpx
import pytest
from werkzeug.wsgi import FileWrapper

import footfall
from footfall.web import instrument_flask, route_event
from instrumentation.web.shop import SoldOut
from support.waiting import wait_until

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
    match: [{route: "GET /view/<kind>"}, {route: "GET /later/<kind>"}, {route: "GET /static/<path:filename>"}]
  seed.stream:
    surface: web
    feature: stream
    attributes: [part]
    match: [{route: "* /stream/<kind>/<end>"}]
  seed.made: {surface: web, feature: made, attributes: [part]}
"""


class Torn(io.BytesIO):
    def read(self, *size):
        if self.tell() > 8_000:
            raise SoldOut("jane@example.org")
        return super().read(*size)


class Closing:
    """Parts that want to be closed, and do not begin before they are asked."""

    def __init__(self, parts, closed):
        self._parts = parts
        self._closed = closed

    def __iter__(self):
        return self._parts

    def close(self):
        self._closed.append(True)


@pytest.fixture
def catalog_text():
    return CATALOG


@pytest.fixture
def closed():
    return []


@pytest.fixture
def app(client, closed, tmp_path):
    (tmp_path / "a.txt").write_bytes(b"d" * 20_000)
    app = flask.Flask("shop", static_folder=tmp_path, static_url_path="/static")

    def parts(end):
        footfall.current().set(part="stream")
        yield b"a" * 100
        time.sleep(0.1)
        if end == "broken":
            raise SoldOut("jane@example.org")
        for _ in range(200 if end == "left" else 1):
            yield b"b" * 100_000
            time.sleep(0.01)

    @app.get("/view/<kind>")
    def view(kind):
        footfall.current().set(part="sync")
        if kind == "fail":
            footfall.current().fail("sold_out")
        with client.feature("seed.made", part="stream"):
            return "", 200

    @app.post("/made")
    @route_event("seed.made")
    def made():
        footfall.current().deny()
        return ""

    @app.route("/stream/<kind>/<end>")
    def stream(kind, end):
        if kind == "generator":
            return parts(end)
        if kind == "closing":
            return flask.Response(Closing(parts(end), closed))
        if kind == "context":
            return flask.Response(flask.stream_with_context(parts(end)))
        if kind == "direct":
            return flask.Response(parts(end), direct_passthrough=True)
        content = (Torn if end == "broken" else io.BytesIO)(b"c" * 20_000)
        return flask.send_file(content, mimetype="text/plain")

    instrument_flask(app, client=client)
    return app


def outcomes(client, received):
    assert client.flush()
    return [
        (o["event"], o["feature.action"], o.get("error.type"), o.get("part"))
        for o in received.observations()
    ]


def test_a_view_says_how_its_use_ended(app, client, received, serve_wsgi):
    http = serve_wsgi(app)
    http.get("/view/ok")
    http.get("/view/fail")
    http.post("/made")
    assert type(footfall.current()).__name__ != "Measured"
    assert outcomes(client, received) == [
        ("seed.made", "success", None, "stream"),
        ("seed.view", "success", None, "sync"),
        ("seed.made", "success", None, "stream"),
        ("seed.view", "failure", "sold_out", "sync"),
        ("seed.made", "failure", "permission_denied", None),
    ]


@pytest.mark.parametrize("kind", ["generator", "closing", "context", "direct", "file"])
def test_a_stream_lasts_until_its_end_and_fails_when_it_breaks(
    kind, app, client, received, serve_wsgi, closed
):
    http = serve_wsgi(app)
    whole = http.get(f"/stream/{kind}/whole").content
    assert len(whole) == (20_000 if kind == "file" else 100_100)
    with contextlib.suppress(httpx.RemoteProtocolError):
        http.get(f"/stream/{kind}/broken")
    http.head(f"/stream/{kind}/whole")
    wait_until(lambda: len(outcomes(client, received)) == 3)
    part = None if kind == "file" else "stream"
    assert outcomes(client, received) == [
        ("seed.stream", "success", None, part),
        ("seed.stream", "failure", "sold_out", part),
        ("seed.stream", "success", None, None),
    ]
    assert closed == ([True] * 3 if kind == "closing" else [])
    length = received.spans()[0].end_time_unix_nano - received.spans()[0].start_time_unix_nano
    assert kind == "file" or length > 90e6
    assert b"jane" not in received.bytes


@pytest.mark.parametrize("kind", ["generator", "closing"])
def test_a_client_that_leaves_had_enough(kind, app, client, received, serve_wsgi):
    http = serve_wsgi(app)
    with http.stream("GET", f"/stream/{kind}/left") as response:
        next(response.iter_raw())
    wait_until(lambda: outcomes(client, received))
    assert outcomes(client, received) == [("seed.stream", "success", None, "stream")]


def test_files_are_sent_as_files(app, client, received, serve_wsgi):
    """Servers send a file by its class in a quicker way: it stays what it is."""
    http = serve_wsgi(app)
    assert len(http.get("/static/a.txt").content) == 20_000
    part = http.get("/static/a.txt", headers={"range": "bytes=5-9"})
    assert (part.status_code, len(part.content)) == (206, 5)
    assert http.get("/static/none.txt").status_code == 404
    with app.test_request_context("/stream/file/whole"):
        response = app.full_dispatch_request()
        assert type(response.response) is FileWrapper
        response.response.close()
    wait_until(lambda: len(outcomes(client, received)) == 4)
    found = [o[:3] for o in outcomes(client, received)]
    assert found == [
        ("seed.view", "success", None),
        ("seed.view", "success", None),
        ("seed.view", "failure", "bad_request"),
        ("seed.stream", "success", None),
    ]


def test_between_its_parts_it_is_not_the_current_use(app, client, received):
    with app.test_client() as http:
        response = http.get("/stream/generator/whole", buffered=False)
        items = response.iter_encoded()
        next(items)
        assert type(footfall.current()).__name__ != "Measured"
        response.close()
        assert type(footfall.current()).__name__ != "Measured"
    assert outcomes(client, received) == [("seed.stream", "success", None, "stream")]
