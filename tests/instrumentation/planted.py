"""Personal data that tests plant, and the search for it in what was sent."""

import base64
from typing import Any

SECRET = "zyxsecret"
ID = 123456789012345678


def secret(place: str) -> str:
    """A secret that tells where it was planted."""
    return f"{SECRET}-{place}@example.org"


def leaked(sent: bytes, *ids: int) -> list[bytes]:
    """The forms of the secret, and of ids, that are in raw bytes."""
    forms = (
        SECRET.encode(),
        SECRET.upper().encode(),
        SECRET.encode("utf-16-le"),
        SECRET.encode().hex().encode(),
        base64.b64encode(SECRET.encode())[:-2],
        *(form for n in ids for form in (str(n).encode(), n.to_bytes(8), n.to_bytes(8, "little"))),
    )
    return [form for form in forms if form in sent]


def assert_no_secret(received: Any, *controls: str) -> None:
    """Searches the raw bytes; the controls were sent on purpose and must be found the same way."""
    for text in controls:
        assert text.encode() in received.bytes
    assert leaked(received.bytes, ID) == []
