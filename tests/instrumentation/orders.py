"""How uses of `shop.order`, of the catalog in conftest.py, arrive."""

from typing import Any

from footfall import Client

FIXED = {"event": "shop.order", "feature.surface": "web", "feature.name": "order"}
SUCCESS = FIXED | {"feature.action": "success", "feature.status": "ok"}


def failure(status: str, error: str) -> dict[str, str]:
    return FIXED | {"feature.action": "failure", "feature.status": status, "error.type": error}


def observed(client: Client, received: Any) -> list[dict[str, Any]]:
    assert client.flush()
    return list(received.observations())
