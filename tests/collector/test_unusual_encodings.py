import pytest

from collector.decoded import SMALL, as_result, decode, expected, limit, rows_of
from collector.spans import NOW_US, SALTS, body_of, key_value, length_prefixed, one_span
from footfall_collector.decoding.spans import Pipeline
from footfall_processors import Loss
from support import reference


def unusual_pairs():
    """KeyValues that no encoder writes, though the encoding allows them."""
    note, guild = length_prefixed(1, b"note"), length_prefixed(1, b"guild_id")
    text = length_prefixed(2, length_prefixed(1, b"abc"))
    return {
        "the value comes before the key": text + note,
        "a second key overrides the first": note + text + guild,
        "an undeclared key is overridden": length_prefixed(1, b"http.url") + text + note,
        "a second value overrides the first": note + text + length_prefixed(2, b"\x10\x01"),
        "a second member within the value": note + length_prefixed(2, b"\x0a\x03abc\x10\x01"),
        "text that is not UTF-8": note + length_prefixed(2, length_prefixed(1, b"\xff\xfe\xfd")),
        "a value of a type to come": note + length_prefixed(2, b"\x78\x05\x0a\x01x"),
        "a value that is cut short": note + b"\x12\x05\x0a\x09abc",
        "no value": note,
        "an unknown field": note + text + b"\x78\x05",
    }  # fmt: skip


@pytest.mark.parametrize("name", unusual_pairs())
def test_an_attribute_encoded_in_an_unusual_way_means_what_it_says(pipe, name):
    body = body_of(
        one_span("shop.visit.open").SerializeToString() + length_prefixed(9, unusual_pairs()[name])
    )
    assert as_result(decode(pipe, body)) == expected(pipe, SALTS, reference.tolerant(body))


@pytest.mark.parametrize("name", unusual_pairs())
def test_what_hides_behind_a_key_of_many_values_is_declared_or_dropped(policy, monkeypatch, name):
    limit(monkeypatch, SMALL)
    pipe = Pipeline(policy, SALTS, lambda: NOW_US * 1000)
    for n in range(90):  # `note` and `http.url` become keys that are recognised without their value
        pairs = [key_value(key, string_value=f"value {n}") for key in ("note", "http.url")]
        decode(pipe, body_of(one_span("shop.visit.open", *pairs)))
    body = body_of(
        one_span("shop.visit.open").SerializeToString() + length_prefixed(9, unusual_pairs()[name])
    )
    ((*_, values),) = rows_of(decode(pipe, body))
    assert set(values) <= {None, "abc", "x"}


def test_a_resource_in_pieces_is_what_they_say_together(pipe):
    """As a message is that was joined with another of its kind."""
    pairs = {"service.name": "shop", "service.version": "1.2.3", "http.url": "x"}
    pieces = [
        length_prefixed(1, key_value(key, string_value=text).SerializeToString())
        for key, text in pairs.items()
    ]
    spans = length_prefixed(2, length_prefixed(2, one_span().SerializeToString()))
    body = length_prefixed(1, b"".join(length_prefixed(1, each) for each in pieces) + spans)
    found = as_result(decode(pipe, body))
    assert found == expected(pipe, SALTS, reference.official(body))
    assert found == expected(pipe, SALTS, reference.tolerant(body))


def unusual_spans():
    """Pairs of spans that could be taken for one another when read as one message."""
    usual = one_span("shop.order", key_value("provider", string_value="smz3")).SerializeToString()
    nameless = one_span("", key_value("provider", string_value="smz3")).SerializeToString()
    name = length_prefixed(5, b"shop.ping")
    failed = length_prefixed(15, b"\x18\x02")
    return {
        "a name too few and one too many": [nameless, usual + name],
        "a name too many and one too few": [name + usual, nameless],
        "a status twice and no status": [usual + failed + failed, usual],
        "a span that swallows the start of the next": [usual + b"\x1a\x05", usual],
        "a group that the next span ends": [usual + b"\x9b\x06", b"\x9c\x06" + usual],
        "an empty attribute in place of a swallowed one": [usual + b"\x1a\x02", b"\x4a\x00" + usual],
        "a start written as packed numbers": [usual + b"\x3a\x08" + b"\x01" * 8, usual],
        "an event that is broken": [usual + length_prefixed(11, b"\xff"), usual],
    }  # fmt: skip


@pytest.mark.parametrize("name", unusual_spans())
def test_who_sends_spans_that_run_into_each_other_harms_only_their_own_counts(pipe, name):
    for batch in (decode(pipe, body_of(*unusual_spans()[name])), decode(pipe, body_of(one_span()))):
        assert batch.size == sum(batch.counts.values())
        assert as_result(batch).rows.total() + batch.losses.get(Loss.MALFORMED, 0) <= 2
    assert as_result(batch) == expected(pipe, SALTS, reference.official(body_of(one_span())))
