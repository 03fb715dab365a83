"""The page of what is published, on the listener of OTLP/HTTP: for anybody, and no more than that."""

import asyncio
import socket

import httpx
import pytest

from collector.keyed import ALL, write_keys
from collector.test_publish import figures, published  # noqa: F401  # a fixture
from footfall_collector.config.schema import PublicConfig, ServiceConfig
from footfall_collector.receivers import public
from footfall_collector.receivers.public import FRESH_S, KEPT_S, PublicPage
from footfall_exporters.postgres import PostgresConfig
from footfall_exporters.postgres.publishing import PublishedConfig
from support.collectors import configured, connected
from support.stores import TODAY

SECRET = "unannounced"
AT = "/public"


def open_to_all(catalog, dsn, keys_file=None, **options):
    service = ServiceConfig(operator=None, public=PublicConfig(**options))
    kept = PostgresConfig(dsn=dsn, published=PublishedConfig(products=("shop",)))
    return configured(catalog, dsn, service=service, postgres=kept, keys_file=keys_file)


@pytest.fixture
def beside(query, published):  # noqa: F811
    """What is stored, and not published: a product that is not listed, a day that was not made, a count."""
    for product, event in ((SECRET, f"{SECRET}.thing"), ("shop", f"shop.{SECRET}")):
        query(
            "INSERT INTO footfall.catalog_events (product, event, title, description, owner, surface,"
            " feature, actions, version) VALUES (%s, %s, 'Hidden', '', '', 'web', 'f', '{success}', '')",
            product,
            event,
        )
    day = TODAY.replace(day=1)
    query("INSERT INTO footfall.published_days VALUES (%s, %s, 5)", day, SECRET)
    query("INSERT INTO footfall.published VALUES (%s, %s, %s, 99)", day, SECRET, f"{SECRET}.thing")
    query("INSERT INTO footfall.annotations (at, text) VALUES (now(), %s)", SECRET)


async def raw(collector, target):
    """The status of a request whose target is sent as it is."""
    host, _, port = collector.http.rpartition(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    writer.write(f"GET {target} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n".encode())
    answer = await reader.read()
    writer.close()
    await writer.wait_closed()
    return int(answer.split()[1]), answer


async def test_anybody_sees_what_is_published_and_nothing_beyond_it(
    store_database, catalog, query, beside
):
    async with connected(open_to_all(catalog, store_database)) as client:
        told = (await client.http.get(f"{AT}/published.json")).json()
        found = {(f["day"], f["event"], f["count"]) for f in told["figures"]}
        assert found == {(str(day), event, uses) for day, event, uses in figures()}
        for name in told["files"]:
            answer = await client.http.get(f"{AT}/{name.replace('%', '%25')}")
            assert answer.status_code == 200
            assert SECRET not in answer.text
            assert "Hidden" not in answer.text
            assert "set-cookie" not in answer.headers
        page = await client.http.get(f"{AT}/", headers={"cookie": "a=b"})
        assert page.content == (await client.http.get(f"{AT}/index.html")).content
        assert SECRET not in page.text
        for target in (
            f"{AT}/api/reports/usage", f"{AT}/metrics", f"{AT}/../metrics", f"{AT}/%2e%2e/metrics",
            f"{AT}/badges/", f"{AT}/badges/{SECRET}.svg", f"{AT}/./published.csv", f"{AT}//index.html",
            f"{AT}/..%2f..%2fetc/passwd", f"{AT}x/", "/api/reports/published", f"{AT}/%00",
        ):  # fmt: skip
            status, answer = await raw(client.collector, target)
            assert status == 404, target
            assert SECRET.encode() not in answer


async def test_it_needs_no_key_where_senders_do_and_takes_nothing(
    store_database, catalog, tmp_path, beside
):
    write_keys(tmp_path / "keys.yaml", backend=(ALL, {}))
    config = open_to_all(catalog, store_database, str(tmp_path / "keys.yaml"))
    async with connected(config) as client:
        assert (await client.http.get(f"{AT}/")).status_code == 200
        assert (await client.http.post("/v1/traces", content=b"")).status_code in (401, 415)
        for method in ("POST", "PUT", "DELETE", "PATCH", "OPTIONS"):
            answer = await client.http.request(method, f"{AT}/published.json", content=b"x")
            assert (answer.status_code, answer.headers["allow"]) == (405, "GET, HEAD")
        head = await client.http.head(f"{AT}/published.json")
        assert (head.status_code, head.content) == (200, b"")


async def test_it_leads_to_itself_and_may_be_kept_a_while(store_database, catalog, beside):
    async with connected(open_to_all(catalog, store_database, path="/open/figures")) as client:
        sent_on = await client.http.get("/open/figures", headers={"host": "evil.example"})
        assert (sent_on.status_code, sent_on.headers["location"]) == (308, "figures/")
        page = await client.http.get("/open/figures/")
        assert page.headers["cache-control"] == f"public, max-age={FRESH_S:.0f}"
        policy = page.headers["content-security-policy"]
        assert "default-src 'none'" in policy
        assert "script-src" not in policy
        assert "unsafe" not in policy
        assert "frame-ancestors 'none'" in policy
        assert page.headers["x-content-type-options"] == "nosniff"
        assert page.headers["cross-origin-resource-policy"] == "same-origin"
        tag = page.headers["etag"]
        for known in (tag, f'"x", {tag}', tag.removeprefix("W/"), "*"):
            again = await client.http.get("/open/figures/", headers={"if-none-match": known})
            assert (again.status_code, again.content, again.headers["etag"]) == (304, b"", tag)
        plain = await client.http.get("/open/figures/", headers={"accept-encoding": "identity"})
        assert plain.content == page.content
        assert "content-encoding" not in plain.headers
        refused = {"accept-encoding": "br, gzip;q=0"}
        plain = await client.http.get("/open/figures/", headers=refused)
        assert "content-encoding" not in plain.headers
        packed = await client.http.get("/open/figures/", headers={"accept-encoding": "GZip;q=0.5"})
        assert packed.headers["content-encoding"] == "gzip"
        badge = await client.http.get("/open/figures/badges/shop.svg")
        assert badge.headers["content-type"] == "image/svg+xml"
        assert badge.headers["cross-origin-resource-policy"] == "cross-origin"


async def test_an_address_may_ask_so_often_and_no_other_waits_for_it(
    store_database, catalog, beside
):
    config = open_to_all(catalog, store_database, requests_per_minute=3)
    async with connected(config) as client:
        answers = [await client.http.get(f"{AT}/") for _ in range(4)]
        assert [answer.status_code for answer in answers] == [200, 200, 200, 429]
        assert 1 <= int(answers[-1].headers["retry-after"]) <= 20
        other = httpx.AsyncHTTPTransport(local_address="127.0.0.2")
        async with httpx.AsyncClient(
            base_url=client.http.base_url, transport=other, trust_env=False
        ) as neighbour:
            assert (await neighbour.get(f"{AT}/")).status_code == 200
        assert (await client.http.get("/footfall.js")).status_code == 200


async def test_where_it_is_not_configured_there_is_nothing(store_database, catalog, beside):
    async with connected(configured(catalog, store_database)) as client:
        for path in (AT, f"{AT}/", f"{AT}/published.json", f"{AT}/badges/shop.svg"):
            assert (await client.http.get(path)).status_code == 404


class Page:
    """The page before a store, by a clock that the test moves."""

    def __init__(self, dsn):
        self.dsn, self.now = dsn, 1000.0
        app = PublicPage(PublicConfig(), lambda: self.dsn, lambda: self.now)
        self._http = httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://test")

    async def days(self):
        answer = await self._http.get(f"{AT}/published.json")
        if answer.status_code != 200:
            return answer.status_code, answer.headers["retry-after"]
        return {each["day"] for each in answer.json()["days"]}


async def test_it_is_made_anew_after_a_while_and_shown_for_an_hour_without_its_store(
    store_database, query, beside
):
    page = Page(store_database)
    before = await page.days()
    assert len(before) == 30
    query("DELETE FROM footfall.publishing")  # its product is taken off the list
    page.now += FRESH_S - 1
    assert await page.days() == before
    page.now += 2
    assert await page.days() == set()
    query("INSERT INTO footfall.publishing VALUES ('shop', 5)")
    page.now += FRESH_S
    assert await page.days() == before
    page.dsn = ""
    page.now += KEPT_S - 1
    assert await page.days() == before
    page.now += 2
    assert await page.days() == (503, "10")
    page.dsn = store_database
    page.now += 10
    assert await page.days() == before


async def test_a_store_that_cannot_be_read_is_said_to_nobody_but_the_log(store_database, caplog):
    page = Page(store_database.replace("dbname=", "dbname=no_such_"))
    assert await page.days() == (503, "10")
    assert "what is published cannot be read" in caplog.text
    assert "no_such_" not in caplog.text


async def test_a_store_that_hangs_holds_up_nobody(store_database, monkeypatch, beside):
    monkeypatch.setattr(public, "PATIENT_S", 0.1)
    page = Page(store_database)
    before = set[str]()
    while not before:  # the first one may take longer than that
        before = found if isinstance(found := await page.days(), set) else before
    with socket.create_server(("127.0.0.1", 0)) as silent:
        port = silent.getsockname()[1]
        page.dsn, page.now = f"host=127.0.0.1 port={port} dbname=footfall", page.now + FRESH_S
        assert await asyncio.gather(*(page.days() for _ in range(20))) == [before] * 20
        silent.settimeout(0.2)
        silent.accept()[0].close()
        with pytest.raises(TimeoutError):  # all of them asked once
            silent.accept()


async def test_a_fault_of_ours_is_logged_and_the_last_site_shown(
    store_database, monkeypatch, caplog, beside
):
    page = Page(store_database)
    before = await page.days()
    monkeypatch.setattr(public, "site", {}.__getitem__)
    page.now += FRESH_S
    assert [await page.days(), await page.days()] == [before, before]
    assert caplog.text.count("making the public page failed") == 1
