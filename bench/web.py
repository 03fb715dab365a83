"""What `instrument_fastapi()` adds to a request, over opentelemetry-instrumentation-fastapi alone.

A trivial route is served in this process, without sockets, so that what is measured is the application:
CPU time (of all threads, until the last span has left its queue) per request. All variants have
OpenTelemetry's instrumentation, on a TracerProvider of the application whose BatchSpanProcessor hands
every span to an exporter that throws it away. One variant has Footfall on top, with a rule for the
route, so that each request is counted, timed and sent; its exporters throw away too. A control runs
the first variant a second time under another name. Within a run the three alternate in short rounds, so that
whatever else the machine does meets all of them; the ratio is the median of the five runs' ratios.

Run it with `make bench BENCH=web`. It ends with exit code 1 when the limit is missed.
"""

import asyncio
import json
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable
from typing import Any

from fastapi import FastAPI
from opentelemetry.instrumentation.fastapi import FastAPIInstrumentor
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor

from footfall.web import instrument_fastapi
from sdk.uses import QUEUE, Spans, configured

RUNS, ROUNDS, REQUESTS = 5, 25, 200
LIMIT = 1.10
CATALOG = """
product: bench
events:
  api.item: {surface: api, feature: item, match: [{route: "GET /items/{id}"}]}
"""
SCOPE: dict[str, Any] = {
    "type": "http",
    "asgi": {"version": "3.0", "spec_version": "2.4"},
    "http_version": "1.1",
    "method": "GET",
    "scheme": "http",
    "path": "/items/17",
    "raw_path": b"/items/17",
    "query_string": b"",
    "root_path": "",
    "headers": [
        (b"host", b"localhost:8000"),
        (b"user-agent", b"bench"),
        (b"accept", b"*/*"),
    ],
    "client": ("127.0.0.1", 50_000),
    "server": ("127.0.0.1", 8_000),
}

App = Callable[..., Awaitable[None]]


def traced(provider: TracerProvider) -> FastAPI:
    """A trivial application, with OpenTelemetry's instrumentation."""
    app = FastAPI()

    @app.get("/items/{id}")
    async def item(id: int) -> dict[str, int]:
        return {"id": id}

    FastAPIInstrumentor.instrument_app(app, tracer_provider=provider)
    return app


async def serve(app: App) -> None:
    """REQUESTS requests, one after the other."""

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message: dict[str, Any]) -> None:
        assert message.get("status", 200) == 200

    for _ in range(REQUESTS):
        await app(SCOPE | {"state": {}}, receive, send)


def cpu(work: Callable[[], object]) -> float:
    """Seconds of CPU, of all threads."""
    before = time.process_time()
    work()
    return time.process_time() - before


def measure() -> dict[str, list[float]]:
    """µs per request of each run, by variant."""
    theirs, ours = Spans(), Spans()
    provider = TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(BatchSpanProcessor(theirs, max_queue_size=QUEUE))
    loop = asyncio.new_event_loop()
    with tempfile.TemporaryDirectory() as directory:
        client = configured(CATALOG, ours, directory)
        measured = traced(provider)
        instrument_fastapi(measured, client=client)

        def flush() -> None:
            provider.force_flush()
            client.flush()

        variants: dict[str, tuple[App, Callable[[], object]]] = {
            "OpenTelemetry alone": (traced(provider), provider.force_flush),
            "with Footfall": (measured, flush),
            "OpenTelemetry alone, again": (traced(provider), provider.force_flush),
        }
        for app, _ in variants.values():
            loop.run_until_complete(serve(app))  # imports and caches
        runs: dict[str, list[float]] = {name: [] for name in variants}
        for _ in range(RUNS):
            spent = dict.fromkeys(variants, 0.0)
            for _ in range(ROUNDS):
                for name, (app, _) in variants.items():
                    spent[name] += cpu(lambda app=app: loop.run_until_complete(serve(app)))
            for name, (_, done) in variants.items():
                spent[name] += cpu(done)
                runs[name].append(spent[name] / ROUNDS / REQUESTS * 1e6)
        requests = (RUNS * ROUNDS + 1) * REQUESTS
        assert ours.number == requests, "every request was observed"
        assert client.recorder is not None, "the benchmark's own catalog is good"
        assert client.recorder.plans["api.item"].emitted == 2 * requests, "and its start counted"
        assert client.recorder.counters.dropped() == {}
        assert theirs.number >= 3 * requests
        client.shutdown()
    provider.shutdown()
    loop.close()
    return runs


def main() -> int:
    """Measures, prints a table and one line of JSON."""
    for name in [n for n in os.environ if n.startswith(("OTEL_", "TELEMETRY_"))]:
        del os.environ[name]
    runs = measure()
    print("µs of CPU per request     " + "".join(f"{f'run {n + 1}':>8}" for n in range(RUNS)))
    for name, figures in runs.items():
        print(f"{name:<26}" + "".join(f"{figure:8.1f}" for figure in figures))
    alone, measured, control = runs.values()
    ratio = statistics.median(m / a for m, a in zip(measured, alone, strict=True))
    same = statistics.median(c / a for c, a in zip(control, alone, strict=True))
    result = {
        "otel_us": round(statistics.median(alone), 1),
        "footfall_us": round(statistics.median(measured), 1),
        "control_ratio": round(same, 3),
        "footfall_ratio": round(ratio, 3),
    }
    print(json.dumps(result))
    return int(ratio > LIMIT)


if __name__ == "__main__":
    sys.exit(main())
