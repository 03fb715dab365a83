"""Whoever signs tokens: keys, JWTs and JWKS, made of base64, HMAC and the official cryptography alone."""

import base64
import hashlib
import hmac
import json
import secrets
import time
from contextlib import asynccontextmanager
from functools import cache

import pytest
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from starlette.datastructures import Headers

from footfall_collector.config.identity import IdentityConfig, JwtConfig
from footfall_collector.security.identity.identities import identities
from footfall_collector.security.identity.identity import Unidentified

SECRET = secrets.token_hex(32)
PEER = "192.0.2.1"


def rsa_key(name="first", bits=2048):
    return _rsa_key(name, bits)


def ec_key(name="first", curve=ec.SECP256R1):
    return _ec_key(name, curve)


@cache
def _rsa_key(name, bits):
    return rsa.generate_private_key(65537, bits)


@cache
def _ec_key(name, curve):
    return ec.generate_private_key(curve())


def key_of(algorithm, name="first"):
    return {"HS256": SECRET, "RS256": rsa_key(name), "ES256": ec_key(name)}[algorithm]


def public_pem(key):
    return key.public_key().public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )


def coded(data):
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def signature(signed, algorithm, key):
    if algorithm == "HS256":
        key = key.encode() if isinstance(key, str) else key
        return hmac.digest(key, signed, hashlib.sha256)
    if algorithm == "RS256":
        return key.sign(signed, padding.PKCS1v15(), hashes.SHA256())
    assert algorithm == "ES256"
    pair = decode_dss_signature(key.sign(signed, ec.ECDSA(hashes.SHA256())))
    return b"".join(number.to_bytes(32) for number in pair)


def signed_token(head, payload, algorithm, key):
    """A token of two texts, whatever is in them."""
    signed = f"{coded(head.encode())}.{coded(payload.encode())}"
    return f"{signed}.{coded(signature(signed.encode(), algorithm, key))}"


def token(algorithm="RS256", key=None, kid=None, head=(), without=(), **claims):
    """A token of somebody, good for a minute unless the claims say otherwise."""
    said = {"sub": "anna", "sid": "s-1", "exp": int(time.time()) + 60} | claims
    said = {name: value for name, value in said.items() if name not in without}
    header = {"alg": algorithm, "typ": "JWT"} | ({} if kid is None else {"kid": kid}) | dict(head)
    signer = key_of(algorithm) if key is None else key
    return signed_token(json.dumps(header), json.dumps(said), algorithm, signer)


def jwk(key, kid=None, **members):
    """A public key as an entry of a JWKS."""
    numbers = key.public_key().public_numbers()
    if isinstance(key, rsa.RSAPrivateKey):
        parts = {"kty": "RSA", "n": numbers.n, "e": numbers.e}
    else:
        parts = {"kty": "EC", "crv": key.curve.name.replace("secp256r1", "P-256"),
                 "x": numbers.x, "y": numbers.y}  # fmt: skip
        parts["crv"] = parts["crv"].replace("secp384r1", "P-384")
    size = (key.key_size + 7) // 8
    found = {
        name: coded(number.to_bytes(3 if name == "e" else size))
        if isinstance(number, int)
        else number
        for name, number in parts.items()
    }
    return found | ({} if kid is None else {"kid": kid}) | members


def jwks(*entries):
    return json.dumps({"keys": list(entries)}).encode()


def bearer(text, **headers):
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return Headers({"authorization": f"Bearer {text}"} | named)


@asynccontextmanager
async def asked(jwt=None, *, header=None, development=None, **options):
    """Who says who is asking, by a configuration of JWTs or of a proxy."""
    config = IdentityConfig(
        jwt=JwtConfig(**jwt) if jwt else None, header=header, development=development
    )
    async with identities(config, **options) as found:
        yield found


async def who(asking, headers, peer=PEER, method="POST"):
    return await asking.of(headers, peer, method)


async def refused(asking, headers, peer=PEER, method="POST"):
    """The reason why nobody is known."""
    with pytest.raises(Unidentified) as caught:
        await asking.of(headers, peer, method)
    return str(caught.value.reason)
