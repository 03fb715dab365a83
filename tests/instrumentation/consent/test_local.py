import os
import random
import resource
import socket
import sqlite3
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from opentelemetry.exporter.otlp.proto.grpc.metric_exporter import OTLPMetricExporter
from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import (
    ExportMetricsServiceRequest,
)
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.sdk.metrics.export import MetricExportResult, MetricsData
from opentelemetry.sdk.trace.export import SpanExportResult

from footfall import Exporters
from footfall._consent import local as _local
from footfall._consent import store as _store
from footfall._consent.local import LocalMetricExporter, LocalSpanExporter
from footfall._consent.store import LocalStore
from instrumentation.consent.conftest import finish, tree


def rows(path, what="signal, body"):
    """What the file holds, read without Footfall."""
    with closing(sqlite3.connect(path)) as database:
        return database.execute(f"SELECT {what} FROM requests ORDER BY id").fetchall()


def dropped(path):
    with closing(sqlite3.connect(path)) as database:
        return {row[0]: row[1:] for row in database.execute("SELECT * FROM dropped")}


def bodies(path, signal):
    return [body for kind, body in rows(path) if kind == signal]


class Both:
    """An exporter that gives everything to two; the local one comes second."""

    def __init__(self, first, second):
        self._first, self._second = first, second

    def __getattr__(self, name):
        return getattr(self._first, name)

    def export(self, data, *timeout):
        assert self._first.export(data, *timeout).name == "SUCCESS"
        return self._second.export(data, *timeout)

    def shutdown(self):
        self._first.shutdown()
        self._second.shutdown()


@pytest.fixture
def local(connect, kept):
    """A client in local mode."""
    return connect("", exporters=_local.exporters(kept))


def test_what_is_kept_is_byte_for_byte_what_would_be_sent(connect, received, kept):
    endpoint, store = received.endpoint, LocalStore(kept)
    client = connect(
        "",
        exporters=Exporters(
            Both(OTLPSpanExporter(endpoint), LocalSpanExporter(store)),
            Both(OTLPMetricExporter(endpoint), LocalMetricExporter(store)),
        ),
    )
    for _ in range(3):
        with client.feature("shop.order", provider="smz3", note="for bob@example.org", items=3):
            pass
        client.count("shop.press", 2, provider="alttpr")
        assert client.flush()
    assert bodies(kept, "traces") == received.traces
    assert len(received.traces) == 3
    assert bodies(kept, "metrics") == [received.metrics[-1]]
    assert b"bob" not in b"".join(body for _, body in rows(kept))


def test_a_process_that_is_followed_by_another_keeps_its_counters(connect, kept):
    for number in (5, 7):
        client = connect("", exporters=_local.exporters(kept))
        for _ in range(number):
            client.count("shop.press")
            assert client.flush()
        assert client.shutdown()
    points = [
        point.as_int
        for body in bodies(kept, "metrics")
        for part in ExportMetricsServiceRequest.FromString(body).resource_metrics
        for scope in part.scope_metrics
        for metric in scope.metrics
        for point in metric.sum.data_points
        if metric.name == "shop.press"
    ]
    assert points == [5, 7]


def test_the_file_is_for_its_user_alone(local, kept):
    local.event("shop.visit")
    assert local.flush()
    assert kept.stat().st_mode & 0o777 == 0o600
    assert kept.parent.stat().st_mode & 0o777 == 0o700
    with closing(sqlite3.connect(kept)) as database:
        assert database.execute("PRAGMA journal_mode").fetchone() == ("wal",)
        database.execute("SELECT * FROM requests").fetchall()
        ends = [path.stat().st_mode & 0o777 for path in kept.parent.iterdir()]
    assert ends == [0o600] * 3


def test_after_shutdown_nothing_is_kept(kept):
    exporters = _local.exporters(kept)
    exporters.spans.shutdown()
    exporters.metrics.shutdown()
    assert exporters.spans.export([]) is SpanExportResult.FAILURE
    assert exporters.metrics.export(MetricsData([])) is MetricExportResult.FAILURE
    assert rows(kept) == []


def test_data_that_cannot_be_encoded_is_a_failure(kept, caplog):
    exporters = _local.exporters(kept)
    assert exporters.spans.export([object()]) is SpanExportResult.FAILURE
    assert exporters.metrics.export(object()) is MetricExportResult.FAILURE
    assert rows(kept) == []
    assert caplog.records == []


# Bounds.


def test_beyond_so_many_requests_the_oldest_go_and_are_counted(kept):
    store = LocalStore(kept, requests=3)
    for number in range(7):
        assert store.keep("traces", b"%d" % number, items=10 + number)
    assert bodies(kept, "traces") == [b"4", b"5", b"6"]
    assert dropped(kept) == {"traces": (4, 10 + 11 + 12 + 13)}


def test_beyond_so_many_bytes_the_oldest_go_and_are_counted(kept):
    store = LocalStore(kept, size=100)
    for size in (40, 50, 10, 30):
        assert store.keep("traces", bytes(size), 1)
    assert [len(body) for body in bodies(kept, "traces")] == [50, 10, 30]
    assert store.keep("metrics", bytes(101), 5, "one")
    assert rows(kept) == [], "alone it is too large as well"
    assert dropped(kept) == {"traces": (4, 4), "metrics": (1, 5)}


def test_the_file_stays_small_however_much_is_kept(kept):
    store = LocalStore(kept, size=1_000_000)
    noise = random.Random(1)
    for _ in range(40):
        assert store.keep("traces", noise.randbytes(100_000), 1)
    assert sum(path.stat().st_size for path in kept.parent.iterdir()) < 3_000_000


@settings(max_examples=12, deadline=None)
@given(
    st.lists(st.tuples(st.sampled_from(["traces", "a", "b"]), st.integers(0, 9)), max_size=8),
    st.integers(1, 5),
    st.integers(1, 20),
)
def test_the_newest_that_fit_are_kept_and_the_others_are_counted(puts, requests, size):
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "x.sqlite"
        store = LocalStore(path, requests, size)
        model, lost = [], 0
        for kind, length in puts:
            instance = None if kind == "traces" else kind
            signal = "metrics" if instance else "traces"
            assert store.keep(signal, bytes(length), 1, instance)
            model = [row for row in model if instance is None or row[0] != instance]
            model.append((instance, length))
            while len(model) > requests or sum(row[1] for row in model) > size:
                model.pop(0)
                lost += 1
        assert rows(path, "instance, length(body)") == model
        assert sum(items for _, items in dropped(path).values()) == lost


# Several processes.

KEEP = """
    import sys
    from pathlib import Path
    from footfall._consent.store import LocalStore
    print("ready", flush=True)
    sys.stdin.readline()
    store = LocalStore(Path(sys.argv[1]))
    for number in range(15):
        assert store.keep("traces", b"%s %d" % (sys.argv[2].encode(), number), 1)
        assert store.keep("metrics", b"%d" % number, 1, sys.argv[2])
"""


def test_processes_share_the_file(kept, spawn):
    processes = [spawn(KEEP, kept, name) for name in ("a", "b")]
    for process in processes:
        assert process.stdout.readline() == "ready\n"
    for process in processes:
        process.stdin.write("go\n")
        process.stdin.flush()
    for process in processes:
        finish(process)
    expected = {b"%s %d" % (name, number) for name in (b"a", b"b") for number in range(15)}
    assert set(bodies(kept, "traces")) == expected
    assert bodies(kept, "metrics") == [b"14", b"14"]
    assert dropped(kept) == {}


def test_a_file_that_another_process_is_making_is_waited_for(tmp_path):
    path = tmp_path / "kept.sqlite"
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("CREATE TABLE other (number)")
        other.execute("BEGIN IMMEDIATE")  # which refuses a change of the journal's mode at once
        other.execute("INSERT INTO other VALUES (1)")
        with ThreadPoolExecutor(1) as pool:
            keeping = pool.submit(LocalStore(path).keep, "traces", b"x", 1)
            time.sleep(0.3)
            assert not keeping.done()
            other.execute("COMMIT")
            assert keeping.result(timeout=10)


# Files and disks as they may be.


def fill(path):
    store = LocalStore(path)
    for _ in range(5):
        assert store.keep("traces", os.urandom(20_000), 1)


@pytest.mark.parametrize(
    "damage",
    [
        lambda path: path.write_bytes(b"this is no database" * 500),
        lambda path: os.truncate(path, path.stat().st_size // 2),
        lambda path: path.write_bytes(path.read_bytes()[:5_000] + os.urandom(60_000)),
    ],
    ids=["something else", "half", "garbage"],
)
@pytest.mark.parametrize("running", [True, False])
def test_a_corrupt_file_is_begun_anew(kept, damage, running):
    fill(kept)
    store = LocalStore(kept)
    damage(kept)
    store = store if running else LocalStore(kept)
    for number in range(8):
        assert store.keep("traces", b"%d" % number, 1)
    assert bodies(kept, "traces")[-8:] == [b"%d" % number for number in range(8)]


def test_a_file_of_a_later_version_is_left_alone(kept):
    fill(kept)
    with closing(sqlite3.connect(kept)) as database:
        database.execute("PRAGMA user_version = 2")
    before = tree(kept.parent)
    for store in (LocalStore(kept), LocalStore(kept)):
        assert not store.keep("traces", b"new", 1)
    assert tree(kept.parent) == before


def test_a_file_that_was_deleted_is_not_made_again_by_a_program_that_runs(kept, consent):
    """It is how another program, in which the user revoked his consent, stops this one."""
    store = LocalStore(kept)
    assert store.keep("traces", b"first", 1)
    consent.revoke()
    assert not store.keep("traces", b"second", 1)
    assert not kept.exists()
    assert LocalStore(kept).keep("traces", b"third", 1)


@pytest.mark.parametrize("place", [None, Path("/proc/footfall/shop.sqlite")])
def test_without_a_place_nothing_is_kept_and_nothing_raises(place, connect, caplog):
    client = connect("", exporters=_local.exporters(place))
    client.event("shop.visit")
    client.count("shop.press")
    assert not client.flush()
    assert not client.shutdown()
    assert {record.name for record in caplog.records} == {"footfall"}


def test_a_folder_in_its_place_is_a_failure(kept):
    kept.mkdir(parents=True)
    assert not LocalStore(kept).keep("traces", b"", 0)


def test_a_lock_that_is_held_is_a_failure_after_a_while(kept, monkeypatch):
    monkeypatch.setattr(_store, "PATIENCE", 0.2)
    store = LocalStore(kept)
    with closing(sqlite3.connect(kept, isolation_level=None)) as database:
        database.execute("BEGIN IMMEDIATE")
        assert not store.keep("traces", b"", 0)
    assert store.keep("traces", b"", 0)


def limit_files(size):
    """Stands for a full disk: no file of this process may grow beyond `size`."""
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, resource.RLIM_INFINITY))


def test_a_full_disk_is_a_failure_until_there_is_room(kept):
    store = LocalStore(kept)
    assert store.keep("traces", bytes(10_000), 1)
    soft, _ = resource.getrlimit(resource.RLIMIT_FSIZE)
    limit_files(60_000)
    try:
        assert not store.keep("traces", bytes(200_000), 1)
    finally:
        limit_files(soft)
    assert [len(body) for body in bodies(kept, "traces")] == [10_000]
    assert store.keep("traces", bytes(200_000), 1)


# And never sent.

PROGRAM = """
    import sys, footfall
    from pathlib import Path
    from footfall._consent import local
    exporters = local.exporters(Path(sys.argv[2]))
    footfall.configure(sys.argv[1], enabled=True, exporters=exporters)
    with footfall.feature("shop.order", provider="smz3"):
        footfall.count("shop.press")
    assert footfall.flush() and footfall.shutdown()
"""


@pytest.mark.parametrize("protocol", ["grpc", "http/protobuf"])
def test_in_local_mode_nothing_is_sent(catalog, kept, spawn, protocol):
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(0.1)
        address = "http://{}:{}".format(*server.getsockname())
        variables = {
            "OTEL_EXPORTER_OTLP_ENDPOINT": address,
            "OTEL_EXPORTER_OTLP_PROTOCOL": protocol,
        }
        finish(spawn(PROGRAM, catalog, kept, **variables))
        with pytest.raises(TimeoutError):
            server.accept()
    (body,) = bodies(kept, "traces")
    (part,) = ExportTraceServiceRequest.FromString(body).resource_spans
    assert [span.name for scope in part.scope_spans for span in scope.spans] == ["shop.order"]
