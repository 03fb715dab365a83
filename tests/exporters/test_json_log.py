import asyncio
import contextlib
import json
import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from exporters.sending import CATALOG, FULL, NOW, OBSERVED, PLAIN, event_id, rfc3339, uses
from footfall_exporters import json_log, testing
from footfall_exporters.contracts import Settings, Unavailable
from footfall_exporters.json_log import JsonLogConfig


async def logged(config, *batches):
    async with config.open(Settings(CATALOG)) as log:
        for each in batches:
            for request in log.requests(each):
                await log.send(request)


def lines(path):
    return [json.loads(line) for line in Path(path).read_text().split("\n") if line]


async def test_the_log_gets_a_line_of_json_an_event(tmp_path):
    path = tmp_path / "events.jsonl"
    await logged(JsonLogConfig(path=str(path)), FULL)
    await logged(JsonLogConfig(path=str(path)), uses(digest=b"\1" * 16))
    assert path.read_bytes().endswith(b"\n")
    first, count, second = lines(path)
    assert first == OBSERVED | {
        "event": "shop.order",
        "event_id": event_id(0),
        "time": rfc3339(NOW + 1_500_000),
        "attributes": PLAIN | {"token": "blue"},
    }
    assert (count["quantity"], count["hour"], count["time"]) == (41, rfc3339(NOW), rfc3339(NOW))
    assert second["event_id"] == event_id(0, b"\1" * 16)
    assert stat.S_IMODE(path.stat().st_mode) & 0o007 == 0


async def test_the_log_goes_on_in_a_new_file_after_a_rotation(tmp_path):
    path, moved = tmp_path / "events.jsonl", tmp_path / "events.jsonl.1"
    async with JsonLogConfig(path=str(path)).open(Settings(CATALOG)) as log:
        (request,) = log.requests(uses())
        await log.send(request)
        path.rename(moved)
        await log.send(request)
        path.unlink()
        await log.send(request)
        path.write_bytes(b"")  # logrotate's copytruncate
        await log.send(request)
    assert moved.read_bytes() == path.read_bytes() == request


async def test_a_line_that_was_cut_short_is_ended_before_the_next(tmp_path):
    path = tmp_path / "events.jsonl"
    path.write_bytes(b'{"event": "sh')
    await logged(JsonLogConfig(path=str(path)), uses())
    torn, *whole = path.read_bytes().split(b"\n")
    assert torn == b'{"event": "sh'
    assert json.loads(whole[0])["event_id"] == event_id(0)


async def test_lines_are_on_the_disk_before_they_are_acknowledged(tmp_path, monkeypatch):
    path = tmp_path / "events.jsonl"
    synced = []
    real = os.fsync

    def fsync(file):
        synced.append((os.fstat(file).st_ino, os.fstat(file).st_size))
        real(file)

    monkeypatch.setattr(os, "fsync", fsync)
    await logged(JsonLogConfig(path=str(path)), FULL)
    found = path.stat()
    assert synced[-1] == (found.st_ino, found.st_size)
    assert tmp_path.stat().st_ino in [inode for inode, _ in synced]  # the new file's name


async def test_a_full_disk_or_a_missing_folder_is_tried_again(tmp_path):
    folder = tmp_path / "later"
    for path, reason in (("/dev/full", "No space left"), (f"{folder}/events.jsonl", "No such")):
        async with JsonLogConfig(path=path).open(Settings(CATALOG)) as log:
            (request,) = log.requests(uses())
            with pytest.raises(Unavailable, match=f"the log cannot be written: {reason}"):
                await log.send(request)
            if not path.startswith("/dev"):
                folder.mkdir()
                await log.send(request)
    assert (folder / "events.jsonl").read_bytes() == request


async def test_a_pipe_that_nobody_reads_blocks_nobody(tmp_path, monkeypatch):
    monkeypatch.setattr(json_log, "PATIENCE", 0.1)
    path = tmp_path / "pipe"
    os.mkfifo(path)
    reader = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    try:
        async with JsonLogConfig(path=str(path)).open(Settings(CATALOG)) as log:
            (request,) = log.requests(uses(times=[NOW + n for n in range(500)]))
            with pytest.raises(Unavailable, match="nobody reads it"):
                await log.send(request)
            read = os.read(reader, 1_000_000)
            sending = asyncio.create_task(log.send(request))
            while not (sending.done() and read.endswith(request)):
                await asyncio.sleep(0.001)
                with contextlib.suppress(BlockingIOError):
                    read += os.read(reader, 1_000_000)
            await sending
    finally:
        os.close(reader)
    # The line that was cut short has an end, and the retry is whole.
    assert read.endswith(b"\n" + request)


def test_standard_output_gets_the_lines():
    program = (
        "import asyncio, sys\n"
        "from footfall_exporters import testing\n"
        "from footfall_exporters.contracts import Settings\n"
        "from footfall_exporters.json_log import JsonLogConfig\n"
        "async def main():\n"
        "    async with JsonLogConfig().open(Settings(testing.catalog())) as log:\n"
        "        for batch in testing.batches(int(sys.argv[1])):\n"
        "            for request in log.requests(batch):\n"
        "                await log.send(request)\n"
        "asyncio.run(main())\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, str(NOW)], capture_output=True, check=True
    )
    found = [json.loads(line) for line in done.stdout.decode().splitlines()]
    assert len(found) == 4 + 2 + 7 + testing.MANY
    assert len({line["event_id"] for line in found}) == len(found)
