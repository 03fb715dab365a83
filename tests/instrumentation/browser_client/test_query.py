"""A search query is hashed in the browser, and leaves it in no other form."""

import hashlib

import pytest

from instrumentation.browser_client.conftest import Open
from instrumentation.browser_client.server import Telemetry

WAYS_TO_WRITE_IT = [
    "cafe\u0301 au lait",
    "  Café  au\tLAIT\n",
    "ＣＡＦÉ\u3000ａｕ　lait",  # noqa: RUF001  # wide letters and blanks, as an input method makes them
]
WRITTEN = "café au lait"
DIGEST = hashlib.sha256(WRITTEN.encode()).hexdigest()


@pytest.mark.parametrize("query", WAYS_TO_WRITE_IT)
def test_a_query_is_tracked_as_hash_and_length(
    shop: Open, telemetry: Telemetry, query: str
) -> None:
    page = shop()
    page.run(
        """async (query) => {
            const known = await footfall.hashQuery(query);
            footfall.track("vault.search_performed", {...known, result_count: 3});
            footfall.flush();
        }""",
        query,
    )
    telemetry.wait(lambda t: len(t.events) == 1)
    [event] = telemetry.events
    assert (event["filter_hash"], event["query_len"]) == (DIGEST, len(WRITTEN))
    assert event["result_count"] == 3


def test_a_character_counts_once_however_it_is_encoded(shop: Open) -> None:
    assert shop().run("footfall.hashQuery('\\u{1f600} ok').then(known => known.query_len)") == 4


def test_on_plain_http_there_is_a_length_alone(shop: Open, telemetry: Telemetry) -> None:
    page = shop(origin=telemetry.origin.replace("127.0.0.1", "shop.test"))
    assert page.run("isSecureContext") is False
    assert page.run("query => footfall.hashQuery(query)", WAYS_TO_WRITE_IT[1]) == {
        "query_len": len(WRITTEN)
    }


def test_what_is_no_query_has_no_length_and_throws_nothing(shop: Open) -> None:
    page = shop()
    found = page.run("""() => {
        const thrower = {get normalize() { throw new Error("getter") }};
        const odd = [undefined, null, 7, true, Symbol("s"), {}, [], () => {}, thrower];
        return Promise.all(odd.map(value => footfall.hashQuery(value)));
    }""")
    assert found == [{"query_len": 0}] * 9
    assert page.wrong() == []
