"""`from:` in the catalog: what existing clients call things, stored under names of the catalog's."""

import datetime as dt
import hmac
import uuid

import psycopg
import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from collector.http_api.conftest import HERE, SALT, collector
from collector.spans import key_value
from conftest import new_database

NOW = dt.datetime.now(dt.UTC)
# As the product's own documentation has them.
USAGE = {"feature": "advanced_search", "usage_count": 1, "session_id": "sess_123"}
HEALTH = {
    "component": "database",
    "status": "healthy",
    "metrics": {"connection_pool": 0.8, "query_time": 45},
}


@pytest.fixture(scope="module")
def started(postgres_server, tmp_path_factory):
    with new_database(postgres_server) as dsn:
        api = collector(tmp_path_factory.mktemp("clients"), dsn, catalog=HERE / "clients.yaml")
        yield api
        api.http.close()
        api.up.stop()


@pytest.fixture
def clients(started):
    with psycopg.connect(started.dsn, autocommit=True) as connection:
        connection.execute(
            "TRUNCATE footfall.feature_events, footfall.feature_counts, footfall.ingest_batches"
        )
    return started


def event(name, properties, **more):
    return {"event": name, "timestamp": NOW.isoformat(), "properties": properties, **more}


@pytest.mark.requirement("C1")
def test_the_documents_own_events_are_stored_as_they_are_sent(clients):
    sent = [
        event("feature_usage", USAGE, source="client"),
        event("system_health", HEALTH, source="server"),
    ]
    answer = clients.post("/telemetry/track", sent)
    assert answer.json()["accepted"] == 2
    columns = "event, feature_used, usage_count, component, health, connection_pool, query_time"
    assert clients.query(f"SELECT {columns} FROM reporting.events ORDER BY event") == [
        ("feature_usage", "advanced_search", 1, None, None, None, None),
        ("system_health", None, None, "database", "healthy", 0.8, 45),
    ]
    assert clients.query("SELECT count(session_hash) FROM footfall.feature_events") == [(1,)]
    assert clients.losses() == {"undeclared_attribute": 2}  # `source`, which nobody declares


def test_batches_of_events_have_them_beside_their_names(clients):
    sent = {"events": [{"event": "system_health", "ts": NOW.isoformat(), **HEALTH}]}
    assert clients.post("/telemetry/events", sent).json()["accepted"] == 1
    found = clients.query("SELECT health, connection_pool, query_time FROM reporting.events")
    assert found == [("healthy", 0.8, 45)]
    assert clients.losses() == {}


@pytest.mark.parametrize(
    ("metrics", "stored", "losses"),
    [
        ({"connection_pool": 0.5, "query_time": None}, (0.5, None), {}),
        ({"connection_pool": 0.5, "others": {"a": 1, "b": 2}}, (0.5, None), {"undeclared_attribute": 1}),
        ({"connection_pool": {"a": 1}}, (None, None), {"wrong_type": 1}),
        ([{"connection_pool": 1}], (None, None), {"undeclared_attribute": 1}),
        (0.5, (None, None), {"undeclared_attribute": 1}),
        ({}, (None, None), {}),
    ],
    ids=["null", "more", "deeper", "a list", "a number", "empty"],
)  # fmt: skip
def test_only_what_is_declared_is_looked_for_in_an_object(clients, metrics, stored, losses):
    clients.post("/telemetry/track", event("system_health", {"metrics": metrics}))
    found = clients.query("SELECT connection_pool, query_time FROM reporting.events")
    assert found == [stored]
    assert clients.losses() == losses


def test_the_name_with_dots_may_be_the_key_itself(clients):
    clients.post("/telemetry/track", event("system_health", {"metrics.connection_pool": 0.25}))
    assert clients.query("SELECT connection_pool FROM reporting.events") == [(0.25,)]


def test_one_key_is_another_attribute_in_another_event(clients):
    said = {"status": "paid", "timesUsed": 7}
    clients.post("/telemetry/track", [event("order", said), event("system_health", HEALTH)])
    found = clients.query("SELECT event, paid, health, times_used FROM reporting.events ORDER BY 1")
    assert found == [("order", "paid", None, 7), ("system_health", None, "healthy", None)]


def test_what_has_the_catalogs_name_wins(clients):
    said = {"feature": "walker", "feature_used": "advanced_search"}
    clients.post("/telemetry/track", event("feature_usage", said))
    assert clients.query("SELECT feature_used FROM reporting.events") == [("advanced_search",)]
    assert clients.losses() == {"duplicate_attribute": 1}


def test_what_a_client_says_of_who_it_is_counts_under_no_key(clients):
    said = {"userId": "walker-2", "viewer_id": "walker-3"}
    clients.post("/telemetry/track", event("order", said))
    assert stored(clients, "viewer_hash") == pseudonym("viewer_id", "walker-1")
    clients.post(
        "/telemetry/track", event("order", said), authorization=f"Bearer {clients.key}", viewer=None
    )
    assert stored(clients, "viewer_hash", "IS NULL") is None
    assert clients.query("SELECT count(*) FROM footfall.feature_events") == [(2,)]


@pytest.mark.parametrize("key", ["account", "accountId"])
def test_a_pseudonym_is_that_of_the_catalogs_name(clients, key):
    clients.post("/telemetry/track", event("order", {key: "walker-9"}))
    assert stored(clients, "account_hash") == pseudonym("account", "walker-9")


def test_attributes_of_spans_have_other_keys_as_well(clients):
    request = ExportTraceServiceRequest()
    end = int(NOW.timestamp() * 10**9)
    request.resource_spans.add().scope_spans.add().spans.add(
        name="system_health",
        start_time_unix_nano=end - 1,
        end_time_unix_nano=end,
        attributes=[
            key_value("status", string_value="degraded"),
            key_value("metrics.connection_pool", double_value=0.5),
        ],
    )
    answer = clients.http.post(
        "/v1/traces",
        content=request.SerializeToString(),
        headers={
            "content-type": "application/x-protobuf",
            "authorization": f"Bearer {clients.key}",
        },
    )
    assert answer.status_code == 200
    found = clients.query("SELECT health, connection_pool FROM reporting.events")
    assert found == [("degraded", 0.5)]


def stored(clients, column, condition="IS NOT NULL"):
    (row,) = clients.query(
        f"SELECT {column} FROM footfall.feature_events WHERE {column} {condition}"
    )
    return row[0]


def pseudonym(name, value):
    said = f"\x00dashboard\x00{name}\x00{value}".encode()
    return uuid.UUID(bytes=hmac.digest(SALT.encode(), said, "sha256")[:16])
