"""The statement says what a catalog allows, and nothing else."""

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
What is counted in shop: which features are used and how it went, not by whom.

It counts:
- shop.order: Something was ordered. With any, attempts, gift, guild_id, least, most, note, one, \
order_id, org_id, provider, team_id and visitor.
- shop.visit: A use of visit on web. In detail for 25% of the uses, the others as a number. \
Until 2027-12-31.

Noted each time: when it was, how long it took, whether it went well and otherwise which kind of error \
it was, and the program's name, version, environment and a random number of the running program. How \
much was sent and lost is counted as well.

Some carry more:
- any: A number.
- attempts: How often? A whole number from 0 to 9.
- gift: Yes or no.
- guild_id: The server. Text, kept only as a code that changes every day.
- least: A whole number of at least 1.
- most: A number of at most 0.5.
- note: Text of at most 40 characters.
- one: One of x.
- order_id: A UUID, as it is.
- org_id: A UUID, kept only as a code that changes every month.
- provider: One of alttpr, smz3 or smr.
- team_id: A whole number, kept only as a code that changes every week.
- visitor: Text, kept only as a code that stays the same.

E-mail and IP addresses, phone and card numbers, ids and tokens are removed from texts before they are \
stored.

A code is made of a value with a secret key: equal values have equal codes, and the value is not \
stored. The key of a code that changes is destroyed after its day, week or month (UTC); the key of a \
code that stays the same is kept by the operator.

Nothing else is stored; in particular no names, discriminators, raw ids of users, servers and \
channels, sign-in ids and tokens, IP addresses, browsers and devices (user agents), commands as they were \
typed, texts of messages, contents of requests, error messages or stack traces."""


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
