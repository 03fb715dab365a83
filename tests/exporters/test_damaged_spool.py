"""A spool whose file is damaged: it opens, gives back what is whole and nothing else, destroys nothing."""

import asyncio
import os
import sqlite3
import tempfile
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import msgspec
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from exporters.spools import numbered, plain, put_until_refused, shown
from footfall_exporters.batch_codec import Decoder, encode
from footfall_exporters.spool import SpoolConfig, SpoolError
from footfall_exporters.spool_file import is_damage
from footfall_exporters.spool_key import SpoolKey
from footfall_exporters.spool_rows import rows, seal, unseal

ALL = 100 * 2**20
PAGE = 4096
SIZES = [1, 400, 2, 30, 90, 5, 700, 12, 60, 3, 1, 150]
"""Of rows in batches: bodies that fit into a page, that share one, and that take many."""


KEY = b"k" * 32


def hidden(number, size):
    """A batch as it stands in a spool with this key."""
    plainly = numbered(number, size)
    return replace(plainly, digest=SpoolKey(KEY).hide(plainly.digest))


async def filled(directory, sizes=SIZES):
    """A closed spool, as bytes; some batches have been taken out."""
    (Path(directory) / "key").write_bytes(KEY)
    async with SpoolConfig(directory=str(directory)).open() as spool:
        for number in (100, 101, 102):
            await spool.put(numbered(number, size=80))
        for number, size in enumerate(sizes):
            await spool.put(numbered(number, size))
        first = await spool.first(1)
        gone = [e.position for e in [*first, *await spool.first(ALL, first[0].position)][:3]]
        await spool.remove(gone)
    return (Path(directory) / "spool.sqlite").read_bytes()


def decoded(entry):
    """The batch of an entry; None for one that is damaged, which whoever stores it sees in the same way.

    A row whose first byte is gone has no checksum any more, as those of a former version; it is no batch.
    """
    if entry.body is None:
        return None
    try:
        return replace(Decoder().decode(entry.body), digest=entry.digest)
    except msgspec.DecodeError:
        return None


async def read_back(directory):
    """Batches by their numbers, and how many are said to be damaged."""
    async with SpoolConfig(directory=str(directory)).open() as spool:
        entries = await spool.first(ALL)
        await spool.put(numbered(999))
        assert 999 in [
            int.from_bytes(e.digest, "big") for e in await spool.first(ALL) if e.body is not None
        ]
    whole = [found for found in map(decoded, entries) if found is not None]
    return {int.from_bytes(b.digest, "big"): plain(b) for b in whole}, len(entries) - len(whole)


def sqlite_yields(path):
    """The batches of a file that SQLite still gets at, from either end, and whose bytes are right."""
    found = {}
    for order in ("ASC", "DESC"):
        with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as connection:
            connection.text_factory = bytes
            try:
                query = f"SELECT digest, body FROM batches NOT INDEXED ORDER BY id {order}"
                for digest, body in connection.execute(query):
                    found[digest] = body
            except (sqlite3.Error, UnicodeDecodeError):  # the message may quote the damage
                continue
    return {
        number
        for number, size in enumerate(SIZES)
        if found.get(hidden(number, size).digest) == seal(encode(hidden(number, size)))
    }


class Image(bytes):
    """A file's bytes that are not shown: Hypothesis gives up a failure whose arguments take pages."""

    def __repr__(self):
        return f"<{len(self)} bytes>"


@pytest.fixture(scope="module")
def image(tmp_path_factory):
    return Image(asyncio.run(filled(tmp_path_factory.mktemp("spool"))))


def placed(directory, data):
    (Path(directory) / "key").write_bytes(KEY)
    path = Path(directory) / "spool.sqlite"
    path.write_bytes(data)
    path.chmod(0o600)
    return path


MOST_ON_A_PAGE = 8
EXPECTED = {number: plain(numbered(number, size)) for number, size in enumerate(SIZES)}


def judge(directory, data):
    """The promises of this file, for one damaged image."""
    yields = sqlite_yields(placed(directory, data))
    placed(directory, data)
    found, _ = asyncio.run(read_back(directory))
    former = {number: plain(numbered(number, 80)) for number in (100, 101, 102)}
    for number, got in found.items():
        assert got == (EXPECTED | former)[number]
    assert yields <= found.keys()
    if aside := sorted(Path(directory).glob("*.damaged-*[0-9Z]")):
        assert aside[0].read_bytes()[200:] == data[200:]
    return found


HEADER = st.integers(0, 130)
"""A place of SQLite's header or of the first page's."""
PLACE = st.integers(0, 2**20)
"""Taken modulo what the file has: strategies that know nothing of it are the same in every run."""


@settings(max_examples=80, deadline=None)
@given(place=st.one_of(HEADER, PLACE), byte=st.integers(0, 255))
@example(place=3834, byte=128)  # SQLite's message quotes the table's text, which is no UTF-8 now
def test_one_wrong_byte_stores_nothing_wrong_and_loses_nothing_that_can_be_read(image, place, byte):
    place %= len(image)
    with tempfile.TemporaryDirectory() as directory:
        found = judge(directory, image[:place] + bytes((byte,)) + image[place + 1 :])
    assert len(found.keys() & EXPECTED.keys()) >= len(SIZES) - MOST_ON_A_PAGE


@settings(max_examples=30, deadline=None)
@given(number=PLACE, filling=st.sampled_from([b"\0", b"\xff", b"\x0d", b"\x02", b"x"]))
def test_an_overwritten_page_costs_what_was_on_it(image, number, filling):
    begin = number % (len(image) // PAGE) * PAGE
    with tempfile.TemporaryDirectory() as directory:
        judge(directory, image[:begin] + filling * PAGE + image[begin + PAGE :])


@settings(max_examples=30, deadline=None)
@given(length=PLACE)
@example(length=57_535)  # a row's head is there, its body is not
def test_a_file_that_was_cut_off_costs_what_is_missing(image, length):
    with tempfile.TemporaryDirectory() as directory:
        judge(directory, image[: 1 + length % (len(image) - 1)])


@pytest.mark.parametrize("number", [0, 2])
async def test_header_or_root_overwritten_costs_no_row_of_another_page(image, tmp_path, number):
    begin = number * PAGE
    placed(tmp_path, image[:begin] + b"\xff" * PAGE + image[begin + PAGE :])
    found, _ = await read_back(tmp_path)
    assert len(found.keys() & EXPECTED.keys()) == len(SIZES)


@pytest.mark.parametrize(
    "data", [b"not a database" * 500, b"\0" * 9000, b"x", b"SQLite format 3\0" + b"\0" * 84]
)
async def test_what_is_no_spool_is_moved_aside(tmp_path, data, caplog):
    placed(tmp_path, data)
    assert await read_back(tmp_path) == ({}, 0)
    (aside,) = tmp_path.glob("spool.sqlite.damaged-*")
    assert aside.read_bytes() == data
    assert "the spool was damaged" in caplog.text
    assert aside.name in caplog.text


async def test_a_directory_in_its_place_is_moved_aside(tmp_path, caplog):
    (tmp_path / "spool.sqlite" / "kept").mkdir(parents=True)
    assert await read_back(tmp_path) == ({}, 0)
    (aside,) = tmp_path.glob("spool.sqlite.damaged-*")
    assert (aside / "kept").is_dir()
    assert "the spool was damaged (it is a directory)" in caplog.text


async def test_a_table_of_other_columns_is_no_spool(tmp_path):
    with closing(sqlite3.connect(tmp_path / "spool.sqlite")) as connection:
        connection.execute("PRAGMA auto_vacuum = INCREMENTAL")
        connection.execute("CREATE TABLE batches (what TEXT)")
    assert await read_back(tmp_path) == ({}, 0)
    assert list(tmp_path.glob("*.damaged-*"))


@pytest.mark.parametrize("place", [18, 19, 44, 47, 52, 56, 59, 67])
def test_a_wrong_byte_of_the_header_costs_nothing(image, tmp_path, place):
    found = judge(tmp_path, image[:place] + b"\x05" + image[place + 1 :])
    assert len(found.keys() & EXPECTED.keys()) == len(SIZES)


def test_a_table_that_lost_its_name_is_found_by_its_pages(image, tmp_path):
    found = judge(tmp_path, image.replace(b"CREATE TABLE batches", b"CREATE TABLE batchez"))
    assert len(found.keys() & EXPECTED.keys()) == len(SIZES)


async def test_an_emptied_file_is_said(tmp_path, caplog):
    await filled(tmp_path)
    placed(tmp_path, b"")
    assert await read_back(tmp_path) == ({}, 0)
    assert "0 bytes" in caplog.text


async def test_a_file_of_the_former_version_is_read(tmp_path):
    async with SpoolConfig(directory=str(tmp_path)).open():
        pass
    with closing(sqlite3.connect(tmp_path / "spool.sqlite")) as connection, connection:
        for number in range(3):
            row = number.to_bytes(16, "big"), encode(numbered(number))
            connection.execute("INSERT INTO batches (digest, body) VALUES (?, ?)", row)
    found, damaged = await read_back(tmp_path)
    assert found == {number: plain(numbered(number)) for number in range(3)}
    assert damaged == 0


def overwrite_root(directory):
    """SQLite finds no row any more, and looks: its cache is that of another change counter."""
    with (directory / "spool.sqlite").open("r+b") as file:
        file.seek(24)
        file.write(b"\x7f" * 4)
        file.seek(92)
        file.write(b"\x7f" * 4)
        file.seek(2 * PAGE)
        file.write(b"\xff" * PAGE)


async def test_damage_that_shows_while_it_runs_is_mended_while_it_runs(tmp_path):
    async with SpoolConfig(directory=str(tmp_path)).open() as spool:
        for number in range(40):
            await spool.put(numbered(number, size=20))
        overwrite_root(tmp_path)
        for number in range(40, 60):
            await spool.put(numbered(number, size=20))
        found = {int.from_bytes(e.digest, "big") for e in await spool.first(ALL) if e.body}
        assert found == set(range(60))
        assert list(tmp_path.glob("*.damaged-*"))


async def test_workers_that_share_a_spool_go_on_in_the_new_file(tmp_path):
    config = SpoolConfig(directory=str(tmp_path))
    async with config.open() as one, config.open() as other:
        for number in range(30):
            await one.put(numbered(number, size=20))
        overwrite_root(tmp_path)
        await asyncio.gather(
            *(one.put(numbered(number, size=20)) for number in range(30, 40)),
            *(other.put(numbered(number, size=20)) for number in range(40, 50)),
        )
        found = {int.from_bytes(e.digest, "big") for e in await other.first(ALL) if e.body}
        assert found == set(range(50))
        assert len(list(tmp_path.glob("*.damaged-*Z"))) == 1


async def test_a_row_that_is_damaged_is_mended_by_its_senders_retry(tmp_path):
    async with SpoolConfig(directory=str(tmp_path)).open() as spool:
        await spool.put(numbered(1))
        with closing(sqlite3.connect(tmp_path / "spool.sqlite")) as connection, connection:
            connection.execute("UPDATE batches SET body = substr(body, 1, 50)")
        [entry] = await spool.first(ALL)
        assert entry.body is None
        await spool.put(numbered(1))
        [entry] = await spool.first(ALL)
        assert plain(shown(entry)) == plain(numbered(1))


async def test_a_disk_that_fails_is_not_damage(tmp_path, image):
    assert not is_damage(sqlite_error(sqlite3.SQLITE_IOERR))
    assert not is_damage(sqlite_error(sqlite3.SQLITE_IOERR | 33 << 8))  # SQLITE_IOERR_CORRUPTFS
    assert not is_damage(sqlite_error(sqlite3.SQLITE_FULL))
    assert not is_damage(sqlite_error(sqlite3.SQLITE_READONLY))
    assert is_damage(sqlite_error(sqlite3.SQLITE_CORRUPT | 1 << 8))


def sqlite_error(code):
    error = sqlite3.DatabaseError("x")
    error.sqlite_errorcode = code
    return error


async def test_no_room_to_recover_leaves_the_damaged_file_where_it_is(tmp_path, image, monkeypatch):
    damaged = image[: 2 * PAGE] + b"\xff" * PAGE + image[3 * PAGE :]
    placed(tmp_path, damaged)
    blocked = tmp_path / "spool.sqlite.new"
    blocked.mkdir()  # the new file cannot be made
    with pytest.raises(SpoolError):
        async with SpoolConfig(directory=str(tmp_path)).open():
            pass
    assert (tmp_path / "spool.sqlite").read_bytes() == damaged
    assert not list(tmp_path.glob("*.damaged-*"))


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
async def test_a_file_that_may_not_be_read_is_not_damage(tmp_path, image):
    placed(tmp_path, image).chmod(0)
    with pytest.raises(SpoolError):
        async with SpoolConfig(directory=str(tmp_path)).open():
            pass
    assert not list(tmp_path.glob("*.damaged-*"))


@given(st.binary(max_size=300), st.integers(0, 8 * 309 - 1))
def test_a_flipped_bit_is_seen(body, bit):
    sealed = bytearray(seal(body))
    bit %= 8 * len(sealed)
    sealed[bit // 8] ^= 1 << bit % 8
    found = unseal(bytes(sealed))
    # The first byte says that there is a checksum; without one it is no batch, whatever follows.
    assert found is None or (bit < 8 and found == bytes(sealed))


async def test_all_rows_are_found_by_their_pages(tmp_path):
    await filled(tmp_path)
    names = {hidden(number, size).digest: number for number, size in enumerate(SIZES)}
    found = {row.digest: unseal(row.sealed) for row in rows(tmp_path / "spool.sqlite")}
    assert {names[name]: body for name, body in found.items() if name in names} == {
        number: encode(hidden(number, size)) for number, size in enumerate(SIZES)
    }


async def test_a_refusal_is_remembered_until_something_can_be_put(tmp_path, monkeypatch):
    async with SpoolConfig(directory=str(tmp_path), max_mib=1).open() as spool:
        await put_until_refused(spool, range(1000))
        assert spool.refuses
        await spool.remove([e.position for e in await spool.first(ALL)])
        await spool.put(numbered(2000))
        assert not spool.refuses
