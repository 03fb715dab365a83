"""Rules that fit no route are told of while developing, with the route that was probably meant."""

import logging

import flask
import httpx
import pytest
from fastapi import APIRouter, FastAPI
from starlette.applications import Starlette
from starlette.responses import PlainTextResponse
from starlette.routing import Mount, Route

import footfall.testing
from footfall.web import instrument_asgi, instrument_fastapi, instrument_flask
from instrumentation.programs import run

RULES = {
    "order.fits": "GET /orders/{id}",
    "order.any": "* /answer/{id}",
    "order.many": "GET /admin/*",
    "order.parameter": "GET /orders/{order_id}/items",
    "order.method": "PUT /refunds/{id}",
    "order.prefix": "GET /stock",
    "order.word": "GET /user/{id}",
    "order.other": "GET /of/another/service",
}
CATALOG = "product: shop\nevents:\n" + "".join(
    f'  {name}: {{surface: web, feature: x, match: [{{route: "{rule}"}}]}}\n'
    for name, rule in RULES.items()
)
BOTH = """  order.both:
    surface: web
    feature: both
    match: [{route: "GET /both/{id}"}, {route: "GET /both/<int:id>"}]
"""
OFFERED = [
    ("GET", "/orders/{id}"),
    ("POST", "/answer/{id}"),
    ("GET", "/admin/page"),
    ("GET", "/orders/{id}/items"),
    ("POST", "/refunds/{id}"),
    ("GET", "/api/stock"),
    ("GET", "/users/{id}"),
    ("GET", "/both/{id}"),
]


def hint(rule, event, near):
    return f'footfall: the rule "{rule}" of {event} fits no route; did you mean "{near}"?'


HINTS = [
    hint("GET /orders/{order_id}/items", "order.parameter", "GET /orders/{id}/items"),
    hint("PUT /refunds/{id}", "order.method", "POST /refunds/{id}"),
    hint("GET /stock", "order.prefix", "GET /api/stock"),
    hint("GET /user/{id}", "order.word", "GET /users/{id}"),
]
OTHERS = (
    "footfall: rules that fit no route of this application, maybe one of another:"
    ' "GET /of/another/service" (order.other)'
)


@pytest.fixture
def catalog_text():
    return CATALOG + BOTH


def told(caplog, level=logging.WARNING):
    return [r.getMessage() for r in caplog.records if r.name == "footfall" and r.levelno == level]


def nothing(): ...


def fastapi(client):
    app, api = FastAPI(), APIRouter()
    for method, path in OFFERED:
        if path == "/api/stock":
            api.add_api_route("/stock", nothing, methods=[method])
            continue
        app.add_api_route(path, nothing, methods=[method])
    app.include_router(api, prefix="/api")
    instrument_fastapi(app, client=client)
    return app


def starlette(client):
    def answer(request):
        return PlainTextResponse("x")

    def routes(prefix):
        return [
            Route(path.removeprefix(prefix), answer, methods=[method])
            for method, path in OFFERED
            if path.startswith("/api") == bool(prefix)
        ]

    app = Starlette(routes=[*routes(""), Mount("/api", routes=routes("/api"))])
    return instrument_asgi(app, client=client)


@pytest.mark.parametrize("framework", [fastapi, starlette], ids=lambda f: f.__name__)
async def test_they_are_told_of_once_with_the_nearest_route(framework, connect, received, caplog):
    caplog.set_level(logging.INFO, "footfall")
    client = connect(received.endpoint, environment="dev")
    transport = httpx.ASGITransport(framework(client))
    async with httpx.AsyncClient(transport=transport, base_url="http://test") as http:
        for _ in range(2):
            assert (await http.get("/nowhere")).status_code == 404
            assert (await http.get("/orders/1")).status_code in (200, 422)
    assert told(caplog) == HINTS
    assert told(caplog, logging.INFO) == [OTHERS]


@pytest.mark.parametrize("environment", [None, "production"])
async def test_elsewhere_nothing_is_said(environment, connect, received, caplog):
    caplog.set_level(logging.INFO, "footfall")
    client = connect(received.endpoint, environment=environment)
    transport = httpx.ASGITransport(fastapi(client))
    async with httpx.AsyncClient(transport=transport, base_url="http://test") as http:
        await http.get("/orders/1")
    assert told(caplog) == told(caplog, logging.INFO) == []


async def test_applications_of_one_process_are_looked_at_together(connect, received, caplog):
    client = connect(received.endpoint, environment="dev")
    app, other = fastapi(client), FastAPI()
    other.add_api_route("/user/{id}", nothing)
    instrument_fastapi(other, client=client)
    for each in (other, app):
        transport = httpx.ASGITransport(each)
        async with httpx.AsyncClient(transport=transport, base_url="http://test") as http:
            await http.get("/orders/1")
    assert told(caplog) == [line for line in HINTS if "/user/" not in line]


async def test_tests_of_an_application_do_not_fail_for_the_rules_of_another(catalog):
    client = footfall.Client(strict=True)
    with footfall.testing.capture(catalog, client) as seen:
        client.configure(catalog, environment="test")
        transport = httpx.ASGITransport(fastapi(client))
        async with httpx.AsyncClient(transport=transport, base_url="http://test") as http:
            await http.get("/orders/1")
        assert seen.mistakes() == []
        client.event("order.fits", "sucess")
        assert len(seen.mistakes()) == 2


def test_in_flask(catalog, connect, received, caplog):
    catalog.write_text(CATALOG.replace("{id}", "<int:id>").replace("{order_id}", "<int:order_id>"))
    client = connect(received.endpoint, environment="dev")
    app = flask.Flask("shop")
    for method, path in OFFERED:
        rule = path.replace("{id}", "<int:id>")
        app.add_url_rule(rule, path, lambda id=0: "", methods=[method])
    instrument_flask(app, client=client)
    app.test_client().get("/orders/1")
    wanted = [
        line.replace("{id}", "<int:id>").replace("{order_id}", "<int:order_id>") for line in HINTS
    ]
    assert told(caplog) == wanted


PROJECT = """
import logging, sys
import django
from django.conf import settings
from django.http import HttpResponse
from django.urls import include, path, re_path

logging.basicConfig(level=logging.WARNING, format="%(message)s", stream=sys.stdout)
import footfall
view = lambda request, **_: HttpResponse()
urlpatterns = [
    path("api/", include([path("orders/<int:id>", view), re_path("^seeds/(?P<id>[0-9]+)$", view)])),
    path("users/<int:id>", view),
]
settings.configure(
    ROOT_URLCONF=__name__, ALLOWED_HOSTS=["*"], SECRET_KEY="x", LOGGING_CONFIG=None
)
footfall.instrument_django()
django.setup()
footfall.configure(sys.argv[1], enabled=True, environment="dev")
from django.test import Client
Client().get("/users/1")
"""


def test_in_django(tmp_path):
    rules = {
        "a.fits": "GET /users/<int:id>",
        "a.included": "POST /orders/<int:id>",
        "a.regular": "GET /api/seeds/(?P<id>[0-9]+)$",
    }
    (tmp_path / "events.yaml").write_text(
        "product: shop\nevents:\n"
        + "".join(
            f"  {name}: {{surface: web, feature: x, match: [{{route: '{rule}'}}]}}\n"
            for name, rule in rules.items()
        )
    )
    done = run("-c", PROJECT, "events.yaml", folder=tmp_path)
    said = [line for line in done.stdout.splitlines() if "fits no route" in line]
    assert said == [hint("POST /orders/<int:id>", "a.included", "POST /api/orders/<int:id>")]
