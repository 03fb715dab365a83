"""The faults, each under load from beginning to end. A scenario opens its stage and makes its trouble."""

import os
import signal
import sqlite3
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

from faults import servers
from faults.processes import Clock, Missing, Stuck, until
from faults.stage import Scale, Stage

DRAIN_S = 600.0
BACK_S = 5.0
"""Seconds from the end of the embedded Postgres to the first acknowledged request."""
DISK = 3 * 2**20
"""Bytes of the full disk."""


def kill_collector(stage: Stage) -> None:
    """Kill -9 on the collector, started again at once."""
    stage.open()
    for _ in range(stage.scale.kills):
        stage.pause()
        stage.collector.kill()
        stage.count_orphans()
        stage.collector.start()
        stage.step()


def kill_worker(stage: Stage) -> None:
    """Kill -9 on one of two workers, which their parent starts again."""
    stage.open(arguments=("--workers", "2"))
    for _ in range(max(stage.scale.kills // 2, 1)):
        stage.pause()
        victim = stage.random.choice(stage.collector.workers())
        os.kill(victim, signal.SIGKILL)
        until("there are two workers again", lambda: len(stage.collector.workers()) == 2)
        time.sleep(1)
        stage.step()


def crash_postgres(stage: Stage) -> None:
    """Postgres ends without a checkpoint, and is started again at once."""
    stage.open()
    for _ in range(stage.scale.crashes):
        stage.pause(0.5, 1.5)
        stage.postgres.crash()
        stage.postgres.start()
        stage.step()


def kill_embedded(stage: Stage) -> None:
    """Kill -9 on the collector's embedded Postgres, which it starts again."""
    stage.open(embedded=True)
    took = []
    for _ in range(stage.scale.crashes):
        stage.pause(1.0, 3.0)
        before = stage.postgres.pid
        os.kill(before, signal.SIGKILL)
        killed = time.monotonic()
        time.sleep(0.05)  # what was committed before may still be answered
        seen = stage.sender.journal.stat().st_size
        until("a request is acknowledged again", lambda: _acknowledged(stage, seen))  # noqa: B023
        took.append(time.monotonic() - killed)
        stage.step()
    stage.notes.append(
        f"from the kill to the first acknowledged request: {min(took):.1f} to {max(took):.1f} s,"
        f" half of them within {sorted(took)[len(took) // 2]:.1f} s"
    )
    if max(took) > BACK_S:
        stage.faults.append(f"more than {BACK_S:.0f} s from the kill to an acknowledged request")


def _acknowledged(stage: Stage, since: int) -> bool:
    """Whether a request was, after so many bytes of the journal."""
    with stage.sender.journal.open("rb") as journal:
        journal.seek(since)
        return b"\nacknowledged " in journal.read()


def away(stage: Stage) -> None:
    """Minutes without Postgres, and no spool: senders are told to retry."""
    stage.open()
    _be_away(stage)


def away_spool(stage: Stage) -> None:
    """The same with a spool; the collector is killed while it is drained."""
    stage.open(spool=stage.folder / "spool")
    _be_away(stage)
    for _ in range(3):
        stage.collector.kill()
        stage.collector.start()
        stage.pause(0.1, 0.3)
    begun = time.monotonic()
    until("the spool is drained", lambda: not waiting(stage.folder / "spool"), DRAIN_S, every=0.5)
    stage.notes.append(f"the spool was drained in {time.monotonic() - begun:.0f} s")


def waiting(spool: Path) -> int:
    """How many requests are in a spool."""
    with closing(
        sqlite3.connect(f"file:{spool}/spool.sqlite?mode=ro", uri=True, timeout=30)
    ) as file:
        return int(file.execute("SELECT count(*) FROM batches").fetchone()[0])


def _be_away(stage: Stage) -> None:
    stage.postgres.stop()
    for _ in range(10):
        time.sleep(stage.scale.away / 10)
        stage.step()
    stage.postgres.start()


def full_disk(stage: Stage) -> None:
    """Postgres is away, and the disk of the spool is full."""
    with _small_disk(stage) as disk:
        stage.open(spool=disk)
        if not disk.is_mount():
            stage.collector.limit_files(DISK)
        stage.postgres.stop()
        until("the spool is full", lambda: stage.sender.has("hint\n") > 20, every=0.2)
        stage.step()
        time.sleep(stage.scale.steps)
        stage.step()
        stage.postgres.start()
        stage.sender.finish(stage.scale.patience)  # before the disk is taken away
        stage.collector.stop()


@contextmanager
def _small_disk(stage: Stage) -> Iterator[Path]:
    """A folder on a small tmpfs, for root; else an ordinary one."""
    disk = stage.folder / "disk"
    disk.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", f"size={DISK},mode=0755", "tmpfs", str(disk)]
    if os.geteuid() or subprocess.run(command, check=False, capture_output=True).returncode:
        stage.notes.append("the disk is a limit of the file's size")
        yield disk
        return
    stage.notes.append("the disk is a tmpfs")
    try:
        yield disk
    finally:
        subprocess.run(["umount", str(disk)], check=True)  # noqa: S607


def paused(stage: Stage) -> None:
    """One of two collectors is paused in the middle of a transaction, whose locks the other waits for."""
    stage.open(collectors=2)
    blocked = 0
    for seconds in stage.scale.pauses:
        stage.pause()
        _stop_in_transaction(stage)
        until_ = time.monotonic() + seconds
        while time.monotonic() < until_:
            blocked += bool(stage.sql(_BLOCKED))
            time.sleep(0.2)
        stage.collector.signal(signal.SIGCONT)
        stage.step()
    stage.notes.append(f"the other was seen waiting for its locks {blocked} times")


_OPEN = (
    "SELECT pid, xact_start FROM pg_stat_activity JOIN pg_locks USING (pid)"
    " WHERE application_name = 'footfall' AND state = 'idle in transaction'"
    " AND relation = 'footfall.lock_turn'::regclass AND granted"
)
"""Sessions of collectors that have their turn to store, and are not at work."""
_BLOCKED = "SELECT 1 FROM pg_stat_activity WHERE application_name = 'footfall' AND wait_event_type = 'Lock'"


def _stop_in_transaction(stage: Stage) -> None:
    """Pauses the first collector until that is while it is in a transaction."""
    for _ in range(2000):
        stage.collector.signal(signal.SIGSTOP)
        time.sleep(0.02)
        if before := stage.sql(_OPEN):
            time.sleep(0.1)
            if stage.sql(_OPEN) == before:
                return
        stage.collector.signal(signal.SIGCONT)
        stage.pause(0.001, 0.01)
    raise Stuck("the collector was never caught in a transaction")


def clock_steps(stage: Stage) -> None:
    """The clocks of the collector, of Postgres and of both are a day ahead, and a day behind."""
    clocks = Clock(stage.folder / "clock-collector"), Clock(stage.folder / "clock-postgres")
    stage.open(clocks=clocks)
    for affected in (clocks[:1], clocks[1:], clocks):
        for days in (1, -1):
            for clock in affected:
                clock.step(days)
            _check_clock(stage, days if clocks[1] in affected else 0)
            time.sleep(stage.scale.steps)
            for clock in affected:
                clock.step(0)
            time.sleep(stage.scale.steps / 2)
            stage.step()


def clock_mended(stage: Stage) -> None:
    """The collector's clock is a day behind; it is killed, the clock mended, and it is started again."""
    clock = Clock(stage.folder / "clock-collector")
    stage.open(clocks=(clock, None))
    for _ in range(max(stage.scale.kills // 3, 1)):
        clock.step(-1)
        stage.pause()
        stage.collector.kill()
        clock.step(0)
        stage.collector.start()
        stage.pause()
        stage.step()


def clock_back(stage: Stage) -> None:
    """The senders' clock is set back by days, so that counters end before they start, and set right again."""
    stage.open()
    for days in (-1, 0, -3, -2, 0):
        stage.pause()
        stage.sender.set_clock(days * 86_400)
        time.sleep(stage.scale.steps / 2)
        stage.collector.kill()
        stage.collector.start()
        stage.step()


def _check_clock(stage: Stage, days: int) -> None:
    """Whether Postgres' clock is as it was set; the collector's shows in what it refuses."""

    def is_set() -> bool:
        [(seconds,)] = stage.sql("SELECT extract(epoch FROM clock_timestamp())::float")
        return abs(float(str(seconds)) - time.time() - days * 86_400) < 60

    until("Postgres' clock is as it was set", is_set, 10)


@dataclass(frozen=True)
class Scenario:
    """A fault, and how many steps its progress bar has."""

    play: Callable[[Stage], None]
    steps: Callable[[Scale], int]

    @property
    def title(self) -> str:
        """For people."""
        return (self.play.__doc__ or "").rstrip(".")


SCENARIOS = {
    "kill-collector": Scenario(kill_collector, lambda s: s.kills),
    "kill-worker": Scenario(kill_worker, lambda s: max(s.kills // 2, 1)),
    "crash-postgres": Scenario(crash_postgres, lambda s: s.crashes),
    "embedded-kill": Scenario(kill_embedded, lambda s: s.crashes),
    "away": Scenario(away, lambda _: 10),
    "away-spool": Scenario(away_spool, lambda _: 10),
    "full-disk": Scenario(full_disk, lambda _: 2),
    "paused": Scenario(paused, lambda s: len(s.pauses)),
    "clock": Scenario(clock_steps, lambda _: 6),
    "clock-back": Scenario(clock_back, lambda _: 5),
    "clock-mended": Scenario(clock_mended, lambda s: max(s.kills // 3, 1)),
    "failover": Scenario(servers.failover, lambda s: s.crashes),
    "sync-standby": Scenario(servers.sync_standby, lambda s: s.crashes),
    "pooler": Scenario(servers.pooler, lambda s: s.crashes),
    "long-reader": Scenario(servers.long_reader, lambda _: 2),
}

__all__ = ["SCENARIOS", "Missing", "Scenario", "Stuck"]
