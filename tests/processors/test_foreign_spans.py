"""Spans of other instrumentations, which the catalog's rules make events of."""

import datetime as dt
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from footfall_processors import Loss, Policy, Service, load_catalog
from footfall_processors.atoms import Origin
from footfall_processors.matching import LONGEST, REMEMBERED

CATALOG = """
product: shop
events:
  shop.order:
    surface: web
    feature: order
    match:
      - route: GET /orders/{id}
      - route: GET /orders/<int:id>
      - route: GET /orders/:id
      - route: GET /^orders/(?P<id>[0-9]+)/$
      - route: GET /orders/[id]
  shop.cancel:
    surface: web
    feature: cancel
    actions: [cancel, failure]
    match: [{route: "DELETE /orders/{id}", action: cancel}]
  shop.admin:
    surface: web
    feature: admin
    match: [{route: "* /admin/*"}, {span: admin *}]
  shop.users:
    surface: web
    feature: users
    actions: [view]
    match: [{route: "GET /admin/users*", action: view}, {route: "* /"}]
  shop.checkout:
    surface: web
    feature: checkout
    match: [{span: checkout.submit}, {span: GET /admin/checkout}]
"""
TODAY = dt.date(2026, 11, 28)


@pytest.fixture(scope="module")
def policy(tmp_path_factory):
    file = tmp_path_factory.mktemp("catalog") / "events.yaml"
    file.write_text(CATALOG)
    return Policy(load_catalog(file))


def judge(policy, name, *pairs, failed=None, origin=Origin.SERVER):
    atoms = [policy.classify(*pair) for pair in pairs]
    return policy.judge(Service(), name, failed, atoms, TODAY, origin)


def event(verdict):
    """The event and its action, or the reason why there is none."""
    if verdict.shape is None:
        return verdict.refused
    return f"{verdict.shape.dimension.event}.{verdict.shape.dimension.action}"


def request(policy, route, method="GET", *, name="GET", **fields):
    return judge(policy, name, ("http.request.method", method), ("http.route", route), **fields)


@pytest.mark.parametrize(
    "route",
    [
        "/orders/{id}",  # FastAPI, Spring, JAX-RS, Go
        "/orders/<int:id>",  # Flask
        "orders/<int:id>",  # Django
        "^orders/(?P<id>[0-9]+)/$",  # Django, with a regular expression
        "/orders/:id",  # Express, Rails, Gin
        "orders/{id}",  # ASP.NET Core
        "GET /orders/{id}",  # Go's ServeMux, as the pattern was registered
        "GET shop.example/orders/{id}",
        "/orders/[id]",  # Next.js
    ],
)
def test_a_route_is_known_as_the_framework_writes_it(policy, route):
    assert event(request(policy, route)) == "shop.order.success"


@pytest.mark.parametrize(
    "route",
    ["/orders/{order_id}", "/orders/{id}/", "//orders/{id}", "/orders/17", "/ORDERS/{id}", "", " ",
     "get /orders/{id}", "GET ", "GET orders", "/orders/{id} ", "/orders/i", "/orders/d"],
)  # fmt: skip
def test_and_nothing_is_guessed(policy, route):
    assert event(request(policy, route)) is Loss.UNDECLARED_EVENT


@pytest.mark.parametrize(
    ("method", "route", "expected"),
    [
        ("GET", "/orders/{id}", "shop.order.success"),
        ("DELETE", "/orders/{id}", "shop.cancel.cancel"),
        ("HEAD", "/orders/{id}", Loss.UNDECLARED_EVENT),
        ("OPTIONS", "/orders/{id}", Loss.UNDECLARED_EVENT),
        ("get", "/orders/{id}", Loss.UNDECLARED_EVENT),
        ("*", "/orders/{id}", Loss.UNDECLARED_EVENT),
        ("HEAD", "GET /orders/{id}", Loss.UNDECLARED_EVENT),  # Go serves it by the pattern of GET
        ("OPTIONS", "/admin/keys", "shop.admin.success"),
        ("_OTHER", "/admin/keys", "shop.admin.success"),
        ("GET", "/admin/keys", "shop.admin.success"),
        ("GET", "/admin/users/{id}", "shop.users.view"),  # the longer pattern
        ("POST", "/admin/users/{id}", "shop.admin.success"),
        ("POST", "/", "shop.users.view"),  # the only action there is
    ],
)
def test_of_rules_that_fit_the_best_counts_and_only_for_its_method(policy, method, route, expected):
    assert event(request(policy, route, method)) == expected
    old = judge(policy, "x", ("http.method", method), ("http.route", route))
    assert event(old) == expected


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("checkout.submit", "shop.checkout.success"),
        ("admin keys", "shop.admin.success"),
        ("admin ", "shop.admin.success"),
        ("admin", Loss.UNDECLARED_EVENT),
        ("checkout.submitted", Loss.UNDECLARED_EVENT),
        ("admin " + "x" * LONGEST, Loss.UNDECLARED_EVENT),
        ("", Loss.UNDECLARED_EVENT),
    ],
)
@pytest.mark.parametrize("origin", [Origin.SPAN, Origin.SERVER])
def test_a_span_is_known_by_its_name_whatever_its_kind(policy, name, expected, origin):
    assert event(judge(policy, name, origin=origin)) == expected


def test_an_exact_rule_wins_over_one_with_a_star_and_a_name_over_a_route(policy):
    found = [
        event(request(policy, route, name=name))
        for name, route in [
            ("admin keys", "/orders/{id}"),  # a star, exact
            ("checkout.submit", "/admin/keys"),  # exact, a star
            ("checkout.submit", "/orders/{id}"),  # both exact
            ("admin keys", "/admin/users/"),  # both with a star
        ]
    ]
    assert found == [
        "shop.order.success",
        "shop.checkout.success",
        "shop.checkout.success",
        "shop.admin.success",
    ]


def test_a_span_that_is_named_as_an_event_stays_it(policy):
    assert event(request(policy, "/admin/users", name="shop.order")) == "shop.order.success"
    assert event(request(policy, "/admin/users", name="shop.order.invoke")) == "shop.order.invoke"


@pytest.mark.parametrize("origin", [Origin.OTHER, Origin.SPAN])
def test_only_the_span_of_a_server_is_a_request(policy, origin):
    """NestJS, Flask inside WSGI and others make further spans of one request, with the same attributes."""
    assert event(request(policy, "/orders/{id}", origin=origin)) is Loss.UNDECLARED_EVENT


def test_and_a_counter_or_a_log_record_is_not_matched_at_all(policy):
    for name in ("checkout.submit", "admin keys"):
        found = judge(policy, name, origin=Origin.OTHER)
        assert event(found) is Loss.UNDECLARED_EVENT


@pytest.mark.parametrize(
    "pairs",
    [
        [("http.route", "/orders/{id}")],  # Express' layers, ASP.NET's endpoints
        [("http.request.method", "GET")],
        [("http.route", ["/orders/{id}"]), ("http.request.method", "GET")],
        [("http.route", "/orders/{id}"), ("http.request.method", 7)],
        [("http.target", "/orders/{id}"), ("http.request.method", "GET")],
        [("url.path", "/orders/{id}"), ("http.request.method", "GET")],
    ],
)
def test_a_request_has_a_route_and_a_method(policy, pairs):
    assert event(judge(policy, "GET", *pairs)) is Loss.UNDECLARED_EVENT


@pytest.mark.parametrize(
    ("name", "method", "expected"),
    [
        ("GET /orders/{id}", "GET", "shop.order.success"),
        ("DELETE /orders/{id}", "DELETE", "shop.cancel.cancel"),
        ("POST /", "POST", "shop.users.view"),
        ("PUT /admin/keys", "PUT", Loss.UNDECLARED_EVENT),  # a path, it may be
        ("GET /orders/{id}", "HEAD", Loss.UNDECLARED_EVENT),
        ("PUT /orders/{id}", "GET", Loss.UNDECLARED_EVENT),
        ("GET /orders/{id}", None, Loss.UNDECLARED_EVENT),
        ("GET orders/{id}", "GET", Loss.UNDECLARED_EVENT),
        ("/orders/{id}", "GET", Loss.UNDECLARED_EVENT),
        ("GET /orders/{id} http send", "GET", Loss.UNDECLARED_EVENT),
        ("GET /admin/" + "x" * LONGEST, "GET", Loss.UNDECLARED_EVENT),
    ],
)
def test_where_there_is_no_route_the_name_of_a_servers_span_says_it(policy, name, method, expected):
    pairs = [] if method is None else [("http.request.method", method)]
    assert event(judge(policy, name, *pairs)) == expected
    assert event(judge(policy, name, *pairs, origin=Origin.SPAN)) is Loss.UNDECLARED_EVENT
    # Where there is a route, it counts.
    assert event(request(policy, "/nothing", name=name)) is Loss.UNDECLARED_EVENT


@pytest.mark.parametrize(
    ("code", "expected"),
    [
        (200, ("cancel", "ok", None)),
        (303, ("cancel", "ok", None)),
        (403, ("failure", "denied", "permission_denied")),
        (404, ("failure", "error", "unexpected_error")),
        (503, ("failure", "error", "provider_unavailable")),
        (504, ("failure", "timeout", "provider_timeout")),
    ],
)
def test_a_rules_action_is_what_a_use_that_went_well_is_called(policy, code, expected):
    verdict = judge(
        policy, "DELETE", ("http.request.method", "DELETE"), ("http.route", "/orders/{id}"),
        ("http.response.status_code", code),
    )  # fmt: skip
    dimension = verdict.shape.dimension
    assert (dimension.action, dimension.status, dimension.error_type) == expected


@pytest.mark.parametrize(
    ("pairs", "failed", "expected"),
    [
        ([("error.type", "timeout")], None, ("failure", "timeout")),
        ([("error.type", "ValueError")], None, ("failure", "error")),
        (
            [("error.type", "ConnectionResetError"), ("http.response.status_code", 200)],
            None,
            ("failure", "error"),
        ),
        ([("error.type", "timeout")], False, ("success", "ok")),
        ([("error.type", "timeout"), ("feature.status", "ok")], None, ("success", "ok")),
        ([], None, ("success", "ok")),
    ],
    ids=str,
)
def test_a_span_that_names_an_error_has_failed_where_nothing_else_says(
    policy, pairs, failed, expected
):
    """Semantic conventions: instrumentations name no `error.type` of what went well."""
    found = judge(policy, "shop.order", *pairs, failed=failed).shape.dimension
    assert (found.action, found.status) == expected


def test_an_event_without_failures_keeps_the_rules_action_with_the_status_of_the_failure(policy):
    verdict = judge(
        policy, "GET", ("http.request.method", "GET"), ("http.route", "/admin/users"),
        ("http.response.status_code", 403),
    )  # fmt: skip
    dimension = verdict.shape.dimension
    assert (dimension.action, dimension.status) == ("view", "denied")


def test_old_and_new_names_together_say_it_once(policy):
    """OTEL_SEMCONV_STABILITY_OPT_IN=http/dup."""
    verdict = judge(
        policy, "GET /orders/{id}", ("http.method", "GET"), ("http.request.method", "GET"),
        ("http.route", "/orders/{id}"), ("http.status_code", 403), ("http.response.status_code", 403),
    )  # fmt: skip
    assert (event(verdict), verdict.losses) == ("shop.order.failure", ())


def test_method_and_route_are_no_loss_and_are_not_kept(policy):
    verdict = request(policy, "/orders/{id}")
    assert (verdict.losses, verdict.positions) == ((), ())
    assert "/orders" not in repr(verdict.shape)


def test_nothing_is_looked_at_where_no_rule_is_about_routes(tmp_path):
    file = tmp_path / "events.yaml"
    file.write_text("product: p\nevents:\n  e: {surface: a, feature: f, match: [{span: x}]}\n")
    policy = Policy(load_catalog(file))
    assert policy.spans
    assert policy.classify("http.route", "/x") is policy.classify("user.name", "x")
    assert policy.classify("http.request.method", "GET") is policy.classify("user.name", "x")
    file.write_text("product: p\nevents:\n  e: {surface: a, feature: f, match: [{discord: x}]}\n")
    assert not Policy(load_catalog(file)).spans


@given(route=st.text(st.characters(), max_size=300), method=st.text(max_size=9))
def test_any_route_is_one_that_a_rule_knows_or_none(policy, route, method):
    assert event(request(policy, route, method)) in {
        Loss.UNDECLARED_EVENT, "shop.order.success", "shop.cancel.cancel", "shop.admin.success",
        "shop.users.view",
    }  # fmt: skip


def test_paths_and_names_that_never_come_again_take_no_memory(policy):
    before = Counter(dict.fromkeys(policy._atoms, 1))
    for number in range(3 * REMEMBERED):
        for route in (f"/admin/{number}", f"/admin/users/{number}", f"/orders/{number}"):
            request(policy, route, f"M{number}", name=f"admin {number} {route}")
    assert len(Counter(dict.fromkeys(policy._atoms, 1)) - before) <= 8
    assert len(policy.spans._names._known) <= REMEMBERED


def test_of_a_path_nothing_is_in_its_class(policy):
    for route in ("/admin/walker", "/walker", "walker " * 99):
        assert "walker" not in repr(policy.classify("http.route", route))


def test_of_a_route_no_more_is_known_than_can_count(tmp_path):
    file = tmp_path / "events.yaml"
    file.write_text(
        "product: p\nevents:\n"
        '  a: {surface: a, feature: f, match: [{route: "* /a/*"}, {route: "GET /a/b*"}]}\n'
        '  b: {surface: a, feature: f, match: [{route: "GET /*"}, {route: "PUT /*"}]}\n'
    )
    requests = Policy(load_catalog(file)).spans.requests
    found = [[c.method for c in requests.candidates(path)] for path in ("/a/b", "/a/c", "/b")]
    assert found == [["GET", "*"], ["*"], ["GET", "PUT"]]
