"""What a valid catalog is careless about is told, with line and path; what is careful is left in peace."""

import re
from pathlib import Path

import pytest

from footfall_processors import DocumentError, load_catalog
from footfall_processors.cautions import cautions

ROOT = Path(__file__).parents[2]


def told(tmp_path, text):
    """(line, path, message) of each warning; the catalog itself is valid."""
    file = tmp_path / "events.yaml"
    file.write_text(text)
    load_catalog(file)
    return [(each.line, each.path, each.message) for each in cautions([file])]


def of_attribute(tmp_path, name, fields):
    return told(
        tmp_path,
        f"product: shop\nattributes:\n  {name}: {fields}\n"
        "events: {shop.go: {surface: web, feature: go}}\n",
    )


def of_event(tmp_path, name, fields="surface: web, feature: go", rest=""):
    return told(tmp_path, f"product: shop\nevents:\n  {name}: {{{fields}}}\n{rest}\n")


@pytest.mark.parametrize(
    ("name", "fields", "why"),
    [
        ("user_id", "{type: string}", "like a person or an id"),
        ("email", "{type: string, max_length: 1024}", "like a person or an id"),
        ("ip_address", "{type: string, description: where from}", "like a person or an id"),
        ("order_id", "{type: int, max: 99}", "like a person or an id"),
        ("nickname", "{type: string}", "like a person or an id"),
        ("name", "{type: string}", "like a person or an id"),
        ("first_name", "{type: string}", "like a person or an id"),
        ("lat", "{type: float, min: -90, max: 90}", "like a person or an id"),
        ("telefon", "{type: string}", "like a person or an id"),
        ("session_token", "{type: uuid}", "like a person or an id"),
        ("note", "{type: string}", "text can hold a name"),
        ("plan", "{type: string, max_length: 8}", "an `enum` does"),
        ("amount", "{type: int}", "without a `max`"),
        ("amount", "{type: int, max: 4900000000}", "without a `max` of"),
        ("balance", "{type: int, min: -4900000000, max: 0}", "without a `max` of"),
        ("share", "{type: float, min: 0}", "without a `max`"),
        ("thing", "{type: uuid}", "a uuid that is kept as it is"),
        ("who", "{type: enum, values: [user.one, other]}", "1 of its values"),
        ("who", '{type: enum, values: ["842311234567890123", "7f3c9a1be2d0"]}', "2 of its values"),
        ("who", '{type: enum, values: ["walker@example.org"]}', "1 of its values"),
        ("who", "{type: enum, values: [a.smith, DE89370400440532013000]}", "2 of its values"),
        ("net", '{type: enum, values: ["203.0.113.7"]}', "1 of its values"),
        ("kind", f"{{type: enum, values: {[f'v{n}' for n in range(101)]}}}", "101 values"),
        ("player", f"{{type: enum, values: {[f'v{n}' for n in range(21)]}}}", "has many values"),
        ("gift", "{type: bool, description: ask walker@example.org}", "its description"),
    ],
)
def test_a_careless_attribute_is_told(tmp_path, name, fields, why):
    ((line, path, message),) = of_attribute(tmp_path, name, fields)
    assert (line, path) == (3, f"attributes.{name}")
    assert why in message
    assert (
        of_attribute(tmp_path, name, fields[:-1] + ", reviewed: agreed with those concerned}") == []
    )


@pytest.mark.parametrize(
    ("name", "fields"),
    [
        ("user_id", "{type: string, hash: daily}"),
        ("session_id", "{type: uuid, hash: static}"),
        ("phone", "{type: int, hash: weekly}"),
        ("duration_ms", "{type: int}"),
        ("attempts", "{type: int, min: 0, max: 1000}"),
        ("share", "{type: float, min: 0, max: 1}"),
        ("gift", "{type: bool}"),
        ("user_role", "{type: enum, values: [guest, member, admin]}"),
        ("device", "{type: enum, values: [mobile, desktop]}"),
        ("country", f"{{type: enum, values: {[chr(97 + n) * 2 for n in range(26)]}}}"),
        (
            "payment",
            "{type: enum, values: [credit_card, bank_transfer, 'Pay-Later', node.js, asp.net]}",
        ),
        ("season", '{type: enum, values: ["2024-2025", "1.20.4", "2026-11-22", "100 %", "<= 50"]}'),
        ("monkey", "{type: int, max: 9}"),  # `key` and `id` are words, not letters
        ("width", "{type: int, max: 4000}"),
        ("user_count", "{type: int, max: 4000}"),
    ],
)
def test_a_careful_attribute_is_left_in_peace(tmp_path, name, fields):
    assert of_attribute(tmp_path, name, fields) == []


@pytest.mark.parametrize(
    ("name", "fields", "path", "why"),
    [
        ("shop.user_842311234567890123", "surface: web, feature: go", "", "has an id in it"),
        ("shop.room_9f8e7d6c5b4a", "surface: web, feature: go", "", "has an id in it"),
        ("shop.go", "surface: web, feature: order-1234567", "", "has an id in it"),
        ("shop.go", "surface: web, feature: go, actions: [invoke, to_5551234567]", "", "has an id in it"),
        ("shop.go", "surface: web, feature: go, description: ask +49 30 1234567", "", "its description"),
        ("shop.go", "surface: web, feature: go, match: [{route: '* /*'}]", ".match.0", "everything"),
        ("shop.go", "surface: web, feature: go, match: [{route: 'GET /*'}]", ".match.0", "everything"),
        ("shop.go", "surface: web, feature: go, match: [{route: '* /*/*'}]", ".match.0", "everything"),
        ("shop.go", "surface: web, feature: go, match: [{span: '*'}]", ".match.0", "everything"),
        ("shop.go", "surface: web, feature: go, match: [{span: 'GET /*'}]", ".match.0", "everything"),
        ("shop.go", "surface: web, feature: go, match: [{route: GET /users/842311234567}]", ".match.0",
         "has an id or an address in it"),
        ("shop.go", "surface: web, feature: go, match: [{span: call walker@example.org}]", ".match.0",
         "has an id or an address in it"),
        ("shop.go", "surface: discord, feature: go, match: [{discord: 'a 842311234567890123'}]", ".match.0",
         "has an id or an address in it"),
    ],
)  # fmt: skip
def test_a_careless_event_is_told(tmp_path, name, fields, path, why):
    ((line, where, message),) = of_event(tmp_path, name, fields)
    assert (line, where) == (3, f"events.{name}{path}")
    assert why in message
    assert of_event(tmp_path, name, fields + ", reviewed: it is a demo") == []


@pytest.mark.parametrize(
    ("name", "fields"),
    [
        ("shop.order_v2", "surface: web, feature: order2024"),
        ("api.oauth2.login", "surface: api, feature: oauth2, match: [{route: 'GET /v1/*'}]"),
        ("shop.home", "surface: web, feature: home, match: [{route: GET /}, {route: '* /'}]"),
        (
            "shop.go",
            "surface: web, feature: go, match: [{route: '* /orders/{id}'}, {span: 'order *'}]",
        ),
        ("bot.command", "surface: discord, feature: any, match: [{discord: '*'}, {racetime: '*'}]"),
    ],
)
def test_a_careful_event_is_left_in_peace(tmp_path, name, fields):
    assert of_event(tmp_path, name, fields) == []


def test_lists_of_services_are_looked_at(tmp_path):
    found = of_event(
        tmp_path,
        "shop.go",
        rest="services: [web, walkers-laptop, w*]\nenvironments: [prod, host-10-0-0-1]",
    )
    assert [(line, path) for line, path, _ in found] == [
        (4, "services.1"),
        (4, "services.2"),
        (5, "environments.1"),
    ]


def test_a_catalog_with_mistakes_is_refused_first(tmp_path):
    file = tmp_path / "events.yaml"
    file.write_text("product: shop\nevents: {}\nattributes: {email: {type: text}}\n")
    with pytest.raises(DocumentError):
        cautions([file])


def examples():
    yield (ROOT / "examples/footfall_examples/sahasrahbot/events.yaml").read_text("utf-8")
    for page in (ROOT / "README.md", *sorted(ROOT.glob("docs/**/*.md"))):
        for block in re.findall(r"```yaml\n(.*?)```", page.read_text("utf-8"), re.DOTALL):
            if block.lstrip("# \n").startswith("product:") or "\nproduct:" in block:
                yield block


@pytest.mark.parametrize("text", list(examples()))
def test_the_catalogs_of_the_documentation_and_the_examples_are_careful(tmp_path, text):
    assert told(tmp_path, text) == []
