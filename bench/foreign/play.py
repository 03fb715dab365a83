"""The run of bench/foreign: senders, a Collector, Footfall, another Collector; and their ends."""

import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from foreign import programs, reckoning
from foreign.guide import Behind, Front
from foreign.processes import Footfall
from foreign.reckoning import COUNTED, SEEN, Figures
from foreign.sender import Sender

SENDERS = (
    ("go", "grpc"), ("java", "http/protobuf"), ("javascript", "grpc"),
    ("rust", "grpc"), ("python", "http/protobuf"), ("own", "grpc"),
)  # fmt: skip
QUIET_S, PATIENCE_S = 15.0, 180.0
GENERATED = 20
"""Of telemetrygen: its counter goes from 0 to 19, its deltas are 0 to 19, each trace has two spans."""
BY_NAME = ("foreign.parent", "foreign.child")
"""The events of telemetrygen's spans, by `match` rules."""


@dataclass(frozen=True)
class Options:
    """What is asked for.

    Attributes:
        seconds: That the senders send.
        rate: Spans a second of each, and as many increments.
        batching: As for `foreign.guide.configuration`.
        deduplicate: Of Footfall's configuration.
        senders: Their names; all of them when empty.
    """

    seconds: float
    rate: int
    batching: str = "processor"
    deduplicate: str | None = None
    senders: tuple[str, ...] = ()


@dataclass
class Outcome:
    """What came of it.

    Attributes:
        made: By service: spans, and as many increments.
        errors: What the senders' SDKs complained of, by service.
        unfinished: Senders that had to be killed.
        stored: What Footfall holds.
        behind: What arrived in the Collector behind it.
        completeness: Stored beside emitted, by event.
        losses: By signal and reason.
        waited: Seconds until all had arrived, after the senders had ended.
    """

    made: dict[str, int]
    errors: dict[str, list[str]]
    unfinished: list[str]
    stored: Figures
    behind: Figures
    completeness: dict[str, float]
    losses: dict[tuple[str, str], int]
    waited: float


class Stage:
    """All processes of a run, in a folder of their own; `step` is told what happens."""

    def __init__(self, folder: Path, options: Options, step: Callable[[str], None]) -> None:
        self._options, self._step = options, step
        self.behind = Behind(folder / "behind")
        self.footfall = Footfall(folder, follower=self.behind.grpc, deduplicate=options.deduplicate)
        self.front = Front(folder / "front", self.footfall.grpc, options.batching)
        self.senders: list[Sender] = []

    @contextmanager
    def running(self) -> Iterator[None]:
        """Starts everything and, whatever happens, ends it."""
        with ExitStack() as stack:
            for each in (self.behind, self.footfall, self.front):
                stack.callback(each.stop)
                each.start()
            for name, protocol in SENDERS:
                if not self._options.senders or name in self._options.senders:
                    stack.enter_context(self._sender(name, protocol))
            for sender in self.senders:
                sender.wait_until_ready()
            yield

    @contextmanager
    def _sender(self, name: str, protocol: str) -> Iterator[None]:
        endpoint = self.front.grpc if protocol == "grpc" else self.front.http
        sender = Sender(name, protocol, endpoint, self.footfall.catalog, rate=self._options.rate)
        self.senders.append(sender)
        try:
            yield
        finally:
            sender.stop()

    def play(self) -> Outcome:
        """The run: senders send; meanwhile Footfall is killed, and at the end the Collector is restarted."""
        seconds = self._options.seconds
        for sender in self.senders:
            sender.go()
        self._wait("senders send", seconds * 0.25)
        self._step("Footfall and its Postgres are killed, and away for 5 s")
        self.footfall.kill()
        time.sleep(5)
        self.footfall.start()
        self._generate()
        self._wait("senders send", seconds * 0.35)
        self._step("Footfall and its Postgres are killed, and started again")
        self.footfall.kill()
        self.footfall.start()
        self._wait("senders send", seconds * 0.3)
        self._step("Footfall and its Postgres are killed")
        self.footfall.kill()
        self._wait("senders send", seconds * 0.1)
        unfinished = self._end_senders()
        self._step("the Collector in front is restarted, with what it could not deliver")
        self.front.stop() if self._options.batching == "processor" else self.front.kill()
        self.front.start()
        time.sleep(2)
        self.footfall.start()
        return self._outcome(unfinished)

    def _wait(self, what: str, seconds: float) -> None:
        self._step(what)
        time.sleep(seconds)

    def _end_senders(self) -> list[str]:
        self._step("senders end")
        for sender in self.senders:
            sender.end()
        return [sender.service for sender in self.senders if not sender.wait()]

    def _generate(self) -> None:
        """Sends, by telemetrygen, a cumulative counter, deltas and traces, each joined into one request."""
        self._step("telemetrygen sends")
        common = ["--otlp-insecure", "--otlp-endpoint", self.front.grpc, "--rate", "50"]
        sums = ["metrics", "--metric-type", "Sum", "--metrics", str(GENERATED)]
        for arguments in (
            [
                *sums,
                "--aggregation-temporality",
                "cumulative",
                "--otlp-metric-name",
                "foreign.cumulative",
            ],
            [*sums, "--aggregation-temporality", "delta", "--otlp-metric-name", "foreign.delta"],
            ["traces", "--traces", str(GENERATED)],
        ):
            command = [str(programs.telemetrygen()), *arguments, *common]
            subprocess.run(command, check=True, capture_output=True, timeout=60)

    def _outcome(self, unfinished: list[str]) -> Outcome:
        self._step("everything arrives")
        started = time.monotonic()
        stored, behind = self._at_rest()
        return Outcome(
            made={sender.service: sender.total for sender in self.senders},
            errors={sender.service: sender.errors for sender in self.senders if sender.errors},
            unfinished=unfinished,
            stored=stored,
            behind=behind,
            completeness=reckoning.completeness(self.footfall),
            losses=reckoning.losses(self.footfall),
            waited=round(time.monotonic() - started, 1),
        )

    def _at_rest(self) -> tuple[Figures, Figures]:
        """Looks until nothing has changed for a while."""
        begun = changed = time.monotonic()
        found = None
        while True:
            seen = reckoning.stored(self.footfall), reckoning.arrived(self.behind.output)
            now = time.monotonic()
            if seen != found:
                found, changed = seen, now
            if now - changed > QUIET_S or now - begun > PATIENCE_S:
                return seen
            time.sleep(1)


def faults(outcome: Outcome) -> list[str]:
    """What is not as it must be."""
    found = [f"{service} did not come to its end" for service in outcome.unfinished]
    stored, behind = outcome.stored, outcome.behind
    wanted = {
        (service, event): number
        for service, number in outcome.made.items()
        for event in (SEEN, COUNTED)
    }
    spans = {key: number for key, number in wanted.items() if key[1] == SEEN}
    counts = {key: number for key, number in wanted.items() if key[1] == COUNTED}
    spans |= {("telemetrygen", event): GENERATED for event in BY_NAME}
    counts["telemetrygen", "foreign.cumulative"] = GENERATED - 1
    counts["telemetrygen", "foreign.delta"] = sum(range(GENERATED))
    emitted = {key: number for key, number in wanted.items() if key[0].startswith("own")}
    found += _differences("stored spans", stored.spans, spans)
    found += _differences("stored counts", stored.counts, counts)
    found += _differences("footfall.emitted", stored.emitted, emitted)
    found += _differences("spans behind", behind.spans, stored.spans)
    found += _differences("counts behind", behind.counts, stored.counts)
    found += _differences("footfall.emitted behind", behind.emitted, stored.emitted)
    found += [f"completeness of {e}: {r:.3f}" for e, r in outcome.completeness.items() if r != 1]
    return found


def _differences(what: str, are: dict[Any, int], wanted: dict[Any, int]) -> list[str]:
    return [
        f"{what}, {' '.join(key)}: {are.get(key, 0):,} instead of {wanted.get(key, 0):,}"
        for key in sorted(are.keys() | wanted.keys())
        if are.get(key, 0) != wanted.get(key, 0)
    ]
