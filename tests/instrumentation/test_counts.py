import threading
import time
from collections import Counter

import grpc
import pytest

from footfall import _log
from footfall._recording.recorder import LARGEST


def test_counts_add_up_by_action_and_enums(client, received):
    client.count("shop.order")
    client.count("shop.order", 4, provider="smz3", items=3, guild_id="1")
    client.count("shop.order", n=5, provider="smz3", preset="open")
    client.count("shop.order", 7, "failure", provider="smz3")
    client.count("shop.visit", 2)
    client.count("shop.visit", 3, provider="none")
    assert client.flush()
    counts = received.counts()
    assert received.count("shop.order") == 1 + 4 + 5 + 7
    assert received.count("shop.order", feature_action="failure", provider="smz3") == 7
    assert received.count("shop.visit", feature_action="visit") == 5
    keys = {name for key in counts for name in dict(key)}
    assert keys == {
        "event", "feature.action", "provider", "preset", "emitted_event", "drop_reason",
    }  # fmt: skip
    assert received.emitted() == {"shop.order": 17, "shop.visit": 5}
    assert received.dropped() == {"wrong_type": 1}
    assert received.spans() == []


@pytest.mark.parametrize("number", [0, -1, 1.0, True, "1", None, LARGEST + 1, 2**70])
def test_a_number_that_cannot_be_counted_is_dropped(client, received, number):
    client.count("shop.order", number)
    client.count("shop.order", LARGEST)
    assert client.flush()
    assert received.count("shop.order") == LARGEST
    assert received.dropped() == {"wrong_type": 1}


def test_counters_are_exported_again_until_they_arrive(client, received):
    client.count("shop.order", 3)
    received.status = grpc.StatusCode.INVALID_ARGUMENT
    assert not client.flush()
    assert received.metrics == []
    client.count("shop.order", 4)
    received.status = None
    assert client.flush()
    client.count("shop.order", 5)
    assert client.flush()
    assert received.count("shop.order") == 12


def test_every_client_and_start_is_a_series_of_its_own(connect, received):
    for client in (connect(received.endpoint), connect(received.endpoint)):
        client.count("shop.order", 2)
        assert client.shutdown()
    instances = {
        a.value.string_value
        for part in received.resource_metrics()
        for a in part.resource.attributes
        if a.key == "service.instance.id"
    }
    assert len(instances) == 2


def test_sampling_loses_no_count(connect, received, monkeypatch):
    monkeypatch.setenv("TELEMETRY_SAMPLE_RATE", "0.4")
    client = connect(received.endpoint)
    for number in range(1000):
        with client.feature("shop.half", provider="smz3") as use:
            if number % 4 == 0:
                use.fail("invalid_preset")
    assert client.flush()
    spans = received.observations()
    assert {o["feature.sample_rate"] for o in spans} == {0.4 * 0.5}
    assert 120 < len(spans) < 280, "about 0.2 of 1000"
    counted = {
        action: received.count("shop.half", feature_action=action, provider="smz3")
        for action in ("invoke", "success", "failure")
    }
    assert counted["invoke"] == 1000
    both = Counter(o["feature.action"] for o in spans) + Counter(counted)
    assert (both["success"], both["failure"]) == (750, 250)
    assert (
        received.count("shop.half", feature_status="error", error_type="invalid_preset")
        == (counted["failure"])
    )
    assert received.emitted() == {"shop.half": 2000}
    assert received.dropped() == {}


def test_a_rate_of_zero_sends_counts_only(connect, received):
    client = connect(received.endpoint, sample_rate=0)
    client.event("shop.visit")
    with client.feature("shop.order"):
        pass
    assert client.flush()
    assert received.traces == []
    assert received.count("shop.visit", feature_status="ok") == 1
    assert received.count("shop.order") == 2


def test_what_does_not_fit_the_queue_is_counted_and_warned_about_once(
    connect, received, monkeypatch, caplog
):
    monkeypatch.setenv("OTEL_BSP_MAX_QUEUE_SIZE", "20")
    client = connect(received.endpoint)
    received.held = True
    total = 500
    for _ in range(total):
        client.event("shop.visit", provider="smz3")
    received.held = False
    received.hold.set()
    assert client.flush()
    kept = len(received.spans())
    assert 20 <= kept <= 60, "the queue, and a batch or two that were being sent"
    assert received.count("shop.visit", provider="smz3", feature_status="ok") == total - kept
    assert received.dropped() == {"queue_full": total - kept}
    assert received.emitted() == {"shop.visit": total}
    client.event("shop.visit")
    assert client.flush()
    assert len(received.spans()) == kept + 1, "there is room again"
    (record,) = caplog.records
    assert (record.name, record.levelname) == ("footfall", "WARNING")
    assert "queue of 20" in record.getMessage()


def test_a_warning_comes_again_after_its_interval(connect, received, monkeypatch, caplog):
    monkeypatch.setattr(_log, "INTERVAL", 0.0)
    client = connect(received.endpoint)
    for status in (grpc.StatusCode.INVALID_ARGUMENT, None) * 2:
        received.status = status
        client.event("shop.visit")
        assert bool(client.flush()) is (status is None)
    lost = [r for r in caplog.records if "nothing is sent to" in r.getMessage()]
    assert len(lost) == 2


def test_numbers_are_exact_when_many_threads_send(connect, received, monkeypatch):
    monkeypatch.setenv("OTEL_BSP_MAX_QUEUE_SIZE", "300")
    client = connect(received.endpoint)

    def work() -> None:
        for number in range(400):
            with client.feature("shop.order", provider="smz3"):
                client.count("shop.visit")
            if number % 100 == 0:
                time.sleep(0.01)

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert client.flush()
    full = received.dropped().get("queue_full", 0)
    assert received.count("shop.order", feature_action="invoke") == 3200
    assert received.count("shop.order", feature_action="success") == full
    assert len(received.spans()) + full == 3200
    assert len({s.span_id for s in received.spans()}) == len(received.spans())
    assert received.count("shop.visit") == 3200
    assert received.emitted() == {"shop.order": 6400, "shop.visit": 3200}


def test_beyond_the_limit_of_series_a_count_loses_its_enums_but_is_exact(
    connect, received, tmp_path
):
    words = [f"w{number}" for number in range(1000)]
    catalog = tmp_path / "many.yaml"
    catalog.write_text(
        f"product: many\nattributes:\n  a: {{type: enum, values: {words}}}\n"
        f"  b: {{type: enum, values: {words[:5]}}}\n"
        "events:\n  many.words: {surface: web, feature: words, attributes: [a, b]}\n"
    )
    client = connect(received.endpoint)
    client.configure(catalog, received.endpoint, enabled=True)
    for a in words:
        for b in words[:5]:
            client.count("many.words", a=a, b=b)
    assert client.flush()
    assert received.count("many.words") == 5000
    assert not any("otel" in name for key in received.counts() for name in dict(key))


@pytest.mark.parametrize("rate", [1 / 3, 0.12345, 0.0004, 2 / 3])
def test_the_share_that_is_said_is_the_share_that_is_drawn(connect, received, rate):
    """Weights are exact: what was counted instead of sent is 1 - the share that the spans say."""
    client = connect(received.endpoint, sample_rate=rate)
    share = client.recorder.plans["shop.order"].rate
    assert share == max(round(rate, 3), 0.001)
    draws = iter([share - 1e-9, share, share + 1e-9])
    client.recorder._random.random = lambda: next(draws)
    for _ in range(3):
        client.event("shop.order")
    assert client.flush()
    (sent,) = received.observations()
    assert sent["feature.sample_rate"] == share
    assert received.count("shop.order", feature_action="success") == 2
    assert received.emitted() == {"shop.order": 3}
