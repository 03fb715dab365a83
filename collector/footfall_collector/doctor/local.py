"""What `footfall doctor` sees on this machine: files, certificates, the spool."""

import datetime as dt
import shutil
from collections.abc import Iterator
from pathlib import Path

from footfall_collector.config.config import Config
from footfall_collector.doctor.checks import Check, count, ok, problem, warning
from footfall_collector.doctor.files import unwritable
from footfall_collector.doctor.listeners import listeners
from footfall_exporters.spool import SpoolConfig
from footfall_exporters.spool_file import Damaged, waiting
from footfall_processors import Catalog
from footfall_processors.document import DocumentError

SOON = dt.timedelta(days=30)
"""Before something expires."""
FULL = 0.8
"""The share of the spool from which on it is a problem."""
LOW, EMPTY = 2 * 2**30, 2**29
"""Bytes free on a disk below which it is a warning, and a problem."""


def catalog_checks(catalog: Catalog, today: dt.date) -> Iterator[Check]:
    """Events that are over, or will be soon."""
    ends = {name: event.expires for name, event in catalog.events.items() if event.expires}
    for name, end in sorted(ends.items(), key=lambda item: (item[1], item[0])):
        owner = catalog.events[name].owner or "its owner"
        advice = f"ask {owner}: renew `expires` in the catalog, or take the event out of the code"
        if end < today:
            yield warning("catalog", f"{name} expired on {end} and is refused", advice)
        elif end - today <= SOON:
            yield warning("catalog", f"{name} expires on {end}", advice)
    own = sum(1 for event in catalog.events.values() if event.surface != "footfall")
    yield ok("catalog", f"{count(own, 'event')} of {', '.join(catalog.products)}")


def key_checks(file: str, today: dt.date) -> Iterator[Check]:
    """Keys that are over, or will be soon."""
    from footfall_collector.security import keys

    try:
        entries = keys.read(file)
    except DocumentError as error:
        for mistake in error.mistakes:
            yield problem("keys", str(mistake), "correct the keys file; `footfall keys` writes it")
        return
    if not entries:
        advice = "make one with `footfall keys new`"
        yield problem("keys", f"{Path(file).name} has no key: nobody may send", advice)
        return
    for name, entry in entries.items():
        advice = "make a new one with `footfall keys new`, hand it out, then revoke this one"
        if entry.expires and entry.expires < today:
            yield warning("keys", f"the key {name} expired on {entry.expires}", advice)
        elif entry.expires and entry.expires - today <= SOON:
            yield warning("keys", f"the key {name} expires on {entry.expires}", advice)
    yield ok("keys", f"{count(len(entries), 'key')} in {Path(file).name}")


def certificate_checks(config: Config, now: dt.datetime) -> Iterator[Check]:
    """Certificates that cannot be used, or will not be for long."""
    from footfall_collector.errors import StartError
    from footfall_collector.security.tls import Tls

    for name, (_, tls) in listeners(config).items():
        if tls is None:
            continue
        try:
            end = Tls(tls, name).expires
        except StartError as error:
            advice = error.advice or "put a valid certificate there"
            yield problem("certificates", error.found, advice)
            continue
        found = f"{name}: the certificate is valid until {end:%Y-%m-%d}"
        if end - now <= SOON:
            advice = "renew it; the collector reads it again after `footfall reload`"
            yield warning("certificates", found, advice)
        else:
            yield ok("certificates", found)


def spool_checks(config: SpoolConfig) -> Iterator[Check]:
    """What waits on disk, and whether more can: tried by writing."""
    if why := unwritable(Path(config.directory)):
        advice = "give it to the collector's user, or set exporters.postgres.spool.directory"
        yield problem("spool", f"this user cannot write {config.directory}: {why}", advice)
        return
    try:
        there = waiting(Path(config.directory))
    except Damaged:
        advice = (
            "run it as the collector's user; if it stays, stop the collector and move the file away"
        )
        yield problem("spool", "its file cannot be read", advice)
        return
    if there is None:
        yield ok("spool", "it was never needed")
        return
    found = f"{count(there.requests, 'request')} waiting, {there.size / 2**20:.1f} of {config.max_mib} MiB"
    advice = "start Postgres, or see the collector's log for why it does not take them"
    if there.size >= FULL * config.max_mib * 2**20:
        yield problem("spool", found, advice)
    elif there.requests:
        yield warning("spool", found, advice)
    else:
        yield ok("spool", found)
    yield disk_check("spool", Path(config.directory))


def disk_check(area: str, directory: Path) -> Check:
    """How much room is left where a directory is."""
    usage = shutil.disk_usage(directory)
    found = f"{usage.free / 2**30:.1f} GiB of {usage.total / 2**30:.1f} GiB free on its disk"
    advice = "make room, keep fewer days (exporters.postgres.retention_days), or use a larger disk"
    if usage.free < EMPTY:
        return problem(area, found, advice)
    return warning(area, found, advice) if usage.free < LOW else ok(area, found)
