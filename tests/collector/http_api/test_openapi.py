"""The API's description: kept in docs, complete, and true of what real requests are answered."""

import json
import re
import time

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from hypothesis.errors import Unsatisfiable
from jsonschema import Draft202012Validator

from collector.http_api.conftest import HERE, collector
from conftest import new_database
from footfall_collector.receivers.api.described import OPERATIONS
from support.documents import ROOT

KEPT = ROOT / "docs/openapi.json"
GETS = {
    "/summary": ("GET",),
    "/installation": ("DELETE",),
    "/health": ("GET",),
    "/receipt": ("GET", "DELETE"),
} | dict.fromkeys(("/start-session", "/still-alive", "/end-session"), ("GET", "POST"))


@pytest.fixture(scope="module")
def plugins(postgres_server, tmp_path_factory):
    """A collector with everything that the API has."""
    with new_database(postgres_server) as dsn:
        folder, catalog = tmp_path_factory.mktemp("described"), HERE / "plugin.yaml"
        unlimited = {"user": 10**6, "address": 10**6}
        api = collector(folder, dsn, catalog=catalog, psr={"enabled": True}, rate_limit=unlimited)
        yield api
        api.http.close()
        api.up.stop()


@pytest.fixture(scope="module")
def described(plugins):
    return plugins.http.get("/openapi.json").json()


def test_the_contract_is_the_one_that_is_kept(described):
    """Whoever changes it does so on purpose: `python docs/openapi.py` writes it anew."""
    kept = json.loads(KEPT.read_text())
    assert kept["components"] == described["components"]
    served = {p: said for p, said in described["paths"].items() if not p.startswith("/api")}
    assert kept["paths"] == served


def test_every_route_is_described_under_each_prefix(described):
    for prefix in ("/telemetry", "/api/telemetry"):
        assert {prefix + path for path in OPERATIONS} <= set(described["paths"])
    assert "/psr" in described["paths"]


def test_it_is_a_description_by_the_books(described):
    assert described["openapi"] == "3.1.0"
    for schema in described["components"]["schemas"].values():
        Draft202012Validator.check_schema(schema)
    used = set(re.findall(r"#/components/schemas/(\w+)", json.dumps(described)))
    assert used == set(described["components"]["schemas"])


@pytest.fixture(scope="module")
def operations(described):
    from collector.http_api import cases  # only here: it takes a second to load

    return cases.operations(described)


def declared(body):
    """Has events be such as are stored: what is drawn is never one."""
    for each in body if isinstance(body, list) else [body]:
        if isinstance(each, dict):
            now = {
                "event": "plugin.page",
                "timestamp": time.time() * 1000,
                "ts": time.time() * 1000,
            }
            each.update({name: value for name, value in now.items() if name in each})
            declared(each.get("events"))


@settings(max_examples=120, phases=[Phase.generate], suppress_health_check=list(HealthCheck))
@given(st.data())
def test_what_is_answered_is_what_is_described(plugins, operations, data):
    operation = data.draw(st.sampled_from(operations))
    try:
        case = data.draw(data.draw(st.sampled_from(operation.cases))())
    except Unsatisfiable:  # nothing of it can be wrong
        return
    if data.draw(st.booleans()):
        declared(case.body)
    kept = {k: v for k, v in (case.headers or {}).items() if k.lower() != "authorization"}
    case.headers = {**kept, "x-viewer": f"walker-{data.draw(st.integers(0, 99))}"}
    operation.check(case, str(plugins.http.base_url).rstrip("/"))
