"""The spool on real files: what `put` has returned for is there after anything, in order, once."""

import asyncio
import os
import resource
import signal
import sqlite3
import stat
import subprocess
import sys
import textwrap
from contextlib import suppress
from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from exporters.spools import dimension, numbered, plain, put_until_refused, shown
from footfall_exporters.batch_codec import Decoder, encode
from footfall_exporters.spool import SpoolConfig, SpoolError
from footfall_exporters.spool_key import load
from footfall_processors import Batch, Rows
from footfall_processors.batch import Shape

MIB = 2**20


values = st.one_of(
    st.none(), st.booleans(), st.integers(-(2**63), 2**63 - 1), st.text(),
    st.floats(allow_nan=False), st.binary(min_size=16, max_size=16),
)  # fmt: skip


@given(st.lists(st.tuples(st.integers(0, 2**53), st.none() | st.integers(0, 2**31 - 1), values)))
def test_a_batch_is_the_same_after_being_bytes(rows):
    times, durations, column = map(list, zip(*rows, strict=True)) if rows else ([], [], [])
    shapes = [Shape(dimension(), 1.0, ("a",))] * len(rows)
    written = Batch(
        digest=b"d" * 16, signal="logs", rows=[Rows(times, durations, shapes, [column])]
    )
    assert plain(Decoder().decode(encode(written))) == plain(written)


@pytest.mark.parametrize(
    "change",
    [
        lambda b: b[:-5],
        lambda b: b.replace(b"enum_value", b"other_loss"),
        lambda b: b"",
        lambda b: b"\x93\x01\x02\x03",
    ],
    ids=["cut", "an unknown loss", "nothing", "something else"],
)
def test_what_is_no_batch_is_said_to_be_none(change):
    with pytest.raises(msgspec.DecodeError):
        Decoder().decode(change(encode(numbered())))


def test_through_whose_hands_it_came_is_kept_and_an_older_version_did_not_say():
    relayed = dimension(relayed_from="0123456789abcdef", telemetry_distro="footfall")
    sent = Batch(b"d" * 16, "metrics", counts={(0, relayed): 1, (0, dimension()): 2})
    assert plain(Decoder().decode(encode(sent))) == plain(sent)
    *older, hops, _, _, _, _ = msgspec.msgpack.decode(encode(sent))
    assert hops == [["0123456789abcdef", "footfall"], [None, None]]
    told_less = plain(Decoder().decode(msgspec.msgpack.encode(older)))
    assert {key[-1][-2:] for key in told_less[3]} == {(None, None)}


def test_equal_dimensions_of_several_batches_are_one_object():
    decoder = Decoder()
    first, second = (decoder.decode(encode(numbered(number))) for number in range(2))
    assert {id(d) for _, d in first.counts} == {id(d) for _, d in second.counts}
    assert plain(first) == plain(numbered(0))


async def test_batches_come_out_in_the_order_in_which_they_were_put(tmp_path):
    async with SpoolConfig(directory=str(tmp_path)).open() as spool:
        for number in range(5):
            await spool.put(numbered(number))
        assert spool.batches == 5
    async with SpoolConfig(directory=str(tmp_path)).open() as spool:
        assert spool.batches == 5
        entries = await spool.first(MIB)
        decoded = list(map(shown, entries))
        assert list(map(plain, decoded)) == [plain(numbered(number)) for number in range(5)]
        await spool.remove([entry.position for entry in entries[:2]])
        left = [shown(entry).digest for entry in await spool.first(MIB)]
        assert left == [number.to_bytes(16, "big") for number in (2, 3, 4)]


async def test_a_batch_that_is_put_twice_waits_once(tmp_path):
    async with SpoolConfig(directory=str(tmp_path)).open() as spool:
        await asyncio.gather(*(spool.put(numbered(number % 3)) for number in range(30)))
        assert len(await spool.first(MIB)) == 3


async def test_a_reading_is_bounded_and_goes_on_where_it_ended(tmp_path):
    async with SpoolConfig(directory=str(tmp_path)).open() as spool:
        for number in range(4):
            await spool.put(numbered(number))
        (one,) = await spool.first(1)
        (two,) = await spool.first(1, after=one[0])
        assert one[0] < two[0]


async def test_the_files_are_for_their_owner_alone(tmp_path):
    directory = tmp_path / "new"
    async with SpoolConfig(directory=str(directory)).open() as spool:
        await spool.put(numbered())
        modes = {p.name: stat.S_IMODE(p.stat().st_mode) for p in directory.iterdir()}
    assert stat.S_IMODE(directory.stat().st_mode) == 0o700
    assert set(modes.values()) == {0o600}


async def test_a_full_spool_refuses_with_a_hint_keeps_what_it_has_and_recovers(tmp_path):
    async with SpoolConfig(directory=str(tmp_path), max_mib=1).open() as spool:
        kept, refused = await put_until_refused(spool, range(1000))
        assert refused.retry_after > 0
        size = sum(p.stat().st_size for p in tmp_path.iterdir())
        assert kept > 5
        assert size < 1.7 * MIB  # with the reserve
        entries = await spool.first(100 * MIB)
        assert len(entries) == kept
        await spool.remove([entry.position for entry in entries])
        await spool.put(numbered(2000))
        assert spool.batches == 1
        assert (tmp_path / "spool.sqlite").stat().st_size < 200_000


PUT_UNTIL_KILLED = """
    import asyncio, sys
    sys.path[:0] = sys.argv[2].split(":")
    from exporters.spools import numbered
    from footfall_exporters.spool import SpoolConfig

    async def main():
        async with SpoolConfig(directory=sys.argv[1]).open() as spool:
            for number in range(100_000):
                await spool.put(numbered(number))
                print(number, flush=True)

    asyncio.run(main())
"""


def test_what_was_acknowledged_is_there_after_a_kill(tmp_path):
    here = str(Path(__file__).parents[1])
    child = subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(PUT_UNTIL_KILLED), str(tmp_path), here],
        stdout=subprocess.PIPE,
        text=True,
    )
    assert child.stdout is not None
    for _ in range(20):
        child.stdout.readline()
    child.send_signal(signal.SIGKILL)
    said = child.stdout.read().split()
    child.wait()
    child.stdout.close()
    last = int(said[-1]) if said else 19
    with sqlite3.connect(tmp_path / "spool.sqlite") as connection:
        names = [name for (name,) in connection.execute("SELECT digest FROM batches")]
        found = [int.from_bytes(load(tmp_path).show(name), "big") for name in names]
    connection.close()
    assert set(range(last + 1)) <= set(found) <= set(range(last + 2))


async def test_a_disk_without_room_is_a_refusal_and_what_was_there_can_be_taken_out(tmp_path):
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    async with SpoolConfig(directory=str(tmp_path)).open() as spool:
        for number in range(10):
            await spool.put(numbered(number, size=200))
        limit = (tmp_path / "spool.sqlite").stat().st_size + 8192
        resource.setrlimit(resource.RLIMIT_FSIZE, (limit, before[1]))
        try:
            await put_until_refused(spool, range(10, 100))
            entries = await spool.first(100 * MIB)
            assert len(entries) >= 10
            await spool.remove([entry.position for entry in entries])
            assert spool.batches == 0
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, before)


@pytest.fixture
def small_disk(tmp_path):
    """A file system of 3 MiB."""
    mount = ["mount", "-t", "tmpfs", "-o", "size=3m", "tmpfs", str(tmp_path)]
    if os.geteuid() != 0 or subprocess.run(mount, capture_output=True).returncode:
        pytest.skip("only root can make a small file system, and not everywhere")
    yield tmp_path
    subprocess.run(["umount", str(tmp_path)], check=True)


async def test_a_spool_on_a_full_disk_can_be_emptied_and_used_again(small_disk):
    async with SpoolConfig(directory=str(small_disk)).open() as spool:
        kept, _ = await put_until_refused(spool, range(10_000))
        with suppress(OSError):  # what is left is somebody else's
            (small_disk / "other").write_bytes(bytes(100))
        with suppress(OSError):
            (small_disk / "more").write_bytes(bytes(10 * MIB))
        assert kept > 20
        while entries := await spool.first(MIB):
            await spool.remove([entry.position for entry in entries])
        (small_disk / "more").unlink()
        await spool.put(numbered(20_000))
        assert spool.batches == 1


async def test_a_directory_that_cannot_be_made_is_a_plain_error(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(SpoolError, match=r"exporters\.postgres\.spool\.directory"):
        async with SpoolConfig(directory=str(tmp_path / "file" / "spool")).open():
            pass


async def test_two_processes_share_a_spool(tmp_path):
    config = SpoolConfig(directory=str(tmp_path))
    async with config.open() as one, config.open() as other:
        await asyncio.gather(
            *(one.put(numbered(number)) for number in range(10)),
            *(other.put(numbered(number)) for number in range(5, 15)),
        )
        assert len(await one.first(100 * MIB)) == 15
