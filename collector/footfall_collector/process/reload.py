"""What changes while the collector runs, on SIGHUP: catalog, keys and certificates; no request is dropped.

Keys are those of senders, of operators, and of whoever signs JWTs.

Each part by itself: what is wrong is logged, and the former stays in force. Everything else needs a restart.
"""

import asyncio
import logging
from collections.abc import Callable, Sequence
from dataclasses import replace

import psycopg

from footfall_collector.config.config import Config
from footfall_collector.process.backend import Backend
from footfall_collector.receivers.admission import Gate
from footfall_collector.security.keys import Keys, Operators
from footfall_collector.security.tls import Tls
from footfall_collector.telemetry.instruments import Reloaded
from footfall_collector.telemetry.telemetry import Telemetry
from footfall_processors import DocumentError, OperatorError
from footfall_processors.changes import fingerprint

log = logging.getLogger("footfall.collector")


class Reloading:
    """Reloads what may be reloaded.

    Args:
        config: In force.
        gate: Has the senders' keys.
        operators: Has the operators'.
        reloads: Read keys of others, of whoever signs JWTs. Raise StartError: they cannot be used.
        tls: The listeners'.
        telemetry: Where it is counted.
        backend: Is given the catalog.
    """

    def __init__(
        self,
        config: Config,
        gate: Gate,
        operators: Operators,
        reloads: Sequence[Callable[[], None]],
        tls: Sequence[Tls],
        telemetry: Telemetry,
        backend: Backend,
    ) -> None:
        self._config, self._gate = config, gate
        self._operators, self._reloads = operators, reloads
        self._tls, self._telemetry, self._backend = tls, telemetry, backend
        for what in Reloaded:
            telemetry.reloaded(what, ok=True)
        telemetry.catalog(bytes.fromhex(fingerprint(config.catalog)))

    async def reload(self, config: Config | None) -> bool:
        """Takes catalog, keys and certificates; whether all of them are in force.

        Args:
            config: As it reads now; None when it cannot be read, which leaves the catalog as it is.
        """
        done = {
            Reloaded.KEYS: all([self._keys(), *map(self._read, self._reloads)]),
            Reloaded.CATALOG: config is not None and await self._catalog(config),
            Reloaded.CERTIFICATES: await self._certificates(),
        }
        for what, ok in done.items():
            self._telemetry.reloaded(what, ok=ok)
        good = ", ".join(what for what, ok in done.items() if ok)
        log.info("reloaded: %s", good or "nothing")
        return all(done.values())

    async def _catalog(self, config: Config) -> bool:
        self._warn_of_the_rest(config)
        try:
            await self._backend.use(config.catalog)
        except OperatorError as error:
            log.error("the former catalog stays in force: %s", error)
            return False
        except psycopg.Error as error:
            log.error("the former catalog stays in force: Postgres: %s", type(error).__name__)
            return False
        self._config = replace(self._config, catalog=config.catalog)
        self._telemetry.catalog(bytes.fromhex(fingerprint(config.catalog)))
        return True

    def _warn_of_the_rest(self, config: Config) -> None:
        if replace(config, catalog=self._config.catalog) != self._config:
            log.warning(
                "more than the catalog has changed in the configuration: restart to apply it"
            )

    def _keys(self) -> bool:
        operator = self._config.service.operator
        try:
            if self._config.keys_file is not None:
                self._gate.keys = Keys.load(self._config.keys_file)
            if operator is not None and operator.keys_file is not None:
                self._operators.keys = Keys.load(operator.keys_file)
        except DocumentError as error:
            for mistake in error.mistakes:
                log.error("the former keys stay in force: %s", mistake)
            return False
        return True

    def _read(self, reload: Callable[[], None]) -> bool:
        try:
            reload()
        except OperatorError as error:
            log.error("the former keys of JWTs stay in force: %s", error)
            return False
        return True

    async def _certificates(self) -> bool:
        return all([await asyncio.to_thread(tls.reload) for tls in self._tls])
