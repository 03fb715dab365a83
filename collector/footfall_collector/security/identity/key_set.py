"""The keys with which JWTs are verified: read from a secret, a PEM file or a JWKS (RFC 7517).

Each is bound to one algorithm by what it is, and never used with another: a public key that is taken for an
HS256 secret would let everybody sign.
"""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Final

import msgspec
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, EllipticCurvePublicKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.hazmat.primitives.serialization import load_pem_public_key
from jwt import PyJWK, PyJWTError
from jwt.algorithms import ECAlgorithm, HMACAlgorithm, RSAAlgorithm

from footfall_collector.errors import StartError

MOST_KEYS: Final = 64
"""Of a JWKS; further ones are not read."""
RSA_BITS: Final = range(2048, 8193)
"""Weaker keys can be broken; larger ones make verifying slow."""
_MEMBERS = {"RSA": ("kty", "n", "e"), "EC": ("kty", "crv", "x", "y")}
"""What makes a public key; a private one that stands there by mistake is not taken in."""


class KeySet:
    """Keys by algorithm and id.

    Args:
        keys: With their ids, None for a key that has none.
    """

    def __init__(self, keys: Iterable[tuple[str | None, PyJWK]] = ()) -> None:
        self._by_id: dict[tuple[str, str | None], PyJWK] = {}
        self._of: dict[str, list[tuple[str | None, PyJWK]]] = {}
        for kid, key in keys:
            self._by_id.setdefault((key.algorithm_name, kid), key)
            self._of.setdefault(key.algorithm_name, []).append((kid, key))

    def __len__(self) -> int:
        return len(self._by_id)

    def find(self, algorithm: str, kid: str | None) -> PyJWK | None:
        """The key of a token; where either has no id, the only one of the algorithm."""
        if kid is not None and (found := self._by_id.get((algorithm, kid))):
            return found
        match self._of.get(algorithm, ()):
            case [(known, key)] if kid is None or known is None:
                return key
        return None


class _Hmac(HMACAlgorithm):
    """HS256 with a secret that was looked at once: for each token it would take as long as all the rest."""

    def prepare_key(self, key: str | bytes) -> bytes:
        return key.encode() if isinstance(key, str) else key


def of_secret(secret: str) -> KeySet:
    """The key of HS256.

    Raises:
        StartError: it is no secret, but a public key.
    """
    key = secret.encode("utf-8", "surrogateescape")
    try:
        HMACAlgorithm(HMACAlgorithm.SHA256).prepare_key(key)
    except PyJWTError:
        advice = "name its file as public_key_file or jwks_file, and RS256 or ES256"
        raise StartError("jwt: `secret` holds a key that is public", advice) from None
    made = PyJWK(HMACAlgorithm.to_jwk(key, as_dict=True), "HS256")
    made.Algorithm = _Hmac(HMACAlgorithm.SHA256)
    return KeySet([(None, made)])


def of_pem(file: str, algorithms: Iterable[str]) -> KeySet:
    """The key of a PEM file.

    Raises:
        StartError: it cannot be read, is no public key, or none of these algorithms is its own.
    """
    content = _content(file)
    if b"PRIVATE KEY" in content:
        advice = "give the public one: `openssl pkey -pubout` makes it"
        raise StartError(f"{file} holds a private key", advice)
    try:
        algorithm, jwk = _of_object(load_pem_public_key(content))
        key = PyJWK(dict(jwk), algorithm)
    except Exception:  # whatever OpenSSL says of it
        advice = "it must be PEM: an RSA key of 2048 bits or more, or one of the curve P-256"
        raise StartError(f"{file} holds no public key that can be used", advice) from None
    if algorithm not in algorithms:
        right = f"name {algorithm} in `algorithms`"
        raise StartError(f"{file} holds a key for {algorithm}", right)
    return KeySet([(None, key)])


def of_jwks_file(file: str, algorithms: Iterable[str]) -> KeySet:
    """The keys of a JWKS in a file.

    Raises:
        StartError: it cannot be read, or has no key for these algorithms.
    """
    try:
        return of_jwks(_content(file), algorithms)
    except ValueError as error:
        raise StartError(f"{file} {error}", "it must be a JWKS (RFC 7517) of public keys") from None


def of_jwks(content: bytes, algorithms: Iterable[str]) -> KeySet:
    """The keys of a JWKS that can be used with these algorithms; others are passed over.

    Raises:
        ValueError: it is no JWKS, or has none.
    """
    try:
        entries = msgspec.json.decode(content, type=_Jwks).keys
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        raise ValueError("is no JWKS") from None
    wanted = frozenset(algorithms)
    found = (_of_entry(entry, wanted) for entry in entries[:MOST_KEYS])
    keys = KeySet(key for key in found if key is not None)
    if not keys:
        raise ValueError(f"has no key for {' or '.join(sorted(wanted))}")
    return keys


class _Jwks(msgspec.Struct):
    keys: list[dict[str, Any]]


def _of_entry(entry: Mapping[str, Any], wanted: frozenset[str]) -> tuple[str | None, PyJWK] | None:
    """An entry's id and key; None where it is of no use here, or broken."""
    kid, ops = entry.get("kid"), entry.get("key_ops")
    if entry.get("use", "sig") != "sig" or not isinstance(kid, str | None):
        return None
    if isinstance(ops, list) and "verify" not in ops:
        return None
    members = _MEMBERS.get(str(entry.get("kty")), ())
    try:
        public = PyJWK({name: entry[name] for name in members})
        algorithm, _ = _of_object(public.key)
    except (PyJWTError, KeyError, ValueError, TypeError):
        return None
    if algorithm not in wanted or entry.get("alg", algorithm) != algorithm:
        return None
    return kid, public


def _of_object(key: object) -> tuple[str, Mapping[str, Any]]:
    """The algorithm of a public key, and the key as a JWK.

    Raises:
        ValueError: none that is known here goes with it.
    """
    if isinstance(key, RSAPublicKey) and key.key_size in RSA_BITS:
        return "RS256", RSAAlgorithm.to_jwk(key, as_dict=True)
    if isinstance(key, EllipticCurvePublicKey) and isinstance(key.curve, SECP256R1):
        return "ES256", ECAlgorithm.to_jwk(key, as_dict=True)
    raise ValueError


def _content(file: str) -> bytes:
    try:
        return Path(file).read_bytes()
    except OSError as error:
        advice = "correct the path under `jwt`, or let this user read it"
        raise StartError(f"{file} cannot be read: {error.strerror}", advice) from None
