"""What a site's own routes send on to the collector's HTTP API, with their key and the viewer."""

from collections.abc import Mapping
from typing import Final

from footfall._api import Answer, Api

THREADS: Final = 16
"""Requests, and connections, at once."""
_KEY_IS_WRONG: Final = (401, 403)


class Forwarding:
    """Sends requests with a key, which no answer has.

    Args:
        url: Of the API's prefix, such as http://localhost:4318/telemetry.
        key: An API key that may name viewers.
    """

    def __init__(self, url: str, key: str) -> None:
        self._api = Api(url, key, THREADS, _KEY_IS_WRONG)

    def send(
        self, method: str, target: str, viewer: str, headers: Mapping[str, bytes], body: bytes
    ) -> Answer:
        """What the collector says.

        Args:
            method: GET, POST or DELETE.
            target: Path below the prefix, and query.
            viewer: Whose request it is.
            headers: That go along.
            body: JSON, of a POST; else empty.

        Raises:
            Unreachable: it says nothing, or nothing that is meant for browsers.
        """
        return self._api.ask(method, target, {"footfall-viewer": viewer.encode(), **headers}, body)
