"""What servers of Postgres go through: a failover, a missing standby, a pooler, a reader that stays."""

import datetime as dt
import os
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import psycopg
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from faults.processes import Collector, Missing, Stuck, free_addresses, until
from faults.stage import Stage

_OURS = "FROM pg_stat_activity WHERE application_name = 'footfall'"
_WAITS = f"{_OURS} AND wait_event = 'SyncRep'"
_ENDED = {"cancel": "pg_cancel_backend", "terminate": "pg_terminate_backend"}


def failover(stage: Stage) -> None:
    """Sessions that are open become read-only, and new ones may write: a failover behind one name."""
    stage.open()
    for _ in range(stage.scale.crashes):
        stage.sql("ALTER DATABASE footfall SET default_transaction_read_only = off")  # for new ones
        before = stage.sql(f"SELECT pid {_OURS}")
        _configure(stage, "default_transaction_read_only", "on")

        def anew(was: object = before) -> bool:
            return stage.sql(f"SELECT pid {_OURS}") not in (was, [])

        until("the writer connects anew", anew)
        _configure(stage, "default_transaction_read_only", "off")
        stage.sql("ALTER DATABASE footfall RESET default_transaction_read_only")
        stage.sql(f"SELECT pg_terminate_backend(pid) {_OURS}")  # the next is like the first again
        stage.pause(1, 2)
        stage.step()


def sync_standby(stage: Stage) -> None:
    """A synchronous standby is missing; the sessions that wait for it are ended. Nothing is acknowledged."""
    stage.open()
    answered = 0
    for number in range(stage.scale.crashes):
        _configure(stage, "synchronous_standby_names", "nobody")
        until("a session waits for the standby", lambda: bool(stage.sql(f"SELECT pid {_WAITS}")))
        time.sleep(0.5)  # what was answered before is in the journal
        before = stage.sender.has("acknowledged ")
        for how in ("cancel", "terminate") if number % 2 else ("terminate", "cancel"):
            stage.sql(f"SELECT {_ENDED[how]}(pid) {_WAITS}")
            time.sleep(1.5)  # the retries come, and wait
        answered += stage.sender.has("acknowledged ") - before
        _configure(stage, "synchronous_standby_names", "")
        stage.pause()
        stage.step()
    stage.notes.append(f"{answered} requests were acknowledged that no standby had")
    if answered:
        raise Stuck(f"{answered} requests were acknowledged that no standby had")


def _configure(stage: Stage, name: str, value: str) -> None:
    stage.sql(f"ALTER SYSTEM SET {name} = '{value}'")
    stage.sql("SELECT pg_reload_conf()")


def long_reader(stage: Stage) -> None:
    """Somebody reads a day that has expired, and one is half detached, while housekeeping goes on."""
    stage.open()
    days = [dt.datetime.now(dt.UTC).date() - dt.timedelta(days=n) for n in (40, 41)]
    for day in days:
        stage.sql(
            f"CREATE TABLE footfall.{_partition(day)} PARTITION OF footfall.feature_events"
            f" FOR VALUES FROM ('{day} 00:00+00') TO ('{day + dt.timedelta(days=1)} 00:00+00')"
        )
    with psycopg.connect(stage.dsn) as reader:
        reader.execute(f"SELECT count(*) FROM footfall.{_partition(days[0])}")
        with psycopg.connect(stage.dsn, autocommit=True) as other:
            other.execute("SET lock_timeout = '1s'")
            try:
                other.execute(
                    "ALTER TABLE footfall.feature_events DETACH PARTITION"
                    f" footfall.{_partition(days[0])} CONCURRENTLY"
                )
            except psycopg.errors.LockNotAvailable:
                stage.notes.append("a day is half detached")
        stage.sql("UPDATE footfall.housekeeping SET next_run = clock_timestamp()")
        until("the other day is dropped", lambda: not _is_there(stage, days[1]))
        for collector in stage.collectors:  # a start is not held up either
            collector.kill()
            collector.start()
        stage.pause()
        stage.step()
    stage.sql("UPDATE footfall.housekeeping SET next_run = clock_timestamp()")
    until("the day that was read is dropped", lambda: not _is_there(stage, days[0]))
    stage.step()


def _partition(day: dt.date) -> str:
    return f"feature_events_{day:%Y%m%d}"


def _is_there(stage: Stage, day: dt.date) -> bool:
    return stage.sql(f"SELECT to_regclass('footfall.{_partition(day)}') IS NOT NULL") == [(True,)]


def pooler(stage: Stage) -> None:
    """A pgbouncer in session mode that drops options is killed and started again; other modes are refused."""
    program = shutil.which("pgbouncer", path=f"/usr/sbin:{os.environ['PATH']}")
    if program is None:
        raise Missing("pgbouncer is not installed; get it (Debian: apt install pgbouncer)")
    [address] = free_addresses(1)
    _, _, port = address.rpartition(":")

    def through(dsn: str) -> str:
        return make_conninfo(dsn, host="127.0.0.1", port=port)

    with _pgbouncer(stage, program, port) as start:
        stage.open(through=through, before=lambda: start("session"))
        for _ in range(stage.scale.crashes):
            stage.pause()
            start("session")
            stage.step()
        stage.sender.finish(stage.scale.patience)
        start("transaction")
        other = Collector(stage.folder / "refused", {"dsn": through(stage.dsn)})
        try:
            other.start()
        except Stuck as refusal:
            stage.notes.append(str(refusal)[:160])
        else:
            other.stop()
            raise Stuck("the collector starts behind a pooler that shares sessions")
        start("session")


@contextmanager
def _pgbouncer(stage: Stage, program: str, port: str) -> Iterator[Callable[[str], None]]:
    """Starts it in a mode, in place of the one that runs."""
    running: list[subprocess.Popen[bytes]] = []

    def end() -> None:
        while running:
            running[-1].kill()
            running.pop().wait()

    def start(mode: str) -> None:
        end()
        place = conninfo_to_dict(stage.dsn)
        owner = os.stat(str(place["host"])).st_uid
        ini = stage.folder / "pgbouncer.ini"
        ini.write_text(
            f"[databases]\n* = host={place['host']} port={place['port']} user={place['user']}"
            f" password={place['password']}\n[pgbouncer]\nlisten_addr = 127.0.0.1\nlisten_port = {port}\n"
            f"auth_type = any\npool_mode = {mode}\nunix_socket_dir =\n"
            "ignore_startup_parameters = extra_float_digits, options\n"
        )
        ini.chmod(0o644)
        with (stage.folder / "pgbouncer.log").open("ab") as log:
            running.append(
                subprocess.Popen(
                    [program, ini],
                    stdout=log,
                    stderr=log,
                    user=owner if os.geteuid() == 0 else None,
                )
            )
        until(
            "the pooler answers",
            lambda: _answers(make_conninfo(stage.dsn, host="127.0.0.1", port=port)),
        )

    try:
        yield start
    finally:
        end()


def _answers(dsn: str) -> bool:
    try:
        psycopg.connect(dsn, connect_timeout=2).close()
    except psycopg.OperationalError:
        return False
    return True
