"""Requests to the collector's HTTP API, over connections that are kept, by `requests`; for threads."""

import os
from collections.abc import Collection, Mapping
from typing import Final, NamedTuple

import requests
from requests.adapters import HTTPAdapter

LONGEST_ANSWER: Final = 2**20
"""Bytes; a summary has some thousands."""
PATIENCE_S: Final = (1.0, 5.0)
"""For a connection, and for each part of an answer."""
_RETURNED: Final = ("retry-after", "ratelimit", "ratelimit-policy", "traceparent")


class Answer(NamedTuple):
    """What is answered, in JSON.

    Attributes:
        status: HTTP's.
        headers: Those that may be passed on.
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


class Api:
    """Sends requests; no cookie is kept, no redirect followed, and no netrc or proxy has a say.

    Args:
        url: Of the API's prefix, such as http://localhost:4318/telemetry.
        key: An API key; empty for none. No answer has it.
        connections: At once.
        denied: Statuses by which the key is refused.
    """

    def __init__(
        self, url: str, key: str = "", connections: int = 1, denied: Collection[int] = ()
    ) -> None:
        self._url, self._denied = url.rstrip("/"), denied
        self._own: dict[str, str | bytes] = {"user-agent": "footfall", "accept": "application/json"}
        if key:
            self._own["authorization"] = f"Bearer {key}"
        self._adapter = HTTPAdapter(pool_connections=1, pool_maxsize=connections, pool_block=True)

    def ask(
        self, method: str, target: str, headers: Mapping[str, bytes], body: bytes = b""
    ) -> Answer:
        """What the collector says.

        Args:
            method: HTTP's.
            target: Path below the prefix, and query.
            headers: That go along.
            body: JSON, of a POST; else empty.

        Raises:
            Unreachable: it says nothing, or nothing of the API's.
        """
        sent = {**self._own, **headers}
        if method == "POST":
            sent["content-type"] = "application/json"
        try:
            request = requests.Request(
                method, self._url + target, sent, data=body or None
            ).prepare()
            answer = self._adapter.send(
                request, stream=True, timeout=PATIENCE_S, verify=_authorities()
            )
            with answer:
                return self._passed(answer)
        except (requests.RequestException, OSError) as error:
            raise Unreachable(type(error).__name__) from None

    def _passed(self, answer: requests.Response) -> Answer:
        if answer.status_code in self._denied:
            raise Unreachable("it does not take the key", is_there=True)
        if answer.headers.get("content-type", "").partition(";")[0].strip() != "application/json":
            raise Unreachable(f"something else answers ({answer.status_code})", is_there=True)
        body = answer.raw.read(LONGEST_ANSWER + 1, decode_content=True)
        if len(body) > LONGEST_ANSWER:
            raise Unreachable("its answer is too long", is_there=True)
        headers = {name: answer.headers[name] for name in _RETURNED if name in answer.headers}
        return Answer(answer.status_code, headers, body)


def _authorities() -> str | bool:
    """As `requests` itself would choose them."""
    return os.environ.get("REQUESTS_CA_BUNDLE") or os.environ.get("CURL_CA_BUNDLE") or True
