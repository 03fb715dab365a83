"""The files that a collector does not start without, looked at before it is started."""

import asyncio
import os
import tempfile
from collections.abc import Iterator
from contextlib import AsyncExitStack, suppress
from pathlib import Path

from footfall_collector.config.config import Config
from footfall_collector.config.reader import STORE
from footfall_collector.config.schema import TlsConfig
from footfall_collector.errors import StartError
from footfall_exporters.embedded import default_directory
from footfall_exporters.postgres import PostgresConfig
from footfall_processors.document import Document, DocumentError, Keys

_OTLP: Keys = ("receivers", "otlp")
_JWT: Keys = ("receivers", "http_api", "identity", "jwt")
_OPERATOR: Keys = ("service", "operator")


def check_files(document: Document, config: Config) -> None:
    """Notes what `footfall up` would not start without, where the configuration names it.

    Nothing is made and nobody is asked.

    Args:
        document: The configuration as it was written; what is wrong becomes a mistake of it.
        config: The same, checked.
    """
    operator = config.service.operator
    _check_keys(document, (*_OTLP, "auth", "keys_file"), config.keys_file)
    _check_keys(document, (*_OPERATOR, "keys_file"), operator.keys_file if operator else None)
    for path, tls in _listeners(config):
        if tls is not None:
            _check_tls(document, path, tls)
    _check_jwt(document, config)
    if config.postgres is not None:
        _check_store(document, config.postgres)
    asyncio.run(_check_subscribers(document, config))


def _listeners(config: Config) -> Iterator[tuple[Keys, TlsConfig | None]]:
    for path, listener in (
        ((*_OTLP, "protocols", "grpc", "tls"), config.grpc),
        ((*_OTLP, "protocols", "http", "tls"), config.http),
        ((*_OPERATOR, "tls"), config.service.operator),
    ):
        yield path, listener.tls if listener else None


def _check_keys(document: Document, path: Keys, file: str | None) -> None:
    from footfall_collector.security import keys

    if file is None:
        return
    if not _is_readable(document, path, file, f"make it: footfall keys new NAME --file {file}"):
        return
    try:
        keys.read(file)
    except DocumentError as error:
        document.mistakes += error.mistakes


def _check_tls(document: Document, path: Keys, tls: TlsConfig) -> None:
    from footfall_collector.security.tls import Tls

    files = {name: getattr(tls, name) for name in tls.__struct_fields__}
    advice = "correct the path, or let this user read it"
    there = [_is_readable(document, (*path, name), f, advice) for name, f in files.items() if f]
    if all(there):
        try:
            Tls(tls, "TLS")
        except StartError as error:
            document.wrong(path, str(error).removeprefix("TLS: "))


def _check_jwt(document: Document, config: Config) -> None:
    jwt = config.http_api.identity.jwt if config.http_api else None
    if jwt is None:
        return
    from footfall_collector.security.identity import key_sources

    try:
        key_sources.fixed(jwt)
    except StartError as error:
        document.wrong(_JWT, str(error).removeprefix("jwt: "))


def _check_store(document: Document, store: PostgresConfig) -> None:
    path: Keys = ("exporters", STORE)
    if store.spool is not None:
        _check_directory(document, (*path, "spool", "directory"), Path(store.spool.directory))
    if not store.dsn:
        directory = Path(store.data_directory) if store.data_directory else default_directory()
        _check_directory(document, (*path, "data_directory"), directory)


async def _check_subscribers(document: Document, config: Config) -> None:
    """Their files are read when they are opened; their backends are asked by the first request."""
    from footfall_collector.subscribers.group import opened

    async with AsyncExitStack() as stack:
        for name, exporter in config.subscribers.items():
            try:
                await opened(stack, name, exporter, config.catalog)
            except StartError as error:
                document.wrong(("exporters", name), str(error).removeprefix(f"exporter {name}: "))


def _is_readable(document: Document, path: Keys, file: str, advice: str) -> bool:
    """Whether a file can be read; a mistake where it cannot."""
    try:
        Path(file).open("rb").close()
    except OSError as error:
        document.wrong(path, f"{file} cannot be read: {error.strerror}; {advice}")
        return False
    return True


def _check_directory(document: Document, path: Keys, directory: Path) -> None:
    """A directory that is there, or can be made, and may be written to."""
    above = _nearest(directory)
    if not above.is_dir():
        document.wrong(path, f"{above} is no directory; name another, or move the file away")
    elif why := unwritable(directory):
        found = f"this user may not write to {above} ({why}); allow it, or name another"
        document.wrong(path, found)


def unwritable(directory: Path) -> str:
    """Why nothing can be written into a directory, or where it would be made; empty when it can."""
    try:
        with tempfile.TemporaryFile(dir=_nearest(directory)) as file:  # nameless: it leaves nothing
            file.write(b"\0")
            file.flush()
            os.fsync(file.fileno())
    except OSError as error:
        return error.strerror or type(error).__name__
    return ""


def _nearest(directory: Path) -> Path:
    """The directory, or the one below which it would be made."""
    above = directory.absolute()
    while not _is_there(above):
        above = above.parent
    return above


def _is_there(path: Path) -> bool:
    with suppress(OSError):  # below a file, or where this user may not look
        return os.path.lexists(path)
    return False
