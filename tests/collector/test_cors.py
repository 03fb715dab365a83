import pytest

from collector.senders import JSON, Sender, answers
from footfall_collector.config.schema import CorsConfig, HttpConfig
from support.collectors import configured, connected

CORS = CorsConfig(
    allowed_origins=("https://shop.example", "https://*.shop.example"), allowed_headers=("x-key",)
)
ASKED = {
    "access-control-request-method": "POST",
    "access-control-request-headers": "content-type,x-key",
}


@pytest.fixture
async def open_to_pages(catalog, store_database):
    listener = HttpConfig(endpoint="127.0.0.1:0", cors=CORS)
    async with connected(configured(catalog, store_database, http=listener), Sender) as sender:
        yield sender.http


async def test_a_page_of_an_allowed_origin_may_send(open_to_pages):
    for origin in ("https://shop.example", "https://beta.shop.example"):
        for path in ("/v1/traces", "/v1/metrics", "/v1/logs"):
            asked = await open_to_pages.options(path, headers=ASKED | {"origin": origin})
            assert asked.status_code == 200
            assert asked.headers["access-control-allow-origin"] == origin
            assert asked.headers["access-control-max-age"] == "7200"
            assert "POST" in asked.headers["access-control-allow-methods"]
            for content, code in ((b"{}", 200), (b"{", 400)):
                headers = JSON | {"origin": origin}
                answer = await open_to_pages.post(path, content=content, headers=headers)
                assert answer.status_code == code
                assert answer.headers["access-control-allow-origin"] == origin
                assert answer.headers["access-control-expose-headers"] == "retry-after"


PROPAGATED = [
    "content-type", "content-type,traceparent,tracestate,baggage", "Content-Type, B3", "uber-trace-id",
    "x-b3-traceid,x-b3-spanid,x-b3-sampled", "sentry-trace,baggage", "authorization,content-encoding",
]  # fmt: skip


async def test_a_page_may_send_with_credentials_and_with_what_instrumentations_add(open_to_pages):
    origin = {"origin": "https://shop.example"}
    answers = [await open_to_pages.post("/v1/logs", content=b"{}", headers=JSON | origin)]
    for wanted in PROPAGATED:
        headers = ASKED | origin | {"access-control-request-headers": wanted}
        answers.append(await open_to_pages.options("/v1/logs", headers=headers))
    for answer in answers:
        assert answer.status_code == 200
        assert answer.headers["access-control-allow-credentials"] == "true"
        assert answer.headers["access-control-allow-origin"] == "https://shop.example"
        assert "origin" in answer.headers["vary"].lower()


async def test_a_public_page_may_send_to_a_private_network(open_to_pages):
    headers = ASKED | {"origin": "https://shop.example"}
    headers |= {"access-control-request-private-network": "true"}
    asked = await open_to_pages.options("/v1/logs", headers=headers)
    assert asked.headers["access-control-allow-private-network"] == "true"


@pytest.mark.parametrize("pattern", ["*", "http*://*:*"])
async def test_no_page_may_send_with_credentials_where_any_page_may_send(
    catalog, store_database, pattern
):
    anyone = HttpConfig(endpoint="127.0.0.1:0", cors=CorsConfig(allowed_origins=(pattern,)))
    async with connected(configured(catalog, store_database, http=anyone), Sender) as sender:
        headers = {"origin": "https://any.example:8443"}
        asked = await sender.http.options(
            "/v1/logs", headers=headers | {"access-control-request-method": "POST"}
        )
        sent = await sender.http.post("/v1/logs", content=b"{}", headers=JSON | headers)
        assert (asked.status_code, sent.status_code) == (200, 200)
        assert "access-control-allow-credentials" not in {*asked.headers, *sent.headers}


async def test_a_text_of_an_allowed_page_is_json(open_to_pages):
    """As navigator.sendBeacon calls it; from any other page it would need no leave."""
    for origin, code in (
        ("https://shop.example", 200),
        ("https://other.example", 415),
        (None, 415),
    ):
        kind = {"content-type": "text/plain;charset=UTF-8"}
        headers = kind | ({"origin": origin} if origin else {})
        answer = await open_to_pages.post("/v1/logs", content=b"{}", headers=headers)
        assert answer.status_code == code
        allowed = answer.headers.get("access-control-allow-credentials")
        assert allowed == ("true" if code == 200 else None)


async def test_a_page_of_another_origin_may_not(open_to_pages):
    for origin in (
        "https://other.example",
        "http://shop.example",
        "https://shop.example.evil",
        "https://shop-example",
        "null",
    ):
        asked = await open_to_pages.options("/v1/traces", headers=ASKED | {"origin": origin})
        assert asked.status_code == 400
        assert "access-control-allow-origin" not in asked.headers
        assert "access-control-allow-credentials" not in asked.headers


@answers
async def test_no_page_may_send_unless_the_operator_says_so(answering):
    headers = ASKED | {"origin": "https://shop.example"}
    asked = await answering.http.options("/v1/traces", headers=headers)
    sent = await answering.http.post("/v1/traces", content=b"{}", headers=JSON | headers)
    assert asked.status_code == 405
    assert "access-control-allow-origin" not in {*asked.headers, *sent.headers}
