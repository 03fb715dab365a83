"""The injected service and `log_telemetry`."""

import asyncio
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from opentelemetry.sdk.trace.export import SpanExporter, SpanExportResult

import footfall
from footfall import Client, Exporters

pytestmark = [pytest.mark.requirement("A5"), pytest.mark.requirement("C1")]


@pytest.fixture
def service(client):
    return footfall.TelemetryService(client)


@pytest.fixture
def default_client(catalog, received):
    footfall.configure(catalog, received.endpoint, enabled=True)
    yield footfall
    footfall.shutdown(1)


def test_what_is_recorded_arrives_with_its_status_error_and_duration(service, received):
    before = time.time_ns()
    service.record("shop.order", provider="smz3")
    service.record("shop.order.failure", error_type="permission_denied")
    service.record("shop.order", error_type="no such type")
    service.record("shop.lamp", "lit")
    service.record_timing("shop.order", 83.5, provider="smz3")
    service.record_timing("shop.order", 7, error_type="provider_timeout")
    assert service.flush()
    found = [
        (
            each["event"],
            each["feature.action"],
            each["feature.status"],
            each.get("error.type"),
            each.get("provider"),
        )
        for each in received.observations()
    ]
    assert found == [
        ("shop.order", "success", "ok", None, "smz3"),
        ("shop.order", "failure", "denied", "permission_denied", None),
        ("shop.order", "failure", "error", "unexpected_error", None),
        ("shop.lamp", "lit", "ok", None, None),
        ("shop.order", "success", "ok", None, "smz3"),
        ("shop.order", "failure", "timeout", "provider_timeout", None),
    ]
    lengths = [s.end_time_unix_nano - s.start_time_unix_nano for s in received.spans()]
    assert lengths == [0, 0, 0, 0, 83_500_000, 7_000_000]
    assert all(before <= s.end_time_unix_nano <= time.time_ns() for s in received.spans())
    assert received.dropped() == {}


def test_a_flush_in_asynchronous_code_leaves_the_loop_alone(service, received):
    async def run():
        service.record("shop.order")
        ticks = 0

        async def heart():
            nonlocal ticks
            while True:
                ticks += 1
                await asyncio.sleep(0)

        beating = asyncio.create_task(heart())
        sent = await service.aflush()
        beating.cancel()
        return sent, ticks

    sent, ticks = asyncio.run(run())
    assert sent
    assert ticks > 1
    assert len(received.observations()) == 1


def test_a_duration_that_is_none_is_counted_and_the_observation_still_sent(service, received):
    wrong = [float("nan"), float("inf"), -1, 10**30, "8", None, True]
    for each in wrong:
        service.record_timing("shop.order", each)
    assert service.flush()
    spans = received.spans()
    assert len(spans) == len(wrong)
    assert {s.end_time_unix_nano - s.start_time_unix_nano for s in spans} == {0}
    assert received.dropped() == {"wrong_type": len(wrong)}


anything = st.one_of(
    st.none(), st.text(), st.integers(), st.floats(), st.binary(), st.lists(st.integers())
)


@settings(max_examples=100, deadline=None)
@given(event=anything, action=anything, error=anything, duration=anything, value=anything)
def test_nothing_is_ever_raised(event, action, error, duration, value):
    lenient = Client()
    for service in (footfall.TelemetryService(lenient), footfall.NoOpTelemetryService()):
        service.record(event, action, error_type=error, provider=value)
        service.record_timing(event, duration, action, error_type=error, provider=value)
        assert service.flush() is footfall.Flushed.OFF


def test_the_service_that_does_nothing_has_the_same_face(default_client, received):
    service = footfall.NoOpTelemetryService()
    assert isinstance(service, footfall.TelemetryService)
    service.record("shop.order")
    service.record_timing("shop.order", 1)
    assert service.flush() is footfall.Flushed.OFF
    assert asyncio.run(service.aflush()) is footfall.Flushed.OFF
    assert default_client.flush()
    assert received.observations() == []
    footfall.TelemetryService().record("shop.order")
    assert default_client.flush()
    assert len(received.observations()) == 1, "the other one sends"


def test_log_telemetry_takes_a_mapping(default_client, received):
    default_client.log_telemetry("shop.order", {"provider": "smz3", "user_name": "walker"})
    default_client.log_telemetry("shop.order.failure")
    default_client.log_telemetry_safe("shop.order", {"items": 3})
    default_client.log_telemetry("shop.order", {"action": "x", 7: "not a name"})
    assert default_client.flush()
    found = [
        (each["feature.action"], each.get("provider"), each.get("items"))
        for each in received.observations()
    ]
    assert found == [
        ("success", "smz3", None),
        ("failure", None, None),
        ("success", None, 3),
        ("success", None, None),
    ]
    assert received.dropped() == {"undeclared_attribute": 3}
    assert b"walker" not in received.bytes


class Flaky(SpanExporter):
    """Takes nothing while it is away; what it took, and what it was shown, in order."""

    def __init__(self):
        self.away, self.shown, self.taken = True, [], []

    def export(self, spans):
        self.shown.append([span.attributes.get("items") for span in spans])
        if self.away:
            return SpanExportResult.FAILURE
        self.taken.append([span.attributes.get("items") for span in spans])
        return SpanExportResult.SUCCESS

    def shutdown(self):
        pass


@pytest.fixture
def flaky(connect, received, monkeypatch):
    """A client whose spans go to a collector that is away, and whose queue holds eight."""
    from opentelemetry.exporter.otlp.proto.grpc.metric_exporter import OTLPMetricExporter

    monkeypatch.setenv("OTEL_BSP_MAX_QUEUE_SIZE", "8")
    exporter = Flaky()
    counters = OTLPMetricExporter(received.endpoint, insecure=True)
    return connect(received.endpoint, exporters=Exporters(exporter, counters)), exporter


def test_what_is_kept_is_sent_again_as_the_same_batch_when_the_collector_is_back(flaky, received):
    client, exporter = flaky
    client.observe("shop.order", None, {"items": 1}, keep=True)
    client.observe("shop.order", None, {"items": 2})
    assert not client.flush()
    client.observe("shop.order", None, {"items": 3})
    assert not client.flush()
    exporter.away = False
    assert client.flush()
    assert exporter.taken == [[1, 2]], "with its batch, which may have been stored already"
    assert received.dropped() == {"export_failed": 1}
    client.observe("shop.order", None, {"items": 4})
    assert client.flush()
    assert exporter.taken == [[1, 2], [4]], "once"


def test_what_is_kept_is_bounded_and_the_oldest_is_given_up(flaky, received, caplog):
    client, exporter = flaky
    for number in range(12):
        client.observe("shop.order", None, {"items": number}, keep=True)
        client.flush()
    exporter.away = False
    assert client.flush()
    assert exporter.taken == [[number] for number in range(4, 12)]
    assert received.dropped() == {"export_failed": 4}
    assert [r.levelname for r in caplog.records if "lost" in r.getMessage()] == ["WARNING"]


def test_what_is_still_kept_at_the_end_is_counted(flaky, received):
    client, exporter = flaky
    client.observe("shop.order", None, {"items": 1}, keep=True)
    assert not client.shutdown()
    assert exporter.taken == []
    assert received.dropped() == {"export_failed": 1}


def test_threads_that_flush_at_once_never_send_or_lose_a_kept_batch_twice(flaky):
    client, exporter = flaky
    for number in range(6):
        client.observe("shop.order", None, {"items": number}, keep=True)
        client.flush()
    exporter.away = False

    async def all_at_once():
        await asyncio.gather(*(asyncio.to_thread(client.flush) for _ in range(4)))

    asyncio.run(all_at_once())
    assert sorted(exporter.taken) == [[number] for number in range(6)]


def test_attributes_may_have_any_name(service, received):
    for use in (service, footfall.NoOpTelemetryService()):
        use.record("shop.order", event="x", self=1)
        use.record_timing("shop.order", 1, event="x", self=1)
    assert service.flush()
    assert received.dropped() == {"undeclared_attribute": 4}


def test_a_batch_that_is_always_refused_does_not_hold_up_the_others(flaky):
    client, exporter = flaky
    for number in range(3):
        client.observe("shop.order", None, {"items": number}, keep=True)
        client.flush()
    take = exporter.export
    refused = SpanExportResult.FAILURE
    exporter.export = lambda spans: refused if spans[0].attributes["items"] == 0 else take(spans)
    exporter.away = False
    client.flush()
    assert exporter.taken == [[1], [2]]
