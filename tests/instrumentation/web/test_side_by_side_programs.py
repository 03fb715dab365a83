"""The same for whole processes: Django, Logfire, `opentelemetry-instrument`, global providers."""

import functools
import json
import re
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from instrumentation.programs import run

TESTS = str(Path(__file__).parents[2])
START = """
import json, sys
sys.path.insert(0, TESTS)
import httpx
from opentelemetry import metrics, trace
import footfall
from instrumentation.servers import asgi_server, wsgi_server
from instrumentation.web.hosts import Host
host = Host()
footfall.configure(CATALOG, ENDPOINT, enabled=True)

def serve(server, app, paths):
    with server(app) as url, httpx.Client(base_url=url, trust_env=False, verify=False) as http:
        answers = [(r.status_code, r.text) for r in map(http.get, paths)]
    assert bool(footfall.flush(5))
    port = url.rpartition(":")[2]
    print(json.dumps([host.exported(port), answers]))

def go(theirs, ours):
    for step in STEPS:
        {"theirs": theirs, "ours": ours}[step]()
"""
DJANGO = """
import django
from django.conf import settings
from django.core.asgi import get_asgi_application
from django.core.wsgi import get_wsgi_application
from django.http import HttpResponse
from django.urls import path
from opentelemetry.instrumentation.django import DjangoInstrumentor
def broken(request, kind): raise KeyError
urlpatterns = [
    path("seeds/<int:id>", lambda request, id: HttpResponse("seed")), path("raise/<kind>", broken),
]
settings.configure(
    ROOT_URLCONF=__name__, ALLOWED_HOSTS=["*"], SECRET_KEY="x", LOGGING_CONFIG=None,
    MIDDLEWARE=["django.middleware.common.CommonMiddleware"],
)
hooks = dict(request_hook=host.hook("request"), response_hook=host.hook("response"))
def theirs():
    DjangoInstrumentor().uninstrument() if AGAIN else None
    DjangoInstrumentor().instrument(middleware_position=POSITION, **hooks, **host.providers)
go(theirs, footfall.instrument_django)
django.setup()
app, server = (get_asgi_application(), asgi_server) if ASGI else (get_wsgi_application(), wsgi_server)
serve(server, app, ["/seeds/1", "/raise/it", "/nowhere"])
"""
LOGFIRE = """
import logfire
from fastapi import FastAPI
from flask import Flask
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
fastapi, flask = FastAPI(), Flask("shop")
fastapi.get("/seeds/{id}")(lambda id: id)
flask.get("/seeds/<int:id>")(lambda id: "seed")
logfire.configure(
    send_to_logfire=False, console=False, additional_span_processors=[SimpleSpanProcessor(host.spans)]
)
if FASTAPI:
    go(lambda: logfire.instrument_fastapi(fastapi), lambda: footfall.instrument_fastapi(fastapi))
    serve(asgi_server, fastapi, ["/seeds/1", "/nowhere"])
else:
    go(lambda: logfire.instrument_flask(flask), lambda: footfall.instrument_flask(flask))
    serve(wsgi_server, flask, ["/seeds/1", "/nowhere"])
"""
GLOBAL = """
from fastapi import FastAPI
from opentelemetry.instrumentation.fastapi import FastAPIInstrumentor
app = FastAPI()
app.get("/seeds/{id}")(lambda id: id)
def provide(): trace.set_tracer_provider(host.tracers); metrics.set_meter_provider(host.meters)
provide() if FIRST else None
theirs = (lambda: None) if NATIVE else lambda: FastAPIInstrumentor.instrument_app(app)
go(theirs, lambda: footfall.instrument_fastapi(app))
provide() if not FIRST else None
serve(asgi_server, app, ["/seeds/1", "/nowhere"])
"""
ORDERS = [("ours", "theirs"), ("theirs", "ours")]


@pytest.fixture
def program(catalog, received):
    """Runs a program; returns what the host has exported, and its answers."""

    @functools.cache
    def exported(code, steps, **known):
        known |= {
            "CATALOG": str(catalog),
            "ENDPOINT": received.endpoint,
            "TESTS": TESTS,
            "STEPS": steps,
        }
        head = "".join(f"{name} = {value!r}\n" for name, value in known.items())
        done = run("-c", textwrap.dedent(head + START + code))
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout.splitlines()[-1])

    return exported


def compare(program, received, code, orders=ORDERS, **known):
    alone = program(code, ("theirs",), **known)
    (spans, *_), answers = alone
    assert spans
    assert answers[0][0] == 200
    for steps in orders:
        received.traces.clear()
        assert program(code, steps, **known) == alone, steps
        assert "seed.get" in [o["event"] for o in received.observations()], steps


@pytest.mark.parametrize(
    ("asgi", "position", "again"),
    [(False, 0, False), (True, 0, False), (False, 1, False), (True, 0, True)],
)
def test_django(program, received, asgi, position, again):
    orders = ORDERS if (position, again) == (0, False) else ORDERS[:1]
    compare(program, received, DJANGO, orders, ASGI=asgi, POSITION=position, AGAIN=again)


@pytest.mark.parametrize("fastapi", [True, False], ids=["fastapi", "flask"])
def test_logfire(program, received, fastapi):
    compare(program, received, LOGFIRE, FASTAPI=fastapi)


@pytest.mark.parametrize(("native", "first"), [(True, False), (False, True), (False, False)])
def test_a_global_provider_that_is_set_before_or_after(program, received, native, first):
    compare(program, received, GLOBAL, ORDERS[:1], FIRST=first, NATIVE=native)


AUTOMATIC = """
import sys
import footfall
from {framework} import {cls}
app = {cls}(__name__)
app.get("/seeds/{rule}")(lambda id: "seed")
if sys.argv[1] == "beside":
    footfall.configure({catalog!r}, {endpoint!r}, enabled=True)
    footfall.instrument_{framework}(app)
{client}.get("/seeds/1")
"""
CLIENTS = {
    "fastapi": ("FastAPI", "{id}", "__import__('fastapi.testclient').testclient.TestClient(app)"),
    "flask": ("Flask", "<int:id>", "app.test_client()"),
}


@pytest.mark.parametrize("framework", CLIENTS)
def test_opentelemetry_instrument(tmp_path, catalog, received, framework):
    cls, rule, client = CLIENTS[framework]
    program = tmp_path / "program.py"
    code = AUTOMATIC.format(
        framework=framework, cls=cls, rule=rule, client=client, catalog=str(catalog),
        endpoint=received.endpoint,
    )  # fmt: skip
    program.write_text(code.replace("FastAPI(__name__)", "FastAPI()"))
    seen = {}
    for way in ("alone", "beside"):
        done = subprocess.run(
            [Path(sys.executable).with_name("opentelemetry-instrument"), "--traces_exporter", "console",
             "--metrics_exporter", "none", "--logs_exporter", "none", sys.executable, program, way],
            capture_output=True, text=True, timeout=60, check=True,
        )  # fmt: skip
        seen[way] = re.findall(r'"(?:name|kind|http.route)": "(.*)"', done.stdout)
    assert seen["alone"]
    assert seen["beside"] == seen["alone"]
    assert [o["event"] for o in received.observations()] == ["seed.get"]
