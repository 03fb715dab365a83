"""Applications within applications, by path and by host: their routes are counted by their whole template."""

import pytest
from fastapi import APIRouter, FastAPI
from starlette.applications import Starlette
from starlette.middleware.cors import CORSMiddleware
from starlette.responses import PlainTextResponse
from starlette.routing import Host, Mount, Route, Router

import footfall
from footfall.web import instrument_asgi, instrument_fastapi, route_event

CATALOG = """
product: shop
error_types: [bad_request, sold_out]
attributes:
  part: {type: enum, values: [inside]}
events:
  shop.item:
    surface: api
    feature: item
    attributes: [part]
    match: [{route: "GET /shops/{shop}/items/{item}"}]
  host.item:
    surface: api
    feature: host
    attributes: [part]
    match: [{route: "GET /items/{item}"}]
  deep.item:
    surface: api
    feature: deep
    attributes: [part]
    match: [{route: "GET /api/v1/items/{item}"}]
  other.path:
    surface: api
    feature: other
    match: [{route: "GET /opaque"}]
  seed.made: {surface: api, feature: made, attributes: [part]}
"""
OTHER = {"host": "shop.example.org"}


@pytest.fixture
def catalog_text():
    return CATALOG


def outcomes(client, received):
    assert client.flush()
    return [(o["event"], o.get("part"), o.get("error.type")) for o in received.observations()]


def inside():
    footfall.current().set(part="inside")
    return PlainTextResponse("x")


async def opaque(scope, receive, send):
    await PlainTextResponse("x")(scope, receive, send)


def item_of_starlette(request):
    return inside()


def starlette():
    items = [Route("/items/{item}", item_of_starlette)]
    return Starlette(
        routes=[
            Host("{name}.example.org", app=Router(items)),
            Mount("/shops/{shop}", app=CORSMiddleware(Starlette(routes=items), ["*"])),
            Mount("/api", routes=[Mount("/v1", routes=items)]),
            Mount("/opaque", app=opaque),
            Mount("", routes=[Route("/made", route_event("seed.made")(item_of_starlette))]),
        ]
    )


def fastapi():
    app, shop, of_a_host = FastAPI(), FastAPI(), FastAPI()
    api, version = APIRouter(prefix="/api"), APIRouter(prefix="/v1")

    for each in (shop, of_a_host, version):

        @each.get("/items/{item}")
        def item(item: int):
            return inside()

    @version.get("/made", include_in_schema=False)
    def unrelated(): ...

    @app.get("/made")
    @route_event("seed.made")
    async def made():
        return inside()

    api.include_router(version)
    app.include_router(api)
    app.mount("/shops/{shop}", CORSMiddleware(shop, ["*"]))
    app.mount("/opaque", opaque)
    app.host("{name}.example.org", of_a_host)
    return app


@pytest.mark.parametrize("framework", [starlette, fastapi], ids=lambda f: f.__name__)
@pytest.mark.parametrize("twice", [False, True], ids=["once", "the mounted one too"])
def test_routes_are_counted_by_their_whole_template(framework, twice, client, received, serve):
    app = framework()
    if twice:
        for route in app.routes:
            if isinstance(route, Mount) and route.path == "/shops/{shop}":
                route.app.app = instrument_asgi(route.app.app, client=client)
    http = serve(instrument_asgi(app, client=client))
    for path in ("/shops/a/items/1", "/api/v1/items/2", "/made", "/opaque/at/all"):
        assert http.get(path).status_code == 200
    assert http.get("/items/3", headers=OTHER).status_code == 200
    assert http.get("/items/3").status_code == 404
    assert http.get("/shops/a/nothing").status_code == 404
    assert http.get("/nothing", headers=OTHER).status_code == 404
    assert outcomes(client, received) == [
        ("shop.item", "inside", None),
        ("deep.item", "inside", None),
        ("seed.made", "inside", None),
        ("other.path", None, None),
        ("host.item", "inside", None),
    ]
    assert received.dropped() == {}


def test_a_marked_handler_is_the_current_use_and_counts_from_its_start(client, received, serve):
    app = FastAPI()

    @app.post("/made")
    @route_event("seed.made")
    def made(name: str):
        return inside()

    instrument_fastapi(app, client=client)
    http = serve(app)
    assert http.post("/made", params={"name": "x"}).status_code == 200
    assert http.post("/made").status_code == 422
    assert http.get("/made").status_code == 405
    assert outcomes(client, received) == [
        ("seed.made", "inside", None),
        ("seed.made", None, "bad_request"),
        ("seed.made", None, "bad_request"),
    ]


def test_fastapi_in_a_router_of_starlette_needs_no_routes_of_its_own_kind(client, received, serve):
    class Odd(Route):
        """A route of another kind, as frontends and others are."""

    app = Starlette(routes=[Odd("/items/{item}", item_of_starlette), Mount("/files", app=opaque)])
    http = serve(instrument_asgi(app, client=client))
    assert http.get("/items/1").status_code == 200
    assert outcomes(client, received) == [("host.item", "inside", None)]
