"""Hostile text costs no more than long text: steps are counted, not seconds."""

import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from footfall_processors import addresses, encoded, folding, redaction
from processors.backtracking import Counting

KINDS = (*redaction._OPAQUE, *redaction._KINDS)
PATTERNS = {
    pattern.pattern: pattern
    for pattern in (
        *(kind.pattern for kind in KINDS),
        *(kind.needed for kind in KINDS),
        *(
            addresses.DODGING,
            addresses.SPEAKING,
            addresses.NAMING,
            addresses.SAYING,
            encoded.TOKEN,
            encoded._PIECE,
            encoded._HEX,
            encoded._BASE32,
        ),
        *(folding._PERCENT, folding._ESCAPE, redaction._SUSPECT),
    )
}
SIZE, MIDDLE = 300, 130
"""Characters: beyond every bound that a repetition has."""
HOSTILE = [
    "1", "a", "1 ", "1-", "1.", "1.2.3.4 ", "a:", "a@", "a@a.", "a.", "%40", "=40", "a#1234", "a(at)a",
    " at a dot ", "aA1", "-eyJ", "eyJaaaaa.", "sk-", "bot a", "pwd=", "<@", "\\u0", "a-", "1,", "00-",
    "2020-", "+1", "\t", "?", "a/", "_1",
    "AB12", "-at-a.", "/home/", "~a", "C:\\Users\\a", "a-1-", "4111, ", "--BEGIN ",
    '"', "dead:", "aa:", "1 . ",
    "1\n", "01 \n ", "1<br>", "4111\r\n", "1[.]", "1.1[.]", "0_", "0:1b:", "mac ", "aPassword", "pass: a",
    " kukac a", "kukac a. ", "密码", "/run/media/", "C:\\Benutzer\\", "pw=", "api key ", "\\a\\users$",
]  # fmt: skip


def cost(pattern, text, start):
    """Steps of looking for a match that begins there; of a match, for each of its characters.

    The counting matcher finds what Python finds.
    """
    counting = Counting(pattern)
    found = pattern.match(text, start)
    assert counting.match(text, start) == (found and found.end())
    return counting.steps / max(found.end() - start, 1) if found else counting.steps


@pytest.mark.parametrize("piece", HOSTILE)
def test_where_a_match_may_begin_costs_the_same_however_long_the_text_is(piece):
    """At the very beginning alone the rest may be walked once: a run is looked at where it begins."""
    short, long = ((piece * SIZE)[: size - 1] + "!" for size in (SIZE, 2 * SIZE))
    for name, pattern in PATTERNS.items():
        for start in range(MIDDLE, MIDDLE + len(piece)):
            assert cost(pattern, long, start) <= 1.2 * cost(pattern, short, start) + 20, name
        assert cost(pattern, long, 0) <= 2.2 * cost(pattern, short, 0) + 20, name


@settings(deadline=None, max_examples=25)
@given(st.text("1a .-@:(%=A+#", max_size=40))
def test_the_counting_matcher_matches_as_python_does(text):
    for pattern in PATTERNS.values():
        cost(pattern, text, 0)


def test_patterns_that_explode_are_noticed():
    assert cost(re.compile(r"(?:a+)+b"), "a" * 12, 0) > 10 * cost(
        re.compile(r"(?:a+)+b"), "a" * 8, 0
    )
    anywhere = re.compile(r"a*b")
    assert cost(anywhere, "a" * 600, MIDDLE) > 2 * cost(anywhere, "a" * 300, MIDDLE)
