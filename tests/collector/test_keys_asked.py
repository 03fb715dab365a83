"""A collector that asks for keys: who may send what, over both protocols."""

import grpc
import pytest
from google.rpc import code_pb2, error_details_pb2, status_pb2

from collector.keyed import ALL, OVER, SHOP, SLOW, of_service, with_service, write_keys
from footfall_collector.security.keys import make_token
from support.collectors import both, configured, connected, counts
from support.otlp import METHODS, PROTOBUF, traces


class Sender:
    """Sends with a key, and tells how it was answered."""

    def __init__(self, collector, channel, http):
        self.collector, self._channel, self._http = collector, channel, http

    async def send(self, protocol, body, authorization=None):
        """(outcome, google.rpc.Status): `ok`, or the name of the gRPC code."""
        if protocol == "grpc":
            metadata = [("authorization", authorization)] if authorization else None
            call = self._channel.unary_unary(METHODS["traces"])
            try:
                await call(body, metadata=metadata)
            except grpc.aio.AioRpcError as error:
                trailers = dict(error.trailing_metadata())
                return error.code().name, status_pb2.Status.FromString(
                    trailers["grpc-status-details-bin"]
                )
            return "OK", None
        headers = PROTOBUF | ({"authorization": authorization} if authorization else {})
        response = await self._http.post("/v1/traces", content=body, headers=headers)
        if response.status_code == 200:
            return "OK", None
        status = status_pb2.Status.FromString(response.content)
        expected = {401: "UNAUTHENTICATED", 403: "PERMISSION_DENIED", 429: "RESOURCE_EXHAUSTED"}
        name = expected[response.status_code]
        assert code_pb2.Code.Name(status.code) == name
        if name == "UNAUTHENTICATED":
            assert response.headers["www-authenticate"] == "Bearer"
        assert ("retry-after" in response.headers) == (name == "RESOURCE_EXHAUSTED")
        return name, status


@pytest.fixture
async def sender(catalog, store_database, keys_file):
    config = configured(catalog, store_database, keys_file=str(keys_file))
    async with connected(config, Sender) as sender:
        yield sender


@both
async def test_without_a_known_key_nothing_is_taken_and_the_answer_says_what_would_be_right(
    sender, query, protocol
):
    stranger = make_token()
    for authorization, advice in {
        None: "authorization: Bearer",
        f"Bearer {stranger}": "not known",
        f"Bearer {ALL[:-1]}": "no whole key",
        f"Basic {ALL}": "authorization: Bearer",
        f"Bearer {OVER}": "expired",
    }.items():
        outcome, status = await sender.send(protocol, traces("shop.ping"), authorization)
        assert outcome == "UNAUTHENTICATED"
        assert advice in status.message
        assert stranger not in status.message
    assert counts(query) == {}
    assert await sender.send(protocol, traces("shop.ping"), f"bearer {ALL}") == ("OK", None)
    assert counts(query) == {"shop.ping.invoke": 1}


@both
async def test_a_key_sends_for_its_services_alone(sender, query, protocol):
    for service, outcome in {
        "till": "OK",
        "desk": "PERMISSION_DENIED",
        None: "PERMISSION_DENIED",
    }.items():
        found, status = await sender.send(protocol, of_service(service), f"Bearer {SHOP}")
        assert found == outcome
        assert status is None or "desk" not in status.message
    assert counts(query) == {"shop.ping.invoke": 1}


async def test_a_key_is_compared_with_the_name_as_it_was_sent(sender, query):
    """Whether the name may be stored does not matter to the key."""
    for name, outcome in {"walkers-laptop": "OK", "my-laptop": "PERMISSION_DENIED"}.items():
        assert (await sender.send("http", of_service(name), f"Bearer {SHOP}"))[0] == outcome
    assert counts(query) == {"shop.ping.invoke": 1}
    assert query("SELECT service FROM reporting.usage") == [(None,)]


@both
async def test_a_key_beyond_its_rate_is_told_when_to_come_again_and_others_are_not(
    sender, query, protocol
):
    outcomes = [
        await sender.send(protocol, traces("shop.ping"), f"Bearer {SLOW}") for _ in range(3)
    ]
    assert [outcome for outcome, _ in outcomes] == ["OK", "OK", "RESOURCE_EXHAUSTED"]
    (detail,) = outcomes[-1][1].details
    hint = error_details_pb2.RetryInfo()
    assert detail.Unpack(hint)
    assert 0 < hint.retry_delay.ToMilliseconds() <= 30_000
    assert (await sender.send(protocol, traces("shop.ping"), f"Bearer {ALL}"))[0] == "OK"
    assert counts(query) == {"shop.ping.invoke": 3}


async def test_the_same_request_of_two_keys_is_two_and_of_one_key_is_one(sender, query):
    body = with_service(traces("shop.ping"), "till")
    for token in (ALL, SHOP, ALL, SHOP):
        for protocol in ("grpc", "http"):
            assert (await sender.send(protocol, body, f"Bearer {token}"))[0] == "OK"
    assert counts(query) == {"shop.ping.invoke": 2}


async def test_a_refused_key_costs_no_reading(sender):
    """The body is announced and never sent: whoever asked for it first would wait."""
    import asyncio

    host, _, port = sender.collector.http.rpartition(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    writer.write(
        b"POST /v1/traces HTTP/1.1\r\nhost: x\r\ncontent-type: application/x-protobuf\r\n"
        b"content-length: 1000000\r\n\r\n"
    )
    assert b"401" in await asyncio.wait_for(reader.readline(), 10)
    writer.close()
    await writer.wait_closed()


async def test_keys_are_read_again_and_wrong_ones_leave_the_former_in_force(
    catalog, store_database, keys_file, caplog
):
    config = configured(catalog, store_database, keys_file=str(keys_file))
    new = make_token()
    async with connected(config, Sender) as sender:
        assert (await sender.send("http", traces("shop.ping"), f"Bearer {new}"))[0] != "OK"
        write_keys(keys_file, new=(new, {}))
        assert await sender.collector.reload(config)
        assert (await sender.send("http", traces("shop.ping"), f"Bearer {new}"))[0] == "OK"
        assert (await sender.send("grpc", traces("shop.ping"), f"Bearer {ALL}"))[0] != "OK"
        keys_file.write_text("keys: {new: {hash: wrong}}")
        assert not await sender.collector.reload(config)
        assert (await sender.send("http", traces("shop.ping"), f"Bearer {new}"))[0] == "OK"
    assert "the former keys stay in force" in caplog.text
