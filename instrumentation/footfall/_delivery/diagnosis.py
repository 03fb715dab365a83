"""A look at an endpoint that takes nothing: what listens there, and what does it speak?

The libraries that send say little about it, each in words of its own. Here plain sockets ask one question
after the other, by RFC 9113 (HTTP/2), 9112 (HTTP/1.1) and 8446 (TLS). No telemetry, header or key is sent.
"""

import socket
import ssl
from contextlib import suppress
from typing import Final
from urllib.parse import SplitResult, urlsplit

from footfall._delivery import reasons
from footfall._delivery.reasons import Reason
from footfall._destination import Destination

_HTTP2: Final = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + bytes([0, 0, 0, 4, 0, 0, 0, 0, 0])
"""A client's first words: the preface and an empty SETTINGS frame."""
_SETTINGS: Final = 4
"""The type of the frame that a server of HTTP/2 begins with; it stands in the fourth byte."""
_ALERT: Final = b"\x15\x03"
"""How a server of TLS answers who speaks no TLS."""
_NAME_MISMATCH: Final = frozenset((62, 64))
"""X509_V_ERR_HOSTNAME_MISMATCH, X509_V_ERR_IP_ADDRESS_MISMATCH (OpenSSL, x509_vfy.h)."""
_NO_TLS: Final = frozenset(
    (None, "HTTP_REQUEST", "PACKET_LENGTH_TOO_LONG", "RECORD_LAYER_FAILURE", "WRONG_VERSION_NUMBER")
)
"""What OpenSSL calls an answer that is none of TLS; None where the connection is just closed."""


def diagnose(to: Destination, patience: float) -> Reason | None:
    """Why nothing can be sent; None when what listens speaks as it should.

    Args:
        to: Where it should go.
        patience: Seconds to wait for each answer.
    """
    try:
        return _ask(to, urlsplit(to.endpoint), patience)
    except UnicodeError:  # no name that could be looked up
        return reasons.UNRESOLVED
    except OSError as error:
        return _named(error)


def _ask(to: Destination, url: SplitResult, patience: float) -> Reason | None:
    wants_grpc = to.protocol == "grpc"
    request = f"OPTIONS * HTTP/1.1\r\nHost: {url.hostname}\r\nConnection: close\r\n\r\n".encode()
    answer = _answer(to, url, _HTTP2 if wants_grpc else request, patience)
    if not answer and url.scheme == "https":
        # TLS 1.3 refuses a client without a certificate only when it has begun to speak.
        return reasons.TLS._replace(detail="it closes the connection after it")
    if _is_http2(answer):
        return None if wants_grpc else reasons.SPEAKS_GRPC
    if url.scheme == "http" and _is_of_tls(answer, url, patience):
        return reasons.WANTS_TLS
    if not wants_grpc:
        return None if _is_http1(answer) else reasons.CLOSED
    # Not every server of HTTP/1.1 finds words for what it does not know.
    if _is_http1(answer) or _is_http1(_answer(to, url, request, patience)):
        return reasons.SPEAKS_HTTP
    return reasons.CLOSED


def _answer(to: Destination, url: SplitResult, words: bytes, patience: float) -> bytes:
    """What a server answers to a client's first words; nothing where it closes the connection.

    Raises:
        OSError: there is no connection, or no answer in time.
    """
    with _connected(url, patience) as plain:
        if url.scheme == "http":
            return _exchange(plain, words)
        with _secured(plain, to, url) as secure:
            return _exchange(secure, words)


def _exchange(connection: socket.socket, words: bytes) -> bytes:
    with suppress(ConnectionError, ssl.SSLError):  # the handshake was fine
        connection.sendall(words)
        return _read(connection)
    return b""


def _is_http1(answer: bytes) -> bool:
    return answer.startswith(b"HTTP/")


def _is_http2(answer: bytes) -> bool:
    return answer[3:4] == bytes([_SETTINGS]) and not _is_http1(answer)


def _connected(url: SplitResult, patience: float) -> socket.socket:
    port = url.port or (443 if url.scheme == "https" else 80)
    return socket.create_connection((url.hostname or "", port), patience)


def _secured(plain: socket.socket, to: Destination, url: SplitResult) -> ssl.SSLSocket:
    context = ssl.create_default_context(cafile=to.certificate or None)
    context.set_alpn_protocols(["h2" if to.protocol == "grpc" else "http/1.1"])
    if to.client_certificate:
        context.load_cert_chain(to.client_certificate, to.client_key or None)
    return context.wrap_socket(plain, server_hostname=url.hostname)


def _named(error: OSError) -> Reason:
    """The reason that an error stands for."""
    match error:
        case socket.gaierror():
            return reasons.UNRESOLVED
        case ConnectionRefusedError():
            return reasons.REFUSED
        case TimeoutError():
            return reasons.LATE
        case ssl.SSLCertVerificationError() if error.verify_code in _NAME_MISMATCH:
            return reasons.OTHER_NAME
        case ssl.SSLCertVerificationError():
            return reasons.UNTRUSTED._replace(detail=error.verify_message)
        case ssl.SSLError() if error.reason in _NO_TLS:
            return reasons.NO_TLS
        case ssl.SSLError():
            return reasons.TLS._replace(detail=error.reason.lower().replace("_", " "))
        case ConnectionError():
            return reasons.CLOSED
    return reasons.UNREACHABLE


def _read(connection: socket.socket) -> bytes:
    """The beginning of an answer: enough to know it by."""
    answer = b""
    while len(answer) < 512 and (more := connection.recv(512)):
        answer += more
        if _is_http2(answer) or b"\r\n\r\n" in answer:
            break
    return answer


def _is_of_tls(answer: bytes, url: SplitResult, patience: float) -> bool:
    """Whether a server answers like one of TLS; some close without a word, which a handshake settles."""
    if answer.startswith(_ALERT) or b"HTTPS" in answer:
        return True
    if _is_http1(answer):
        return False
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    with suppress(OSError), _connected(url, patience) as plain:
        context.wrap_socket(plain, server_hostname=url.hostname).close()
        return True
    return False
