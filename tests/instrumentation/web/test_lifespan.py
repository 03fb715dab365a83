"""The end of an ASGI application: what waits is sent before the server ends, and the server ends in time."""

import asyncio
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager

import httpx
import pytest
from fastapi import FastAPI
from starlette.applications import Starlette
from starlette.responses import PlainTextResponse
from starlette.routing import Route

import footfall
from instrumentation.servers import asgi_server


def fastapi(client, said, lifespan=None):
    app = FastAPI(lifespan=lifespan or lifespan_of(said))
    app.get("/seeds/{id}")(lambda id: id)
    footfall.instrument_fastapi(app, client=client)
    return app


def starlette(client, said, lifespan=None):
    routes = [Route("/seeds/{id}", lambda request: PlainTextResponse("1"))]
    app = Starlette(routes=routes, lifespan=lifespan or lifespan_of(said))
    return footfall.instrument_asgi(app, client=client)


def lifespan_of(said):
    @asynccontextmanager
    async def lifespan(app):
        said.append("begins")
        yield
        said.append("ends")

    return lifespan


@pytest.fixture(params=[fastapi, starlette])
def make(request):
    return request.param


def test_what_waits_is_sent_before_the_server_ends(make, client, received):
    said = []
    with asgi_server(make(client, said)) as url:
        assert httpx.get(f"{url}/seeds/7", verify=False).status_code == 200
        assert not received.spans()
    assert [span.name for span in received.spans()] == ["seed.get"]
    assert received.count("seed.get", feature_action="invoke") == 1
    assert said == ["begins", "ends"]


def test_what_the_application_counts_at_its_own_end_is_sent_too(make, client, received):
    @asynccontextmanager
    async def lifespan(app):
        yield
        client.event("seed.made")

    with asgi_server(make(client, [], lifespan)):
        pass
    assert [span.name for span in received.spans()] == ["seed.made"]


def test_a_server_ends_in_time_while_the_collector_hangs(make, client, received):
    received.held = True
    said = []
    with asgi_server(make(client, said)) as url:
        httpx.get(f"{url}/seeds/7", verify=False)
        begun = time.monotonic()
    assert time.monotonic() - begun < 10
    assert said == ["begins", "ends"]


async def last_words(app):
    """What an application says in a lifespan without a server."""
    words = []

    async def receive():
        return {"type": f"lifespan.{'shutdown' if words else 'startup'}"}

    async def send(message):
        words.append(message["type"])

    await app({"type": "lifespan", "asgi": {"version": "3.0"}, "state": {}}, receive, send)
    return words


async def test_the_loop_goes_on_and_a_busy_executor_keeps_nobody(make, client, received):
    received.held = True
    client.event("seed.made")
    loop = asyncio.get_running_loop()
    with ThreadPoolExecutor(1) as pool:
        loop.set_default_executor(pool)
        busy = loop.run_in_executor(None, received.hold.wait, 30)
        turns = 0

        async def turn():
            nonlocal turns
            while True:
                turns += 1
                await asyncio.sleep(0.01)

        turning = asyncio.create_task(turn())
        begun = time.monotonic()
        words = await last_words(make(client, []))
        assert time.monotonic() - begun < 10
        turning.cancel()
        received.hold.set()
        await busy
    assert words == ["lifespan.startup.complete", "lifespan.shutdown.complete"]
    assert turns > 20


async def test_an_application_that_fails_at_its_end_says_so(make, client, received):
    @asynccontextmanager
    async def lifespan(app):
        yield
        client.event("seed.made")
        raise LookupError

    words = []

    async def receive():
        return {"type": f"lifespan.{'shutdown' if words else 'startup'}"}

    async def send(message):
        words.append(message["type"])

    with pytest.raises(LookupError):
        await make(client, [], lifespan)({"type": "lifespan", "state": {}}, receive, send)
    assert words == ["lifespan.startup.complete", "lifespan.shutdown.failed"]
    assert len(received.spans()) == 1
