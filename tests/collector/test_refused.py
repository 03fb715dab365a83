"""Every refused request is counted: in the store, by day, with reason and sender as far as they are known."""

import asyncio
import datetime as dt

import grpc
import psycopg
import pytest

from collector.keyed import ALL, OVER, SHOP, SLOW, of_service  # a fixture
from collector.senders import Sender
from footfall_collector.config.schema import CorsConfig, HttpConfig
from footfall_collector.doctor import losses as doctor_losses
from footfall_collector.receivers import refusals
from footfall_collector.security.keys import make_token
from footfall_collector.telemetry.instruments import Refused
from footfall_collector.telemetry.refused import MOST, Tally
from footfall_exporters.postgres import refused, retention
from footfall_exporters.postgres.connecting import PURGING, connect
from footfall_exporters.postgres.refused import BY_STORE, COME_AGAIN
from footfall_processors import Loss
from support.collectors import configured, connected
from support.documents import LOSSES, table
from support.otlp import METHODS, PROTOBUF
from support.waiting import until

TODAY = dt.datetime.now(dt.UTC).date()
SMALL = HttpConfig(
    endpoint="127.0.0.1:0",
    max_request_body_size=2000,
    cors=CorsConfig(allowed_origins=("https://shop.example",)),
)


@pytest.fixture
def config(catalog, store_database, keys_file):
    return configured(catalog, store_database, keys_file=str(keys_file), http=SMALL)


def bearer(token):
    return {"authorization": f"Bearer {token}"}


def by_the_hour(query):
    rows = query("SELECT signal, reason, has_key, requests FROM footfall.refused_hours")
    return {tuple(row[:3]): row[3] for row in rows}


def kept(query):
    rows = query("SELECT signal, reason, key, service, requests FROM reporting.refused")
    return {tuple(row[:4]): row[4] for row in rows}


async def test_what_is_refused_over_http_is_kept_by_reason_and_sender(config, query):
    async with connected(config, Sender) as sender:
        http = sender.http

        async def post(path="/v1/traces", code=0, content=b"{}", number=1, **headers):
            named = {name.replace("_", "-"): value for name, value in headers.items()}
            for _ in range(number):
                answer = await http.post(path, content=content, headers=PROTOBUF | named)
                assert answer.status_code == code

        await post(code=401, number=3)
        await post(code=401, path="/v1/logs", **bearer(make_token()))
        await post(code=401, **bearer(OVER))
        await post(code=400, content=b"\xff", **bearer(ALL))
        await post(code=415, content_type="text/xml", **bearer(ALL))
        await post(code=415, content_encoding="br", **bearer(ALL))
        await post(code=413, content=bytes(3000), **bearer(ALL))
        await post(code=404, path="/v1/trace")
        await post(code=200, content=b"", number=2, **bearer(SLOW))
        await post(code=429, content=b"", **bearer(SLOW))
        assert (await http.get("/v1/metrics")).status_code == 405
        asking = {"origin": "https://other.example", "access-control-request-method": "POST"}
        assert (await http.options("/v1/logs", headers=asking)).status_code == 400
        reader, writer = await asyncio.open_connection(http.base_url.host, http.base_url.port)
        writer.write(b"\x16\x03\x01\x02\x00\x01 no HTTP\r\n\r\n")
        assert (await reader.read()).startswith(b"HTTP/1.1 400 ")
        writer.close()
    assert kept(query) == {
        ("traces", "key", None, None): 3,
        ("logs", "key", None, None): 1,
        ("traces", "key", "over", None): 1,
        ("traces", "invalid", "all", None): 1,
        ("traces", "media_type", "all", None): 1,
        ("traces", "encoding", "all", None): 1,
        ("traces", "too_large", "all", None): 1,
        ("unknown", "path", None, None): 1,
        ("unknown", "protocol", None, None): 1,
        ("metrics", "path", None, None): 1,
        ("traces", "rate", "slow", None): 1,
        ("logs", "origin", None, None): 1,
    }
    losses = dict(query("SELECT signal || ' ' || reason, count::int FROM reporting.losses"))
    assert losses == {
        "traces refused_key": 4, "logs refused_key": 1, "traces refused_invalid": 1,
        "traces refused_media_type": 1, "traces refused_encoding": 1, "traces refused_too_large": 1,
        "unknown refused_path": 1, "unknown refused_protocol": 1,
        "metrics refused_path": 1, "logs refused_origin": 1,
    }  # fmt: skip
    assert by_the_hour(query) == {
        ("traces", "key", False): 3, ("logs", "key", False): 1, ("traces", "key", True): 1,
        ("traces", "invalid", True): 1, ("traces", "media_type", True): 1,
        ("traces", "encoding", True): 1, ("traces", "too_large", True): 1,
        ("unknown", "path", False): 1, ("unknown", "protocol", False): 1,
        ("metrics", "path", False): 1, ("traces", "rate", True): 1, ("logs", "origin", False): 1,
    }  # fmt: skip


async def test_what_is_refused_over_grpc_is_kept(config, query):
    async with connected(config, Sender) as sender:
        for method, body, code in (
            (METHODS["traces"], b"", grpc.StatusCode.UNAUTHENTICATED),
            ("/some.Service/Export", b"", grpc.StatusCode.UNIMPLEMENTED),
        ):
            with pytest.raises(grpc.aio.AioRpcError) as refusal:
                await sender.channel.unary_unary(method)(body)
            assert refusal.value.code() == code
    assert kept(query) == {
        ("traces", "key", None, None): 1,
        ("unknown", "path", None, None): 1,
    }


async def test_a_service_is_kept_when_something_of_it_is_stored(config, query):
    """Names that somebody makes up become no rows."""
    async with connected(config, Sender) as sender:
        for token, name, code in (
            (ALL, "shop", 200),
            (SHOP, "shop", 403),
            (SHOP, "invented", 403),
            (SHOP, "another", 403),
        ):
            answer = await sender.http.post(
                "/v1/traces", content=of_service(name), headers=PROTOBUF | bearer(token)
            )
            assert answer.status_code == code
    assert kept(query) == {
        ("traces", "service", "shop", "shop"): 1,
        ("traces", "service", "shop", None): 2,
    }
    assert by_the_hour(query) == {("traces", "service", True): 3}
    assert query("SELECT hour = date_trunc('hour', now()) FROM footfall.refused_hours") == [(True,)]


async def test_it_is_kept_within_seconds_and_without_a_transaction_each(config, query):
    async with connected(config, Sender) as sender:
        await asyncio.gather(*(sender.http.post("/v1/traces", headers=PROTOBUF) for _ in range(50)))
        await until(lambda: sum(kept(query).values()) >= 50)
        assert kept(query) == {("traces", "key", None, None): 50}


def test_a_gateway_counts_in_its_metrics_alone():
    """Without a store there is nobody to keep it, and memory is bounded all the same."""
    tally = Tally()
    for number in range(3 * MOST):
        tally.add("traces", Refused.SERVICE, f"key{number}", f"service{number}")
        tally.add("traces", Refused.KEY)
    counted = tally.take()
    assert len(counted) <= MOST + 2
    assert sum(counted.values()) == 6 * MOST
    assert not tally.take()


async def test_what_could_not_be_kept_is_kept_later(store_database, query):
    tally = Tally()
    tally.add("logs", Refused.INVALID)
    counted = tally.take()
    with pytest.raises(psycopg.OperationalError):
        await refused.add("host=127.0.0.1 port=1 connect_timeout=2", counted)
    tally.put_back(counted)
    tally.add("logs", Refused.INVALID)
    for _ in range(2):
        await refused.add(store_database, tally.take() or counted)
    assert kept(query) == {("logs", "invalid", None, None): 3}
    assert query("SELECT day FROM reporting.refused") == [(TODAY,)]


async def test_hours_go_after_a_month(store_database, query):
    query("""INSERT INTO footfall.refused_hours
        SELECT now() - ago * interval '1 day', 'logs', 'key', false, ago FROM unnest(ARRAY[29, 31]) AS ago""")
    async with await connect(store_database, PURGING) as connection:
        await retention.forget(connection, dt.datetime.now(dt.UTC), 400)
    assert query("SELECT requests FROM footfall.refused_hours") == [(29,)]


# What they mean


def test_what_comes_again_is_what_is_answered_so():
    answers = [
        refusals.invalid("x"), refusals.too_large("x"), refusals.unauthenticated("x"), refusals.denied("x"),
        refusals.too_many(1), refusals.unavailable("x", 1), refusals.internal(), refusals.overloaded(),
    ]  # fmt: skip
    for answer in (refusal.answer for refusal in answers):
        assert (answer.retry_after is not None) == (answer.reason in COME_AGAIN)
    assert set(COME_AGAIN) < {*Refused}
    assert BY_STORE == Refused.STORE


def test_every_reason_has_an_advice():
    assert doctor_losses.REFUSALS.keys() == {*Refused}
    for reason in Refused:
        check = doctor_losses.refused(reason, 1200, ["the key a", "b", "c", "d"])
        assert check.found == f"1,200 requests refused ({reason}), by the key a, b, c and others"
        assert (check.level == "ok") == (reason in COME_AGAIN and reason != Refused.INTERNAL)


def test_every_reason_is_documented():
    losses = {reason for reason in Refused if reason not in COME_AGAIN and reason != BY_STORE}
    assert set(table(LOSSES, "Whole requests")) == {f"refused_{reason}" for reason in losses}
    metrics = LOSSES.with_name("metrics.md")
    assert set(table(metrics, "Why a request is refused")) == {*Refused}


def test_no_reason_of_a_request_is_taken_for_a_reason_of_an_event():
    assert {f"refused_{reason}" for reason in Refused if reason != BY_STORE}.isdisjoint(Loss)
