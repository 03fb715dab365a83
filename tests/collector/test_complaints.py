"""What the log says of what is refused and dropped: at once, then ever more seldom, and never a value."""

import logging

import pytest

from collector.keyed import ALL, SHOP, with_service  # a fixture
from collector.senders import Sender
from footfall_collector.telemetry.complaints import MOST, Complaints
from footfall_collector.telemetry.instruments import Refused
from footfall_processors import Loss
from support.collectors import configured, connected
from support.otlp import PROTOBUF, traces


@pytest.fixture
def lines(caplog):
    caplog.set_level(logging.INFO, "footfall.refused")
    return lambda: [
        (r.levelname, r.getMessage()) for r in caplog.records if r.name == "footfall.refused"
    ]


def test_each_kind_is_told_at_once_and_then_ever_more_seldom(lines):
    times = iter(range(0, 20_000, 10))
    complaints = Complaints(lambda: next(times))
    for _ in range(2_000):
        complaints.refused(Refused.KEY, "traces")
    told = [text.partition(" refused")[0] for _, text in lines()]
    assert told == [
        "a request was", "6 requests were", "60 requests were",
        *["360 requests were"] * 5,
    ]  # fmt: skip


def test_kinds_are_told_apart_and_bounded(lines):
    complaints = Complaints(lambda: 0.0)
    for number in range(3 * MOST):
        for _ in range(2):
            complaints.refused(Refused.SERVICE, "logs", f"key-{number}", "shop")
    texts = [text for _, text in lines()]
    assert len(texts) == MOST + 1
    assert "(logs, service shop, key key-0)" in texts[0]
    assert "(logs); " in texts[-1]


def test_what_the_sender_sends_again_is_not_told(lines):
    complaints = Complaints()
    for reason in (Refused.ADMISSION, Refused.UNAVAILABLE, Refused.GONE, Refused.INTERNAL):
        complaints.refused(reason, "traces")
    assert not lines()


@pytest.mark.parametrize("reason", list(Refused))
def test_each_reason_can_be_told(lines, reason):
    Complaints().refused(reason, "traces", "key", "shop")


@pytest.mark.parametrize("reason", list(Loss))
def test_each_loss_is_told_with_a_remedy(lines, reason):
    Complaints().dropped(reason, 2, "metrics", "", "shop")
    ((_, text),) = lines()
    said, _, remedy = text.partition("; ")
    assert said == f"dropped: {reason}, 2 times (metrics, service shop)"
    assert len(remedy) > 10


async def test_a_collector_tells_who_is_refused_and_what_is_dropped(
    catalog, store_database, keys_file, lines
):
    config = configured(catalog, store_database, keys_file=str(keys_file))
    async with connected(config, Sender) as sender:

        async def post(body, token=None):
            headers = PROTOBUF | ({"authorization": f"Bearer {token}"} if token else {})
            return (await sender.http.post("/v1/traces", content=body, headers=headers)).status_code

        for _ in range(3):
            assert await post(b"") == 401
        assert await post(with_service(traces("shop.ping"), "bakery"), SHOP) == 403
        misspelt = traces("shop.pign", "shop.pong-of-mrs-smith")
        assert await post(misspelt, ALL) == 200
    texts = [(level, text.partition(";")[0]) for level, text in lines()]
    assert texts == [
        ("WARNING", "a request was refused: key (traces)"),
        ("WARNING", "a request was refused: service (traces, service bakery, key shop)"),
        ("INFO", "dropped: undeclared_event, 2 times (traces, key all)"),
    ]
