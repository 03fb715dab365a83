"""Why a collector takes nothing, in words, and what to do about it."""

from typing import Final, NamedTuple


class Failure(NamedTuple):
    """How a request failed.

    Attributes:
        status: The answer's HTTP status or gRPC status, or what it is instead of OTLP's; empty where there
            was no answer.
        late: Whether time ran out.
    """

    status: str
    late: bool = False


class Reason(NamedTuple):
    """Why nothing is taken: `{status}`, `{protocol}`, `{timeout}` and `{detail}` are filled in.

    Attributes:
        what: A sentence's second half.
        remedy: What to do.
        detail: In a library's words.
    """

    what: str
    remedy: str
    detail: str = ""


_KEY: Final = Reason(
    "it refuses the key, or wants one ({status})",
    'give the key of its operator: configure(headers={{"authorization": "Bearer ..."}}) or FOOTFALL_HEADERS',
)
_FORBIDDEN: Final = Reason(
    "the key may not send this ({status})",
    "is it the key for this service's name? It may be given another one, or a proxy refuses the request",
)
_PATH: Final = Reason(
    "nothing takes OTLP there ({status})",
    "is it the collector's endpoint, without a path, and its port for {protocol}?",
)
_MOVED: Final = Reason(
    "it answers that it is elsewhere ({status}), and a key is sent to no other address",
    "name that address in the endpoint; often it is the same with https://",
)
_LARGE: Final = Reason(
    "the requests are too large ({status})",
    "lower TELEMETRY_BATCH_SIZE, or raise the limit of the collector or of the proxy before it",
)
_BUSY: Final = Reason(
    "it takes nothing at present ({status})",
    "it is overloaded, or cannot reach its database: look at its log, or `footfall doctor`",
)
_OTHER: Final = Reason("it answers with an error ({status})", "look at its log")
REJECTED: Final = Reason(
    "it refuses all counters", "is this host's clock right, and the collector's?"
)
LATE: Final = Reason(
    "it does not answer within {timeout:g} s",
    "is it overloaded, or does a firewall drop the packets? FOOTFALL_TIMEOUT allows more time",
)
REFUSED: Final = Reason(
    "the connection is refused: nothing listens there",
    "start the collector there (`footfall up`), or correct the endpoint",
)
UNRESOLVED: Final = Reason(
    "the host's name cannot be resolved", "correct the endpoint, or the host's DNS"
)
UNREACHABLE: Final = Reason(
    "the host cannot be reached",
    "correct the endpoint, or look at the network's routes and firewalls",
)
SPEAKS_HTTP: Final = Reason(
    "it speaks HTTP, not gRPC",
    "name its port for gRPC (usually 4317), or send by http/protobuf: configure(protocol=...) or"
    " FOOTFALL_PROTOCOL",
)
SPEAKS_GRPC: Final = Reason(
    "it speaks gRPC, not HTTP",
    "name its port for HTTP (usually 4318), or send by grpc: configure(protocol=...) or FOOTFALL_PROTOCOL",
)
WANTS_TLS: Final = Reason("it expects TLS", "write https:// in the endpoint")
NO_TLS: Final = Reason("it does not speak TLS", "write http:// in the endpoint, or another port")
UNTRUSTED: Final = Reason(
    "its TLS certificate is not trusted: {detail}",
    "name its authority's file: configure(certificate=...) or FOOTFALL_CERTIFICATE",
)
OTHER_NAME: Final = Reason(
    "its TLS certificate is for another name",
    "name the host in the endpoint as the certificate does",
)
TLS: Final = Reason(
    "the TLS handshake fails: {detail}",
    "does it want a client's certificate (FOOTFALL_CLIENT_CERTIFICATE, FOOTFALL_CLIENT_KEY)?",
)
CLOSED: Final = Reason(
    "it closes the connection", "is it the collector's endpoint, and its port for {protocol}?"
)

_BY_STATUS: Final = {
    "401": _KEY, "UNAUTHENTICATED": _KEY,
    "403": _FORBIDDEN, "PERMISSION_DENIED": _FORBIDDEN,
    "301": _MOVED, "302": _MOVED, "303": _MOVED, "307": _MOVED, "308": _MOVED,
    "404": _PATH, "405": _PATH, "415": _PATH, "UNIMPLEMENTED": _PATH,
    "text/html": _PATH,
    "413": _LARGE, "RESOURCE_EXHAUSTED": _LARGE,
    "UNAVAILABLE": _BUSY, "429": _BUSY, "502": _BUSY, "503": _BUSY, "504": _BUSY,
}  # fmt: skip
UNCLEAR: Final = frozenset(
    ("", "UNAVAILABLE", "DEADLINE_EXCEEDED", "CANCELLED", "UNKNOWN", "INTERNAL")
)
"""Statuses that a gRPC library gives as well when there was no answer."""


def by_status(failure: Failure) -> Reason:
    """What an answer says."""
    if failure.late:
        return LATE
    return _BY_STATUS.get(failure.status, _OTHER) if failure.status else CLOSED
