"""What requests say of their services, in traces, logs and metrics: whose, and how many there may be."""

import pytest
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest

from collector.spans import NOW_US, body_of, one_span
from collector.sums import KEY, Request, point
from collector.sums import NOW_US as METRICS_NOW_US
from footfall_collector.decoding import metrics
from footfall_collector.decoding.spans import Pipeline
from footfall_processors import Loss, Policy
from footfall_processors.combinations import COMBINATIONS

FOREIGN = "not.declared"


def log_body(service, event):
    request = ExportLogsServiceRequest()
    group = request.resource_logs.add()
    group.resource.attributes.add(key="service.name").value.string_value = service
    group.scope_logs.add().log_records.add(event_name=event, time_unix_nano=NOW_US * 1000)
    return request.SerializeToString()


async def decode(pipe, signal, service, event="shop.ping", sender=b"", services=()):
    if signal == "metrics":
        for build in (Request(service__name=service).delta, Request(service__name=service).sum):
            body = build(point(1), name=event).message.SerializeToString()
            batch = await metrics.decode(
                pipe.policy, body, METRICS_NOW_US, sender, None, KEY, services
            )
            yield batch
    elif signal == "traces":
        yield await pipe.traces(
            body_of(one_span(event), service=service), sender, services=services
        )
    else:
        yield await pipe.logs(log_body(service, event), sender, services=services)


@pytest.fixture
def pipe(catalog):
    return Pipeline(Policy(catalog), {}, lambda: NOW_US * 1000)


@pytest.mark.parametrize("signal", ["traces", "logs", "metrics"])
@pytest.mark.parametrize(
    ("service", "event", "misnamed"),
    [
        ("till", "shop.ping", False),
        ("walkers-laptop", "shop.ping", False),
        ("desk", "shop.ping", True),
        ("users-laptop", "shop.ping", True),
        ("", "shop.ping", True),
        ("desk", FOREIGN, False),
    ],
)
async def test_whose_a_request_is_is_told_by_the_name_as_it_was_sent(
    pipe, signal, service, event, misnamed
):
    batches = [
        b async for b in decode(pipe, signal, service, event, services={"till", "walkers-laptop"})
    ]
    assert {batch.misnamed for batch in batches} == {misnamed}
    assert not any([b.misnamed async for b in decode(pipe, signal, service, event)])


@pytest.mark.parametrize("signal", ["traces", "logs", "metrics"])
async def test_what_one_sender_names_takes_nothing_from_another(pipe, signal):
    async def names(sender, *services):
        found = set()
        for service in services:
            async for batch in decode(pipe, signal, service, sender=sender):
                found |= {d.service for _, d in batch.counts} | {
                    p.dimension.service for p in batch.points
                }
        return found

    for number in range(3 * COMBINATIONS):
        pipe.policy.admit(pipe.policy.service({"service.name": f"n{number}"})[0], b"a", NOW_US)
    assert await names(b"b", "web") == {"web"}
    assert await names(b"a", "web") == {"web"}


async def test_losses_of_a_resource_are_counted_by_reason(pipe):
    (batch,) = [b async for b in decode(pipe, "traces", "walkers-laptop")]
    assert batch.losses == {Loss.RESOURCE_PERSONAL: 1}
