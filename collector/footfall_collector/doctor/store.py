"""What `footfall doctor` asks the store: its size, what came in, what was lost, what is due."""

import datetime as dt
from collections.abc import Iterator
from pathlib import Path

import psycopg
from psycopg import Connection

from footfall_collector.config.config import Config
from footfall_collector.doctor import losses
from footfall_collector.doctor.checks import Check, count, ok, problem, span, warning
from footfall_collector.doctor.local import disk_check
from footfall_collector.doctor.private import private_checks
from footfall_collector.doctor.server import away, schema_checks, server_checks, writing_checks
from footfall_collector.telemetry.remedies import REFUSED
from footfall_exporters.postgres import health
from footfall_exporters.postgres.connecting import LOOKING, Unsuitable, connect_sync
from footfall_exporters.postgres.housekeeping import NAMES
from footfall_exporters.postgres.subscriptions import Lag
from footfall_processors.window import COMMITS

QUIET = 3600.0
"""Seconds without a request from which on it is a warning."""
SILENT = 86_400.0
"""Seconds without a signal that was heard of in the last week."""
SOON = 90.0
"""Seconds within which a collector that was started has run all tasks."""
LATE, TOO_LATE = 3600.0, (COMMITS - dt.timedelta(days=2)).total_seconds()
"""Seconds that a subscriber may be behind: a warning; a problem, two days before it misses something."""
_MISSES = f"after {COMMITS.days} days it misses them"
DEAD = 100_000
"""Dead rows of a table from which on it matters that there are more of them than live ones."""
UNDER_WAY = 0.01
"""Of what was emitted: a tally comes up to a minute after what it counts, and a little more may be stored."""
_SURPLUS = (
    "look again in a minute, as tallies come later; if it stays, see whether a hop in between sends things"
    " twice, or senders are killed before their last tally"
)


def store_checks(dsn: str, config: Config | None, uptime: float | None = None) -> Iterator[Check]:
    """All checks of a store; of one that is not there, why.

    Args:
        dsn: Its connection string.
        config: The configuration, None when it has mistakes.
        uptime: Seconds for which a collector has run here; None when none has, or that is not known.
    """
    try:
        with connect_sync(dsn, LOOKING) as connection:
            yield from server_checks(connection)
            schema = list(schema_checks(connection))
            yield from schema
            if schema[0].level == "ok":
                yield from writing_checks(dsn)
                yield from _contents(connection, config, uptime)
    except Unsuitable as error:
        yield problem("store", error.found, error.advice)
    except psycopg.Error as error:
        yield away(error)


def _contents(
    connection: Connection, config: Config | None, uptime: float | None
) -> Iterator[Check]:
    yield from _sizes(connection)
    yield from _days(connection)
    yield from _disk(connection)
    yield from private_checks(connection)
    yield from _freshness(connection, config)
    yield from _losses(connection)
    yield from _completeness(connection)
    yield from _refused(connection)
    yield from _housekeeping(connection, uptime)
    yield from _subscribers(connection, config)


def _sizes(connection: Connection) -> Iterator[Check]:
    found = health.sizes(connection)
    observations = f"observations {_mib(found.observations)} in {count(found.days, 'day')}"
    yield ok("sizes", f"{observations}, everything else {_mib(found.others)}")
    for table in health.bloated(connection, DEAD):
        advice = "see why autovacuum does not come round; this helps now:"
        dead = f"{table} has more dead rows than live ones"
        yield warning("sizes", dead, advice, f"VACUUM footfall.{table};")


def _mib(size: int) -> str:
    return f"{size / 2**20:,.1f} MiB"


def _days(connection: Connection) -> Iterator[Check]:
    today = dt.datetime.now(dt.UTC).date()
    found = health.days(connection, [today + dt.timedelta(days=n) for n in (0, 1)])
    for name in found.held:
        advice = "end who reads it (pg_stat_activity); housekeeping drops it then"
        yield warning("partitions", f"{name} is being dropped, and a reader holds it", advice)
    if found.missing:
        advice = "restart the collector, and read its log for why housekeeping fails"
        yield problem("partitions", f"none for {' and '.join(map(str, found.missing))}", advice)
    else:
        yield ok("partitions", "made ahead")


def _disk(connection: Connection) -> Iterator[Check]:
    """Only where the server is on this machine, and lets itself be asked."""
    host = connection.info.host
    where = health.settings(connection, "data_directory").get("data_directory")
    if where and (host.startswith("/") or host in ("localhost", "127.0.0.1", "::1")):
        try:
            yield disk_check("store", Path(where))
        except OSError:
            return


def _freshness(connection: Connection, config: Config | None) -> Iterator[Check]:
    heard = health.heard(connection)
    if heard.request is None:
        yield warning("freshness", "no request in the last week", _nothing_comes(config))
        return
    event = "no event yet"
    if heard.event:
        event = f"the last event in the hour {span(max(heard.event, 0))} ago"
    found = f"the last request {span(max(heard.request, 0))} ago, {event}"
    found += f", {heard.minute:,} within a minute" if heard.minute else ""
    if heard.request > QUIET:
        advice = "see whether the applications run, and whether they can reach the collector"
        yield warning("freshness", found, advice)
    else:
        yield ok("freshness", found)
    for signal, age in heard.signals.items():
        if age > SILENT and (config is None or signal in config.signals):
            advice = "see whether an application stopped to send it"
            yield warning("freshness", f"no {signal} for {span(age)}", advice)


def _nothing_comes(config: Config | None) -> str:
    """The usual reason first: without the variable, an SDK sends nothing and says nothing."""
    there = [each.endpoint for each in (config.grpc, config.http) if each] if config else []
    where = f" ({' or '.join(there)})" if there else ""
    return (
        "set TELEMETRY_ENABLED=true where the application runs, or it sends nothing; then see that its"
        f" endpoint is this collector's{where}"
    )


def _losses(connection: Connection) -> Iterator[Check]:
    found = health.lost(connection)
    for each in found:
        yield losses.check(each.signal, each.reason, each.number)
    if not found:
        yield ok("losses", "none since yesterday")


def _completeness(connection: Connection) -> Iterator[Check]:
    """What the SDKs counted beside what is stored; a sender's surplus must not hide another's loss."""
    found = health.completeness(connection)
    for each in found:
        if each.surplus > UNDER_WAY * each.emitted:
            more = f"{count(each.surplus, 'time')} more than {each.emitted:,}"
            share = f"{each.stored / each.emitted:.2%} in all"
            said = f"more stored than emitted: {each.event}, {more} ({share})"
            yield warning("completeness", said, _SURPLUS)
    stored, emitted = sum(each.stored for each in found), sum(each.emitted for each in found)
    untallied = sum(each.untallied for each in found)
    apart = f"; not tallied by their senders: {untallied:,}" if untallied else ""
    if emitted:
        said = f"stored: {stored:,} of {emitted:,} that the SDKs counted ({stored / emitted:.2%}){apart}"
        yield ok("completeness", said)
    elif untallied:
        yield ok("completeness", f"not known: no sender keeps a tally{apart}")


def _refused(connection: Connection) -> Iterator[Check]:
    found = health.turned(connection)
    for each in found:
        yield losses.refused(each.reason, each.requests, each.senders)
    if not found:
        yield ok("refused", "no request since yesterday")


def _housekeeping(connection: Connection, uptime: float | None) -> Iterator[Check]:
    found = health.runs(connection)
    for run in found:
        said = f"{run.task}: {run.outcome}, {span(max(run.age, 0))} ago"
        if run.overdue:
            advice = "see whether a collector runs; see docs/housekeeping.md"
            yield problem("housekeeping", f"{said}, and overdue", advice)
        elif run.failing:
            advice = "read the collector's and Postgres' log; see docs/housekeeping.md"
            yield problem("housekeeping", said, advice)
        else:
            yield ok("housekeeping", said)
    missing = sorted(set(NAMES) - {run.task for run in found})
    if missing:
        yield _never(", ".join(missing), uptime)


def _never(tasks: str, uptime: float | None) -> Check:
    if uptime is None:
        advice = "see whether a collector runs: it runs them within a minute"
        return warning("housekeeping", f"never ran: {tasks}", advice)
    if uptime < SOON:
        return ok("housekeeping", f"not run yet, as the collector has just started: {tasks}")
    found = f"never ran, though a collector has run for {span(uptime)}: {tasks}"
    advice = "read its log for why housekeeping fails; see docs/housekeeping.md"
    return problem("housekeeping", found, advice)


def _subscribers(connection: Connection, config: Config | None) -> Iterator[Check]:
    found = health.lags(connection)
    for lag in found:
        yield from _lag(lag)
    if config is None:
        return
    there = {lag.name for lag in found}
    for name in sorted(set(config.subscribers) - there):
        advice = "start the collector; what is stored before that `footfall export` sends"
        yield warning("subscribers", f"{name} never followed this store", advice)
    for name in sorted(there - set(config.subscribers)):
        advice = f"if it is not wanted any more, delete the row {name} from footfall.subscribers"
        yield warning("subscribers", f"{name} is not configured, and falls behind", advice)


def _lag(lag: Lag) -> Iterator[Check]:
    found = f"{lag.name}: {count(lag.behind, 'commit')} behind"
    found += f", the oldest stored {span(lag.age)} ago" if lag.behind else ""
    advice = f"see the collector's log for what its backend answers; {_MISSES}"
    if lag.age >= TOO_LATE:
        yield problem("subscribers", found, advice)
    elif lag.age >= LATE:
        yield warning("subscribers", found, advice)
    else:
        yield ok("subscribers", found)
    if lag.parked:
        parked = f"{lag.name}: {count(lag.parked, 'request')} parked, which its backend refuses"
        yield warning("subscribers", parked, REFUSED)
