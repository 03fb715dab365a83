"""What catalogs declare is in the store, whether it ever came or not."""

import datetime as dt

import psycopg
import pytest

from footfall_exporters.contracts import Settings
from footfall_exporters.postgres import prepare
from footfall_processors import load_catalog
from support.batches import HOUR, batch, dimension, one_row
from support.stores import MIDNIGHT, writing

CATALOG = """
product: shop
events:
  shop.cart: {surface: web, feature: cart, actions: [add], description: Something was put in, owner: till}
  shop.gift_card: {surface: web, feature: gift_card, expires: 2099-12-31}
  shop.search: {surface: api, feature: search, title: Full-text search}
"""
SHOWN = "SELECT event, title, description, owner, surface, feature, actions, expires, declared"


@pytest.fixture
def declare(store_database, tmp_path):
    """Has a collector read these catalogs."""

    def declare(*catalogs):
        paths = []
        for number, text in enumerate(catalogs):
            paths.append(tmp_path / f"events{number}.yaml")
            paths[-1].write_text(text)
        catalog = load_catalog(*paths)
        prepare(store_database, Settings(catalog))
        return catalog

    return declare


def test_each_event_is_there_with_what_the_catalog_says(declare, query):
    declare(CATALOG)
    assert query(f"{SHOWN} FROM reporting.catalog WHERE product = 'shop' ORDER BY event") == [
        ("shop.cart", "Cart", "Something was put in", "till", "web", "cart", ["add"], None, True),
        (
            *("shop.gift_card", "Gift card", None, None, "web", "gift_card"),
            *(["invoke", "success", "failure"], dt.date(2099, 12, 31), True),
        ),
        (
            *("shop.search", "Full-text search", None, None, "api", "search"),
            *(["invoke", "success", "failure"], None, True),
        ),
    ]


async def test_what_came_is_counted_and_what_never_came_is_0(declare, query, store_database):
    catalog = declare(CATALOG)
    used = dimension("shop.cart", "add")
    async with writing(store_database, catalog) as writer:
        for ago in (3, 1):
            await writer.consume(batch(*[one_row(MIDNIGHT - ago * HOUR, used)] * ago))
    found = query(
        "SELECT event, count, last_used FROM reporting.catalog WHERE product = 'shop' ORDER BY 1"
    )
    last = dt.datetime.fromtimestamp((MIDNIGHT - HOUR) / 1e6, dt.UTC)
    assert found == [("shop.cart", 4, last), ("shop.gift_card", 0, None), ("shop.search", 0, None)]


def test_what_a_catalog_has_no_more_is_kept_as_withdrawn_and_comes_back(declare, query):
    asked = (
        "SELECT event, declared, version, first_declared, last_declared FROM reporting.catalog"
        " WHERE product = 'shop' ORDER BY event"
    )
    declare(CATALOG)
    [_, before, _] = query(asked)
    declare("\n".join(line for line in CATALOG.splitlines() if "gift_card" not in line))
    cart, gift, search = query(asked)
    assert [row[1] for row in (cart, gift, search)] == [True, False, True]
    assert gift[2:] == before[2:]
    assert cart[2] == search[2] != gift[2]
    assert cart[4] > gift[4]
    declare(CATALOG)
    assert [row[1] for row in query(asked)] == [True, True, True]
    assert query(asked)[1][3] == before[3]


def test_one_product_withdraws_nothing_of_another(declare, query):
    declare(CATALOG)
    declare("product: forum\nevents:\n  forum.post: {surface: web, feature: post}\n")
    found = query("SELECT product, bool_and(declared), count(*) FROM reporting.catalog GROUP BY 1")
    assert {("shop", True, 3), ("forum", True, 1)} <= set(found)


def test_none_of_footfalls_own_events_is_declared(declare, query):
    declare(CATALOG)
    assert (
        query("SELECT FROM reporting.catalog WHERE surface = 'footfall' OR event LIKE 'footfall%'")
        == []
    )


def test_a_reader_sees_it_and_changes_nothing(declare, query):
    declare(CATALOG)
    query("SET ROLE footfall_reader")
    try:
        assert query("SELECT count(*) >= 3 FROM reporting.catalog") == [(True,)]
        for statement in ("DELETE FROM footfall.catalog_events", "TABLE footfall.catalog_events"):
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                query(statement)
    finally:
        query("RESET ROLE")


CARRYING = """
product: bank
attributes:
  amount: {type: int, description: How much}
  kind: {type: enum, values: [in, out]}
  branch: {type: string, hash: weekly}
  note: {type: string}
  weight: {type: float, min: 0, max: 50}
  urgent: {type: bool}
  transfer: {type: uuid}
events:
  bank.transfer: {surface: web, feature: transfer, attributes: [amount, kind, branch, note, urgent, weight]}
  bank.cancel: {surface: web, feature: transfer, attributes: [transfer]}
"""


def test_what_an_event_may_carry_is_there_with_whether_it_could_name_somebody(declare, query):
    asked = (
        "SELECT event, attribute, holds, lasts, names, description FROM reporting.attributes"
        " WHERE product = 'bank' ORDER BY event DESC, attribute"
    )
    declare(CARRYING)
    assert query(asked) == [
        ("bank.transfer", "amount", "number", None, "maybe", "How much"),
        ("bank.transfer", "branch", "hash", "weekly", "pseudonym", None),
        ("bank.transfer", "kind", "enum", None, "no", None),
        ("bank.transfer", "note", "text", None, "maybe", None),
        ("bank.transfer", "urgent", "boolean", None, "no", None),
        ("bank.transfer", "weight", "number", None, "no", None),
        ("bank.cancel", "transfer", "identifier", None, "pseudonym", None),
    ]
    other = "product: forum\nevents:\n  forum.post: {surface: web, feature: post}\n"
    declare(other)
    assert len(query(asked)) == 7, "one product forgets nothing of another"
    declare("\n".join(line for line in CARRYING.splitlines() if "bank.cancel" not in line))
    assert {row[0] for row in query(asked)} == {"bank.transfer"}
