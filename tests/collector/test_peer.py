"""The other end of a connection is who it is, whatever a header says."""

import httpx
import pytest

from footfall_collector.receivers.http_server import listening


async def peer(scope, receive, send):
    """Answers with the address of the other end, and the scheme."""
    await send({"type": "http.response.start", "status": 200, "headers": []})
    said = f"{scope['client'][0]} {scope['scheme']}"
    await send({"type": "http.response.body", "body": said.encode()})


@pytest.mark.parametrize("believed", [None, "*", "127.0.0.1"])
async def test_no_header_changes_whose_connection_it_is(believed, monkeypatch):
    if believed is not None:
        monkeypatch.setenv("FORWARDED_ALLOW_IPS", believed)  # uvicorn reads it
    forged = {
        "x-forwarded-for": "10.0.0.7",
        "x-forwarded-proto": "https",
        "forwarded": "for=10.0.0.7",
    }
    async with (
        listening(peer, "127.0.0.1:0", "a test", grace=1) as address,
        httpx.AsyncClient(trust_env=False, verify=False) as client,
    ):
        response = await client.get(f"http://{address}/", headers=forged)
    assert response.text == "127.0.0.1 http"
