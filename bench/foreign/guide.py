"""The Collector's configuration, out of the guide that users copy it from."""

import re
from pathlib import Path

from foreign.processes import Otelcol, address

GUIDE = Path(__file__).parents[2] / "docs/guides/collector-in-front.md"
BEHIND = """
receivers: {otlp: {protocols: {grpc: {endpoint: "${env:LISTEN_GRPC}"}}}}
processors: {deltatocumulative: {}}
exporters: {file: {path: "${env:OUTPUT}", flush_interval: 200ms}}
service:
  telemetry: {metrics: {level: none}}
  pipelines:
    traces: {receivers: [otlp], exporters: [file]}
    metrics: {receivers: [otlp], processors: [deltatocumulative], exporters: [file]}
"""
QUEUE = re.compile(r"^    sending_queue: .*$", re.MULTILINE)


def configuration(batching: str) -> str:
    """The guide's configuration.

    Args:
        batching: `processor`, as it stands there, or `queue`, as it is changed in the section about it.
    """
    whole, queue = re.findall(r"^```yaml\n(.*?)^```", GUIDE.read_text(), re.MULTILINE | re.DOTALL)
    if batching == "processor":
        return str(whole)
    assert QUEUE.search(whole)
    return QUEUE.sub(queue.rstrip(), whole).replace("[memory_limiter, batch]", "[memory_limiter]")


class Front(Otelcol):
    """The Collector of the guide, between senders and `behind`.

    Args:
        folder: For all that it writes.
        behind: host:port of Footfall's gRPC listener.
        batching: As for `configuration`.
    """

    def __init__(self, folder: Path, behind: str, batching: str = "processor") -> None:
        self.grpc, self.http = address(), address()
        environment = {
            "LISTEN_GRPC": self.grpc,
            "LISTEN_HTTP": self.http,
            "FOOTFALL_ENDPOINT": behind,
            "QUEUE_DIRECTORY": str(folder / "queue"),
        }
        super().__init__(folder, configuration(batching), self.http, environment)


class Behind(Otelcol):
    """A Collector that makes deltas cumulative and writes what arrives to `output`."""

    def __init__(self, folder: Path) -> None:
        self.grpc, self.output = address(), folder / "output.json"
        environment = {"LISTEN_GRPC": self.grpc, "OUTPUT": str(self.output)}
        super().__init__(folder, BEHIND, self.grpc, environment)
