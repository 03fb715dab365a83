"""Looks at everything, says what is and what to do."""

import datetime as dt
from collections.abc import Generator, Iterator
from contextlib import suppress
from pathlib import Path

from footfall_collector.config.config import Config, load_config, load_store
from footfall_collector.doctor.checks import Check, ok, problem, warning
from footfall_exporters.embedded import EmbeddedPostgresError, default_directory
from footfall_exporters.postgres import PostgresConfig, database
from footfall_processors.document import DocumentError


def examine(path: str | None, catalog: str | None = None) -> Iterator[Check]:
    """Every check, in the order in which they should be read.

    Args:
        path: The configuration file; None for the environment and the defaults.
        catalog: In place of the configured one.
    """
    config, store = None, None
    try:
        config = load_config(path, catalog=catalog)
        store = config.postgres
        yield ok("configuration", "no mistakes")
    except DocumentError as error:
        for mistake in error.mistakes:
            yield problem(
                "configuration", str(mistake), "correct it; `footfall validate` checks again"
            )
        with suppress(
            DocumentError
        ):  # then the mistake is in the configuration, not in the catalog
            store = load_store(path)
    uptime = None
    if config is not None:
        yield from _here(config)
        uptime = yield from _running(config)
    if store is not None:
        yield from _store(store, config, uptime)
    elif config is not None:
        yield ok("store", "none: this collector is a gateway")


def _here(config: Config) -> Iterator[Check]:
    from footfall_collector.doctor import local

    now = dt.datetime.now(dt.UTC)
    yield from local.catalog_checks(config.catalog, now.date())
    operator = config.service.operator
    for file in dict.fromkeys([config.keys_file, operator.keys_file if operator else None]):
        if file is not None:
            yield from local.key_checks(file, now.date())
    yield from local.certificate_checks(config, now)
    if config.postgres is not None and config.postgres.spool is not None:
        yield from local.spool_checks(config.postgres.spool)


def _running(config: Config) -> Generator[Check, None, float | None]:
    """Of the collector that runs here; for how many seconds it has, None when that is not known."""
    from footfall_collector.doctor import listeners, running

    closed = listeners.closed(config)
    yield from listeners.listener_checks(config, closed)
    if closed and all(closed.values()):
        return None
    if config.service.operator is None:
        yield ok("collector", "it is not asked by what it works: service.operator is null")
        return None
    try:
        found = running.ask(config.service.operator)
    except running.Unasked as why:
        said = f"it cannot be asked by what it works: {why.found}"
        yield warning("collector", said, why.advice)
        return None
    yield from running.running_checks(config, found)
    return found.uptime


def _store(store: PostgresConfig, config: Config | None, uptime: float | None) -> Iterator[Check]:
    from footfall_collector.doctor.store import store_checks

    directory = Path(store.data_directory) if store.data_directory else default_directory()
    if not store.dsn and not directory.exists():
        advice = "run `footfall up`: it makes a Postgres of its own; or set FOOTFALL_DSN"
        yield warning("store", "there is no database yet", advice)
        return
    try:
        with database(store) as dsn:
            yield from store_checks(dsn, config, uptime)
    except EmbeddedPostgresError as error:
        yield problem("store", error.found, error.advice or "read its log, or set FOOTFALL_DSN")
