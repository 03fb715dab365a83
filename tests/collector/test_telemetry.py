import asyncio
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from prometheus_client.openmetrics.parser import text_string_to_metric_families as open_families
from prometheus_client.parser import text_string_to_metric_families as families

from footfall_collector.telemetry import multiprocess
from footfall_collector.telemetry.instruments import Refused, Reloaded
from footfall_collector.telemetry.telemetry import Telemetry
from footfall_processors import Dimension, Loss
from support.batches import batch, one_row, point

DOCS = Path(__file__).parents[2] / "docs/metrics.md"
SECRET = "planted-7f3a9c"
PLANTED = Dimension(SECRET, SECRET, SECRET, SECRET, SECRET, SECRET, SECRET, SECRET, SECRET, ())
OTLP = {"receiver": "otlp"}


def planted(kind="traces", rows=0, points=0, counts=0, losses=None):
    return batch(
        *[one_row(0, PLANTED)] * rows,
        points=[point(9, of=PLANTED)] * points,
        counts={(hour, PLANTED): 7 for hour in range(counts)},
        losses=losses,
        digest=SECRET.encode(),
        signal=kind,
    )


def made():
    return Telemetry("1.2.3", ["postgres", "otlp/backup"], ["partitions", "salts"])


def samples(text, parse=families):
    """Every sample by its name and labels, read by the official parser."""
    found = [s for family in parse(text.decode()) for s in family.samples]
    values = {(s.name, frozenset(s.labels.items())): s.value for s in found}
    assert len(values) == len(found)
    return values


def value(text, name, **labels):
    return samples(text).get((name, frozenset(labels.items())))


def documented():
    """(type, labels) of each metric in the tables of docs/metrics.md."""
    rows = re.findall(r"^\| `(\w+)` \| (\w+) \| ([\w, ]*)\|", DOCS.read_text("utf-8"), re.MULTILINE)
    return {
        name: (kind, [x for x in labels.strip().split(", ") if x]) for name, kind, labels in rows
    }


def test_every_metric_is_documented_as_it_is_and_nothing_else():
    found = {}
    for family in made().metrics.registry.collect():
        name = family.name + ("_total" if family.type == "counter" else "")
        found[name] = family.type
    assert {name: kind for name, (kind, _) in documented().items()} == found


def test_every_metric_has_the_documented_labels():
    telemetry = everything_happens(made())
    seen = {}
    for family in families(telemetry.scrape().decode()):
        for sample in family.samples:
            name = family.name + ("_total" if family.type == "counter" else "")
            seen.setdefault(name, set()).update(set(sample.labels) - {"le"})
    assert seen == {name: set(labels) for name, (_, labels) in documented().items()}


def test_every_reason_for_a_refusal_is_documented_with_what_to_do():
    section = DOCS.read_text("utf-8").split("### Why a request is refused")[1].split("\n## ")[0]
    assert set(re.findall(r"^\| `(\w+)` \| .+ \| .+ \|$", section, re.MULTILINE)) == set(Refused)


def test_the_collectors_names_are_used_where_it_has_the_same_thing():
    """As listed in the OpenTelemetry Collector's documentation of its internal telemetry."""
    items = ("spans", "metric_points", "log_records")
    theirs = {f"otelcol_receiver_{k}_{i}" for k in ("accepted", "refused", "failed") for i in items}
    theirs |= {f"otelcol_exporter_{k}_{i}" for k in ("sent", "send_failed") for i in items}
    theirs |= {f"otelcol_process_{n}" for n in ("uptime", "memory_rss", "cpu_seconds")}
    theirs |= {"otelcol_receiver_requests", "otelcol_exporter_queue_size"}
    names = {name.removesuffix("_total") for name in documented()}
    assert {name for name in names if name.startswith("otelcol_")} == theirs


def everything_happens(telemetry):
    """Something of everything, with planted values wherever a sender could have put them."""
    for kind in ("traces", "metrics", "logs"):
        for transport in ("grpc", "http"):
            with telemetry.request(kind, transport) as seen:
                seen.decoded(planted(kind, 1, losses={Loss.MALFORMED: 1}))
    telemetry.committed(0.01, [planted(rows=2)], {})
    telemetry.send_failed("otlp/backup", [planted(rows=2)])
    metrics = telemetry.metrics
    for gauge in (metrics.queue_size, metrics.lag_commits, metrics.lag_seconds):
        gauge.labels("otlp/backup").set(1)
    metrics.parked_batches.labels("otlp/backup").set(1)
    metrics.salts.labels("daily").set(8)
    telemetry.ran("salts", ok=True, next_run=1.0)
    telemetry.reloaded(Reloaded.CATALOG, ok=True)
    telemetry.catalog(bytes(range(32)))
    return telemetry


def test_nothing_that_was_sent_is_shown():
    text = everything_happens(made()).scrape()
    assert SECRET.encode() not in text
    assert b"footfall_losses_total" in text


def test_a_request_that_is_taken_counts_what_was_accepted_refused_and_lost():
    telemetry = made()
    losses = {Loss.UNDECLARED_EVENT: 5, Loss.OUT_OF_WINDOW: 2, Loss.MALFORMED: 1}
    with telemetry.request("traces", "grpc") as seen:
        seen.decoded(planted(rows=40, losses=losses))
    text = telemetry.scrape()
    grpc = OTLP | {"transport": "grpc"}
    assert value(text, "otelcol_receiver_accepted_spans_total", **grpc) == 40
    assert value(text, "otelcol_receiver_refused_spans_total", **grpc) == 3
    assert value(text, "otelcol_receiver_failed_spans_total", **grpc) == 0
    assert value(text, "otelcol_receiver_requests_total", **grpc, outcome="success") == 1
    lost = {
        dict(labels)["reason"]: number
        for (name, labels), number in samples(text).items()
        if name == "footfall_losses_total" and number
    }
    assert lost == {"undeclared_event": 5, "out_of_window": 2, "malformed": 1}
    method = {"rpc_method": "opentelemetry.proto.collector.trace.v1.TraceService/Export"}
    duration = "rpc_server_call_duration_seconds_count"
    assert value(text, duration, **method, rpc_response_status_code="OK") == 1


def test_points_and_counts_are_metric_points():
    telemetry = made()
    with telemetry.request("metrics", "http") as seen:
        seen.decoded(planted("metrics", points=3, counts=4))
    http = OTLP | {"transport": "http"}
    text = telemetry.scrape()
    assert value(text, "otelcol_receiver_accepted_metric_points_total", **http) == 7


@pytest.mark.parametrize(
    ("reason", "kind", "outcome"),
    [
        (Refused.UNAVAILABLE, "refused", "refused"),
        (Refused.INTERNAL, "failed", "failure"),
    ],
)
def test_a_request_that_is_not_taken_counts_its_items_but_no_losses(reason, kind, outcome):
    telemetry = made()
    with telemetry.request("logs", "http") as seen:
        seen.decoded(planted("logs", rows=6, losses={Loss.UNDECLARED_EVENT: 9}))
        seen.refused(reason, 503)
    text, http = telemetry.scrape(), OTLP | {"transport": "http"}
    counted = {
        each: value(text, f"otelcol_receiver_{each}_log_records_total", **http)
        for each in ("accepted", "refused", "failed")
    }
    assert counted == {"accepted": 0, "refused": 0, "failed": 0} | {kind: 6}
    assert value(text, "otelcol_receiver_requests_total", **http, outcome=outcome) == 1
    assert value(text, "footfall_refused_requests_total", transport="http", reason=reason) == 1
    assert value(text, "footfall_losses_total", signal="logs", reason="undeclared_event") == 0
    duration = "http_server_request_duration_seconds_count"
    assert value(text, duration, http_route="/v1/logs", http_response_status_code="503") == 1


@pytest.mark.parametrize(
    ("error", "reason", "status"),
    [(KeyError(SECRET), "internal", "UNKNOWN"), (asyncio.CancelledError(), "gone", "CANCELLED")],
)
def test_an_error_that_escapes_is_counted_and_goes_on(error, reason, status):
    telemetry = made()
    with pytest.raises(type(error)), telemetry.request("traces", "grpc"):
        raise error
    text = telemetry.scrape()
    assert value(text, "footfall_refused_requests_total", transport="grpc", reason=reason) == 1
    assert f'rpc_response_status_code="{status}"'.encode() in text
    assert SECRET.encode() not in text


def test_durations_are_measured():
    telemetry = made()
    with telemetry.request("traces", "http"):
        time.sleep(0.06)
    labels = {"http_route": "/v1/traces", "http_response_status_code": "200"}
    total = value(telemetry.scrape(), "http_server_request_duration_seconds_sum", **labels)
    assert 0.06 <= total < 5


def test_a_commit_counts_its_time_its_group_and_what_it_stored():
    telemetry = made()
    batches = [planted(rows=20), planted("logs", rows=5), planted("metrics", points=2)]
    telemetry.committed(0.3, batches, {("metrics", Loss.COUNTER_RESET): 3})
    text, store = telemetry.scrape(), {"exporter": "postgres"}
    assert value(text, "footfall_commit_duration_seconds_sum") == pytest.approx(0.3)
    assert value(text, "footfall_commit_requests_sum") == 3
    reset = {"signal": "metrics", "reason": "counter_reset"}
    assert value(text, "footfall_losses_total", **reset) == 3
    assert value(text, "footfall_commit_rows_sum") == 25
    assert value(text, "otelcol_exporter_sent_spans_total", **store) == 20
    assert value(text, "otelcol_exporter_sent_log_records_total", **store) == 5
    assert value(text, "otelcol_exporter_sent_metric_points_total", **store) == 2
    assert value(text, "otelcol_exporter_sent_spans_total", exporter="otlp/backup") == 0


def test_a_task_that_fails_keeps_the_time_of_its_last_success():
    telemetry = made()
    before = time.time()
    telemetry.ran("salts", ok=True, next_run=before + 3600)
    telemetry.ran("salts", ok=False, next_run=before + 60)
    text = telemetry.scrape()
    last = value(text, "footfall_housekeeping_last_success_timestamp_seconds", task="salts")
    assert before <= last <= time.time()
    due = value(text, "footfall_housekeeping_next_run_timestamp_seconds", task="salts")
    assert due == pytest.approx(before + 60)
    runs = "footfall_housekeeping_runs_total"
    assert [value(text, runs, task="salts", outcome=o) for o in ("success", "failure")] == [1, 1]
    assert value(text, runs, task="partitions", outcome="failure") == 0


def test_a_reload_that_fails_keeps_the_time_of_the_last_that_did_not():
    telemetry = made()
    before = time.time()
    telemetry.reloaded(Reloaded.KEYS, ok=True)
    telemetry.reloaded(Reloaded.KEYS, ok=False)
    text = telemetry.scrape()
    assert value(text, "footfall_last_reload_successful", what="keys") == 0
    assert value(text, "footfall_last_reload_success_timestamp_seconds", what="keys") >= before


def test_the_catalogs_digest_keeps_all_of_its_48_bits():
    telemetry = made()
    telemetry.catalog(b"\xff\xfe\xfd\xfc\xfb\xfa" + bytes(26))
    assert value(telemetry.scrape(), "footfall_catalog_digest") == 0xFFFEFDFCFBFA


def test_the_process_is_measured():
    telemetry = made()
    begun, deadline = time.process_time(), time.monotonic() + 10
    while time.process_time() < begun + 0.05 and time.monotonic() < deadline:
        pass
    text = telemetry.scrape()
    (resident,) = re.findall(r"VmRSS:\s+(\d+) kB", Path("/proc/self/status").read_text())
    memory = value(text, "otelcol_process_memory_rss")
    assert memory == pytest.approx(int(resident) * 1024, rel=0.2)
    first = value(text, "otelcol_process_cpu_seconds_total")
    assert begun + 0.05 <= first <= time.process_time()
    assert value(telemetry.scrape(), "otelcol_process_cpu_seconds_total") >= first
    assert 0.01 < value(text, "otelcol_process_uptime") < 60


def test_what_is_watched_is_looked_up_at_each_scrape():
    telemetry = made()
    numbers = iter([5, 6])
    telemetry.watch(telemetry.metrics.in_flight_bytes, lambda: next(numbers))
    assert value(telemetry.scrape(), "footfall_in_flight_bytes") == 5
    assert value(telemetry.scrape(), "footfall_in_flight_bytes") == 6


def test_both_formats_say_the_same():
    telemetry = everything_happens(made())
    plain = samples(telemetry.scrape())
    opened = samples(telemetry.scrape(as_openmetrics=True), open_families)
    moving = {"otelcol_process_uptime", "otelcol_process_cpu_seconds_total"}
    moving.add("otelcol_process_memory_rss")
    assert {k: v for k, v in plain.items() if k[0] not in moving} == {
        k: v for k, v in opened.items() if k[0] not in moving
    }


# Several workers

WORKER = """
import sys, time
from pathlib import Path
from footfall_collector.telemetry.multiprocess import Shared
from footfall_collector.telemetry.telemetry import Telemetry
from footfall_collector.telemetry.instruments import Reloaded
directory, number, requests, position = sys.argv[1], *map(int, sys.argv[2:])
telemetry = Telemetry("1.2.3", ["postgres"], ["salts"], Shared(Path(directory), number))
for _ in range(requests):
    with telemetry.request("traces", "grpc"):
        pass
telemetry.metrics.in_flight_bytes.set(requests)
telemetry.metrics.ready.set(number)
telemetry.metrics.lag_commits.labels("postgres").set(position)
telemetry.catalog(bytes([0, 0, 0, 0, 0, number + 1]))
telemetry.refresh()
print(telemetry.scrape().decode(), flush=True)
print("# END", flush=True)
sys.stdin.read()
"""


class Worker:
    """A process that counts, shows what all have counted, and stays until it is ended."""

    def __init__(self, directory, number, requests, position=0):
        arguments = map(str, (directory, number, requests, position))
        self.process = subprocess.Popen(
            [sys.executable, "-c", WORKER, *arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )
        lines = iter(self.process.stdout.readline, b"# END\n")
        self.text = b"".join(line for line in lines if line or self.process.wait())

    def end(self, number=signal.SIGTERM):
        self.process.send_signal(number)
        self.process.wait()
        self.process.stdin.close()
        self.process.stdout.close()


@pytest.fixture
def start(request):
    workers = []

    def start(*arguments):
        workers.append(Worker(*arguments))
        return workers[-1]

    yield start
    for worker in workers:
        if worker.process.returncode is None:
            worker.end(signal.SIGKILL)


def requests_of(text):
    name = "otelcol_receiver_requests_total"
    return value(text, name, receiver="otlp", transport="grpc", outcome="success")


def test_workers_count_together(start):
    with multiprocess.directory() as directory:
        start(directory, 0, 3, 30)
        text = start(directory, 1, 4, 20).text
        assert requests_of(text) == 7
        assert value(text, "footfall_in_flight_bytes") == 7
        assert value(text, "footfall_ready") == 0
        assert value(text, "footfall_subscriber_lag_commits", exporter="postgres") == 20
        assert value(text, "footfall_catalog_digest", pid="0") == 1
        assert value(text, "footfall_catalog_digest", pid="1") == 2
        assert value(text, "footfall_build_info", version="1.2.3") == 1
        single = {f.name: f.type for f in families(made().scrape().decode())}
        shared = {f.name: f.type for f in families(text.decode())}
        assert shared.items() <= single.items()


def test_a_worker_that_was_killed_goes_on_where_it_ended(start):
    with multiprocess.directory() as directory:
        start(directory, 1, 2)
        start(directory, 0, 3).end(signal.SIGKILL)
        text = start(directory, 0, 4).text
        assert requests_of(text) == 2 + 3 + 4
        assert value(text, "footfall_in_flight_bytes") == 2 + 4
        assert len(list(directory.iterdir())) == 2 * len(multiprocess.KINDS)


def test_the_workers_files_are_private_and_their_room_is_reserved(start):
    with multiprocess.directory() as directory:
        start(directory, 0, 1)
        assert directory.stat().st_mode & 0o777 == 0o700
        for file in directory.iterdir():
            found = file.stat()
            assert found.st_size == multiprocess.ROOM  # it was enough
            assert found.st_blocks * 512 >= multiprocess.ROOM
            assert found.st_mode & 0o077 == 0
    assert not directory.exists()


def test_every_kind_of_file_that_is_used_is_reserved(start):
    with multiprocess.directory() as directory:
        start(directory, 0, 1)
        assert {f.name for f in directory.iterdir()} == {f"{k}_0.db" for k in multiprocess.KINDS}


def test_what_a_killed_parent_leaves_is_removed_and_what_is_in_use_is_not():
    code = (
        "import time; from footfall_collector.telemetry import multiprocess\n"
        "with multiprocess.directory() as d: print(d, flush=True); time.sleep(60)"
    )
    parents = [
        subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE) for _ in range(2)
    ]
    dead, alive = (Path(p.stdout.readline().decode().strip()) for p in parents)
    try:
        parents[0].kill()
        parents[0].wait()
        assert dead.exists()
        with multiprocess.directory() as own:
            assert not dead.exists()
            assert alive.exists()
            assert own.exists()
    finally:
        for parent in parents:
            parent.kill()
            parent.wait()
            parent.stdout.close()
        with multiprocess.directory():
            assert not alive.exists()


async def test_it_refreshes_by_itself(monkeypatch):
    monkeypatch.setattr("footfall_collector.telemetry.telemetry.EVERY", 0.01)
    telemetry = made()
    seen = []
    telemetry.watch(telemetry.metrics.spool_batches, lambda: seen.append(1) or len(seen))
    async with telemetry.refreshing(), asyncio.timeout(20):
        while len(seen) < 3:  # noqa: ASYNC110
            await asyncio.sleep(0.01)
    count = len(seen)
    await asyncio.sleep(0.05)
    assert len(seen) == count


def test_tests_do_not_count_in_a_shared_folder():
    """Only a worker that joins does: neither who makes the folder, nor collectors in one process."""
    with multiprocess.directory() as directory:
        one, other = made(), made()
        with one.request("traces", "grpc"):
            pass
        assert (requests_of(one.scrape()), requests_of(other.scrape())) == (1, 0)
        assert list(directory.iterdir()) == []
    assert "PROMETHEUS_MULTIPROC_DIR" not in os.environ
