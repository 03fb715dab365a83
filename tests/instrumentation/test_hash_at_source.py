"""Attributes with `hash`, hashed before they are sent (TELEMETRY_HASH_SALT), and hashed again."""

import hashlib
import uuid

import pytest

from footfall import Client

SALT = "7f1c0e5a94d2b8631ea07c5d49f2b6830d1e"


def hashed(name, text):
    """RFC 2104 by hand: what the documentation says is sent."""
    key = SALT.encode().ljust(64, b"\0")
    inner = hashlib.sha256(bytes(b ^ 0x36 for b in key) + f"{name}\0{text}".encode()).digest()
    outer = hashlib.sha256(bytes(b ^ 0x5C for b in key) + inner).digest()
    return str(uuid.UUID(bytes=outer[:16]))


def varint(number):
    """protobuf, "Encoding"."""
    parts = []
    while number > 127:
        parts.append(number & 127 | 128)
        number >>= 7
    return bytes([*parts, number])


def test_the_value_itself_never_leaves_the_process(connect, received, monkeypatch):
    monkeypatch.setenv("TELEMETRY_HASH_SALT", SALT)
    client = connect(received.endpoint)
    client.event("shop.order", guild_id="112233445566778899", user_id=998877665544332211)
    client.event("shop.order", guild_id=112233445566778899)
    with client.feature("shop.order", guild_id="zürich"):
        pass
    assert client.flush()
    first, number, text = received.observations()
    assert first["guild_id"] == number["guild_id"] == hashed("guild_id", "112233445566778899")
    assert first["user_id"] == hashed("user_id", "998877665544332211")
    assert text["guild_id"] == hashed("guild_id", "zürich")
    assert b"112233445566778899" not in received.bytes
    assert varint(998877665544332211) not in received.bytes
    assert received.dropped() == {}


def test_what_cannot_be_hashed_is_dropped_and_counted(connect, received, monkeypatch):
    monkeypatch.setenv("TELEMETRY_HASH_SALT", SALT)
    client = connect(received.endpoint)
    for value in ([], {}, 1.5, b"x", object()):
        client.event("shop.order", guild_id=value)
    assert client.flush()
    assert not any("guild_id" in each for each in received.observations())
    assert received.dropped() == {"wrong_type": 5}


@pytest.mark.parametrize("salt", ["x", "x" * 31])
def test_a_salt_that_is_too_short_keeps_telemetry_off(catalog, received, monkeypatch, caplog, salt):
    monkeypatch.setenv("TELEMETRY_HASH_SALT", salt)
    client = Client()
    client.configure(catalog, received.endpoint, enabled=True)
    assert client.recorder is None
    assert "TELEMETRY_HASH_SALT must be at least 32 bytes" in caplog.text


@pytest.mark.parametrize("salt", ["", SALT])
def test_a_uuid_is_the_same_in_every_spelling(received, monkeypatch, tmp_path, salt):
    monkeypatch.setenv("TELEMETRY_HASH_SALT", salt)
    (tmp_path / "uuids.yaml").write_text(
        "product: shop\nattributes: {key: {type: uuid, hash: daily}}\n"
        "events: {shop.use: {surface: web, feature: use, attributes: [key]}}\n"
    )
    client = Client(strict=True)
    client.configure(tmp_path / "uuids.yaml", received.endpoint, enabled=True)
    key = uuid.UUID("0d6bbde3-9f1d-4b58-9f0e-0c4a7c1c0e39")
    for spelling in (key, str(key), str(key).upper(), key.hex, f"{{{key}}}"):
        client.event("shop.use", key=spelling)
    client.event("shop.use", key="walker@example.org")
    assert client.shutdown()
    *keys, wrong = [o.get("key") for o in received.observations()]
    assert set(keys) == {hashed("key", str(key)) if salt else str(key)}
    assert wrong is None
    assert received.dropped() == {"wrong_type": 1}
