"""What a browser believes that it talks to, and where a request of one comes from (ADR 39).

A web page can have its visitor's browser send requests to a name that it points here (DNS rebinding), and to
a server of which it knows the address. Both are told by what browsers, and no page, say of a request.
"""

import ipaddress
from collections.abc import Mapping, Sequence
from urllib.parse import urlsplit


def host_of(header: str) -> str:
    """The host that a `Host` header names, without its port; empty where it names none."""
    if header.startswith("["):
        return header[1 : header.find("]")]
    return header.partition(":")[0].lower().removesuffix(".")


def is_loopback(host: str) -> bool:
    """Whether a host is this machine."""
    if host.lower() == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def is_address(host: str) -> bool:
    """Whether it is an address, not a name that anybody may point anywhere."""
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True


class Hosts:
    """The names of a listener.

    Args:
        names: As the configuration says: beside these there is no other.
        also: Those that follow from other settings.
    """

    def __init__(self, names: Sequence[str] = (), also: Sequence[str] = ()) -> None:
        every = (name.lower().removesuffix(".") for name in (*names, *also))
        self._names, self._are_all = frozenset(every), bool(names)

    def __bool__(self) -> bool:
        """Whether all are configured."""
        return self._are_all

    def is_ours(self, host: str) -> bool:
        """Whether it is one of them, or this machine."""
        return is_loopback(host) or host in self._names

    def has(self, host: str) -> bool:
        """Whether it is one of them, this machine, or any address."""
        return self.is_ours(host) or is_address(host)


def is_own(headers: Mapping[str, str]) -> bool:
    """Whether a request comes of a page of this very host, as browsers tell it.

    Browsers of today say so in `Sec-Fetch-Site`, and no page can change that; others name its origin.
    """
    site = headers.get("sec-fetch-site")
    if site is not None:
        return site == "same-origin"
    try:
        origin = urlsplit(headers.get("origin", ""))
    except ValueError:
        return False
    return origin.scheme in ("http", "https") and origin.netloc == headers.get("host")


def local(target: str) -> str:
    """A path of this host, with its query; `/` for whatever would lead elsewhere."""
    is_path = target.startswith("/") and target[1:2] not in ("/", "\\")
    is_plain = target.isascii() and target.isprintable() and not {" ", "\\"} & set(target)
    return target if is_path and is_plain and len(target) <= 2048 else "/"
