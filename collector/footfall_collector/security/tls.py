"""TLS of the listeners, with certificates that are replaced while connections go on."""

import datetime as dt
import logging
import ssl
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import grpc

from footfall_collector.config.schema import TlsConfig
from footfall_collector.errors import StartError

log = logging.getLogger("footfall.tls")


class _Replaceable(ssl.SSLContext):
    """What asyncio listens with; each new connection is that of the context in force.

    Loading a certificate into a context that is in use would keep its former client authorities and
    session tickets; a context of its own for every generation keeps nothing.
    """

    in_force: ssl.SSLContext

    def wrap_bio(self, *args: Any, **options: Any) -> ssl.SSLObject:
        """See ssl.SSLContext; asyncio calls it for each connection."""
        return self.in_force.wrap_bio(*args, **options)


@dataclass(frozen=True, slots=True)
class _Loaded:
    """The files as they were read at one time."""

    context: ssl.SSLContext
    grpc: grpc.ServerCertificateConfiguration
    expires: dt.datetime


class Tls:
    """A listener's certificate, and who may connect.

    Args:
        config: Its files.
        what: The listener, for messages.

    Attributes:
        what: The listener.
        context: For uvicorn and asyncio; TLS 1.2 or newer.

    Raises:
        StartError: a file is missing, unreadable or wrong, or the certificate is not valid now.
    """

    def __init__(self, config: TlsConfig, what: str) -> None:
        self._config, self.what = config, what
        self._loaded = _load(config, what)
        self.context = _Replaceable(ssl.PROTOCOL_TLS_SERVER)
        self.context.in_force = self._loaded.context

    @property
    def expires(self) -> dt.datetime:
        """When the certificate in force ends (UTC)."""
        return self._loaded.expires

    def reload(self) -> bool:
        """Reads the files again, for connections that come; whether what they hold is in force now.

        When something is wrong with them it is logged, and what was in force stays.
        """
        try:
            self._loaded = _load(self._config, self.what)
        except StartError as error:
            log.error("%s; the former certificate stays in force", error)
            return False
        self.context.in_force = self._loaded.context
        return True

    def grpc_credentials(self) -> grpc.ServerCredentials:
        """For `add_secure_port`; gRPC speaks TLS 1.2 or newer."""
        given = self._loaded

        def newer() -> grpc.ServerCertificateConfiguration | None:
            nonlocal given
            if self._loaded is given:
                return None
            given = self._loaded
            return given.grpc

        return grpc.dynamic_ssl_server_credentials(
            given.grpc,
            newer,  # type: ignore[arg-type]  # None means no change, as its documentation says
            require_client_authentication=self._config.client_ca_file is not None,
        )


def _load(config: TlsConfig, what: str) -> _Loaded:
    before = _read(config, what)
    context = _context(config, what)
    expires = _check(config, what)
    if _read(config, what) != before:
        raise StartError(f"{what}: the certificate was replaced while it was read", "do it again")
    pair, authorities = before
    return _Loaded(context, grpc.ssl_server_certificate_configuration([pair], authorities), expires)


def _read(config: TlsConfig, what: str) -> tuple[tuple[bytes, bytes], bytes | None]:
    """What is in the files: key and certificate, and the clients' authorities."""
    pair = _content(config.key_file, what), _content(config.cert_file, what)
    authorities = config.client_ca_file
    return pair, None if authorities is None else _content(authorities, what)


def _content(file: str, what: str) -> bytes:
    try:
        return Path(file).read_bytes()
    except OSError as error:
        raise StartError(
            f"{what}: {file} cannot be read: {error.strerror}",
            "correct the path under `tls`, or let this user read it",
        ) from None


def _context(config: TlsConfig, what: str) -> ssl.SSLContext:
    """A context with the certificate, and with the clients' authorities where they are named."""
    context = _own(config, what)
    if config.client_ca_file is not None:
        try:
            context.load_verify_locations(config.client_ca_file)
        except ssl.SSLError:
            raise StartError(
                f"{what}: {config.client_ca_file} holds no certificate in PEM"
            ) from None
        _check_authorities(context, config.client_ca_file, what)
        context.verify_mode = ssl.CERT_REQUIRED
    return context


def _own(config: TlsConfig, what: str) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    try:
        # Without a passphrase at hand, OpenSSL would ask for one on the terminal.
        context.load_cert_chain(config.cert_file, config.key_file, password=lambda: b"")
    except ssl.SSLError as error:
        found, advice = _plainly(error, config)
        raise StartError(f"{what}: {found}", advice) from None
    return context


def _plainly(error: ssl.SSLError, config: TlsConfig) -> tuple[str, str]:
    """What is wrong, and what to do."""
    cert, key = config.cert_file, config.key_file
    if error.reason == "KEY_VALUES_MISMATCH":
        return f"{key} is not the key of {cert}", "name the two that were made together"
    if b"ENCRYPTED" in Path(key).read_bytes():
        return f"{key} has a passphrase", "store it without one, readable for this user only"
    reason = f" ({error.reason})" if error.reason else ""
    found = f"{cert} and {key} are no certificate and key that can be used{reason}"
    return found, "both must be PEM, the certificate with its chain"


def _check_authorities(context: ssl.SSLContext, file: str, what: str) -> None:
    ends = [str(found["notAfter"]) for found in context.get_ca_certs()]
    if ends and all(ssl.cert_time_to_seconds(end) < time.time() for end in ends):
        found = f"{what}: every authority in {file} has expired"
        raise StartError(found, "no client could connect")


def _check(config: TlsConfig, what: str) -> dt.datetime:
    """Meets a client of our own, who trusts this certificate alone: OpenSSL's verdict, and its end (UTC)."""
    client = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    client.check_hostname = False
    client.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
    client.load_verify_locations(config.cert_file)
    try:
        end = _meet(client, _own(config, what))
    except ssl.SSLError as error:
        reason = getattr(error, "verify_message", error.reason)
        raise StartError(
            f"{what}: clients would refuse {config.cert_file}: {reason}",
            "put a valid certificate there",
        ) from None
    return dt.datetime.fromtimestamp(end, dt.UTC)


def _meet(client: ssl.SSLContext, server: ssl.SSLContext) -> float:
    """A handshake in memory; the end of the server's certificate, in seconds since the Unix epoch.

    Raises:
        ssl.SSLError: they do not come together.
    """
    there, back = ssl.MemoryBIO(), ssl.MemoryBIO()
    asking = client.wrap_bio(back, there)
    answering = server.wrap_bio(there, back, server_side=True)
    for side in (asking, answering) * 3:
        with suppress(ssl.SSLWantReadError):
            side.do_handshake()
    certificate = asking.getpeercert() or {}
    return float(ssl.cert_time_to_seconds(str(certificate["notAfter"])))
