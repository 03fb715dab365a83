"""Requests to the collector's HTTP API, over connections that are kept, by `requests`; for threads."""

import os
from collections.abc import Mapping
from typing import Final, NamedTuple

import requests
from requests.adapters import HTTPAdapter

THREADS: Final = 16
"""Requests, and connections, at once."""
LONGEST_ANSWER: Final = 2**20
"""Bytes; a summary has some thousands."""
_PATIENCE_S: Final = (1.0, 5.0)
"""For a connection, and for each part of an answer."""
_RETURNED: Final = ("retry-after", "ratelimit", "ratelimit-policy", "traceparent")
_KEY_IS_WRONG: Final = (401, 403)


class Answer(NamedTuple):
    """What a browser is told, in JSON.

    Attributes:
        status: HTTP's.
        headers: Beside those that every answer has.
        body: JSON.
    """

    status: int
    headers: Mapping[str, str]
    body: bytes


class Unreachable(Exception):  # what happened, not a fault
    """The collector gives no answer that could be passed on.

    Args:
        why: For the log; nothing of a request, no address.
        is_there: Whether somebody answered at all.
    """

    def __init__(self, why: str, *, is_there: bool = False) -> None:
        super().__init__(why)
        self.why, self.is_there = why, is_there


class Forwarding:
    """Sends requests with a key, which no answer has.

    Args:
        url: Of the API's prefix, such as http://localhost:4318/telemetry.
        key: An API key that may name viewers.
    """

    def __init__(self, url: str, key: str) -> None:
        self._url = url.rstrip("/")
        self._own: dict[str, str | bytes] = {"user-agent": "footfall", "accept": "application/json"}
        if key:
            self._own["authorization"] = f"Bearer {key}"
        # Without a session: no cookie is kept, no redirect followed, and no netrc or proxy has a say.
        self._adapter = HTTPAdapter(pool_connections=1, pool_maxsize=THREADS, pool_block=True)

    def send(
        self, method: str, target: str, viewer: str, headers: Mapping[str, bytes], body: bytes
    ) -> Answer:
        """What the collector says.

        Args:
            method: GET or POST.
            target: Path below the prefix, and query.
            viewer: Whose request it is.
            headers: That go along.
            body: JSON; empty for GET.

        Raises:
            Unreachable: it says nothing, or nothing that is meant for browsers.
        """
        own = {**self._own, "footfall-viewer": viewer.encode(), **headers}
        if method == "POST":
            own["content-type"] = "application/json"
        try:
            request = requests.Request(method, self._url + target, own, data=body or None).prepare()
            answer = self._adapter.send(
                request, stream=True, timeout=_PATIENCE_S, verify=_authorities()
            )
            with answer:
                return _passed(answer)
        except (requests.RequestException, OSError) as error:
            raise Unreachable(type(error).__name__) from None


def _authorities() -> str | bool:
    """As `requests` itself would choose them."""
    return os.environ.get("REQUESTS_CA_BUNDLE") or os.environ.get("CURL_CA_BUNDLE") or True


def _passed(answer: requests.Response) -> Answer:
    if answer.status_code in _KEY_IS_WRONG:
        raise Unreachable("it does not take the key", is_there=True)
    if answer.headers.get("content-type", "").partition(";")[0].strip() != "application/json":
        raise Unreachable(f"something else answers ({answer.status_code})", is_there=True)
    body = answer.raw.read(LONGEST_ANSWER + 1, decode_content=True)
    if len(body) > LONGEST_ANSWER:
        raise Unreachable("its answer is too long", is_there=True)
    headers = {name: answer.headers[name] for name in _RETURNED if name in answer.headers}
    return Answer(answer.status_code, headers, body)
