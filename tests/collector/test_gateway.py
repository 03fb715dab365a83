import asyncio
import hmac

import msgspec
import pytest

from conftest import CATALOG
from footfall_collector.errors import StartError
from footfall_collector.subscribers.gateway import Gateway, gateway_keys, unsalted
from footfall_exporters.contracts import PartlyRejected, Rejected, Unavailable
from footfall_processors import Attribute, Batch, Hash, Type, load_catalog

BATCH = Batch(b"d" * 16, "traces")
ORIGIN, KEY = "0123456789abcdef", b"k" * 32
PASSED_ON = hmac.digest(KEY, b"d" * 16, "sha256")[:16]
"""What the batch is called by whoever the gateway with this key passes it on to."""


class Hop:
    """A next hop to which a batch is three requests; `errors` are raised for them, None is taken."""

    def __init__(self, *errors, delay=0.0):
        self.errors, self.delay, self.taken = list(errors), delay, []

    def requests(self, batch):
        yield from ((batch.digest, batch.origin, part) for part in range(3))

    async def send(self, request):
        await asyncio.sleep(self.delay)
        error = self.errors.pop(0) if self.errors else None
        if error is not None:
            raise error
        self.taken.append(request)


def parts(*numbers):
    """The requests of these numbers, as the batch is passed on."""
    return [(PASSED_ON, ORIGIN, number) for number in numbers]


async def consume(**hops):
    await Gateway(hops, ORIGIN, KEY).consume(BATCH)


async def test_what_is_passed_on_is_named_under_the_gateways_key():
    hop = Hop()
    hop.requests = lambda batch: [batch.digest]
    hop.send = lambda request: sent.append(request) or asyncio.sleep(0)
    sent = []
    for key in (b"k" * 32, b"k" * 32, b"other"):
        await Gateway({"a": hop}, key=key).consume(BATCH)
    assert sent[0] == sent[1] == hmac.new(b"k" * 32, b"d" * 16, "sha256").digest()[:16]
    assert sent[2] != sent[0]


def test_a_gateways_keys_are_those_of_its_salt_else_of_a_file_that_lasts(tmp_path):
    home = tmp_path / "home"
    salted = gateway_keys(b"s" * 32, home)
    assert not home.exists()
    assert salted.identities == b"s" * 32  # counters go on after an upgrade
    assert salted.requests not in (b"s" * 32, gateway_keys(b"t" * 32, home).requests)
    kept = gateway_keys(None, home)
    assert kept == gateway_keys(None, home)
    assert (home / "gateway.key").stat().st_mode & 0o777 == 0o600
    assert len({*kept, *gateway_keys(None, tmp_path / "another"), *salted}) == 6
    (tmp_path / "file").write_text("")
    with pytest.raises(StartError, match="set TELEMETRY_HASH_SALT"):
        gateway_keys(None, tmp_path / "file")


async def test_a_batch_is_acknowledged_when_every_next_hop_has_all_of_it():
    hops = {"a": Hop(delay=0.05), "b": Hop()}
    await consume(**hops)
    assert [hop.taken for hop in hops.values()] == [parts(0, 1, 2)] * 2


async def test_all_next_hops_are_sent_to_at_once():
    """None goes on before all are there: one after the other they would wait for ever."""
    together, hops = asyncio.Barrier(6), {name: Hop() for name in "abcdef"}
    for hop in hops.values():
        hop.send = lambda request: together.wait()
    async with asyncio.timeout(30):
        await consume(**hops)


@pytest.mark.parametrize("others", [[], [Rejected("no")], [Rejected("no"), Unavailable("away", 3)]])
async def test_while_one_is_away_the_sender_is_told_to_come_again(others):
    away, whole = Hop(None, Unavailable("away", 9)), Hop()
    hops = {f"hop{n}": Hop(error) for n, error in enumerate(others)}
    with pytest.raises(Unavailable, match="otlp: away") as caught:
        await consume(otlp=away, whole=whole, **hops)
    assert caught.value.retry_after == 9
    assert away.taken == parts(0)
    assert whole.taken == parts(0, 1, 2)


async def test_one_that_is_away_does_not_keep_the_others_waiting():
    other = Hop(delay=0.02)
    with pytest.raises(Unavailable):
        await consume(away=Hop(Unavailable("away")), other=other)
    assert other.taken == parts(0, 1, 2)


async def test_what_one_refuses_for_good_is_refused_and_the_rest_is_sent():
    picky, other = Hop(None, Rejected("HTTP 400")), Hop()
    with pytest.raises(Rejected, match="picky: HTTP 400"):
        await consume(picky=picky, other=other)
    assert (picky.taken, other.taken) == (parts(0, 2), parts(0, 1, 2))


async def test_what_one_takes_in_part_is_taken():
    picky, other = Hop(PartlyRejected("3 of its events")), Hop()
    await consume(otlp=picky, other=other)
    assert (picky.taken, other.taken) == (parts(1, 2), parts(0, 1, 2))  # and the first in part


async def test_an_unforeseen_error_is_not_mistaken_for_an_answer():
    other = Hop(Rejected("no"))
    with pytest.raises(KeyError):
        await consume(broken=Hop(KeyError("x")), other=other)
    assert other.taken == parts(1, 2)


def test_a_catalog_with_rotating_salts_is_told_attribute_by_attribute(catalog):
    found = unsalted(catalog)
    assert [line.split(": ")[0] for line in found] == [
        "attribute guild_id",
        "attribute org_id",
        "attribute team_id",
    ]
    assert "`hash: daily` needs the store" in found[0]


def test_a_catalog_with_a_static_salt_alone_is_good():
    catalog = load_catalog(CATALOG)
    visitor = {"visitor": Attribute(type=Type.STRING, hash=Hash.STATIC)}
    assert unsalted(msgspec.structs.replace(catalog, attributes=visitor)) == []
