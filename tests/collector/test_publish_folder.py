"""The folder of a site is the former one or the new one, whenever who writes it is killed."""

import json
import signal
import subprocess
import sys

from footfall_collector.site import folder


def told(files):
    return json.dumps({"generator": "footfall publish", "files": files}).encode()


def content(place):
    return {
        path.relative_to(place).as_posix(): path.read_bytes()
        for path in place.rglob("*")
        if path.is_file()
    }


KILLED = """
import json, os, shutil, signal, sys
from pathlib import Path
from footfall_collector.site import folder

left = int(sys.argv[2])
NAMES = ["0.html", "1.html", "published.json"]

def told(files):
    return json.dumps({"generator": "footfall publish", "files": files}).encode()

def counting(real):
    def call(*given, **named):
        global left
        if left == 0:
            os.kill(os.getpid(), signal.SIGKILL)
        left -= 1
        return real(*given, **named)
    return call

os.fsync, folder.exchange = counting(os.fsync), counting(folder.exchange)
shutil.rmtree = counting(shutil.rmtree)
folder.put(Path(sys.argv[1]), {each: b"new" for each in NAMES} | {"published.json": told(NAMES)})
"""
SITE = {"index.html": b"former", "published.json": told(["index.html", "published.json"])}


def test_a_run_that_is_killed_anywhere_leaves_the_former_site_or_the_new_one(tmp_path):
    place, seen = tmp_path / "site", set()
    for number in range(20):
        folder.put(place, SITE)
        done = subprocess.run([sys.executable, "-c", KILLED, place, str(number)], check=False)
        found = content(place)
        assert found == SITE or set(found) == {"0.html", "1.html", "published.json"}
        seen.add((done.returncode, found == SITE))
        if done.returncode == 0:
            break
    assert seen == {(-signal.SIGKILL, True), (-signal.SIGKILL, False), (0, False)}
    folder.put(place, SITE)
    assert [path.name for path in tmp_path.iterdir()] == ["site"]  # nothing is left of them


def test_where_folders_cannot_be_exchanged_they_are_renamed(tmp_path, monkeypatch):
    place = tmp_path / "site"
    folder.put(place, SITE)
    monkeypatch.setattr(folder.ctypes, "CDLL", lambda *_, **__: object())
    folder.put(place, SITE | {"index.html": b"new"})
    assert content(place)["index.html"] == b"new"
    assert [path.name for path in tmp_path.iterdir()] == ["site"]
    place.rename(tmp_path / ".site.footfall-former")  # as one leaves it that is killed between
    folder.put(place, SITE)
    assert content(place) == SITE
    assert [path.name for path in tmp_path.iterdir()] == ["site"]
