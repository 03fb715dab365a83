"""Rules: which event a route or a command stands for."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from footfall_processors import Catalog, DocumentError, Event, Match, Matcher, load_catalog
from footfall_processors.catalog import Rule
from footfall_processors.matching import Requests

CATALOG = """
product: shop
events:
  api.login:
    surface: api
    feature: login
    actions: [start, success, failure]
    match:
      - {route: GET /login, action: start}
      - route: "* /callback/{provider}"
  bot.generator:
    surface: discord
    feature: generator
    match:
      - discord: generator *
      - discord: "seed:[?]"
  bot.special:
    surface: discord
    feature: special
    match:
      - discord: generator al*
      - discord: generator exact
  race.room:
    surface: racetime
    feature: room
    match:
      - racetime: "*"
"""


@pytest.fixture
def catalog(tmp_path):
    (tmp_path / "events.yaml").write_text(CATALOG)
    return load_catalog(tmp_path / "events.yaml")


@pytest.mark.parametrize(
    ("kind", "text", "expected"),
    [
        ("route", "GET /login", Match("api.login", "start")),
        ("route", "POST /login", None),
        ("route", "POST /callback/{provider}", Match("api.login", None)),
        ("discord", "generator smz3", Match("bot.generator", None)),
        ("discord", "generator alttpr", Match("bot.special", None)),  # the longer pattern
        ("discord", "generator exact", Match("bot.special", None)),
        ("discord", "Generator smz3", None),
        ("discord", "seed:[?]", Match("bot.generator", None)),  # only * is special
        ("discord", "seed:?", None),
        ("racetime", "generator smz3", Match("race.room", None)),
        ("discord", "race", None),
    ],
)
def test_a_text_stands_for_the_event_whose_rule_fits_best(catalog, kind, text, expected):
    matcher = Matcher(catalog, kind)
    assert matcher.find(text) == expected
    assert matcher.find(text) == expected  # remembered


@given(text=st.text())
def test_a_star_stands_for_anything(tmp_path_factory, text):
    file = tmp_path_factory.mktemp("catalog") / "events.yaml"
    file.write_text(CATALOG)
    matcher = Matcher(load_catalog(file), "discord")
    found = matcher.find("generator " + text)
    special = text.startswith("al") or text == "exact"
    assert found == Match("bot.special" if special else "bot.generator", None)


def mistakes(tmp_path, *rules, other=None):
    head = "product: {}\nevents:\n  {}:\n    surface: api\n    feature: f\n    actions: [start]\n    match:\n"
    files = []
    for number, texts in enumerate([rules, other or ()]):
        lines = "".join(f"      - {text}\n" for text in texts) or "      []\n"
        file = tmp_path / f"{number}.yaml"
        file.write_text(head.format(f"p{number}", f"e{number}") + lines)
        files.append(file)
    with pytest.raises(DocumentError) as caught:
        load_catalog(files)
    return [(m.line, m.path, m.message) for m in caught.value.mistakes]


def test_a_rule_says_what_goes_well_is_called_where_the_event_does_not(tmp_path):
    file = tmp_path / "events.yaml"
    event = "product: p\nevents:\n  e: {{surface: a, feature: f, actions: [{}], match: [{{{}}}]}}\n"
    for actions, rule in [("open, success", "span: x"), ("open", "span: x"),
                          ("open, close", "span: x, action: open")]:  # fmt: skip
        file.write_text(event.format(actions, rule))
        load_catalog(file)
    file.write_text(event.format("open, close", "span: x"))
    with pytest.raises(DocumentError) as caught:
        load_catalog(file)
    [mistake] = caught.value.mistakes
    assert mistake.message == "needs an action, what a use that goes well is called: open or close"


PATHS = st.sampled_from(["/", "/a", "/a/*", "/a/b", "/*", "/a*", "/[a]", "/a?", "/**/b", "/a/{id}"])
ROUTES = st.builds("{} {}".format, st.sampled_from(["GET", "PUT", "*"]), PATHS)


@given(st.lists(ROUTES, unique=True), st.sampled_from(["GET", "PUT", "HEAD"]), PATHS | st.text())
def test_the_collector_chooses_between_routes_as_the_sdk_does(rules, method, path):
    events = {
        f"e{n}": Event(surface="a", feature="f", match=(Rule(route=rule),))
        for n, rule in enumerate(rules)
    }
    catalog = Catalog(products=("p",), events=events, attributes={})
    path = f"/{path.removeprefix('/')}"
    fitting = (c for c in Requests(catalog).candidates(path) if c.method in ("*", method))
    found = next(fitting, None)
    assert (found and found.match) == Matcher(catalog, "route").find(f"{method} {path}")


@pytest.mark.parametrize(
    ("rule", "path", "message"),
    [
        ("{}", "", "a rule has exactly one of route, span, discord and racetime"),
        ("{span: ''}", "", "a rule has exactly one of route, span, discord and racetime"),
        ("{route: GET /, discord: a}", "", "a rule has exactly one of route, span, discord and racetime"),
        ("{span: [a]}", ".span", "expected str, got list"),
        ("{span: e0}", ".span", "a span of this name is e0 already, whatever rules say"),
        ("{span: e0.start}", ".span", "a span of this name is e0 already, whatever rules say"),
        ("{route: /login}", ".route", "must be a method and a path, such as GET /seeds/{id}"),
        ("{discord: a, action: stert}", ".action", '"stert" is no action of e0; did you mean "start"?'),
    ],
)  # fmt: skip
def test_a_wrong_rule_is_refused_with_its_place(tmp_path, rule, path, message):
    assert mistakes(tmp_path, rule) == [(7 + bool(rule), f"events.e0.match.0{path}", message)]


def test_two_events_cannot_be_matched_by_the_same(tmp_path):
    [(line, path, message)] = mistakes(
        tmp_path, "{racetime: a}", "{racetime: b}", "{racetime: a, action: start}"
    )
    assert (line, path) == (10, "events.e0.match.2")
    assert message == "stands for e0 already"


def test_a_rule_about_a_span_that_another_product_declares_is_refused(tmp_path):
    found = mistakes(tmp_path, "{span: e1.start}", "{span: e1.stop}", other=["{span: e0}"])
    assert [path for _, path, _ in found] == ["events.e0.match.0.span", "events.e1.match.0.span"]
    assert found[0][2].startswith("a span of this name is e1 of ")


def test_nor_two_products(tmp_path):
    found = mistakes(tmp_path, "{racetime: a}", other=["{racetime: a}"])
    assert [message.split(" in ")[0] for _, _, message in found] == [
        "stands for e1",
        "stands for e0",
    ]
