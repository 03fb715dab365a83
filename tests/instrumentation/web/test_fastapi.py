"""Which requests are counted as which event, and how they end."""

import asyncio
import contextlib

import httpx
import pytest
from fastapi import APIRouter, FastAPI
from fastapi.responses import JSONResponse, Response
from starlette.middleware.base import BaseHTTPMiddleware

import footfall
from footfall.web import instrument_fastapi, route_event
from instrumentation.web.shop import (
    OK,
    WAYS,
    SoldOut,
    make_app,
    outcomes,
)
from support.waiting import wait_until


@pytest.mark.parametrize("way", WAYS, ids=lambda way: way.__name__)
def test_a_route_with_a_rule_is_counted_however_the_app_is_traced(
    way, client, received, serve, spans
):
    app = make_app()
    way(app, client, spans[0])
    http = serve(app)
    assert http.get("/seeds/17").json() == {"id": 17}
    with contextlib.suppress(httpx.HTTPError):
        assert http.get("/raise/sold_out").status_code == 500
    assert http.get("/other").status_code == 200
    assert http.get("/nowhere").status_code == 404
    assert outcomes(client, received) == [OK, ("seed.raise", "failure", "error", "sold_out")]
    assert received.count("seed.get", feature_action="invoke") == 1
    assert received.count("seed.raise", feature_action="invoke") == 1
    assert received.emitted() == {"seed.get": 2, "seed.raise": 2}
    assert received.dropped() == {}
    assert {o["feature.surface"] for o in received.observations()} == {"api"}


OUTCOMES = {
    200: ("success", "ok", None),
    304: ("success", "ok", None),
    400: ("failure", "error", "bad_request"),
    401: ("failure", "denied", "permission_denied"),
    403: ("failure", "denied", "permission_denied"),
    404: ("failure", "error", "bad_request"),
    408: ("failure", "timeout", "provider_timeout"),
    422: ("failure", "error", "bad_request"),
    500: ("failure", "error", "unexpected_error"),
    502: ("failure", "error", "provider_unavailable"),
    503: ("failure", "error", "provider_unavailable"),
    504: ("failure", "timeout", "provider_timeout"),
}


def test_the_answers_status_says_how_a_use_ended(client, received, serve):
    app = make_app()
    instrument_fastapi(app, client=client)
    http = serve(app)
    for status in OUTCOMES:
        assert http.get(f"/answer/{status}").status_code == status
    assert outcomes(client, received) == [("seed.answer", *each) for each in OUTCOMES.values()]
    classes = [o["status_class"] for o in received.observations()]
    assert classes == [f"{status // 100}xx" for status in OUTCOMES]


def test_an_error_that_no_catalog_declares_is_unexpected(
    tmp_path, connect, received, serve, catalog
):
    catalog.write_text(catalog.read_text().replace("bad_request, ", ""))
    client = connect(received.endpoint)
    app = make_app()
    instrument_fastapi(app, client=client)
    assert serve(app).get("/seeds/x").status_code == 422
    assert outcomes(client, received) == [("seed.get", "failure", "error", "unexpected_error")]


def test_an_exception_counts_by_its_class_and_a_handled_one_by_the_answer(client, received, serve):
    app = make_app()
    instrument_fastapi(app, client=client)
    http = serve(app)
    for kind, status in (("sold_out", 500), ("key", 500), ("timeout", 500), ("preset", 400)):
        assert http.get(f"/raise/{kind}").status_code == status
    assert outcomes(client, received) == [
        ("seed.raise", "failure", "error", "sold_out"),
        ("seed.raise", "failure", "error", "unexpected_error"),
        ("seed.raise", "failure", "timeout", "timeout"),
        ("seed.raise", "failure", "error", "invalid_preset"),
    ]


def test_inside_a_handler_the_use_of_its_route_is_the_current_one(client, received, serve):
    app = FastAPI()

    @app.get("/answer/{status}")
    def in_a_thread(status: int):
        footfall.current().set(status_class="1xx")
        footfall.current().fail("sold_out")
        return JSONResponse({}, status)

    @app.get("/seeds/{id}")
    async def in_the_loop(id: int):
        footfall.current().deny()

    instrument_fastapi(app, client=client)
    http = serve(app)
    http.get("/answer/200")
    http.get("/answer/504")
    http.get("/seeds/7")
    assert type(footfall.current()).__name__ != "Measured"
    assert outcomes(client, received) == [
        ("seed.answer", "failure", "error", "sold_out"),
        ("seed.answer", "failure", "error", "sold_out"),
        ("seed.get", "failure", "denied", "permission_denied"),
    ]


def test_a_500_that_a_handler_makes_of_an_exception_counts_by_its_class(client, received, serve):
    app = make_app()
    app.add_exception_handler(SoldOut, lambda request, error: JSONResponse({}, 500))
    app.add_exception_handler(500, lambda request, error: JSONResponse({}, 418))
    instrument_fastapi(app, client=client)
    http = serve(app)
    assert http.get("/raise/sold_out").status_code == 500
    assert http.get("/raise/key").status_code == 418, "made by the application's own last handler"
    assert [o[3] for o in outcomes(client, received)] == ["sold_out", "bad_request"]


def test_exceptions_reach_the_server_as_they_were(client):
    plain, measured = make_app(), make_app()
    instrument_fastapi(measured, client=client)
    for app in (plain, measured):
        transport = httpx.ASGITransport(app)

        async def get(transport=transport):
            async with httpx.AsyncClient(transport=transport, base_url="http://test") as http:
                await http.get("/raise/sold_out")

        with pytest.raises(SoldOut, match="jane"):
            asyncio.run(get())


def test_a_rule_with_an_action_counts_that_action_and_no_start(client, received, serve):
    app = make_app()
    instrument_fastapi(app, client=client)
    http = serve(app)
    http.get("/callback")
    http.get("/callback", params={"ok": False})
    assert outcomes(client, received) == [
        ("login.done", "callback", "ok", None),
        ("login.done", "failure", "error", "bad_request"),
    ]
    assert received.count("login.done") == 0


def test_a_request_that_is_refused_before_its_handler_is_denied(client, received, serve):
    app = make_app()

    async def guard(request, call_next):
        return (
            Response(status_code=403) if "x-stop" in request.headers else await call_next(request)
        )

    app.add_middleware(BaseHTTPMiddleware, dispatch=guard)
    instrument_fastapi(app, client=client)
    http = serve(app)
    assert http.get("/admin/page").status_code == 401
    assert http.get("/seeds/1", headers={"x-stop": "1"}).status_code == 403
    assert http.get("/seeds/1").status_code == 200
    wait_until(lambda: len(outcomes(client, received)) == 3)  # an empty part follows the answer
    assert outcomes(client, received) == [
        ("admin.page", "failure", "denied", "permission_denied"),
        ("seed.get", "failure", "denied", "permission_denied"),
        OK,
    ]


def test_a_decorated_handler_stays_itself_and_is_counted(client, received, serve):
    def handler(name: str): ...

    assert route_event("seed.made")(handler) is handler
    assert route_event("seed.made")(len) is len, "what cannot be marked is left alone"
    app = make_app()
    instrument_fastapi(app, client=client)
    http = serve(app)
    assert http.post("/made", params={"name": "x"}).json() == {"name": "x"}
    assert http.post("/made").status_code == 422
    assert outcomes(client, received) == [
        ("seed.made", "success", "ok", None),
        ("seed.made", "failure", "error", "bad_request"),
    ]
    assert received.count("seed.made", feature_action="invoke") == 2


def test_a_rule_goes_before_a_decorator_and_a_request_is_one_use(client, received, serve):
    app = FastAPI()

    @app.get("/seeds/{id}")
    @route_event("seed.made")
    def seed(id: int): ...

    instrument_fastapi(app, client=client)
    serve(app).get("/seeds/1")
    assert outcomes(client, received) == [OK]


def test_features_inside_a_handler_are_uses_of_their_own(client, received, serve):
    app = FastAPI()

    @app.get("/seeds/{id}")
    def seed(id: int):
        with client.feature("seed.inner"):
            return {}

    instrument_fastapi(app, client=client)
    serve(app).get("/seeds/1")
    assert outcomes(client, received) == [("seed.inner", "success", "ok", None), OK]


def test_other_methods_than_the_rules_are_not_counted(client, received, serve):
    app = make_app()
    instrument_fastapi(app, client=client)
    http = serve(app)
    assert http.delete("/seeds/1").status_code == 405
    assert http.head("/seeds/1").status_code == 405
    assert http.options("/seeds/1").status_code == 405
    assert http.post("/answer/200").status_code == 200, "its rule is for every method"
    assert outcomes(client, received) == [("seed.answer", "success", "ok", None)]
    assert received.dropped() == {}


def test_mounted_applications_are_matched_by_their_whole_template(client, received, serve):
    app, shop, deep = FastAPI(), FastAPI(), APIRouter(prefix="/items")

    @deep.get("/{item}")
    def item(item: int): ...

    @shop.get("/made")
    @route_event("seed.made")
    def made(): ...

    @app.get("/seeds/{id}")
    def seed(id: int): ...

    shop.include_router(deep)
    app.mount("/shops/{shop}", shop)
    instrument_fastapi(shop, client=client)
    instrument_fastapi(app, client=client)
    http = serve(app)
    assert http.get("/shops/a/items/3").status_code == 200
    assert http.get("/shops/a/made").status_code == 200
    assert http.get("/shops/a/nothing").status_code == 404
    assert http.get("/seeds/1").status_code == 200
    assert outcomes(client, received) == [
        ("shop.item", "success", "ok", None),
        ("seed.made", "success", "ok", None),
        OK,
    ]


def test_a_root_path_is_not_part_of_the_template(client, received, serve):
    app = make_app()
    app.root_path = "/prefix"
    instrument_fastapi(app, client=client)
    http = serve(app)
    assert http.get("/prefix/seeds/1").status_code == 200
    assert http.get("/seeds/1").status_code == 200
    assert outcomes(client, received) == [OK, OK]
