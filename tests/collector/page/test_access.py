"""Logging in, and a view that was shared, in Chromium."""

from urllib.parse import urlsplit

import psycopg
import pytest

from collector.keyed import ALL, SHOP, write_keys
from collector.page.conftest import PATIENCE, READY, collecting
from collector.page.drawn import flaws
from footfall_collector.security import shares
from footfall_exporters.postgres import page_keys

EVENT = "discord.generator"


@pytest.fixture(scope="module")
def closed(store, tmp_path_factory):
    """The address of a page that needs a key."""
    keys = tmp_path_factory.mktemp("keys") / "keys.yaml"
    write_keys(keys, ana=(ALL, {"operator": True}))
    with collecting(*store, keys_file=str(keys)) as addresses:
        yield addresses.page


def test_an_operator_logs_in_and_out(opened, closed, axe):
    site = opened(at=closed)
    page = site.page
    page.goto(f"{closed}/feature?event={EVENT}")
    assert page.url.startswith(f"{closed}/login?next=")
    for key in (SHOP, ALL):
        page.evaluate(axe)
        assert page.evaluate("axe.run().then((found) => found.violations)") == []
        assert flaws(page) == []
        page.get_by_label("Key of an operator").fill(key)
        page.get_by_role("button", name="Log in").click()
        if key == SHOP:
            assert "no key of an operator" in page.get_by_role("alert").inner_text()
    page.wait_for_selector(READY, timeout=PATIENCE)
    assert page.url == f"{closed}/feature?event={EVENT}"
    assert page.evaluate("document.cookie") == "", "no script can read it"
    [cookie] = page.context.cookies()
    assert (cookie["httpOnly"], cookie["sameSite"]) == (True, "Strict")
    page.get_by_role("link", name="Log out").click()
    assert page.url == f"{closed}/logout"
    page.get_by_role("button", name="Log out").click()
    page.goto(closed)
    assert page.url == f"{closed}/login?next=%2F"
    refused = [said for said in site.wrong if "403" not in said]
    assert refused == [], "the wrong key alone was refused"


@pytest.mark.parametrize("look", ["light", "dark", "phone"])
def test_the_way_out_is_in_the_head_of_every_page(opened, closed, axe, look):
    site = opened(look, at=closed)
    page = site.page
    page.goto(closed)
    page.get_by_label("Key of an operator").fill(ALL)
    page.get_by_role("button", name="Log in").click()
    for path in ("/", "/trust"):
        page = site.go(path)
        assert page.get_by_role("link", name="Log out").get_attribute("href") == "/logout"
        assert flaws(page) == []
    page.evaluate(axe)
    assert page.evaluate("axe.run('header').then((found) => found.violations)") == []


def test_where_no_key_is_asked_for_nobody_logs_out(opened):
    page = opened().go("/catalog")
    assert page.get_by_role("button", name="Keys and words").count() == 1
    assert page.get_by_role("link", name="Log out").count() == 0


VIEWS = [
    *(f"/feature?event={EVENT}&period=7d", "/?period=14d", "/speed?env=production", "/releases"),
    *("/failures?period=24h&compare=week", "/groups?compare=none", "/catalog?theme=dark"),
    *("/speed?period=custom&from=2026-11-01&to=2026-11-20",),
]


def test_every_page_that_can_be_shared_is_looked_at():
    assert {urlsplit(address).path for address in VIEWS} == {*shares.VIEWS}


def link(store, address):
    """The path and query of a view that is shared."""
    with psycopg.connect(store[0], autocommit=True) as connection:
        secret = page_keys.read(connection, "shares")
    return shares.linked(address, shares.signed().write(secret, shares.share(address, 600)))


TURNED = {
    "/?period=14d": ["Same scale", "Needs a look", "Failures"],
    "/releases": ["Failed"],
    f"/feature?event={EVENT}": ["Failed"],
}


@pytest.mark.parametrize("address", TURNED)
def test_a_shared_view_that_was_turned_about_is_there_after_a_reload(
    opened, closed, store, address
):
    page = opened(at=closed).go(link(store, address))
    for name in TURNED[address]:
        before = page.url
        page.locator("main").get_by_role("button", name=name, exact=True).first.click()
        page.wait_for_url(lambda url, before=before: url != before)
    assert page.reload().status == 200
    page.wait_for_selector(READY, timeout=PATIENCE)


@pytest.mark.parametrize("address", VIEWS)
def test_a_shared_view_is_drawn_for_who_has_its_link(opened, closed, store, address):
    shared = link(store, address)
    site = opened(at=closed)
    refused = []
    site.page.on("response", lambda said: said.status >= 400 and refused.append(said.url))
    page = site.go(shared)
    assert (refused, site.wrong) == ([], [])
    assert page.locator("h1").count() == 1
    assert page.get_by_role("link", name="Log out").count() == 0, "nobody is logged in"
    assert page.locator(".blank").count() == 0 or "collector said" not in page.content()
    assert page.context.cookies() == []
    assert page.locator("nav[aria-label=Pages]").count() == 0
    assert page.locator("a[href^='/']").count() == 0, "nothing leads a guest to the login"
    page.goto(f"{closed}/trust?{urlsplit(shared).query}")
    assert "another view" in page.content()


def test_a_guest_to_whom_nothing_failed_is_offered_no_other_view(opened, closed, store, site):
    address = "/failures?version=0.0.1"
    page = opened(at=closed).go(link(store, address))
    assert page.inner_text("h1") == "Nothing failed."
    everything = "Look at everything, 30 days"
    assert page.get_by_role("button", name=everything).count() == 0
    page = opened().go(address)
    page.get_by_role("button", name=everything).click()
    page.wait_for_url(f"{site}/failures")


def test_keys_lead_a_guest_nowhere(opened, closed, store):
    page = opened(at=closed).go(link(store, "/speed"))
    before = page.url
    for key in ("j", "Enter", "g", "t", "u", "?"):
        page.keyboard.press(key)
    page.wait_for_selector("#help[open]")
    assert page.url == before
