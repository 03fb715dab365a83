"""One library and one use of it: a feature with three attributes; bench/sdk runs each in its own process.

It is run by the Python that has the library, and imports nothing that another lacks:

    python bench/sdk/libraries.py NAME HTTP_PORT UDP_PORT FOLDER

Each line on its input is a number of uses; it answers with a line of JSON. What a library would send goes to
loopback. A look-up of a name, or a connection to anywhere else, ends the process.
"""

import json
import os
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

Use = Callable[[str], Any]
Flush = Callable[[], Any]
EVENT = "discord.generator"
CATALOG = """
product: bench
attributes:
  guild_id: {type: string, hash: daily}
  provider: {type: enum, values: [alttpr, smz3]}
  preset: {type: enum, values: [open, standard, inverted]}
events:
  discord.generator: {surface: discord, feature: generator, attributes: [guild_id, provider, preset]}
"""
LOOPBACK = ("127.0.0.1", "::1", "localhost")
QUEUE = 32_768
"""Room for all uses between two flushes, where a library can be told; sentry-sdk's own is 100."""


def stay_here(event: str, arguments: tuple[Any, ...]) -> None:
    """An audit hook (PEP 578): whatever would leave this machine ends the process."""
    if event in ("socket.connect", "socket.sendto", "socket.sendmsg"):
        address = arguments[1]
        wanted = address[0] if isinstance(address, tuple) else None
    elif event == "socket.getaddrinfo":
        wanted = arguments[0]
    else:
        return
    if wanted is not None and wanted not in LOOPBACK:
        print(f"it would have gone to {wanted}", file=sys.stderr, flush=True)
        os._exit(3)


def empty(http: str, udp: int, folder: Path) -> tuple[Use, Flush]:
    """No library: what the loop costs, and how large an empty program is."""
    return lambda guild: None, lambda: None


def footfall(http: str, udp: int, folder: Path) -> tuple[Use, Flush]:
    """`feature()`, over OTLP/HTTP as the others."""
    from footfall import Client

    path = folder / "events.yaml"
    path.write_text(CATALOG, encoding="utf-8")
    client = Client(strict=True)
    client.configure(path, http, enabled=True, protocol="http/protobuf")
    assert client.recorder is not None

    def use(guild: str) -> None:
        with client.feature(EVENT, provider="smz3", preset="open", guild_id=guild):
            pass

    return use, lambda: client.flush(30)


def opentelemetry(http: str, udp: int, folder: Path) -> tuple[Use, Flush]:
    """A span and a counter's increment."""
    from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
    from opentelemetry.sdk.metrics import MeterProvider
    from opentelemetry.sdk.metrics.export import PeriodicExportingMetricReader
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import BatchSpanProcessor

    tracers = TracerProvider()
    spans = OTLPSpanExporter(f"{http}/v1/traces")
    tracers.add_span_processor(BatchSpanProcessor(spans, max_queue_size=QUEUE))
    reader = PeriodicExportingMetricReader(OTLPMetricExporter(f"{http}/v1/metrics"))
    meters = MeterProvider([reader])
    tracer, counter = tracers.get_tracer("bench"), meters.get_meter("bench").create_counter(EVENT)

    def use(guild: str) -> None:
        attributes = {"provider": "smz3", "preset": "open", "guild_id": guild}
        counter.add(1, attributes)
        with tracer.start_as_current_span(EVENT, attributes=attributes):
            pass

    return use, lambda: (tracers.force_flush(), meters.force_flush())


def posthog(http: str, udp: int, folder: Path) -> tuple[Use, Flush]:
    """A captured event."""
    from posthog import Posthog

    client = Posthog("phc_bench", host=http, max_queue_size=QUEUE, disable_geoip=True)

    def use(guild: str) -> None:
        properties = {"provider": "smz3", "preset": "open"}
        client.capture(EVENT, distinct_id=guild, properties=properties)

    return use, client.flush


def sentry(http: str, udp: int, folder: Path) -> tuple[Use, Flush]:
    """A span that stands for itself, which is called a transaction there."""
    import sentry_sdk

    sentry_sdk.init(
        f"{http.replace('//', '//key@')}/1",
        traces_sample_rate=1.0,
        release="bench",
        transport_queue_size=QUEUE,
        default_integrations=False,
    )

    def use(guild: str) -> None:
        with sentry_sdk.start_transaction(op="feature", name=EVENT) as span:
            span.set_data("provider", "smz3")
            span.set_data("preset", "open")
            span.set_data("guild_id", guild)

    return use, lambda: sentry_sdk.flush(30)


def logfire(http: str, udp: int, folder: Path) -> tuple[Use, Flush]:
    """A span."""
    import logfire

    os.environ["OTEL_BSP_MAX_QUEUE_SIZE"] = str(QUEUE)
    logfire.configure(
        token="bench",  # noqa: S106  # to a server that takes any
        console=False,
        config_dir=folder,
        data_dir=folder,
        advanced=logfire.AdvancedOptions(base_url=http),
    )

    def use(guild: str) -> None:
        with logfire.span(EVENT, provider="smz3", preset="open", guild_id=guild):
            pass

    return use, lambda: logfire.force_flush(30_000)


def statsd(http: str, udp: int, folder: Path) -> tuple[Use, Flush]:
    """A timer, which has no attributes: those that have few values stand in its name."""
    from statsd import StatsClient

    client = StatsClient("127.0.0.1", udp)

    def use(guild: str) -> None:
        with client.timer("discord.generator.smz3.open"):
            pass

    return use, lambda: None


LIBRARIES = (empty, footfall, opentelemetry, posthog, sentry, logfire, statsd)


def status(field: str) -> int:
    """A number of /proc/self/status."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return int(next(line for line in lines if line.startswith(f"{field}:")).split()[1])


def main() -> None:
    """Answers until its input ends."""
    name, http, udp, folder = sys.argv[1:]
    sys.addaudithook(stay_here)
    make = next(each for each in LIBRARIES if each.__name__ == name)
    use, flush = make(f"http://127.0.0.1:{http}", int(udp), Path(folder))
    guilds = [str(10**17 + number) for number in range(1_000)]
    for line in sys.stdin:
        work = guilds * (int(line) // len(guilds))
        before, cpu = time.perf_counter(), time.thread_time()
        for guild in work:
            use(guild)
        seconds, cpu = time.perf_counter() - before, time.thread_time() - cpu
        threads = status("Threads")
        flush()
        answer = {
            "us": seconds / len(work) * 1e6,
            "cpu_us": cpu / len(work) * 1e6,
            "threads": threads,
            "rss_mb": status("VmRSS") / 1024,
        }
        print(json.dumps(answer), flush=True)
    os._exit(0)  # what a library does at its end is not what is measured


if __name__ == "__main__":
    main()
