"""The statement says what a catalog allows, and nothing else."""

import re

import pytest

from footfall_exporters.postgres import salts
from footfall_processors import load_catalog
from footfall_processors.statement import statement

CATALOG = """
product: shop
attributes:
  guild_id: {type: string, hash: daily, description: The server}
  team_id: {type: int, hash: weekly}
  org_id: {type: uuid, hash: monthly}
  visitor: {type: string, hash: static}
  provider: {type: enum, values: [alttpr, smz3, smr]}
  one: {type: enum, values: [x]}
  attempts: {type: int, min: 0, max: 9, description: "How often?"}
  least: {type: int, min: 1}
  most: {type: float, max: 0.5}
  any: {type: float}
  gift: {type: bool}
  order_id: {type: uuid}
  note: {type: string, max_length: 40}
  unused: {type: int}
events:
  shop.order:
    surface: web
    feature: order
    description: something was ordered
    attributes: [provider, guild_id, team_id, org_id, visitor, one, attempts, least, most, any, gift,
      order_id, note]
    owner: team-nobody-needs-to-know
    match: [{route: "GET /secret"}]
  shop.visit: {surface: web, feature: visit, sample_rate: 0.25, expires: 2027-12-31}
"""

EXPECTED = """\
What is counted in shop: which features are used and how it went.

It counts:
- shop.order: Something was ordered. With any, attempts, gift, guild_id, least, most, note, one, \
order_id, org_id, provider, team_id and visitor.
- shop.visit: A use of visit on web. In detail for 25% of the uses, the others as a number. \
Until 2027-12-31.

Noted each time: when it was, how long it took, whether it went well and otherwise which kind of error \
it was, and the program's name, version, environment and a random number of the running program. How \
much was sent and lost is counted as well.

Some carry more:
- any: A number of any size.
- attempts: How often? A whole number from 0 to 9.
- gift: Yes or no.
- guild_id: The server. Text, kept only as a code that changes every day.
- least: A whole number of at least 1.
- most: A number of at most 0.5.
- note: Text as it is typed or sent, of at most 40 characters.
- one: One of x.
- order_id: A UUID, as it is.
- org_id: A UUID, kept only as a code that changes every month.
- provider: One of alttpr, smz3 or smr.
- team_id: A whole number, kept only as a code that changes every week.
- visitor: Text, kept only as a code that stays the same.

What is typed or sent as note is kept as text. E-mail and IP addresses, phone and card numbers, ids \
and tokens are removed from it before it is stored, where they are recognised. Names of people are not \
recognised.

Who or what it was could be told by any, least and order_id, kept as sent.

A code is made of a value with a secret key: equal values have equal codes, and the value is not \
stored. Whoever has the key can find out whether a code is that of a value they know. The key of a code \
that changes is destroyed 7 days after its day, week or month (UTC) is over; copies of the server's disk \
that were made before may hold it for longer. The key of a code that stays the same is kept by the operator.

Nothing else is stored."""


def make(tmp_path, text, name="events.yaml"):
    path = tmp_path / name
    path.write_text(text)
    return str(path)


def test_it_tells_everything_a_catalog_allows_in_plain_words(tmp_path):
    assert statement(load_catalog([make(tmp_path, CATALOG)])) == EXPECTED


def test_it_names_all_products_and_leaves_out_what_is_not_there(tmp_path):
    other = "product: bot\nevents: {bot.go: {surface: discord, feature: go}}\n"
    files = [make(tmp_path, CATALOG), make(tmp_path, other, "bot.yaml")]
    assert "in shop and bot:" in statement(load_catalog(files))
    assert "Some carry more" not in statement(load_catalog(files[1:]))


def test_a_long_enum_is_cut(tmp_path):
    values = ", ".join(f"v{n}" for n in range(25))
    text = (
        "product: shop\n"
        f"attributes: {{e: {{type: enum, values: [{values}]}}}}\n"
        "events: {shop.go: {surface: web, feature: go, attributes: [e]}}\n"
    )
    assert "v18, v19 or 5 more." in statement(load_catalog([make(tmp_path, text)]))


ALL = (
    "no names, discriminators, raw ids of users, servers and channels, sign-in ids and tokens, IP addresses,"
    " browsers and devices (user agents), commands as they were typed, texts of messages, contents of"
    " requests, error messages or stack traces."
)
HARMLESS = (
    "kind: {type: enum, values: [pdf, epub]}, gift: {type: bool}, pages: {type: int, max: 900}"
)


def of(tmp_path, attributes):
    names = ", ".join(re.findall(r"(\w+): \{", attributes))
    text = f"product: shop\nattributes: {{{attributes}}}\n" + (
        f"events: {{shop.go: {{surface: web, feature: go, attributes: [{names}]}}}}\n"
    )
    return " ".join(statement(load_catalog([make(tmp_path, text)])).split())


def test_what_nothing_can_hold_is_denied(tmp_path):
    said = of(tmp_path, HARMLESS)
    assert f"in particular {ALL}" in said
    assert "how it went, not by whom." in said
    assert "code" not in said
    said = of(tmp_path, HARMLESS + ", team: {type: string, hash: weekly}")
    assert f"in particular {ALL}" in said
    assert "not by whom other than as codes." in said


# Of each careless attribute: what may not be denied any more.
CARELESS = {
    "user_id: {type: string}": [
        "names",
        "raw ids",
        "messages",
        "commands",
        "stack traces",
        "not by whom",
    ],
    "note: {type: string, max_length: 9}": [
        "names",
        "IP addresses",
        "error messages",
        "not by whom",
    ],
    "user_agent: {type: string}": ["browsers and devices"],
    "phone: {type: int}": ["raw ids", "IP addresses", "not by whom"],
    "amount: {type: float, min: 0}": ["raw ids", "not by whom"],
    "number: {type: int, max: 99999999}": ["raw ids"],
    "debt: {type: int, min: -99999999, max: 0}": ["raw ids"],
    "user_number: {type: int, max: 99}": ["raw ids", "not by whom"],
    "device: {type: uuid}": ["raw ids", "sign-in ids", "not by whom"],
    'who: {type: enum, values: [user.one, "842311234567890123"]}': [
        "names",
        "raw ids",
        "not by whom",
    ],
    'net: {type: enum, values: ["203.0.113.7", other]}': ["IP addresses", "not by whom"],
}


@pytest.mark.parametrize("attribute", CARELESS)
def test_a_careless_catalog_is_not_called_careful(tmp_path, attribute):
    said = of(tmp_path, f"{HARMLESS}, {attribute}")
    before, _, denied = said.partition("Nothing else is stored")
    for false in CARELESS[attribute]:
        assert false not in (before if false == "not by whom" else denied)
    name = attribute.partition(":")[0]
    assert f"could be told by {name}" in said or f"typed or sent as {name} is kept" in said


@pytest.mark.parametrize(
    ("kinds", "said"),
    [
        (["daily"], "7 days after its day (UTC) is over"),
        (["weekly", "monthly"], "7 days after its week or month (UTC) is over"),
        (["static"], "The key of a code that stays the same is kept by the operator."),
    ],
)
def test_when_a_key_is_destroyed_is_said_of_the_keys_that_there_are(tmp_path, kinds, said):
    found = of(
        tmp_path, ", ".join(f"a{n}: {{type: int, hash: {kind}}}" for n, kind in enumerate(kinds))
    )
    assert said in found
    assert ("destroyed" in found) == (kinds != ["static"])
    assert ("stays the same is kept" in found) == (kinds == ["static"])


def test_it_says_of_keys_what_the_store_does(tmp_path):
    said = of(tmp_path, "a: {type: int, hash: daily}")
    assert f"is destroyed {salts.GRACE_DAYS} days after its day" in said
