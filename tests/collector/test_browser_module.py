"""The browser's modules as the collector's public listener serves them."""

import base64
import gzip
import hashlib
from collections.abc import AsyncIterator
from importlib.resources import files

import httpx
import pytest

from footfall_collector.config.schema import HttpConfig
from footfall_collector.receivers import http as otlp_http
from footfall_collector.receivers.intake import Intake

MINIFIED, SOURCE = "/footfall.js", "/footfall.source.js"
FILES = {
    MINIFIED: "footfall.min.js",
    SOURCE: "footfall.js",
    "/psr.js": "psr.min.js",
    "/psr.source.js": "psr.js",
}
IMPORT_MAP = "/browser.importmap.json"
paths = pytest.mark.parametrize("path", FILES)


def content(path: str) -> bytes:
    return (files("footfall") / "browser" / FILES[path]).read_bytes()


async def nowhere(batch: object) -> None:
    raise AssertionError


@pytest.fixture
async def http() -> AsyncIterator[httpx.AsyncClient]:
    async with (
        otlp_http.serve(HttpConfig(endpoint="127.0.0.1:0"), Intake(nowhere), []) as endpoint,
        httpx.AsyncClient(base_url=f"http://{endpoint}", verify=False) as client,
    ):
        yield client


@paths
async def test_a_page_of_any_origin_may_import_it(http: httpx.AsyncClient, path: str) -> None:
    response = await http.get(path, headers={"origin": "https://shop.example"})
    assert response.status_code == 200
    assert response.content == content(path)
    assert response.headers["content-type"] == "text/javascript; charset=utf-8"
    assert response.headers["access-control-allow-origin"] == "*"
    assert response.headers["cross-origin-resource-policy"] == "cross-origin"
    assert response.headers["x-content-type-options"] == "nosniff"
    assert "max-age=3600" in response.headers["cache-control"]
    assert "set-cookie" not in response.headers
    assert "server" not in response.headers


@paths
async def test_it_is_compressed_for_who_can_read_that(http: httpx.AsyncClient, path: str) -> None:
    async with http.stream("GET", path, headers={"accept-encoding": "gzip"}) as response:
        raw = b"".join([part async for part in response.aiter_raw()])
    assert response.headers["content-encoding"] == "gzip"
    assert gzip.decompress(raw) == content(path)
    assert len(raw) == int(response.headers["content-length"]) < len(content(path)) / 1.5
    plain = await http.get(path, headers={"accept-encoding": "identity"})
    assert "content-encoding" not in plain.headers
    assert plain.content == content(path)
    for each in (response, plain):
        assert each.headers["vary"].lower() == "accept-encoding"
    assert plain.headers["etag"] == response.headers["etag"]


@paths
async def test_head_says_what_get_would(http: httpx.AsyncClient, path: str) -> None:
    get, head = await http.get(path), await http.head(path)
    assert head.status_code == 200
    assert head.content == b""
    volatile = {"date"}
    assert {k: v for k, v in head.headers.items() if k not in volatile} == {
        k: v for k, v in get.headers.items() if k not in volatile
    }


@pytest.mark.parametrize("given", ["{}", 'W/"other", {}', "*", "strong"])
@pytest.mark.parametrize("method", ["GET", "HEAD"])
@paths
async def test_what_a_browser_has_already_is_not_sent_again(
    http: httpx.AsyncClient, path: str, method: str, given: str
) -> None:
    tag = (await http.get(path)).headers["etag"]
    value = tag.removeprefix("W/") if given == "strong" else given.format(tag)
    response = await http.request(method, path, headers={"if-none-match": value})
    assert response.status_code == 304
    assert response.content == b""
    assert response.headers["etag"] == tag
    assert response.headers["access-control-allow-origin"] == "*"
    assert "max-age" in response.headers["cache-control"]


@pytest.mark.parametrize("value", ["", '"other"', "W/", "other, , ,"])
async def test_another_tag_gets_the_whole(http: httpx.AsyncClient, value: str) -> None:
    response = await http.get(MINIFIED, headers={"if-none-match": value})
    assert response.status_code == 200
    assert response.content == content(MINIFIED)


async def test_the_two_files_have_tags_of_their_own(http: httpx.AsyncClient) -> None:
    tags = [(await http.get(path)).headers["etag"] for path in FILES]
    assert len(set(tags)) == len(FILES)


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE"])
async def test_it_can_only_be_read(http: httpx.AsyncClient, method: str) -> None:
    response = await http.request(method, MINIFIED)
    assert response.status_code == 405
    assert set(response.headers["allow"].split(", ")) == {"GET", "HEAD"}


@pytest.mark.parametrize(
    ("imported", "file"), [("footfall", "footfall.min.js"), ("footfall/psr", "psr.min.js")]
)
async def test_what_may_be_kept_for_ever_has_the_published_hash(
    http: httpx.AsyncClient, imported: str, file: str
) -> None:
    published = await http.get(IMPORT_MAP)
    assert published.headers["content-type"] == "application/json"
    assert published.headers["access-control-allow-origin"] == "*"
    assert "immutable" not in published.headers["cache-control"]
    path = published.json()["imports"][imported]
    served = await http.get(path)
    assert served.content == (files("footfall") / "browser" / file).read_bytes()
    assert served.headers["cache-control"] == "public, max-age=31536000, immutable"
    assert served.headers["access-control-allow-origin"] == "*"
    assert hashlib.sha256(served.content).hexdigest()[:16] in path, "other bytes, another address"
    kind, _, digest = published.json()["integrity"][path].partition("-")
    assert kind == "sha384"
    assert base64.b64decode(digest) == hashlib.sha384(served.content).digest()


async def test_an_address_of_other_bytes_is_not_there(http: httpx.AsyncClient) -> None:
    assert (await http.get("/psr.0123456789abcdef.js")).status_code == 404
