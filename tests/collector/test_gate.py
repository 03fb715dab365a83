"""How much may be in flight at once, on real sockets: refused early with a hint, and recovered from."""

import asyncio
import contextlib
import gzip

import grpc
import httpx
import pytest

from collector.listeners import (
    ANNOUNCED,
    EXPORT,
    KIB,
    MIB,
    Store,
    receiving,
    refused_over_grpc,
    serving,
)
from footfall_collector.config.schema import AdmissionConfig, GrpcConfig, HttpConfig
from footfall_collector.receivers import admission as gate_module
from footfall_collector.receivers import grpc as otlp_grpc
from footfall_collector.receivers import http as otlp_http
from footfall_collector.receivers import refusals
from footfall_collector.receivers.admission import MOST_REQUESTS, Gate
from footfall_collector.receivers.refusals import Refusal
from support.otlp import PROTOBUF
from support.waiting import until


async def refused_over_http(http, body, **headers):
    response = await http.post("/v1/traces", content=body, headers=PROTOBUF | headers)
    assert response.status_code == 503
    assert int(response.headers["retry-after"]) >= 1


async def test_beyond_the_limit_requests_are_refused_with_a_hint_and_then_taken_again():
    store = Store()
    async with serving(1, store) as (gate, export, http):
        body = bytes(600 * KIB)
        first = asyncio.ensure_future(export(body))
        await store.until_waiting(1)
        assert gate.bytes == 600 * KIB
        second = asyncio.ensure_future(export(bytes(300 * KIB)))
        await store.until_waiting(2)
        await refused_over_grpc(export, body)
        await refused_over_http(http, body)
        await refused_over_http(http, gzip.compress(body), **{"content-encoding": "gzip"})
        store.open.set()
        await asyncio.gather(first, second)
        assert (gate.bytes, gate.requests) == (0, 0)
        await export(body)
        assert (await http.post("/v1/traces", content=body, headers=PROTOBUF)).status_code == 200
        assert (gate.bytes, gate.requests) == (0, 0)


async def test_at_the_limit_a_request_is_refused_before_it_is_read():
    """Its sender has announced more than it sends: whoever read it would wait."""
    store = Store()
    async with serving(1, store) as (_, export, http):
        full = asyncio.ensure_future(export(bytes(MIB)))
        await store.until_waiting(1)
        reader, writer = await asyncio.open_connection(http.base_url.host, http.base_url.port)
        writer.write(ANNOUNCED)
        assert b"503" in await asyncio.wait_for(reader.readline(), 5)
        writer.close()
        await writer.wait_closed()
        store.open.set()
        await full


async def test_a_request_alone_may_be_larger_than_the_limit():
    store = Store()
    store.open.set()
    async with serving(0.001, store) as (_, export, http):
        await export(bytes(MIB))
        answer = await http.post("/v1/traces", content=bytes(MIB), headers=PROTOBUF)
        assert answer.status_code == 200


def test_there_are_so_many_places_and_each_is_given_back_once():
    gate = Gate()
    with contextlib.ExitStack() as stack:
        for _ in range(MOST_REQUESTS):
            stack.enter_context(gate.open())
        with pytest.raises(Refusal, match="busy"):
            gate.open()
    gate.open()
    assert (gate.requests, gate.bytes) == (0, 0)


def test_after_a_refusal_in_the_middle_the_next_are_refused_at_the_door_until_there_is_room():
    gate = Gate(AdmissionConfig(request_limit_mib=1))
    with gate.open() as first:
        first.grow(MIB - 1)
        with pytest.raises(Refusal), gate.open() as second:
            second.grow(2)
        with pytest.raises(Refusal):
            gate.open()
    with gate.open() as third:
        third.grow(MIB)


def test_the_door_is_shut_for_a_moment_only_however_long_another_takes(monkeypatch):
    clock = [100.0]
    monkeypatch.setattr(gate_module.time, "monotonic", lambda: clock[0])
    gate = Gate(AdmissionConfig(request_limit_mib=1))
    with gate.open() as slow:
        slow.grow(10)
        with pytest.raises(Refusal), gate.open() as large:
            large.grow(MIB)
        clock[0] += 1
        with gate.open() as small:
            small.grow(10)


async def test_who_finds_no_room_is_told_so_after_a_pause(monkeypatch):
    """Over both protocols; a malformed request is answered at once."""
    monkeypatch.setattr(gate_module, "PAUSE_S", 1.0)
    gate = Gate(AdmissionConfig(request_limit_mib=1))
    config = HttpConfig(endpoint="127.0.0.1:0"), GrpcConfig(endpoint="127.0.0.1:0")
    loop = asyncio.get_running_loop()
    with gate.open("other") as full:
        async with (
            receiving(Store(), gate, otlp_http.serve, config[0]) as web,
            receiving(Store(), gate, otlp_grpc.serve, config[1]) as rpc,
            httpx.AsyncClient(verify=False) as http,
            grpc.aio.insecure_channel(rpc) as channel,
        ):
            url = f"http://{web}/v1/traces"
            begun = loop.time()
            assert (await http.post(url, content=b"", headers={})).status_code == 415
            assert loop.time() - begun < 1.0
            full.grow(2 * MIB)
            begun = loop.time()
            answer = asyncio.ensure_future(http.post(url, content=b"", headers=PROTOBUF))
            with pytest.raises(grpc.aio.AioRpcError) as refused:
                await channel.unary_unary(EXPORT)(b"x")
            assert refused.value.code() is grpc.StatusCode.UNAVAILABLE
            assert (await answer).status_code == 503
            assert loop.time() - begun >= 1.0


async def test_no_more_are_kept_waiting_for_an_answer_than_have_places(monkeypatch):
    monkeypatch.setattr(gate_module, "MOST_REQUESTS", 3)
    monkeypatch.setattr(gate_module, "PAUSE_S", 60)
    gate, busy = Gate(), refusals.overloaded().answer
    pausing = [asyncio.ensure_future(gate.pause(busy)) for _ in range(5)]
    done, waiting = await asyncio.wait(pausing, timeout=0.2)
    assert (len(done), len(waiting)) == (2, 3)
    for each in waiting:
        each.cancel()
    await asyncio.wait(waiting)
    again = asyncio.ensure_future(gate.pause(busy))
    assert await asyncio.wait([again], timeout=0.1) == (set(), {again})
    again.cancel()


async def test_for_lack_of_a_place_who_has_been_arriving_for_a_quarter_of_a_second_gives_way(
    monkeypatch,
):
    monkeypatch.setattr(gate_module, "MOST_REQUESTS", 1)
    gate = Gate()
    with gate.open("slow") as slow:
        arriving = asyncio.ensure_future(slow.receive(asyncio.Event().wait()))
        await asyncio.sleep(0)
        with pytest.raises(Refusal):
            gate.open("another")
        await asyncio.sleep(0.3)
        with gate.open("another"), pytest.raises(Refusal):
            await arriving
        assert gate.requests == 0


def test_a_stopping_collector_lets_nobody_in():
    gate = Gate()
    gate.closed = True
    with pytest.raises(Refusal, match="stopping") as refused:
        gate.open()
    assert refused.value.answer.http == 503
    assert refused.value.answer.retry_after


async def test_what_a_request_held_is_given_back_when_its_sender_leaves():
    store = Store()
    async with serving(1, store) as (gate, export, http):
        task = asyncio.ensure_future(export(bytes(900 * KIB)))
        await store.until_waiting(1)
        task.cancel()
        _, writer = await asyncio.open_connection(http.base_url.host, http.base_url.port)
        writer.write(ANNOUNCED)
        await until(lambda: gate.requests)
        writer.close()
        await writer.wait_closed()
        await until(lambda: not gate.requests)
        assert gate.bytes == 0
        store.open.set()
