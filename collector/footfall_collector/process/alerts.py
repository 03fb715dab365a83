"""Looks at the rules of alerts every minute, and sends what there is to tell, once (R-numbers C7 and A10)."""

import asyncio
import datetime as dt
import logging
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager, closing
from dataclasses import replace

import psycopg

from footfall_collector.config.alerts import AlertsConfig
from footfall_collector.telemetry.remedies import advice, is_expected
from footfall_exporters import notify
from footfall_exporters.background import beside
from footfall_exporters.faults import log_fault
from footfall_exporters.notify import Target, Tone
from footfall_exporters.postgres import connect_sync
from footfall_exporters.postgres.alerts.evaluating import KEEPING, Evaluated, Evaluator, is_silenced
from footfall_exporters.postgres.alerts.keeping import Waiting
from footfall_exporters.postgres.alerts.looking import Looking
from footfall_exporters.postgres.alerts.message import Kind, Message
from footfall_exporters.postgres.alerts.state import Change, Turn
from footfall_processors import OperatorError

Certificates = Callable[[], Mapping[str, dt.datetime]]
"""When the certificates of listeners end, by listener."""
FIRST_LOOK = 20.0
"""Seconds after the start: requests and housekeeping come first."""
LOOK_EVERY = 15.0
"""Seconds between two tries; of all collectors one looks, once a minute."""
_SENDING = replace(KEEPING, name="footfall alert messages", idle="300s")
_TONES: Mapping[Kind, Tone] = {Kind.FIRES: "warning", Kind.CLEARED: "success", Kind.TEST: "info"}
log = logging.getLogger("footfall.alerts")


class Alerts:
    """The alerts of one store.

    Args:
        dsn: Of the store, as its owner.
        config: Which rules are looked at, and who is told; None: none are.
        certificates: Those of this collector.
        url: Where people reach the operator's listener.
    """

    def __init__(
        self,
        dsn: str,
        config: AlertsConfig | None,
        certificates: Certificates = dict,
        url: str | None = None,
    ) -> None:
        self._dsn, self._config, self._certificates, self._url = dsn, config, certificates, url
        self._targets = notify.targets(config.targets) if config and config.targets else {}
        self._sending: dict[str, asyncio.Task[None]] = {}
        self._waiting: dict[str, str] = {}

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Looks every few seconds whether it is due; Postgres may come and go."""
        if self._config is None:
            yield
            return
        async with beside(self._run(evaluator(self._dsn, self._config))):
            yield

    async def _run(self, rules: Evaluator) -> None:
        await asyncio.sleep(FIRST_LOOK)
        try:
            while True:
                await self._look(rules)
                self._send()
                await asyncio.sleep(LOOK_EVERY)
        finally:
            for task in self._sending.values():
                task.cancel()

    async def _look(self, rules: Evaluator) -> None:
        try:
            done = await asyncio.to_thread(rules.evaluate, self._certificates())
        except (psycopg.Error, OperatorError) as error:
            self._wait("alerts", error)
        except Exception as error:  # a fault of ours must not end it
            log_fault(log, "alerts cannot be looked at", error)
        else:
            self._waiting.pop("alerts", None)
            if done is not None:
                _log(done)

    def _wait(self, what: str, error: Exception) -> None:
        """Says so once of each kind of error, until Postgres is there again."""
        kind = type(error).__name__
        if self._waiting.get(what) != kind:
            self._waiting[what] = kind
            log.warning("%s wait for Postgres (%s)", what, kind)

    def _send(self) -> None:
        """Each target by itself: one that is away, or slow, holds up no other."""
        for name, target in self._targets.items():
            if name not in self._sending or self._sending[name].done():
                self._sending[name] = asyncio.create_task(self._deliver(name, target))

    async def _deliver(self, name: str, target: Target) -> None:
        try:
            await asyncio.to_thread(deliver, self._dsn, name, target, self._url)
        except (psycopg.Error, OperatorError) as error:
            self._wait(f"alerts for {name}", error)
        except Exception as error:  # a fault of ours must not end it
            log_fault(log, f"alerts for {name} cannot be sent", error)
        else:
            self._waiting.pop(f"alerts for {name}", None)


def evaluator(
    dsn: str, config: AlertsConfig, clock: Callable[[], dt.datetime] | None = None
) -> Evaluator:
    """What looks at the rules of a store.

    Args:
        dsn: Of the store, as its owner.
        config: Which are looked at.
        clock: Tells another time than Postgres.
    """
    looking = Looking(config.thresholds, config.off, _advice)
    quiet = [each.silence() for each in config.silence]
    return Evaluator(dsn, looking, config.hysteresis, list(config.targets), quiet, clock)


def deliver(dsn: str, name: str, target: Target, url: str | None) -> None:
    """Sends a target what waits for it, the oldest first, until there is no more, or it does not take one.

    Args:
        dsn: Of the store.
        name: The target's.
        target: Who that is.
        url: Where people reach the operator's listener.

    Raises:
        psycopg.Error: Postgres does not answer.
    """
    with closing(connect_sync(dsn, _SENDING)) as connection:
        waiting = Waiting(connection, name)
        while (found := waiting.next()) is not None:
            number, at, message = found
            if not _taken(target, message, url):
                waiting.failed(number, at)
                log.warning("an alert was not taken by %s; it is tried again", name)
                return
            waiting.taken(number)


def _taken(target: Target, message: Message, url: str | None) -> bool:
    try:
        return target.send(message.notice(url), _TONES[message.kind])
    except Exception as error:  # whatever it is, it is tried again
        log.warning("sending an alert failed (%s)", type(error).__name__)
        return False


def _advice(signal: str, reason: str) -> str | None:
    return None if is_expected(signal, reason) else advice(signal, reason)


def _log(done: Evaluated) -> None:
    for each in done.looked:
        if not each.is_known:
            log.warning("the rule %s cannot be looked at: %s", each.rule, each.outcome)
    for change in done.changes:
        if change.is_new:
            _log_change(change)
    for target in sorted(set(done.given_up)):
        log.error("alerts were not taken by %s for a day, and are given up", target)


def _log_change(change: Change) -> None:
    state = change.state
    quiet = " (silenced)" if is_silenced(state) else ""
    if change.turn is Turn.FIRES:
        log.warning("alert%s: %s: %s; %s", quiet, state.about, state.what, state.sure)
    else:
        log.info("alert over%s: %s, which fired at %s", quiet, state.about, state.fired_at)
