import datetime as dt
import os
from enum import StrEnum
from typing import Annotated

import msgspec
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from footfall_processors import document
from footfall_processors.document import Document, DocumentError, Mistake

PATIENT = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])


class Colour(StrEnum):
    RED = "red"
    GREEN = "green"


Word = Annotated[str, msgspec.Meta(pattern="^[a-z]+$", description="lower-case letters")]


class Item(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    word: Word
    colour: Colour = Colour.RED
    count: int | None = None
    day: dt.date | None = None


class Shape(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    title: str
    items: dict[str, Item] = {}
    tags: tuple[Word, ...] = ()
    size: int | float | None = None


def load(text, tmp_path):
    file = tmp_path / "a.yaml"
    file.write_bytes(text if isinstance(text, bytes) else text.encode())
    return document.load(file)


def refused(text, tmp_path):
    """(line, path, message) of every mistake that refuses the file when it is loaded."""
    with pytest.raises(DocumentError) as caught:
        load(text, tmp_path)
    assert {m.file for m in caught.value.mistakes} == {str(tmp_path / "a.yaml")}
    return [(m.line, m.path, m.message) for m in caught.value.mistakes]


def parsed(text):
    doc = Document("a.yaml")
    document.parse(text, doc)
    return doc


def mistakes(text, shape=Shape):
    """(line, path, message) of every mistake in a text that should be a `shape`."""
    doc = parsed(text)
    assert doc.read(shape) is None
    return [(m.line, m.path, m.message) for m in doc.mistakes]


def test_a_good_file_is_read_whole(tmp_path):
    text = """\
title: Größe
items:
  one: {word: a, colour: green, count: 3, day: 2027-12-31}
  two: {word: b}
tags: [x, y]
size: 1.5
"""
    assert load(text, tmp_path).read(Shape) == Shape(
        title="Größe",
        items={
            "one": Item(word="a", colour=Colour.GREEN, count=3, day=dt.date(2027, 12, 31)),
            "two": Item(word="b"),
        },
        tags=("x", "y"),
        size=1.5,
    )


def test_an_alias_stands_for_what_it_names(tmp_path):
    text = "title: t\nitems:\n  one: &one {word: a}\n  two: *one\n"
    items = load(text, tmp_path).read(Shape).items
    assert items["one"] == items["two"] == Item(word="a")


def test_every_mistake_is_found_at_once_with_its_line_and_path():
    text = """\
titel: t
items:
  one:
    word: A1
    colour: gren
    count: "3"
    day: 31.12.2027
  two: [1]
  three:
    colour: null
    note: x
tags:
  - ok
  - 5
  - no!
size: big
"""
    assert mistakes(text) == [
        (1, "titel", 'is not known here; did you mean "title"? (known: title, items, tags, size)'),
        (1, "title", "is missing"),
        (4, "items.one.word", "must be lower-case letters"),
        (5, "items.one.colour", 'invalid enum value \'gren\' (one of: red, green); did you mean "green"?'),
        (6, "items.one.count", "expected int, got str; write 3, without quotes"),
        (7, "items.one.day", "invalid RFC3339 encoded date; write it as 2027-12-31"),
        (8, "items.two", "must be a mapping (`key: value` lines)"),
        (11, "items.three.note", "is not known here (known: word, colour, count, day)"),
        (9, "items.three.word", "is missing"),
        (10, "items.three.colour", "expected str, got null (one of: red, green)"),
        (14, "tags.1", "expected str, got int; put it in quotes"),
        (15, "tags.2", "must be lower-case letters"),
        (16, "size", "expected int | float | null, got str"),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("written", "right"),
    [
        ("1e3", "1000"),
        ("'0.5'", "0.5"),
        ("-25e-2", "-0.25"),
        ("1e-7", "1.0e-07"),
        ("2e99", "2.0e+99"),
        ("'7'", "7"),
    ],
)
def test_a_number_that_yaml_takes_for_text_is_said_to_be_one(written, right, tmp_path):
    [(_, _, said)] = mistakes(f"title: t\nitems: {{}}\ntags: []\nsize: {written}\n")
    assert said == f"expected int | float | null, got str; write {right}, without quotes"
    mended = f"title: t\nitems: {{}}\ntags: []\nsize: {right}\n"
    assert load(mended, tmp_path).read(Shape).size == pytest.approx(float(written.strip("'")))


@pytest.mark.parametrize("text", ["many", "'1 2'", "'٣'", "1e999", "'0x10'", "1" * 40 + "e3"])
def test_of_other_text_nothing_is_guessed(text):
    [(_, _, said)] = mistakes(f"title: t\nitems: {{}}\ntags: []\nsize: {text}\n")
    assert said == "expected int | float | null, got str"


def test_a_repeated_key_names_both_lines_and_the_first_counts():
    doc = parsed("title: a\ntags: []\ntitle: b\n")
    assert doc.mistakes == [Mistake("a.yaml", 3, "title", "is given twice, first in line 1")]
    assert doc.data["title"] == "a"


def test_the_wrong_kind_of_section_is_said_in_yamls_words():
    assert mistakes("title: t\nitems: []\ntags: {}\n") == [
        (2, "items", "expected mapping, got list"),
        (3, "tags", "expected list, got mapping"),
    ]


@pytest.mark.parametrize("key", ["5", "1.5", "on", "null", "~", "2027-12-31", "[a]", "{a: 1}"])
def test_a_key_that_is_no_string_is_refused(key):
    (mistake,) = parsed(f"title: t\n? {key}\n: x\n").mistakes
    assert mistake.line == 2
    assert mistake.message == "a key must be a string of valid characters; put it in quotes"


@pytest.mark.parametrize("merged", ["*a", "[*a, *a]", "{colour: red}", "3", ""])
def test_a_merge_is_said_to_be_none_and_what_would_be_right(merged):
    doc = parsed(f"items:\n  one: &a {{word: x}}\n  two: {{<<: {merged}, word: y}}\n")
    said = (
        "is not read here: write the fields out, or have an alias stand for a whole value (`b: *a`)"
    )
    assert doc.mistakes == [Mistake("a.yaml", 3, "items.two.<<", said)]
    assert doc.data["items"]["two"] == {"word": "y"}


@pytest.mark.parametrize(
    ("value", "tag"),
    [
        ("!include [a.yaml]", "!include"),
        ("!reset {a: b}", "!reset"),
        ("!!set {a, b}", "!!set"),
        ("!!omap [a: b]", "!!omap"),
        ("!!python/object/apply:os.system [ls]", "!!python/object/apply:os.system"),
        ("!<x:y> [a]", "x:y"),
    ],
)
def test_a_tag_on_a_list_or_a_mapping_is_a_mistake(value, tag):
    doc = parsed(f"title: t\nsize: {value}\n")
    said = f"the tag {tag} is not read here; write what it stands for"
    assert doc.mistakes == [Mistake("a.yaml", 2, "size", said)]


def test_the_tags_that_lists_and_mappings_have_anyway_are_none():
    assert parsed("!!map\ntags: !!seq [a]\n").mistakes == []


def test_an_alias_that_contains_itself_is_refused():
    doc = parsed("title: t\nitems: &items\n  one: *items\n")
    assert doc.mistakes == [Mistake("a.yaml", 3, "items.one", "an alias may not contain itself")]


@pytest.mark.parametrize(
    ("text", "line", "message"),
    [
        ("a: [1\nb: 2\n", 2, "while parsing a flow sequence, expected ',' or ']', but got ':'"),
        ("a: 'b\n", 2, "while scanning a quoted scalar, found unexpected end of stream"),
        ("a: *b\n", 1, "found undefined alias 'b'"),
        (
            "a: 1\n---\nb: 2\n",
            2,
            "expected a single document in the stream, but found another document",
        ),
        ("a: 1\nb: \x07\n", 2, "it holds U+0007; leave it out"),
        ("a: \x00", 1, "it holds U+0000; leave it out"),
    ],
)
def test_what_is_no_yaml_is_refused_with_its_line(tmp_path, text, line, message):
    assert refused(text, tmp_path) == [(line, "", f"is not valid YAML: {message}")]


@pytest.mark.parametrize("text", ['a: "\\Uffffffff"', "%YAML " + "9" * 5000 + ".0\n---\na: 1"])
def test_what_pyyaml_itself_stumbles_over_is_refused(tmp_path, text):
    ((line, path, message),) = refused(text, tmp_path)
    assert (line, path) == (1, "")
    assert message.startswith("is not valid YAML: ")


@pytest.mark.parametrize("depth", [1_000, 3_000])
@pytest.mark.parametrize("opening", ["[", "{a: ", "- "])
def test_deep_nesting_is_refused(tmp_path, opening, depth):
    assert refused(opening * depth, tmp_path) == [(1, "", "is nested too deeply")]


def test_aliases_of_aliases_are_refused_before_they_fill_the_memory(tmp_path):
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 12)]
    ((_, path, message),) = refused("\n".join(lines), tmp_path)
    assert (path, message) == ("", "is not valid YAML: it holds more than 100000 values")


@pytest.mark.parametrize(
    ("value", "kind"),
    [
        ("2027-02-30", "timestamp"),
        ("2027-13-01", "timestamp"),
        ("9" * 5000, "int"),
        ("0x_", "int"),
        ("!!int x", "int"),
        ("!!int ''", "int"),
        ("!!bool x", "bool"),
        ("!!timestamp x", "timestamp"),
        ("!!float ''", "float"),
        ("!!seq x", "seq"),
        ("!!map x", "map"),
        ("!!binary 'ü'", "binary"),
        ("!!python/name:os.system x", "python/name:os.system"),
        ("!unheard x", "!unheard"),
        ("=", "value"),
    ],
)
def test_a_value_that_cannot_be_read_is_one_mistake_among_others(value, kind):
    doc = parsed(f"title: t\nsize: {value}\ntitle: u\n")
    assert [(m.line, m.path) for m in doc.mistakes] == [(2, "size"), (3, "title")]
    what = "a day or a time that there is" if kind == "timestamp" else f"a valid YAML {kind}"
    assert doc.mistakes[0].message == f"is not {what}; if it is text, put it in quotes"


@pytest.mark.parametrize("escape", [r"\0", r"\ud800", r"\udfff"])
def test_text_that_cannot_be_stored_is_a_mistake(escape):
    doc = parsed(f'title: "a{escape}b"\n"k{escape}": 1\n')
    assert [(m.line, m.path, m.message) for m in doc.mistakes] == [
        (1, "title", "holds NUL or half a surrogate pair; leave it out"),
        (2, "k\ufffd", "a key must be a string of valid characters; put it in quotes"),
    ]
    assert doc.data == {"title": "a\ufffdb", "k\ufffd": 1}


def test_a_mistake_is_one_plain_line_whatever_the_file_holds():
    text = 'title: t\nitems: {"a\\n\\e[31mb": {word: x, colour: "c\\nd"}}\n'
    ((_, path, message),) = mistakes(text)
    assert path == "items.a\ufffd\ufffd[31mb.colour"
    assert message == "invalid enum value 'c\\nd' (one of: red, green)"


@pytest.mark.parametrize("text", ["", "\n\n", "# nothing\n", "\ufeff"])
def test_an_empty_file_is_an_empty_mapping(tmp_path, text):
    assert load(text, tmp_path).data == {}


@pytest.mark.parametrize("text", ["- a\n- b\n", "a\n", "5\n", "null\n", "[]\n"])
def test_anything_but_a_mapping_at_the_top_is_refused(tmp_path, text):
    assert refused(text, tmp_path) == [(1, "", "must be a mapping (`key: value` lines)")]


def test_a_byte_order_mark_is_no_mistake(tmp_path):
    assert load(b"\xef\xbb\xbftitle: t\n", tmp_path).data == {"title": "t"}


@pytest.mark.parametrize("data", [b"title: \xff\n", "title: t\n".encode("utf-16")])
def test_what_is_not_utf_8_is_refused(tmp_path, data):
    assert refused(data, tmp_path) == [(1, "", "is not UTF-8 text")]


def test_a_file_that_is_not_there_is_refused(tmp_path):
    with pytest.raises(DocumentError, match="cannot be read: No such file or directory"):
        document.load(tmp_path / "none.yaml")


def test_a_directory_is_refused(tmp_path):
    with pytest.raises(DocumentError, match="cannot be read: Is a directory"):
        document.load(tmp_path)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read every file")
def test_a_file_without_permission_is_refused(tmp_path):
    file = tmp_path / "a.yaml"
    file.touch(0)
    with pytest.raises(DocumentError, match="cannot be read: Permission denied"):
        document.load(file)


def test_the_error_shows_every_mistake_in_the_order_of_the_file():
    doc = parsed("tags: [5]\ntitle: 3\n")
    doc.read(Shape)
    with pytest.raises(DocumentError) as caught:
        doc.refuse()
    assert str(caught.value) == (
        "a.yaml:1: tags.0: expected str, got int; put it in quotes\n"
        "a.yaml:2: title: expected str, got int; put it in quotes"
    )


def test_a_mistake_in_no_particular_place_names_the_file_alone():
    assert str(Mistake("a.yaml", 1, "", "is empty")) == "a.yaml:1: is empty"


def test_a_document_without_mistakes_is_not_refused():
    parsed("title: t\n").refuse()


SCALARS = st.one_of(
    st.text(max_size=10),
    st.sampled_from(["!!int", "!!bool x", "!!set {a}", "2027-02-30", "0x_", "&a [*a]", "*a", "<<: *a",
                     '"\\ud800"', '"\\0"', "1:60", "0b", ".inf", "- ", "? ", ": ", "\n ", "|", ">", "%"]),
)  # fmt: skip


@settings(PATIENT)
@given(st.text() | st.text(st.characters(), max_size=50) | st.lists(SCALARS).map("".join))
@example("\x00")
@example("\ud800")
@example("a: \ud800")
def test_any_text_is_parsed_or_noted(text):
    doc = parsed(text)
    assert doc.mistakes or isinstance(doc.data, dict)
    doc.read(Shape) if isinstance(doc.data, dict) else None
    assert all(str(m).isprintable() for m in doc.mistakes)


TREES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5) | st.dates()
    | st.datetimes() | st.binary(max_size=3),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=6,
)  # fmt: skip


@settings(PATIENT)
@given(st.dictionaries(st.sampled_from(["title", "items", "tags", "size"]), TREES))
def test_any_tree_is_read_or_noted(tree):
    doc = Document("a.yaml", tree)
    shape = doc.read(Shape)
    assert isinstance(shape, Shape) != bool(doc.mistakes)


@settings(PATIENT)
@given(TREES)
def test_peeking_leaves_no_mistake(tree):
    assert document.peek(Item, tree) is None or set(tree) <= {"word", "colour", "count", "day"}


def test_a_file_without_end_is_not_read_to_it(tmp_path):
    large = tmp_path / "large.yaml"
    large.write_text("a: b  #" + "-" * 2**24)
    for path in ("/dev/full", "/dev/zero", large):
        with pytest.raises(DocumentError) as caught:
            document.load(path)
        assert str(caught.value.mistakes[0]) == f"{path}:1: is larger than 16 MiB"
