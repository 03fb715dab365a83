import datetime as dt
import hashlib
import itertools
import math
import re

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from footfall_processors import Attribute, Catalog, Event, Hash, Type, load_catalog
from footfall_processors.catalog import Rule, with_builtins
from footfall_processors.changes import Scope, fingerprint, scope, widened
from footfall_processors.wording import described

PATIENT = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
TEXT = """
product: shop
error_types: [out_of_stock]
attributes:
  guild_id: {type: string, hash: weekly}
  provider: {type: enum, values: [alttpr, smz3]}
  items: {type: int, min: 0, max: 100}
  weight: {type: float, max: 2.5}
  note: {type: string, max_length: 40}
  gift: {type: bool}
  unused: {type: uuid}
events:
  shop.order:
    surface: web
    feature: order
    actions: [invoke, success]
    attributes: [guild_id, provider, items, weight, note]
  shop.visit: {surface: web, feature: visit, actions: [visit]}
  shop.came:
    surface: web
    feature: door
    description: Somebody came
    match: [{span: a}, {route: GET /a/*}]
    expires: 2030-01-01
    sample_rate: 0.5
"""


def edited(*edits, tmp_path):
    """The catalog with parts of its text replaced."""
    text = TEXT
    for old, new in edits:
        assert text.count(old) == 1, old
        text = text.replace(old, new)
    path = tmp_path / "events.yaml"
    path.write_text(text)
    return load_catalog(path)


@pytest.mark.parametrize(
    ("old", "new", "lines"),
    [
        ("  shop.visit:", "  shop.back: {surface: web, feature: back, attributes: [gift]}\n  shop.visit:",
         ["New: shop.back (failure, invoke and success).", "shop.back may carry gift: yes or no."]),
        ("[invoke, success]", "[success, cancel, invoke, retry]",
         ["shop.order also tells: cancel and retry."]),
        ("weight, note]", "weight, note, gift]", ["shop.order may carry gift: yes or no."]),
        ("actions: [visit]", "actions: [visit], attributes: [note]",
         ["shop.visit may carry note: text as it is typed or sent, of at most 40 characters."]),
        (", hash: weekly", ", hash: monthly",
         ["guild_id: is now text, kept only as a code that changes every month;"
          " it was text, kept only as a code that changes every week."]),
        (", hash: weekly", ", hash: static",
         ["guild_id: is now text, kept only as a code that stays the same;"
          " it was text, kept only as a code that changes every week."]),
        (", hash: weekly", "",
         ["guild_id: is now text as it is typed or sent, of at most 280 characters;"
          " it was text, kept only as a code that changes every week."]),
        ("{type: string, hash: weekly}", "{type: int, hash: weekly}",
         ["guild_id: is now a whole number, kept only as a code that changes every week;"
          " it was text, kept only as a code that changes every week."]),
        ("[alttpr, smz3]", "[z3r, alttpr, smz3, alba]", ["provider: may also be alba or z3r."]),
        ("{type: enum, values: [alttpr, smz3]}", "{type: string, max_length: 9}",
         ["provider: is now text as it is typed or sent, of at most 9 characters;"
          " it was one of alttpr or smz3."]),
        ("max_length: 40", "max_length: 41", ["note: may have 41 characters; it had at most 40."]),
        (", max_length: 40", "", ["note: may have 280 characters; it had at most 40."]),
        ("max: 100}", "max: 101}", ["items: may be above 100."]),
        (", max: 100}", "}", ["items: may be above 100."]),
        ("min: 0,", "min: -1,", ["items: may be below 0."]),
        ("min: 0, max: 100}", "hash: static}",
         ["items: may be below 0.", "items: may be above 100."]),
        ("{type: float, max: 2.5}", "{type: float}", ["weight: may be above 2.5."]),
        ("{type: int, min: 0, max: 100}", "{type: float, min: 0, max: 100}",
         ["items: is now a number from 0 to 100; it was a whole number from 0 to 100."]),
        ("[out_of_stock]", "[late, out_of_stock]", ['A failure may be called "late".']),
        ("{type: float, max: 2.5}", "{type: int, max: 3}",
         ["weight: is now a whole number of at most 3; it was a number of at most 2.5."]),
        ("{type: string, max_length: 40}", "{type: enum, values: [%s]}" % ("x" * 41),
         [f"note: is now one of {'x' * 41}; it was text as it is typed or sent, of at most 40 characters."]),
        ("max_length: 40", "max_length: 40, description: What was bought",
         ['note: is now described as "What was bought".']),
        ("feature: door", "feature: window", ["shop.came is now a use of window (web); it was door (web)."]),
        ("surface: web\n    feature: door", "surface: api\n    feature: door",
         ["shop.came is now a use of door (api); it was door (web)."]),
        ("Somebody came", "Somebody came or left",
         ['shop.came is now described as "Somebody came or left"; it was "Somebody came".']),
        ("feature: order", "feature: order\n    description: An order",
         ['shop.order is now described as "An order".']),
        ("2030-01-01", "2030-01-02", ["shop.came is now counted until 2030-01-02; it was until 2030-01-01."]),
        ("    expires: 2030-01-01\n", "",
         ["shop.came is now counted without an end; it was until 2030-01-01."]),
        ("0.5", "0.75", ["shop.came is now observed in 75% of all cases; it was in 50%."]),
        ("    sample_rate: 0.5\n", "", ["shop.came is now observed in 100% of all cases; it was in 50%."]),
        ("{route: GET /a/*}", '{route: "* /a/*"}', ["shop.came is now also counted at route * /a/*."]),
        ("{route: GET /a/*}", "{route: GET /a/*}, {route: GET /b}, {discord: a}",
         ["shop.came is now also counted at discord a and route GET /b."]),
        ("{span: a}", "{span: a*}", ["shop.came is now also counted at span a*."]),
        ("{span: a}", "{span: a, action: failure}", ["shop.came is now also counted at span a (failure)."]),
    ],
)  # fmt: skip
def test_whatever_is_allowed_anew_is_told_in_plain_words(tmp_path, old, new, lines):
    before, after = edited(tmp_path=tmp_path), edited((old, new), tmp_path=tmp_path)
    assert widened(scope(before), scope(after)) == lines
    assert fingerprint(before) != fingerprint(after)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("  shop.visit: {surface: web, feature: visit, actions: [visit]}", ""),
        ("[invoke, success]", "[success]"),
        ("items, weight, note]", "note]"),
        ("hash: weekly", "hash: daily"),
        ("{type: string, max_length: 40}", "{type: string, hash: static}"),
        ("[alttpr, smz3]", "[smz3]"),
        ("max_length: 40", "max_length: 39"),
        ("max: 100}", "max: 99}"),
        ("min: 0,", "min: 1,"),
        ("{type: float, max: 2.5}", "{type: float, min: -9, max: 2}"),
        ("[out_of_stock]", "[]"),
        ("{type: float, max: 2.5}", "{type: int, max: 2}"),
        ("{type: string, max_length: 40}", "{type: enum, values: [gift, none]}"),
        ("2030-01-01", "2029-12-31"),
        ("0.5", "0.25"),
        ("{route: GET /a/*}", "{route: GET /a/b}, {route: GET /a/*/c*}"),
        ("{span: a}, ", ""),
        ("    description: Somebody came\n", ""),
    ],
)
def test_less_than_before_is_nothing_new(tmp_path, old, new):
    before, after = edited(tmp_path=tmp_path), edited((old, new), tmp_path=tmp_path)
    assert widened(scope(before), scope(after)) == []
    assert widened(scope(after), scope(before)) != []


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("product: shop", "product: store"),
        ("guild_id, provider, items,", "items, provider, guild_id,"),
        ("[alttpr, smz3]", "[smz3, alttpr]"),
        ("[invoke, success]", "[success, invoke]"),
        ("{type: string, hash: weekly}", "{type: string, hash: weekly, max_length: 9}"),
        ("{type: uuid}", "{type: string, max_length: 1000}"),
        ("{type: bool}", "{type: bool, description: A present}"),
        ("feature: visit,", "feature: visit, owner: us,"),
        ("{type: bool}", "{type: bool, from: isPresent}"),
        ("Somebody came", "'  Somebody came '"),
        ("[{span: a}, {route: GET /a/*}]", "[{route: GET /a/*}, {span: a}]"),
    ],
)  # fmt: skip
def test_what_changes_nothing_about_what_may_be_known_is_the_same(tmp_path, old, new):
    before, after = edited(tmp_path=tmp_path), edited((old, new), tmp_path=tmp_path)
    assert scope(before) == scope(after)
    assert fingerprint(before) == fingerprint(after)


def test_typing_errors_and_punctuation_in_a_description_ask_nobody(tmp_path):
    before = edited(tmp_path=tmp_path)
    after = edited(("Somebody came", "'somebody — came!'"), tmp_path=tmp_path)
    assert widened(scope(before), scope(after)) == []


def test_a_description_that_was_left_out_meanwhile_is_compared_with_what_was_agreed_to(tmp_path):
    agreed = scope(edited(tmp_path=tmp_path))
    assert (
        widened(agreed, scope(edited(("    description: Somebody came\n", ""), tmp_path=tmp_path)))
        == []
    )
    other = scope(edited(("Somebody came", "Who came"), tmp_path=tmp_path))
    assert widened(agreed, other) == [
        'shop.came is now described as "Who came"; it was "Somebody came".'
    ]


def test_the_first_question_says_what_things_are_counted_for(tmp_path):
    after = edited(
        ("[visit]}", "[visit], attributes: [gift]}"),
        ("{type: bool}", "{type: bool, description: A present.}"),
        tmp_path=tmp_path,
    )
    asked = widened(Scope({}, {}), scope(after))
    assert "New: shop.came (failure, invoke and success): Somebody came." in asked
    assert "shop.visit may carry gift (A present): yes or no." in asked


def test_a_consent_that_was_kept_before_all_this_was_told_is_asked_for_again(tmp_path):
    """A file as an earlier version wrote it."""
    now = scope(edited(tmp_path=tmp_path))
    kept = msgspec.to_builtins(now)
    kept["events"] = {
        name: {key: event[key] for key in ("actions", "attributes")}
        for name, event in kept["events"].items()
    }
    before = msgspec.convert(kept, Scope)
    assert widened(before, now) == [
        "New: shop.came (failure, invoke and success): Somebody came.",
        "New: shop.order (invoke and success).",
        "New: shop.visit (visit).",
    ]


def test_several_things_are_told_at_once(tmp_path):
    after = edited(
        ("max: 100}", "max: 900}"), ("[invoke, success]", "[invoke, lost]"), tmp_path=tmp_path
    )
    assert widened(scope(edited(tmp_path=tmp_path)), scope(after)) == [
        "shop.order also tells: lost.", "items: may be above 100.",
    ]  # fmt: skip


def test_a_long_list_is_cut_and_counted():
    described_values = described(
        Attribute(type=Type.ENUM, values=tuple(f"v{n}" for n in range(25)))
    )
    assert described_values == "one of " + ", ".join(f"v{n}" for n in range(20)) + " or 5 more"


def test_a_fingerprint_is_the_hash_of_what_is_kept_with_a_consent(tmp_path):
    catalog = edited(tmp_path=tmp_path)
    kept = msgspec.json.encode(scope(catalog))
    assert fingerprint(catalog) == hashlib.sha256(kept).hexdigest()
    assert b"footfall" not in kept
    assert b"unused" not in kept


# Catalogs at random, and every edit that makes one wider or narrower.

NAMES = [f"a{n}" for n in range(4)]
ACTIONS = ["invoke", "success", "failure", "retry"]
VALUES = [f"v{n}" for n in range(5)]
PATTERNS = ["a", "b", "aa", "ab", "a*", "*a", "a*b", "*"]
DAYS = [dt.date(2030, 1, day) for day in (1, 2, 3)]
TEXTS = ["".join(letters) for n in range(5) for letters in itertools.product("ab.", repeat=n)]
PERIODS = [Hash.DAILY, Hash.WEEKLY, Hash.MONTHLY, Hash.STATIC]


def some(items, least=0):
    return st.lists(st.sampled_from(items), unique=True, min_size=least).map(tuple)


@st.composite
def attributes(draw):
    kind = draw(st.sampled_from(Type))
    if kind in (Type.STRING, Type.INT, Type.UUID) and draw(st.booleans()):
        return Attribute(type=kind, hash=draw(st.sampled_from(PERIODS)))
    if kind is Type.ENUM:
        return Attribute(type=kind, values=draw(some(VALUES, 1)))
    if kind is Type.STRING:
        return Attribute(type=kind, max_length=draw(st.integers(1, 1024)))
    if kind in (Type.INT, Type.FLOAT):
        number = st.integers(-9, 9) if kind is Type.INT else st.floats(-9, 9)
        low, high = sorted([draw(number), draw(number)])
        limits = {"min": low, "max": high}
        kept = draw(st.sets(st.sampled_from(["min", "max"])))
        return Attribute(type=kind, **{key: limits[key] for key in kept})
    return Attribute(type=kind)


@st.composite
def catalogs(draw):
    declared = {name: draw(attributes()) for name in draw(some(NAMES))}
    events = {
        f"e.{name}": Event(
            surface=draw(st.sampled_from(["web", "api"])),
            feature=draw(st.sampled_from(["f", "g"])),
            actions=draw(some(ACTIONS, 1)),
            attributes=draw(some(sorted(declared))) if declared else (),
            match=tuple(Rule(span=text) for text in draw(some(PATTERNS))),
            expires=draw(st.none() | st.sampled_from(DAYS)),
            sample_rate=draw(st.sampled_from([0.0, 0.5, 1.0])),
        )
        for name in draw(some(["x", "y", "z"]))
    }
    errors = draw(some(["late", "lost"]))
    return with_builtins(
        Catalog(products=("p",), events=events, attributes=declared, error_types=errors)
    )


def allowed(catalog):
    """Everything a catalog allows as a set of small facts, by another way than the code's own.

    A number's limits are a fact per number in reach, a hash's period is one per shorter period.
    """
    facts = set()
    for name, event in catalog.events.items():
        if name.startswith("footfall."):
            continue
        facts |= {(name, "action", action) for action in event.actions} | {(name,)}
        facts |= {(name, "carries", attribute) for attribute in event.attributes}
        facts |= {(name, event.surface, event.feature)}
        facts |= {(name, "on", day) for day in DAYS if day <= (event.expires or DAYS[-1])}
        facts |= {(name, "on", "and on")} if event.expires is None else set()
        facts |= {(name, "share", n) for n in range(int(event.sample_rate * 2))}
        for form in (re.compile(rule.span.replace("*", ".*")) for rule in event.match):
            facts |= {(name, "at", text) for text in TEXTS if form.fullmatch(text)}
        for key in event.attributes:
            facts |= {(key, fact) for fact in holds(catalog.attributes[key])}
    return facts | {("error", name) for name in catalog.error_types}


def holds(attribute):
    low = -math.inf if attribute.min is None else attribute.min
    high = math.inf if attribute.max is None else attribute.max
    reach = [n / 4 for n in range(-48, 49)]
    plain = attribute.hash is None
    if attribute.type is Type.ENUM:
        yield from attribute.values
    elif attribute.type is Type.STRING and plain:
        yield "text"
        yield from (value for value in VALUES if len(value) <= attribute.max_length)
    elif attribute.type is Type.FLOAT or (attribute.type is Type.INT and plain):
        yield "number"
        if attribute.type is Type.FLOAT:
            yield "fraction"
        yield from (n for n in (*reach, low, high) if low <= n <= high)
    else:
        yield (attribute.type, plain or attribute.type)
        yield from (n for n in (*reach, low, high) if low <= n <= high)
    last = 4 if attribute.hash is None else PERIODS.index(attribute.hash)
    yield from (("recognisable", n) for n in range(last + 1))
    if attribute.type is Type.STRING and attribute.hash is None:
        yield from (("long", n) for n in range(attribute.max_length))


@PATIENT
@given(catalogs())
def test_nothing_is_new_in_the_same_catalog(catalog):
    assert widened(scope(catalog), scope(catalog)) == []


@PATIENT
@given(catalogs(), catalogs())
def test_nothing_is_new_exactly_when_everything_was_allowed_before(before, after):
    lines = widened(scope(before), scope(after))
    assert (lines == []) == (allowed(after) <= allowed(before))


def narrower(draw, catalog):
    """The catalog after one edit that takes something away, or makes it less recognisable."""
    events, declared = dict(catalog.events), dict(catalog.attributes)
    own = sorted(name for name in events if not name.startswith("footfall."))
    kind = draw(st.sampled_from(["event", "action", "carried", "error", "attribute"]))
    name = draw(st.sampled_from(own)) if own else None
    if kind == "error":
        return msgspec.structs.replace(catalog, error_types=catalog.error_types[1:])
    if kind == "attribute":
        for key in NAMES:
            if key in declared:
                declared[key] = less(draw, declared[key])
    elif name and kind == "event":
        del events[name]
    elif name and kind == "action":
        actions = events[name].actions
        events[name] = msgspec.structs.replace(events[name], actions=actions[1:] or actions)
    elif name:
        fewer = events[name].attributes[1:]
        events[name] = msgspec.structs.replace(events[name], attributes=fewer)
    return msgspec.structs.replace(catalog, events=events, attributes=declared)


def less(draw, attribute):
    changed = {}
    if attribute.hash:
        earlier = PERIODS[: PERIODS.index(attribute.hash) + 1]
        changed = {"hash": draw(st.sampled_from(earlier))}
    elif attribute.type is Type.ENUM:
        changed = {"values": attribute.values[1:] or attribute.values}
    elif attribute.type in (Type.STRING, Type.UUID) and draw(st.booleans()):
        changed = {"hash": draw(st.sampled_from(PERIODS))}
    elif attribute.type is Type.STRING:
        changed = {"max_length": draw(st.integers(1, attribute.max_length))}
    elif attribute.type in (Type.INT, Type.FLOAT):
        low = -20 if attribute.min is None else attribute.min
        high = 20 if attribute.max is None else attribute.max
        changed = {"min": low, "max": max(low, high - 1)}
    return msgspec.structs.replace(attribute, **changed)


@PATIENT
@given(catalogs(), st.data())
def test_after_any_number_of_narrowing_edits_a_consent_still_holds(catalog, data):
    after = catalog
    for _ in range(data.draw(st.integers(1, 6))):
        after = narrower(data.draw, after)
    assert widened(scope(catalog), scope(after)) == []


@PATIENT
@given(catalogs(), catalogs())
def test_a_scope_comes_back_from_its_file_as_it_was(before, after):
    kept = msgspec.json.decode(msgspec.json.encode(scope(before)), type=Scope)
    assert kept == scope(before)
    assert widened(kept, scope(after)) == widened(scope(before), scope(after))
