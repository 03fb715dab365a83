"""What `footfall init` makes of routes and commands: a valid catalog, whatever they are."""

import string
import tempfile
from pathlib import Path

import pytest
import yaml
from hypothesis import example, given, settings
from hypothesis import strategies as st

from footfall_collector.proposals.applications import usable
from footfall_collector.proposals.naming import example as example_event
from footfall_collector.proposals.naming import named, word
from footfall_collector.proposals.writing import NotAdded, add, new_catalog
from footfall_processors import load_catalog

FEW = settings(max_examples=40)
ROUTES = [
    "GET /",
    "GET /orders",
    "GET /orders/{order_id}",
    "POST /orders",
    "DELETE /orders/{order_id}",
    "POST /orders/{order_id}/refund",
    "GET /api/v1/users/{uid}/orders/{oid:path}",
]
SEGMENTS = st.one_of(
    st.sampled_from(
        [
            "orders",
            "{order_id}",
            "<int:pk>",
            "api",
            "v1",
            "success",
            "get",
            "*",
            "{p:path}",
            "Größe",
        ]
    ),
    st.text(st.characters(exclude_categories=["Cs"]), max_size=30),
)
METHODS = st.sampled_from(["GET", "POST", "*", "HEAD", "PROPFIND", "SUCCESS"])
ANY_ROUTE = st.builds(
    lambda m, parts: f"{m} /{'/'.join(parts)}", METHODS, st.lists(SEGMENTS, max_size=8)
)
ANY_COMMAND = st.one_of(st.text(max_size=140), st.lists(SEGMENTS, max_size=4).map(" ".join))
PRODUCTS = st.from_regex(r"[a-z][a-z0-9_-]{0,62}", fullmatch=True) | st.sampled_from(
    ["footfall", "a-"]
)
DRAWN = st.one_of(
    st.tuples(st.just("route"), st.lists(ANY_ROUTE, max_size=6)),
    st.tuples(st.sampled_from(["discord", "racetime"]), st.lists(ANY_COMMAND, max_size=6)),
)


def written(text):
    folder = tempfile.TemporaryDirectory()
    file = Path(folder.name, "events.yaml")
    file.write_text(text, encoding="utf-8", newline="")
    return folder, file


def own(catalog):
    return {name: e for name, e in catalog.events.items() if e.surface != "footfall"}


def rules(catalog, kind):
    return sorted(getattr(rule, kind) for event in own(catalog).values() for rule in event.match)


def test_names_follow_the_route():
    assert [(event, text) for event, _, text in named("my-shop", "route", ROUTES, {})] == [
        ("my_shop.home.get", "GET /"),
        ("my_shop.orders.delete", "DELETE /orders/{order_id}"),
        ("my_shop.orders.get", "GET /orders/{order_id}"),
        ("my_shop.orders.list", "GET /orders"),
        ("my_shop.orders.post", "POST /orders"),
        ("my_shop.orders.refund.post", "POST /orders/{order_id}/refund"),
        ("my_shop.users.orders.get", "GET /api/v1/users/{uid}/orders/{oid:path}"),
    ]


@pytest.mark.parametrize(
    ("rule", "text", "event"),
    [
        ("route", "* /orders/<int:pk>/", "bot.orders.request"),
        ("route", r"* /^articles/(?P<year>[0-9]{4})/$", "bot.articles.request"),
        ("route", "GET /orders/<int:order_id>", "bot.orders.get"),
        ("route", "GET /Größe/2024", "bot.grosse.n2024.get"),
        ("route", "GET /日本", "bot.home.get"),
        ("discord", "generator alttpr", "bot.generator.alttpr"),
        ("discord", "予定", "bot.command"),
        ("racetime", "seed", "bot.seed"),
    ],
)
def test_a_name_is_made_of_words(rule, text, event):
    assert [name for name, _, _ in named("bot", rule, [text], {})] == [event]


def test_routes_alike_are_told_apart():
    routes = ["GET /orders/{order_id}", "GET /orders/{number}", "GET /v2/orders/{number}"]
    assert [(event, text) for event, _, text in named("shop", "route", routes, {})] == [
        ("shop.orders.by_number.get", "GET /v2/orders/{number}"),
        ("shop.orders.by_order_id.get", "GET /orders/{order_id}"),
        ("shop.orders.get", "GET /orders/{number}"),
    ]


def test_the_order_of_routes_does_not_matter():
    assert named("shop", "route", ROUTES, {}) == named("shop", "route", ROUTES[::-1], {})


def test_a_name_that_is_taken_alone_or_with_an_action_is_not_given_again():
    taken = {"shop.orders": ("get",), "shop.home.get": ("invoke",)}
    names = [event for event, _, _ in named("shop", "route", ["GET /orders", "GET /"], taken)]
    assert names == ["shop.home.get_2", "shop.orders.get_2"]


@pytest.mark.parametrize(
    "text",
    ["HEAD /orders", "OPTIONS /x", "GET /health", "GET /static/<path:filename>", "GET /docs",
     "GET /openapi.json", "* /admin/login/", "GET orders", "GET /a b", "GET /" + "x" * 300,
     "GET /a\n", ""],
)  # fmt: skip
def test_what_is_no_feature_or_no_rule_is_left_out(text):
    assert usable("route", [text, "GET /orders", "GET /orders"]) == ["GET /orders"]


@FEW
@given(PRODUCTS, DRAWN)
@example("null", ("route", ["GET /FALSE", "GET /on"]))
@example("footfall", ("racetime", ["yes"]))
def test_whatever_an_application_has_gives_a_valid_catalog(product, drawn):
    rule, texts = drawn
    kept = usable(rule, texts)
    events = named(product, rule, kept, {}) or [example_event(product, rule)]
    folder, file = written(new_catalog("events.yaml", product, "web", events, rule))
    with folder:
        catalog = load_catalog(file)
    assert len(own(catalog)) == max(len(set(kept)), 1)
    assert not kept or rules(catalog, rule) == sorted(set(kept))


@FEW
@given(DRAWN, st.integers(0, 5))
def test_what_is_added_later_is_as_valid_and_changes_nothing(drawn, number):
    rule, texts = drawn
    kept = usable(rule, texts)
    first = kept[:number]
    events = named("shop", rule, first, {}) or [example_event("shop", "")]
    folder, file = written(new_catalog("events.yaml", "shop", "web", events, rule))
    with folder:
        before = load_catalog(file)
        text = file.read_text(encoding="utf-8")
        taken = {name: event.actions for name, event in before.events.items()}
        later = named("shop", rule, [text for text in kept if text not in first], taken)
        if not later:
            return
        after = add(file, before, later, "web", rule)
        assert file.read_text(encoding="utf-8").startswith(text)
        assert load_catalog(file).events == after.events
    assert own(before).items() <= own(after).items()
    assert rules(after, rule) == sorted(set(kept))


# A catalog that somebody has edited

NEW = named("shop", "route", ["GET /orders/{order_id}", "POST /orders"], {})
EDITED = {
    "block": "# ours\nproduct: shop  # the shop\nevents:\n  # first\n  a.b:\n    surface: web # where\n"
    "    feature: f\n\n# the end\n",
    "attributes below": "product: shop\nevents:\n    a.b: {surface: web, feature: f} # one\n    # of it\n"
    "\nattributes:\n  plan: {type: enum, values: [a]}\n",
    "no end of line": "product: shop\nevents:\n  a.b: {surface: web, feature: f}",
    "literal text": "product: shop\nevents:\n  a.b:\n    surface: web\n    feature: f\n    description: |\n"
    "      Two\n      lines\n",
    "windows": "product: shop\r\nevents:\r\n  a.b: {surface: web, feature: f}\r\nservices: [web]\r\n",
    "empty flow": "product: shop\nevents: {}\nattributes: {}\n",
    "flow": "product: shop\nevents: {a.b: {surface: web, feature: f}} # end\n",
    "flow of lines": "product: shop\nevents: {\n  a.b: {surface: web, feature: f},  # one\n}\n",
    "list below": "product: shop\nevents:\n  a.b:\n    surface: web\n    feature: f\n    actions:\n"
    "    - go\n",
}  # fmt: skip


@pytest.mark.parametrize("name", EDITED)
def test_events_are_added_and_all_else_stays(name, tmp_path):
    file, text = tmp_path / "events.yaml", EDITED[name]
    file.write_text(text, encoding="utf-8", newline="")
    file.chmod(0o640)
    before = load_catalog(file)
    add(file, before, NEW, "web", "route")
    after = load_catalog(file)
    assert after.events.keys() - before.events.keys() == {event for event, _, _ in NEW}
    assert rules(after, "route") == [text for _, _, text in sorted(NEW, key=lambda e: e.text)]
    now = file.read_bytes().decode()
    rest = iter(now)
    assert all(c in rest for c in text.rstrip("\r\n"))  # every character, in its order
    assert now.count("\r\n") in (0, now.count("\n"))
    assert file.stat().st_mode & 0o777 == 0o640
    assert [path.name for path in tmp_path.iterdir()] == ["events.yaml"]


def test_a_link_stays_a_link(tmp_path):
    place, file = tmp_path / "there.yaml", tmp_path / "events.yaml"
    place.write_text(EDITED["block"])
    file.symlink_to(place)
    add(file, load_catalog(file), NEW, "web", "route")
    assert file.is_symlink()
    assert "shop.orders.get" in place.read_text()


@pytest.mark.parametrize(
    "text",
    [
        "product: shop\nevents: {a.b: {surface: web, feature: f}, # one, two,\n  # end,\n  }\n",
        "base: &e {a.b: {surface: web, feature: f}}\nproduct: shop\nevents: *e\n",
    ],
)
def test_where_it_cannot_be_added_the_file_stays(text, tmp_path):
    file = tmp_path / "events.yaml"
    file.write_text(text)
    before = load_catalog(_plain(tmp_path))
    try:
        add(file, before, NEW, "web", "route")
    except NotAdded:
        assert file.read_text() == text
    else:
        assert own(before).items() <= own(load_catalog(file)).items()
    assert {path.name for path in tmp_path.iterdir()} <= {"events.yaml", "plain.yaml"}


def _plain(folder):
    file = folder / "plain.yaml"
    file.write_text("product: shop\nevents: {a.b: {surface: web, feature: f}}\n")
    return file


@given(st.text(string.printable, max_size=40))
def test_a_word_begins_with_a_letter_or_is_empty(text):
    found = word(text)
    assert not found or yaml.safe_load(f"x: {found}.a") == {"x": f"{found}.a"}
    assert len(found) <= 19
