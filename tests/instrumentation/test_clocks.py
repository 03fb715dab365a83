"""Whatever the host's clock does: no counter ends before it began, and receivers count everything once."""

import time
from collections import Counter
from dataclasses import dataclass, field

import grpc
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from opentelemetry.metrics import Observation
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import (
    ExportMetricsPartialSuccess,
    ExportMetricsServiceResponse,
)
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import (
    InMemoryMetricReader,
    MetricExporter,
    MetricExportResult,
)
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

import footfall
from footfall import Client, Exporters, testing
from footfall._consent import local
from footfall._consent.inspection import Inspection
from footfall._delivery.exporters import CountersExporter
from footfall._delivery.outage import Outage
from footfall._log import Warnings
from footfall.allowlist import AllowlistSpanProcessor
from instrumentation.programs import python

SECOND = 10**9
HOUR = 3600 * SECOND
DAY = 24 * HOUR
NOON = 1_700_000_000 * SECOND

PROGRAM = """
    import time
    real, ahead, frozen = time.time_ns, [{ahead}], []
    time.time_ns = lambda: frozen[0] if frozen else real() + ahead[0]
    import footfall
    if {frozen}:
        frozen.append(real())
    footfall.configure({catalog!r}, {endpoint!r}, enabled=True)
    def then(number, clock):
        footfall.count("shop.order", number)
        with footfall.feature("shop.visit", provider="smz3"):
            ahead[0] = clock
        assert footfall.flush(5)
"""


@dataclass
class Model:
    """Receivers of cumulative counters, as the data model has them: they add up what is new in a stream.

    Attributes:
        by_run: A stream is a resource, a start, a name and attributes.
        by_resource: A stream is a resource, a name and attributes; a value that falls began again at zero,
            and a point that is not later than the last one says nothing.
    """

    by_run: Counter = field(default_factory=Counter)
    by_resource: Counter = field(default_factory=Counter)
    last: dict = field(default_factory=dict)

    def take(self, instance, name, attributes, start, end, value):
        assert 0 < start < end
        assert start // 1_000_000 < end // 1_000_000, "also where milliseconds are kept"
        what = name, attributes
        before = self.last.get((instance, start, what), (0, 0))
        assert end > before[1]
        assert value >= before[0]
        self.by_run[what] += value - before[0]
        seen, at = self.last.get((instance, what), (0, 0))
        if end > at:
            self.by_resource[what] += value if value < seen else value - seen
            self.last[instance, what] = value, end
        self.last[instance, start, what] = value, end

    def read(self, received):
        """Takes what a real receiver got."""
        for part in received.resource_metrics():
            about = {a.key: a.value.string_value for a in part.resource.attributes}
            for metric in (m for scope in part.scope_metrics for m in scope.metrics):
                for p in metric.sum.data_points:
                    labels = frozenset((a.key, a.value.string_value) for a in p.attributes)
                    self.take(
                        about["service.instance.id"], metric.name, labels,
                        p.start_time_unix_nano, p.time_unix_nano, p.as_int,
                    )  # fmt: skip
        return self

    def both(self, name):
        """What the two kinds of receivers have counted of a metric."""
        return [
            sum(number for (each, _), number in found.items() if each == name)
            for found in (self.by_run, self.by_resource)
        ]


class Sender(MetricExporter):
    """Hands every point to a model; what happens to an export is said before it.

    Attributes:
        odd: Points that end before they began, or at another time than now.
    """

    def __init__(self):
        super().__init__()
        self.model = Model()
        self.outcome = "stored"
        self.instances = []
        self.odd = []

    def export(self, metrics_data, timeout_millis=10_000, **kwargs):
        for part in metrics_data.resource_metrics:
            instance = part.resource.attributes["service.instance.id"]
            self.instances.append(instance)
            for metric in (m for scope in part.scope_metrics for m in scope.metrics):
                for p in metric.data.data_points:
                    late = p.time_unix_nano - time.time_ns()
                    if p.start_time_unix_nano >= p.time_unix_nano or not 0 <= late < 1.1 * SECOND:
                        self.odd.append(p)
                    if self.outcome != "refused":
                        labels = frozenset(p.attributes.items())
                        self.model.take(
                            instance, metric.name, labels,
                            p.start_time_unix_nano, p.time_unix_nano, p.value,
                        )  # fmt: skip
        taken = self.outcome == "stored"
        return MetricExportResult.SUCCESS if taken else MetricExportResult.FAILURE

    def force_flush(self, timeout_millis=10_000):
        return True

    def shutdown(self, timeout_millis=30_000, **kwargs): ...


@dataclass
class Clock:
    """What `time.time_ns()` says."""

    now: int = NOON

    def __call__(self):
        return self.now


@pytest.fixture
def clock(monkeypatch):
    found = Clock()
    monkeypatch.setattr(time, "time_ns", found)
    return found


@pytest.fixture
def sender():
    return Sender()


@pytest.fixture
def told(clock, connect, sender):
    """A client whose clock and whose receiver are the test's."""
    return connect("", exporters=Exporters(InMemorySpanExporter(), sender))


def steps(*outcomes):
    count = st.tuples(
        st.just("count"), st.sampled_from(["smz3", "alttpr", None]), st.integers(1, 9)
    )
    moves = st.sampled_from(
        [0, 1, 15_000_000, 60 * SECOND, 5 * HOUR, 3 * DAY, 20_000 * DAY]
    ).flatmap(lambda length: st.sampled_from([length, -length]))
    anything = st.one_of(moves, st.integers(-5 * DAY, 5 * DAY))
    clock = st.tuples(st.just("clock"), anything, st.none())
    export = st.tuples(st.just("export"), st.sampled_from(outcomes), st.none())
    return st.lists(st.one_of(count, clock, export, export), max_size=25)


@settings(max_examples=150, deadline=None)
@given(steps("stored", "stored", "refused"))
def test_any_clock_gives_exact_counts(catalog_file, done):
    for model, counted in play(catalog_file, done):
        assert model.both("shop.press") == [counted, counted]
        assert model.both("footfall.emitted") == [counted, counted]


@settings(max_examples=100, deadline=None)
@given(steps("stored", "refused", "answer lost"))
def test_a_lost_answer_never_makes_fewer(catalog_file, done):
    for model, counted in play(catalog_file, done):
        assert min(model.both("shop.press")) >= counted


def play(catalog, done):
    """What receivers counted and what was counted, whenever an export was acknowledged."""
    sender, clock, counted = Sender(), Clock(), 0
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(time, "time_ns", clock)
        client = Client(strict=True)
        client.configure(catalog, enabled=True, exporters=Exporters(InMemorySpanExporter(), sender))
        for kind, what, number in [*done, ("export", "stored", None)]:
            if kind == "count":
                client.count("shop.press", number, provider=what)
                counted += number
            elif kind == "clock":
                clock.now = max(clock.now + what, 0)
            else:
                sender.outcome = what
                assert client.flush() == (what == "stored" or not counted)
                if what == "stored":
                    yield sender.model, counted
        client.shutdown()
        assert not sender.odd
        yield sender.model, counted


@pytest.fixture(scope="module")
def catalog_file(tmp_path_factory):
    path = tmp_path_factory.mktemp("clocks") / "events.yaml"
    path.write_text(
        "product: shop\n"
        "attributes: {provider: {type: enum, values: [alttpr, smz3]}}\n"
        "events:\n"
        "  shop.press: {surface: web, feature: press, actions: [success], attributes: [provider]}\n"
    )
    return path


@pytest.mark.parametrize("protocol", ["grpc", "http/protobuf"])
@pytest.mark.parametrize(
    "ahead",
    [
        [3600, 0],
        [0, -3, -30 * 86_400],
        [86_400 * 400, 0, 3600],
        [-86_400 * 9000, 0, 60, -60, 0],
    ],
    ids=["back an hour", "back for ever", "back, then forward", "from the past, then to and fro"],
)
def test_a_program_whose_clock_is_set(request, catalog, protocol, ahead):
    received = request.getfixturevalue("received" if protocol == "grpc" else "received_http")
    code = PROGRAM.format(
        ahead=ahead[0] * SECOND, frozen=False, catalog=str(catalog), endpoint=received.endpoint
    )
    for number, seconds in enumerate(ahead, 1):
        code += f"\n    then({number}, {seconds * SECOND})"
    python(code, FOOTFALL_PROTOCOL=protocol)
    total = sum(range(1, len(ahead) + 1))
    model = Model().read(received)
    assert model.both("shop.order") == [total, total]
    assert model.both("footfall.emitted") == [total + len(ahead)] * 2
    for span in received.spans():
        assert 0 < span.end_time_unix_nano - span.start_time_unix_nano < 60 * SECOND


def test_a_program_that_ends_in_the_tick_in_which_it_began(catalog, received):
    """A serverless function, or a clock of 15 ms: start = time would mean that the start is unknown."""
    code = PROGRAM.format(ahead=0, frozen=True, catalog=str(catalog), endpoint=received.endpoint)
    python(code + '\n    footfall.count("shop.order", 7)')
    assert Model().read(received).both("shop.order") == [7, 7]


def test_a_frozen_clock_needs_no_second_run(told, sender):
    for _ in range(20):
        told.count("shop.press")
        assert told.flush()
    assert sender.model.both("shop.press") == [20, 20]
    assert len(set(sender.instances)) == 1


@pytest.mark.parametrize(
    ("step", "runs"), [(-500_000_000, 1), (60 * SECOND, 1), (-2 * SECOND, 2), (8 * DAY, 2)]
)
def test_a_clock_that_jumps_begins_a_run(told, sender, clock, step, runs):
    """Forward as well: machines sleep, and receivers forget a stream that was idle for a week."""
    for _ in range(2):
        told.count("shop.press", 3)
        assert told.flush()
        clock.now += step
    assert len(set(sender.instances)) == runs
    assert sender.model.both("shop.press") == [6, 6]


def test_what_failed_is_told_by_the_next_run(connect, received):
    clock, client = [0], connect(received.endpoint)
    with pytest.MonkeyPatch.context() as patch:
        real = time.time_ns
        patch.setattr(time, "time_ns", lambda: real() + clock[0])
        client.count("shop.order", 3)
        assert client.flush()
        received.status = grpc.StatusCode.PERMISSION_DENIED
        client.count("shop.order", 4)
        assert not client.flush()
        received.status = None
        clock[0] = -HOUR
        client.count("shop.order", 5)
        assert client.flush()
    assert Model().read(received).both("shop.order") == [12, 12]


@pytest.mark.parametrize("protocol", ["grpc", "http/protobuf"])
@pytest.mark.parametrize("whole", [True, False], ids=["whole", "in part"])
def test_only_what_was_refused_whole_is_told_by_the_next_run(
    connect, request, monkeypatch, protocol, whole
):
    """All is refused where a receiver's window does not reach to a clock that is ahead."""
    monkeypatch.setenv("FOOTFALL_PROTOCOL", protocol)
    received = request.getfixturevalue("received" if protocol == "grpc" else "received_http")
    client = connect(received.endpoint)
    client.count("shop.order", 3)
    received.answer = refusing(2 if whole else 1)  # of its point and that of `footfall.emitted`
    assert client.flush() is not whole
    if whole:
        received.metrics.clear()
    received.answer = b""
    real = time.time_ns
    monkeypatch.setattr(time, "time_ns", lambda: real() - HOUR)
    client.count("shop.order", 4)
    assert client.flush()
    assert Model().read(received).both("shop.order") == [7, 7]


def refusing(number):
    """An answer that says of so many points that they were refused."""
    refused = ExportMetricsPartialSuccess(rejected_data_points=number, error_message="no")
    return ExportMetricsServiceResponse(partial_success=refused).SerializeToString()


def test_a_block_may_begin_before_1970(clock, connect, received):
    """A clock that was never set; a span that cannot be encoded would take its whole batch with it."""
    client = connect(received.endpoint)
    clock.now = 5 * SECOND
    client.observe("shop.order", None, {}, duration_ms=60_000)
    assert client.flush()
    (span,) = received.spans()
    assert (span.start_time_unix_nano, span.end_time_unix_nano) == (0, 5 * SECOND)


def test_a_span_of_another_instrumentation_ends_after_it_began(clock, client, received):
    provider = TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(AllowlistSpanProcessor(client))
    provider.get_tracer("web").start_span("shop.order", start_time=NOON + HOUR).end(NOON)
    assert client.flush()
    (span,) = received.spans()
    assert (span.start_time_unix_nano, span.end_time_unix_nano) == (NOON, NOON)


def test_local_mode_shows_exact_counts(clock, connect, tmp_path):
    client = connect("", exporters=local.exporters(tmp_path / "shop.sqlite"))
    for number in (3, 4):
        client.count("shop.order", number)
        assert client.flush()
        clock.now -= HOUR
    found = Inspection("shop", folder=tmp_path).counts()
    assert sum(each["number"] for each in found if each["event"] == "shop.order") == 7


def test_captured_telemetry_counts_exactly(clock, catalog):
    with testing.capture() as captured:
        footfall.configure(catalog)
        for number, total in ((3, 3), (4, 7)):
            footfall.count("shop.order", number)
            assert captured.count("shop.order") == total
            clock.now -= HOUR


def test_exports_that_change_places_are_no_reset(clock, sender):
    """Two threads collect; the one that read the lower value may come second."""
    about = Resource({"service.instance.id": "a"})
    exporter = CountersExporter(sender, about, list, Outage(Warnings()))
    reader = InMemoryMetricReader()
    values = iter([5, 3, 6])
    meter = MeterProvider([reader]).get_meter("footfall")
    meter.create_observable_counter("shop.order", [lambda _: [Observation(next(values))]])
    for _ in range(3):
        assert exporter.export(reader.get_metrics_data()) is MetricExportResult.SUCCESS
    assert sender.model.both("shop.order") == [6, 6]
