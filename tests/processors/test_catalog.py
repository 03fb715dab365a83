import contextlib
import datetime as dt
from pathlib import Path

import msgspec
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from footfall_processors import (
    Attribute,
    DocumentError,
    Drop,
    Event,
    Hash,
    Type,
    column_name,
    load_catalog,
    needs_static_salt,
)
from footfall_processors.catalog import Source

PATIENT = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
GOOD = """\
product: bot
attributes:
  guild_id: {type: string, hash: daily, description: The guild}
  provider: {type: enum, values: [alttpr, smz3]}
  duration_ms: {type: int, min: 0, max: 600000}
  ratio: {type: float, min: -0.5, max: 1}
  note: {type: string, max_length: 100}
  run: {type: uuid}
  hard: {type: bool}
events:
  discord.generator:
    description: A seed was made.
    surface: discord
    feature: generator
    actions: [invoke, success, failure]
    attributes: [run, provider, note, guild_id, duration_ms]
    owner: bot-team
    expires: 2027-12-31
    sample_rate: 0.5
  visit: {surface: web, feature: page-view}
error_types: [seed_exhausted]
"""
ONE_EVENT = "product: {product}\nevents:\n  visit: {{surface: web, feature: page{more}}}\n"
ONE_ATTRIBUTE = "product: p\nevents: {{}}\nattributes:\n  {name}: {{{fields}}}\n"


@pytest.fixture
def write(tmp_path, monkeypatch):
    """Writes files into the working directory, so that mistakes cite short names."""
    monkeypatch.chdir(tmp_path)

    def write(text, name="events.yaml"):
        Path(name).write_bytes(text if isinstance(text, bytes) else text.encode())
        return name

    return write


def mistakes(*files):
    with pytest.raises(DocumentError) as caught:
        load_catalog(files)
    return list(map(str, caught.value.mistakes))


def test_a_catalog_is_read_as_it_is_written(write):
    catalog = load_catalog(write(GOOD))
    assert catalog.products == ("bot",)
    assert catalog.error_types == ("seed_exhausted",)
    assert catalog.events["discord.generator"] == Event(
        description="A seed was made.",
        surface="discord",
        feature="generator",
        actions=("invoke", "success", "failure"),
        attributes=("run", "provider", "note", "guild_id", "duration_ms"),
        owner="bot-team",
        expires=dt.date(2027, 12, 31),
        sample_rate=0.5,
    )
    assert catalog.events["visit"] == Event(
        surface="web",
        feature="page-view",
        description="",
        actions=("invoke", "success", "failure"),
        attributes=(),
        owner="",
        expires=None,
        sample_rate=1.0,
    )
    declared = {k: v for k, v in catalog.attributes.items() if k in GOOD}
    assert declared == {
        "guild_id": Attribute(type=Type.STRING, hash=Hash.DAILY, description="The guild"),
        "provider": Attribute(type=Type.ENUM, values=("alttpr", "smz3")),
        "duration_ms": Attribute(type=Type.INT, min=0, max=600_000),
        "ratio": Attribute(type=Type.FLOAT, min=-0.5, max=1),
        "note": Attribute(type=Type.STRING, max_length=100),
        "run": Attribute(type=Type.UUID),
        "hard": Attribute(type=Type.BOOL),
    }


def test_values_and_enums_of_an_event_are_told_apart_and_sorted(write):
    catalog = load_catalog(Path(write(GOOD)))
    event = catalog.events["discord.generator"]
    assert catalog.columns(event) == ("guild_id", "note", "run")
    assert catalog.enums(event) == ("provider",)


def test_every_catalog_has_footfalls_own_events(write):
    catalog = load_catalog(write(GOOD))
    assert set(catalog.events) == {
        "discord.generator", "visit", "footfall.emitted", "footfall.dropped",
    }  # fmt: skip
    emitted, dropped = catalog.events["footfall.emitted"], catalog.events["footfall.dropped"]
    assert (emitted.actions, emitted.attributes) == (("count",), ("emitted_event",))
    assert (dropped.actions, dropped.attributes) == (("count",), ("drop_reason",))
    assert catalog.attributes["emitted_event"].values == ("discord.generator", "visit")
    assert catalog.attributes["drop_reason"].values == tuple(Drop)


@pytest.mark.parametrize(
    ("name", "hash_", "column"),
    [
        ("guild_id", Hash.DAILY, "guild_hash"),
        ("guild_id", None, "guild_id"),
        ("viewer", Hash.STATIC, "viewer_hash"),
        ("id_card", Hash.WEEKLY, "id_card_hash"),
        ("id", Hash.WEEKLY, "id_hash"),
    ],
)
def test_a_hashed_attribute_has_a_column_that_says_so(name, hash_, column):
    assert column_name(name, Attribute(type=Type.STRING, hash=hash_)) == column


@pytest.mark.parametrize(("kind", "needed"), [("static", True), ("daily", False)])
def test_a_static_salt_is_needed_only_for_static_hashes(write, kind, needed):
    assert needs_static_salt(load_catalog(write(GOOD.replace("daily", kind)))) is needed


def test_every_mistake_of_a_file_is_told_with_line_and_path(write):
    text = """\
product: My Bot
atributes: {}
attributes:
  Guild: {type: string}
  guild_id: {type: string, hash: dayly}
  guild_hash: {type: string}
  viewer: {type: string, hash: static}
  viewer_hash: {type: uuid}
  time: {type: int}
  xmin: {type: int}
  drop_reason: {type: int}
  duration_ms: {type: float}
  provider: {type: enum}
  kind: {type: enum, values: [a, b, a, "c\\td"]}
  note: {type: string, values: [a], min: 1, max_length: 5000}
  count: {type: int, min: 1.5, max: 9223372036854775808}
  low: {type: int, min: 2, max: 1}
  share: {type: float, min: .nan, max: .inf}
  hard: {type: bool, hash: daily}
  size: {type: int, hash: daily, max: 5}
  extra: {type: uuid, length: 3}
events:
  Discord Generator: {surface: s, feature: f}
  footfall.mine: {surface: s, feature: f}
  a: {surface: s, feature: f, actions: []}
  b: {surface: s, feature: f, actions: [go, stop, go]}
  b.go: {surface: s, feature: f}
  c: {surface: s, feature: f, attributes: [note, guild, guild_id, note]}
  d: {feature: f, sample_rate: 1.5, expires: 2027-02-30}
  d: {surface: s, feature: f}
  e:
    surface: Web
    feature: f
    expires: tomorrow
    owner: 5
error_types: [provider_timeout, new_one, new_one, Nope]
"""
    assert mistakes(write(text)) == [
        "events.yaml:1: product: must be 1 to 63 of a-z, 0-9, _ and -, beginning with a letter",
        'events.yaml:2: atributes: is not known here; did you mean "attributes"?'
        " (known: product, events, attributes, error_types, services, environments, shared)",
        "events.yaml:4: attributes.Guild: must be 1 to 51 of a-z, 0-9 and _, beginning with a letter",
        "events.yaml:5: attributes.guild_id.hash: invalid enum value 'dayly'"
        ' (one of: static, daily, weekly, monthly); did you mean "daily"?',
        "events.yaml:8: attributes.viewer_hash: has the same column as viewer: viewer_hash",
        "events.yaml:9: attributes.time: is a name that Footfall or Postgres uses itself; choose another",
        "events.yaml:10: attributes.xmin: is a name that Footfall or Postgres uses itself; choose another",
        "events.yaml:11: attributes.drop_reason: is a name that Footfall or Postgres uses itself;"
        " choose another",
        "events.yaml:12: attributes.duration_ms.type: duration_ms is a fixed field:"
        " it must be a plain int",
        "events.yaml:13: attributes.provider.values: an enum needs 1 to 1000 values",
        "events.yaml:14: attributes.kind.values: a value stands twice",
        "events.yaml:14: attributes.kind.values.3: an enum value must be printable text",
        "events.yaml:15: attributes.note.max_length: expected int <= 1024",
        "events.yaml:16: attributes.count.min: the limits of an int must be whole numbers",
        "events.yaml:16: attributes.count.max: the limits of an int must fit in 64 bits",
        "events.yaml:17: attributes.low.min: min is larger than max",
        "events.yaml:18: attributes.share.min: must be a number within ±1e+100",
        "events.yaml:18: attributes.share.max: must be a number within ±1e+100",
        "events.yaml:19: attributes.hard.hash: only string, int and uuid can be hashed, this is bool",
        "events.yaml:20: attributes.size.max: limits are for numbers that are not hashed",
        'events.yaml:21: attributes.extra.length: is not known here; did you mean "max_length"?'
        " (known: type, description, values, min, max, max_length, hash, reviewed, from)",
        "events.yaml:23: events.Discord Generator: must be words of a-z, 0-9 and _ joined by dots,"
        " at most 128 characters",
        "events.yaml:24: events.footfall.mine: event names that begin with `footfall` are Footfall's own",
        "events.yaml:25: events.a.actions: an event needs at least one action",
        'events.yaml:26: events.b.actions.2: "go" stands twice',
        'events.yaml:26: events.b: with action "go" it has the name of the event b.go',
        'events.yaml:28: events.c.attributes.3: "note" stands twice',
        'events.yaml:28: events.c.attributes.1: "guild" is not declared; did you mean "Guild"?',
        "events.yaml:29: events.d.expires: is not a day or a time that there is; if it is text,"
        " put it in quotes",
        "events.yaml:29: events.d.surface: is missing",
        "events.yaml:29: events.d.sample_rate: expected float <= 1.0",
        "events.yaml:30: events.d: is given twice, first in line 29",
        "events.yaml:32: events.e.surface: must be 1 to 63 of a-z, 0-9, _ and -, beginning with a letter",
        "events.yaml:34: events.e.expires: invalid RFC3339 encoded date; write it as 2027-12-31",
        "events.yaml:35: events.e.owner: expected str, got int; put it in quotes",
        "events.yaml:36: error_types.3: must be 1 to 51 of a-z, 0-9 and _, beginning with a letter",
        'events.yaml:36: error_types.0: "provider_timeout" is built in; leave it out',
        'events.yaml:36: error_types.2: "new_one" stands twice',
    ]


@pytest.mark.parametrize(
    ("fields", "path", "message"),
    [
        ("type: string, values: [a]", "values", "only an enum has values, this is of type string"),
        ("type: string, min: 1", "min", "limits are for numbers that are not hashed"),
        ("type: bool, max: 1", "max", "limits are for numbers that are not hashed"),
        ("type: float, max: -.inf", "max", "must be a number within ±1e+100"),
        (f"type: float, min: 1{'0' * 400}", "min", "must be a number within ±1e+100"),
        ("type: int, min: -9223372036854775809", "min", "the limits of an int must fit in 64 bits"),
        ("type: float, hash: daily", "hash", "only string, int and uuid can be hashed, this is float"),
        ("type: enum, values: [a], hash: daily", "hash",
         "only string, int and uuid can be hashed, this is enum"),
        ("type: enum, values: ['']", "values.0", "must be 1 to 64 characters"),
        (f"type: enum, values: [{'x' * 65}]", "values.0", "must be 1 to 64 characters"),
        ("type: enum, values: [on]", "values.0", "expected str, got bool; put it in quotes"),
        (f"type: enum, values: {list(map(str, range(1001)))}", "values", "an enum needs 1 to 1000 values"),
        ("type: string, max_length: 0", "max_length", "expected int >= 1"),
        ("description: x", "type", "is missing"),
        ('type: string, description: "a\\0b"', "description",
         "holds NUL or half a surrogate pair; leave it out"),
    ],
)  # fmt: skip
def test_each_mistake_about_an_attribute(write, fields, path, message):
    text = ONE_ATTRIBUTE.format(name="x", fields=fields)
    assert mistakes(write(text)) == [f"events.yaml:4: attributes.x.{path}: {message}"]


@pytest.mark.parametrize(
    "name", ["_a", "1a", "a-b", "a.b", "", "é", "x" * 52, '"a\\n"', "Guild_id"]
)
def test_attribute_names_are_plain_column_names(write, name):
    (mistake,) = mistakes(write(ONE_ATTRIBUTE.format(name=name or "''", fields="type: int")))
    assert mistake.endswith("must be 1 to 51 of a-z, 0-9 and _, beginning with a letter")


@pytest.mark.parametrize("name", [".a", "a.", "a..b", "a-b", "A", "1a", '"a\\n"', "a" * 129, "a.1"])
def test_event_names_are_dotted_words(write, name):
    text = f"product: p\nevents:\n  {name}: {{surface: s, feature: f}}\n"
    (mistake,) = mistakes(write(text))
    assert mistake.endswith(
        "must be words of a-z, 0-9 and _ joined by dots, at most 128 characters"
    )


@pytest.mark.parametrize("name", ["time", "ordinal", "event", "error_type", "service", "ctid"])
def test_fixed_columns_cannot_be_declared(write, name):
    (mistake,) = mistakes(write(ONE_ATTRIBUTE.format(name=name, fields="type: int")))
    assert "is a name that Footfall or Postgres uses itself" in mistake


def test_a_time_of_day_is_no_expiry_date(write):
    text = ONE_EVENT.format(product="p", more=", expires: 2027-12-31 10:00:00")
    assert mistakes(write(text)) == [
        "events.yaml:3: events.visit.expires: expected date, got datetime; write it as 2027-12-31"
    ]


@pytest.mark.parametrize("rate", ["-0.1", "1.1", ".nan", ".inf", "half"])
def test_a_sample_rate_is_a_share(write, rate):
    (mistake,) = mistakes(write(ONE_EVENT.format(product="p", more=f", sample_rate: {rate}")))
    assert mistake.startswith("events.yaml:3: events.visit.sample_rate: expected float")


def test_a_repeated_key_is_refused(write):
    text = ONE_EVENT.format(product="p", more=", surface: api") + "product: q\n"
    assert mistakes(write(text)) == [
        "events.yaml:3: events.visit.surface: is given twice, first in line 3",
        "events.yaml:4: product: is given twice, first in line 1",
    ]


def test_an_alias_that_contains_itself_is_refused(write):
    text = "product: p\nevents: &all\n  visit: *all\n"
    assert mistakes(write(text)) == [
        "events.yaml:3: events.visit: an alias may not contain itself",
        "events.yaml:3: events.visit: must be a mapping (`key: value` lines)",
    ]


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (b"product: \xff\n", ["is not UTF-8 text"]),
        ("", ["product: is missing", "events: is missing"]),
        ("- product: p\n", ["must be a mapping (`key: value` lines)"]),
        ("product: [\n", ["is not valid YAML: while parsing a flow node, expected the node content,"
                          " but found '<stream end>'"]),
        ("product: p\nevents:\n", ["events: expected mapping, got null"]),
        ("product: p\nevents: []\nattributes: 5\nerror_types: {}\n",
         ["events: expected mapping, got list", "attributes: expected mapping, got int",
          "error_types: expected list, got mapping"]),
    ],
)  # fmt: skip
def test_what_is_no_catalog_at_all_is_refused(write, text, told):
    assert [m.split(": ", 1)[1] for m in mistakes(write(text))] == told


def test_a_missing_file_is_named(write):
    good = write(ONE_EVENT.format(product="p", more=""))
    advice = "`footfall init` writes one"
    told = f"none.yaml:1: cannot be read: No such file or directory; {advice}"
    assert mistakes("none.yaml", good) == [told]


def test_products_are_merged_and_may_share_an_attribute(write):
    shared = "attributes: {guild_id: {type: string, hash: daily}}\n"
    one = write(f"{shared}product: one\nevents: {{a: {{surface: s, feature: f}}}}\n", "1.yaml")
    two = write(f"{shared}product: two\nevents: {{b: {{surface: s, feature: f}}}}\n"
                "error_types: [bad_rom]\n", "2.yaml")  # fmt: skip
    catalog = load_catalog([one, two])
    assert catalog.products == ("one", "two")
    assert set(catalog.attributes) == {"guild_id", "emitted_event", "drop_reason"}
    assert catalog.attributes["emitted_event"].values == ("a", "b")
    assert catalog.error_types == ("bad_rom",)


def test_a_mistake_hides_no_other_of_the_same_event(write):
    text = """\
product: shop
attributes:
  note: {type: string}
  plan: {type: enm}
events:
  shop.order: {feature: order, attributes: [plan, nte], match: [{route: "GET"}]}
  shop.refund: {surfac: web, feature: refund, actions: [a, a], expires: soon}
  shop.visit: {surface: web, feature: visit, actions: go, attributes: [nte]}
"""
    assert [
        line.removeprefix("events.yaml:").split(": ")[:2] for line in mistakes(write(text))
    ] == [
        ["4", "attributes.plan.type"],
        ["6", "events.shop.order.surface"],
        ["6", "events.shop.order.attributes.1"],
        ["6", "events.shop.order.match.0.route"],
        ["7", "events.shop.refund.surfac"],
        ["7", "events.shop.refund.surface"],
        ["7", "events.shop.refund.expires"],
        ["7", "events.shop.refund.actions.1"],
        ["8", "events.shop.visit.actions"],  # on which most of the rest depends
    ]


def test_where_attributes_cannot_be_read_those_of_events_are_not_called_undeclared(write):
    text = "product: p\nattributes: [note]\nevents:\n  e: {surface: web, attributes: [note]}\n"
    assert mistakes(write(text)) == [
        "events.yaml:2: attributes: expected mapping, got list",
        "events.yaml:4: events.e.feature: is missing",
    ]


def test_conflicts_between_products_name_both_files(write):
    one = """\
product: p
attributes:
  guild_id: {type: string, hash: daily}
  viewer_id: {type: string, hash: daily}
  same: {type: bool}
events:
  a: {surface: s, feature: f, actions: [go]}
  b: {surface: s, feature: f}
"""
    two = """\
product: p
attributes:
  guild_id: {type: string, hash: weekly}
  viewer: {type: string, hash: daily}
  same: {type: bool}
events:
  a.go: {surface: s, feature: f}
  b: {surface: s, feature: f}
"""
    assert mistakes(write(one, "1.yaml"), write(two, "2.yaml")) == [
        "1.yaml:3: attributes.guild_id: is declared differently in 2.yaml",
        "1.yaml:4: attributes.viewer_id: has the column of viewer in 2.yaml",
        '1.yaml:7: events.a: with action "go" it has the name of a.go in 2.yaml',
        "1.yaml:8: events.b: is declared in 2.yaml as well",
        "1.yaml:1: product: is the product of 2.yaml as well",
        "2.yaml:3: attributes.guild_id: is declared differently in 1.yaml",
        "2.yaml:4: attributes.viewer: has the column of viewer_id in 1.yaml",
        "2.yaml:8: events.b: is declared in 1.yaml as well",
        "2.yaml:1: product: is the product of 1.yaml as well",
    ]


def test_mistakes_of_several_files_are_told_together(write):
    one = write("product: P\nevents: {}\n", "1.yaml")
    two = write("product: p\nevents: []\n", "2.yaml")
    assert mistakes(one, two) == [
        "1.yaml:1: product: must be 1 to 63 of a-z, 0-9, _ and -, beginning with a letter",
        "2.yaml:2: events: expected mapping, got list",
    ]


KEYS = st.sampled_from(
    ["product", "events", "attributes", "error_types", "type", "hash", "values", "min", "max", "surface",
     "feature", "actions", "expires", "sample_rate", "a", "a.b", "duration_ms"]
)  # fmt: skip
LEAVES = st.one_of(
    st.sampled_from(["enum", "int", "string", "daily", "a", "p", "invoke", 2**63, 10**400, -1, 0.5]),
    st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=5),
    st.dates().map(str), st.text(st.characters(), max_size=3),
)  # fmt: skip
TREES = st.dictionaries(
    KEYS,
    st.recursive(
        LEAVES,
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=4),
    ),
    max_size=4,
)


@settings(PATIENT, max_examples=200)
@given(st.text() | st.binary() | TREES.map(lambda tree: str(tree).replace("None", "null")))
@example("\x00")
@example('product: "\\ud800"\nevents: {}\nattributes: {x: {type: "\\ud800"}}')
def test_any_file_is_a_catalog_or_a_list_of_mistakes(tmp_path_factory, text):
    file = tmp_path_factory.getbasetemp() / "random.yaml"
    file.write_bytes(text if isinstance(text, bytes) else text.encode("utf-8", "surrogatepass"))
    with contextlib.suppress(DocumentError):
        assert "footfall.emitted" in load_catalog(file).events


def test_the_types_give_a_json_schema_for_editors():
    """`footfall_processors.catalog.Source` is the definition; an editor reads its schema."""
    schema = msgspec.json.schema(Source)
    assert set(schema["$defs"]) >= {"Attribute", "Event", "Source"}


def test_no_file_at_all_is_refused():
    with pytest.raises(DocumentError, match="no file was named"):
        load_catalog([])


@pytest.mark.parametrize("name", ["count", "hours", "observations", "histogram"])
def test_a_name_that_reports_count_by_is_no_enums(write, name):
    fields = "type: enum, values: [few, many]"
    [mistake] = mistakes(write(ONE_ATTRIBUTE.format(name=name, fields=fields)))
    assert f"attributes.{name}: is a name that no enum may have" in mistake
    assert load_catalog(write(ONE_ATTRIBUTE.format(name=name, fields="type: int")))


def test_the_products_of_a_store_have_so_many_attributes_at_most(tmp_path):
    number = iter(range(10_000))

    def product(name, attributes):
        path = tmp_path / f"{name}.yaml"
        lines = [f"  a{next(number)}: {{type: int}}\n" for _ in range(attributes)]
        path.write_text(f"product: {name}\nattributes:\n{''.join(lines)}events: {{}}\n")
        return path

    files = [product("one", 600), product("two", 400)]
    assert len(load_catalog(files).attributes) >= 1000
    [mistake] = mistakes(*files, product("three", 1))
    assert mistake.endswith("three.yaml:2: attributes: a store has at most 1000, these are 1001")
