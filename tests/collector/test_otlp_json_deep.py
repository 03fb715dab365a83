"""OTLP/JSON that is nested deeper than anything that is read: it costs itself, never its request."""

import asyncio
import json

import pytest
from google.protobuf.message import DecodeError
from hypothesis import given
from hypothesis import strategies as st

from collector.drawn import thorough
from collector.json_requests import groups
from collector.spans import NOW_US, SALTS
from footfall_collector.decoding import wire
from footfall_collector.decoding.otlp_json import shallow
from footfall_collector.decoding.spans import Pipeline
from footfall_collector.decoding.turns import Work
from footfall_processors import Loss

TIME = f'"timeUnixNano":"{NOW_US * 1000}","eventName":"shop.ping"'
LISTS, MAPS = ("[", "]"), ('{"a":', "}")
VALUES = '{"arrayValue":{"values":[', "]}}"
depths = pytest.mark.parametrize("depth", [300, 340, 1000, 20_000])


@pytest.fixture(scope="module")
def pipe(ruled):
    return Pipeline(ruled, SALTS, lambda: NOW_US * 1000 + 999)


def nested(opening, closing, depth, inner='{"stringValue":"x"}'):
    return opening * depth + inner + closing * depth


def records(*fields):
    """A record beside others, with these fields as well."""
    items = ",".join(f"{{{','.join((TIME, *own))}}}" for own in ((), fields, ()))
    return f'{{"resourceLogs":[{{"scopeLogs":[{{"logRecords":[{items}]}}]}}]}}'.encode()


def stored(pipe, body):
    batch = asyncio.run(pipe.logs(body, groups=groups("logs", body)))
    return batch.size, dict(batch.losses)


@depths
@pytest.mark.parametrize("form", [LISTS, MAPS, VALUES], ids=["lists", "maps", "values"])
def test_what_nobody_reads_may_be_nested_as_it_likes(pipe, form, depth):
    assert stored(pipe, records(f'"body":{nested(*form, depth)}')) == (3, {})


@depths
def test_an_undeclared_attribute_may_be_nested_as_it_likes(pipe, depth):
    pair = f'{{"key":"page","value":{nested(*VALUES, depth)}}}'
    assert stored(pipe, records(f'"attributes":[{pair}]')) == (3, {Loss.UNDECLARED_ATTRIBUTE: 1})


@depths
def test_what_is_odd_beside_it_costs_itself(pipe, depth):
    deep = f'"body":{nested(*VALUES, depth)}'
    assert stored(pipe, records(deep, '"traceState":"cut \\ud83d"')) == (3, {})
    assert stored(pipe, records(deep, '"severityNumber":[]')) == (2, {Loss.MALFORMED: 1})
    assert stored(pipe, records('"timeUnixNano":"soon"', deep)) == (2, {Loss.MALFORMED: 1})


@pytest.mark.parametrize("text", [r"]", r"}}]]", r"\"]", r"\\", r"\\\"[", r"[[{{", r"\u005d", "é]"])
def test_brackets_in_texts_are_none(pipe, text):
    deep = nested(*MAPS, 2000, inner=f'"{text}"')
    assert stored(pipe, records(f'"body":{deep}')) == (3, {})


@pytest.mark.parametrize("odd", ['"new":1', '"traceState":"cut \\ud83d"'], ids=["none", "patience"])
def test_there_is_no_depth_at_which_something_is_lost(pipe, odd):
    """Near the one at which msgspec gives up, which is another in each place, by how Python was called."""
    for depth in range(850, 1000, 3):
        deep = records(f'"body":{nested(*LISTS, depth)}', odd)
        pair = f'{{"key":"page","value":{nested(*VALUES, depth // 3)}}}'
        assert stored(pipe, deep) == (3, {})
        lost = {Loss.UNDECLARED_ATTRIBUTE: 1}
        assert stored(pipe, records(f'"attributes":[{pair}]', odd)) == (3, lost)


@pytest.mark.parametrize(
    "end",
    [
        "]" * 1999,
        "]" * 2001,
        "]" * 1000 + "}" + "]" * 999,
        '"' + "]" * 2000,
        '"\\"' + "]" * 2000,
        "",
    ],
    ids=["too few", "too many", "another", "in a text", "after an escape", "none"],
)
def test_brackets_that_do_not_match_are_no_json(end):
    body = records('"body":DEEP').replace(b"DEEP", b"[" * 2000 + end.encode())
    with pytest.raises(DecodeError, match="not OTLP/JSON"):
        groups("logs", body)


def test_a_request_that_is_nested_so_may_have_so_many_brackets(pipe, monkeypatch):
    body = records(f'"body":{nested(*LISTS, 2000)}')
    brackets = sum(map(body.count, b"[]{}"))
    monkeypatch.setattr(shallow, "MOST", brackets)
    assert stored(pipe, body) == (3, {})
    monkeypatch.setattr(shallow, "MOST", brackets - 1)
    with pytest.raises(wire.TooLarge, match="brackets"):
        groups("logs", body)


TEXTS = st.text(st.sampled_from('[]{}",:\\/ab é\n😀'), max_size=6)
DOCUMENTS = st.recursive(
    st.none() | st.integers() | TEXTS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS, inner, max_size=3),
)


def cut(value, left):
    """A value without what is in its innermost lists and objects."""
    if not isinstance(value, list | dict):
        return value
    if left == 1:
        return type(value)()
    if isinstance(value, list):
        return [cut(each, left - 1) for each in value]
    return {key: cut(each, left - 1) for key, each in value.items()}


@thorough
@given(
    document=DOCUMENTS,
    deepest=st.integers(1, 4),
    indent=st.sampled_from([None, 1]),
    ascii=st.booleans(),
)
def test_what_is_left_is_what_is_not_so_deep(document, deepest, indent, ascii):
    body = json.dumps(document, indent=indent, ensure_ascii=ascii).encode()

    async def emptied():
        async with Work() as work:
            return await shallow.emptied(body, work)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(shallow, "DEEPEST", deepest)
        assert json.loads(asyncio.run(emptied())) == cut(document, deepest)
