"""Who may be asking: what a configuration says of JWTs, of a proxy that names users, of development."""

import ipaddress
from typing import Annotated, TypeAlias
from urllib.parse import urlsplit

import msgspec

from footfall_processors.hashing import MINIMUM_STRENGTH, strength

SHORTEST_SECRET = 32
"""Bytes of an HS256 secret (RFC 7518, 3.2)."""
Algorithm = Annotated[
    str,
    msgspec.Meta(pattern=r"^(HS256|RS256|ES256)$(?!\n)", description="HS256, RS256 or ES256"),
]
Network: TypeAlias = ipaddress.IPv4Network | ipaddress.IPv6Network
ClaimName = Annotated[str, msgspec.Meta(min_length=1, max_length=128)]
HeaderName = Annotated[
    str,
    msgspec.Meta(
        pattern=r"^[A-Za-z0-9!#$%&'*+.^_`|~-]{1,128}$(?!\n)",
        description="a header's name (RFC 9110, 5.1)",
    ),
]


class _Struct(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    pass


class ClaimsConfig(_Struct, frozen=True):
    """Which claim of a JWT says what; null for none.

    Attributes:
        viewer: Whose counts these are, and whose summary may be read.
        owner: Whose events and ratings these are.
        session: The session in which they act.
    """

    viewer: ClaimName | None = "sub"
    owner: ClaimName | None = "sub"
    session: ClaimName | None = "sid"

    def __post_init__(self) -> None:
        if self.viewer is None and self.owner is None:
            raise ValueError("a token would name nobody: set viewer, owner, or both")


class JwtConfig(_Struct, frozen=True):
    """JWTs that the application, or its identity provider, has signed; they must expire (`exp`).

    A key goes with its own kind of algorithm: `secret` with HS256; a public key with RS256 or ES256, from one
    of `public_key_file`, `jwks_file` and `jwks_url`.

    Attributes:
        algorithms: Those that are taken.
        secret: Of HS256; 32 bytes or more.
        public_key_file: An RSA key, or one of the curve P-256; PEM.
        jwks_file: A set of keys (RFC 7517).
        jwks_url: The same, fetched and kept; https, or http from this machine.
        issuer: What `iss` must be; anything without.
        audience: What `aud` must hold; without it, tokens that are for somebody (`aud`) are refused.
        leeway_s: How far clocks may differ, in seconds.
        claims: Which claim says what.
    """

    algorithms: tuple[Algorithm, ...]
    secret: str | None = None
    public_key_file: str | None = None
    jwks_file: str | None = None
    jwks_url: str | None = None
    issuer: Annotated[str, msgspec.Meta(min_length=1)] | None = None
    audience: Annotated[str, msgspec.Meta(min_length=1)] | None = None
    leeway_s: Annotated[float, msgspec.Meta(ge=0, le=300)] = 30
    claims: ClaimsConfig = ClaimsConfig()

    def __post_init__(self) -> None:
        self._check_keys()
        if self.secret is not None:
            _check_secret(self.secret)
        if self.jwks_url is not None:
            _check_url(self.jwks_url)

    def __repr__(self) -> str:
        """The class alone: it holds a secret, and a repr ends in logs."""
        return f"{type(self).__name__}(...)"

    @property
    def public_algorithms(self) -> tuple[str, ...]:
        """Those of public keys."""
        return tuple(name for name in self.algorithms if name != "HS256")

    def _check_keys(self) -> None:
        """That there is a key for each kind of algorithm, and no other."""
        public = (self.public_key_file, self.jwks_file, self.jwks_url)
        given = sum(each is not None for each in public)
        asymmetric = self.public_algorithms
        if not self.algorithms:
            raise ValueError("`algorithms` must name at least one of HS256, RS256 and ES256")
        if "HS256" in self.algorithms and self.secret is None:
            raise ValueError("HS256 needs `secret`: no file or URL of public keys can stand for it")
        if self.secret is not None and "HS256" not in self.algorithms:
            raise ValueError("`secret` is for HS256, which `algorithms` does not name")
        if asymmetric and given != 1:
            need = "set one of public_key_file, jwks_file and jwks_url"
            raise ValueError(f"for {' and '.join(sorted(asymmetric))}, {need}; there are {given}")
        if given and not asymmetric:
            raise ValueError("public keys are for RS256 and ES256: add the one that signs")


class ProxyConfig(_Struct, frozen=True):
    """A proxy in front that knows the user and says so in a header; it must replace what clients send of it.

    Attributes:
        name: The header with the viewer, who is the owner as well where no other header says it.
        from_: Addresses and networks of the proxy (`from`); from anybody else the headers mean nothing.
        owner: A header with the owner.
        session: A header with the session.
    """

    name: HeaderName
    from_: Annotated[tuple[str, ...], msgspec.Meta(min_length=1)] = msgspec.field(name="from")
    owner: HeaderName | None = None
    session: HeaderName | None = None

    def __post_init__(self) -> None:
        self.networks()

    def networks(self) -> tuple[Network, ...]:
        """`from`, with IPv4 networks written as IPv6 ones as what they are.

        Raises:
            ValueError: one is no network, or is everybody.
        """
        return tuple(map(_network, self.from_))


class IdentityConfig(_Struct, frozen=True):
    """Who is asking, beside whoever has an API key or a session token.

    Attributes:
        jwt: Of the application or its identity provider; none without.
        header: Of a proxy that is trusted; none without.
        development: Whether anybody may call themselves what they like (`x-sd-viewer`). It can be had in
            development alone, where it is on unless this is false.
    """

    jwt: JwtConfig | None = None
    header: ProxyConfig | None = None
    development: bool | None = None


def is_loopback(host: str) -> bool:
    """Whether a host, as URLs have it, is this machine."""
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return host.lower() == "localhost"


def _check_secret(secret: str) -> None:
    make_one = "make one with `openssl rand -hex 32`"
    if len(secret.encode("utf-8", "surrogateescape")) < SHORTEST_SECRET:
        raise ValueError(f"`secret` must be at least {SHORTEST_SECRET} bytes: {make_one}")
    if strength(secret) < MINIMUM_STRENGTH:
        raise ValueError(f"`secret` is easy to guess: {make_one}")


def _check_url(url: str) -> None:
    """What says why is not quoted: a URL may hold a key."""
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port
    except ValueError:
        raise ValueError("`jwks_url` is not a URL") from None
    if parts.scheme not in ("https", "http") or not host or port == 0:
        raise ValueError("`jwks_url` must be an https:// URL")
    if parts.username is not None or parts.fragment or not url.isprintable() or " " in url:
        raise ValueError("`jwks_url` must have no user name, no fragment and no spaces")
    if parts.scheme == "http" and not is_loopback(host):
        raise ValueError("`jwks_url` must be https: whoever is between could put keys of their own")


def _network(text: str) -> Network:
    try:
        network: Network = ipaddress.ip_network(text)
    except ValueError:
        raise ValueError(f"`from`: {_right(text)}") from None
    if isinstance(network, ipaddress.IPv6Network):
        inner = network.network_address.ipv4_mapped
        if inner is not None and network.prefixlen >= 96:
            network = ipaddress.IPv4Network((inner, network.prefixlen - 96))
    if network.prefixlen == 0:
        raise ValueError("`from`: that is everybody; name the proxy's own addresses")
    return network


def _right(text: str) -> str:
    """What would be right in place of what is no network."""
    try:
        return (
            f"{text} is an address in a network; write {ipaddress.ip_network(text, strict=False)}"
        )
    except ValueError:
        return "must be addresses and networks, as 10.0.0.7 or 10.0.0.0/24"
