"""The contract of all subscribers, those of other packages included: an installed kind needs an example."""

import asyncio
import json
import socket
import time
from contextlib import asynccontextmanager, contextmanager

import msgspec
import pytest

from footfall_exporters import registry, testing
from footfall_exporters.contracts import Settings, Unavailable
from footfall_exporters.ga4 import Ga4Config
from footfall_exporters.json_log import JsonLogConfig
from footfall_exporters.otlp import OtlpConfig, OtlpHttpConfig
from footfall_exporters.posthog import PostHogConfig
from footfall_exporters.segment import SegmentConfig
from footfall_exporters.webhook import WebhookConfig
from support.http_server import OK, serving, status

SECRET = "s3cr3t-key-of-24-bytes-or-more"
HTTP = {
    "ga4": lambda url: Ga4Config(endpoint=url, measurement_id="G-1", api_secret=SECRET),
    "posthog": lambda url: PostHogConfig(endpoint=url, api_key=SECRET),
    "segment": lambda url: SegmentConfig(endpoint=url, write_key=SECRET),
    "webhook": lambda url: WebhookConfig(endpoint=url, secret=SECRET),
}
EXAMPLES = HTTP | {
    "logs": lambda _: JsonLogConfig(),
    "otlp": lambda url: OtlpConfig(endpoint=url.rstrip("/")),
    "otlphttp": lambda url: OtlpHttpConfig(endpoint=url),
}
"""Each kind with a configuration for a backend at this URL."""
SETTINGS = Settings(testing.catalog())


@pytest.fixture(autouse=True)
def _no_proxy(monkeypatch):
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")


@contextmanager
def nowhere():
    """A URL at which nothing listens."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        yield f"http://127.0.0.1:{free.getsockname()[1]}/"


@pytest.mark.parametrize("kind", sorted({*EXAMPLES, *registry.kinds()}))
async def test_contract(kind):
    with nowhere() as url:
        await testing.check(EXAMPLES[kind](url))


@pytest.mark.parametrize("kind", sorted(EXAMPLES.keys() - {"logs"}))  # which refuses nothing
async def test_each_says_how_much_a_request_tells_of(kind):
    async with EXAMPLES[kind]("http://127.0.0.1:9").open(SETTINGS) as subscriber:
        for batch in testing.batches(time.time_ns() // 1000):
            requests = list(subscriber.requests(batch))
            found = [subscriber.occurrences(request) for request in requests]
            own = 0 if kind in HTTP else 1  # Footfall's bookkeeping goes to OTLP backends alone
            expected = sum(
                number
                for (_, dimension), number in batch.counts.items()
                if own or not dimension.event.startswith("footfall.")
            )
            assert sum(found) == expected
            assert all(found)


@pytest.mark.parametrize("kind", registry.kinds())
def test_the_entry_point_is_the_class_of_the_example(kind):
    assert registry.config_class(kind) is type(EXAMPLES[kind]("http://127.0.0.1:9"))


async def test_the_contract_finds_what_is_broken():
    class Bad(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
        made: list
        pseudonyms: bool = False

        @asynccontextmanager
        async def open(self, settings):
            yield self

        def requests(self, batch):
            self.made.append(batch)
            yield f"{batch.digest.hex()} {len(self.made)}".encode()

    with pytest.raises(testing.BrokenPromise, match="same bytes every time"):
        await testing.check(Bad([]))


async def check_changed(change, **changed):
    """The contract's part about requests, after a change to them."""
    config = EXAMPLES["posthog"]("http://127.0.0.1:9")
    async with msgspec.structs.replace(config, **changed).open(SETTINGS) as subscriber:
        for batch in testing.batches(time.time_ns() // 1000):
            testing._check_requests(config, batch, change(list(subscriber.requests(batch))))


@pytest.mark.parametrize(
    ("change", "promise"),
    [
        (lambda requests: [r.replace(b"-", b"_") for r in requests], "with its event id"),
        (lambda requests: requests[:1], "with its event id"),
        (lambda requests: requests * 2, "in one request"),
        (lambda requests: requests or [b"{}"], "nothing to send"),
        (lambda requests: [], "nothing to send"),
    ],
    ids=["no ids", "one is missing", "twice", "empty", "none"],
)
async def test_the_contract_finds_wrong_requests(change, promise):
    with pytest.raises(testing.BrokenPromise, match=promise):
        await check_changed(change)


async def test_the_contract_finds_pseudonyms():
    await check_changed(lambda requests: requests)
    with pytest.raises(testing.BrokenPromise, match="pseudonyms stay here"):
        await check_changed(lambda requests: requests, pseudonyms=True)


@pytest.mark.parametrize("kind", HTTP)
async def test_without_its_backend_nothing_is_lost_and_no_secret_is_told(kind, caplog):
    caplog.set_level(0)
    batch = testing.batches(time.time_ns() // 1000)[0]
    with nowhere() as url:
        config = HTTP[kind](url)
        async with config.open(SETTINGS) as subscriber:
            for request in subscriber.requests(batch):
                with pytest.raises(Unavailable) as caught:
                    await subscriber.send(request)
                assert SECRET.encode() not in request
    assert SECRET not in f"{caplog.text} {caught.value} {config!r}"


@pytest.mark.parametrize("kind", HTTP)
async def test_a_backend_that_misbehaves_gets_everything_and_can_tell_retries(kind, caplog):
    caplog.set_level(0)
    batches = testing.batches(time.time_ns() // 1000)

    async def dropped(writer):
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf")
        await writer.drain()

    trouble = [status(500), b"", dropped, status(429), status(401), status(302, "Location: /x")]
    async with serving() as server, HTTP[kind](server.url).open(SETTINGS) as subscriber:
        server.script(*trouble)
        for request in (r for batch in batches for r in subscriber.requests(batch)):
            while not await taken(subscriber, request):
                pass
    received = [request.body for request in server.requests]
    bodies = dict.fromkeys(received)
    # Seven times the first one, to the last byte, and every other one once.
    assert len(received) - len(bodies) == len(trouble)
    assert received[: len(trouble) + 1] == [received[0]] * (len(trouble) + 1)
    ids = [name for body in bodies for name in event_ids(kind, json.loads(body))]
    assert len(ids) == len(set(ids))
    assert set(ids) == {str(b.event_id(n)) for b in batches for n in sent_ordinals(b)}
    assert SECRET not in caplog.text


async def taken(subscriber, request):
    try:
        await subscriber.send(request)
    except Unavailable:
        return False
    return True


def event_ids(kind, body):
    match kind:
        case "ga4":
            return [event["params"]["event_id"] for event in body["events"]]
        case "posthog":
            return [event["uuid"] for event in body["batch"]]
        case "segment":
            return [event["messageId"] for event in body["batch"]]
        case _:
            return [event["event_id"] for event in body["events"] + body["counts"]]


def sent_ordinals(batch):
    """Of rows that are not Footfall's own, and one for each count beyond the rows; worked out by hand."""
    return {1: [0, 1, 3, 4], 2: [0, 1], 3: [0, 1, 3, 4, 5, 6, 7], 4: range(testing.MANY), 5: []}[
        batch.digest[0]
    ]


async def test_the_server_of_these_tests_answers():
    async with serving() as server:
        reader, writer = await asyncio.open_connection(*server.url[7:].split(":"))
        writer.write(b"POST /a HTTP/1.1\r\nContent-Length: 2\r\n\r\nhi")
        assert await reader.readexactly(len(OK)) == OK
        writer.close()
        await writer.wait_closed()
    assert (server.requests[0].target, server.requests[0].body) == ("/a", b"hi")
