"""The run of bench/away.py: every SDK, over both protocols, while the collector is away."""

import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from signal import SIGCONT, SIGSTOP

from foreign import reckoning
from foreign.guide import Front
from foreign.processes import Footfall
from foreign.programs import PROGRAMS
from foreign.reckoning import COUNTED, SEEN
from foreign.sender import Sender

PROTOCOLS = ("grpc", "http/protobuf")
BEFORE_S, AFTER_S, QUIET_S, PATIENCE_S = 4.0, 20.0, 8.0, 60.0
RESTART_S = 1.0
"""What a start takes on a machine that is not busy."""
IN_SECONDS = ("python", "own")
"""The specification has milliseconds for OTEL_EXPORTER_OTLP_TIMEOUT, OpenTelemetry for Python seconds."""


@dataclass(frozen=True)
class Absence:
    """How the collector is away.

    Attributes:
        seconds: How long; longer by as much as a busy machine takes to start it again.
        frozen: Paused: connections are taken, and nothing is answered. Else killed: they are refused.
    """

    seconds: float
    frozen: bool = False

    def title(self, seconds: float) -> str:
        """For tables; with the seconds that it was."""
        return f"{seconds:.1f} s {'silent' if self.frozen else 'away'}"


@dataclass(frozen=True)
class Row:
    """What came of one sender.

    Attributes:
        sdk: Which, for tables.
        protocol: `grpc` or `http`, or through what.
        made: Spans, and as many increments.
        meanwhile: Of those, made while the collector was away.
        spans_lost: Spans that are not stored; below 0: stored twice.
        counters_lost: Increments that are not.
        dropped: Spans that the SDK itself counted as dropped; only Footfall's does.
        ended: Whether the program came to its end by itself.
    """

    sdk: str
    protocol: str
    made: int
    meanwhile: int
    spans_lost: int
    counters_lost: int
    dropped: int
    ended: bool


def settings(name: str, timeout: float | None) -> dict[str, str]:
    """The variables that let a sender's exports take so long, in its own unit."""
    if timeout is None:
        return {}
    number = timeout if name in IN_SECONDS else timeout * 1000
    longer = {"OTEL_BSP_EXPORT_TIMEOUT": f"{timeout * 1000:.0f}"}
    return longer | {"OTEL_EXPORTER_OTLP_TIMEOUT": f"{number:.0f}"}


def play(
    folder: Path, absence: Absence, names: tuple[str, ...], *,
    rate: int, timeout: float | None, step: Callable[[str], None],
) -> tuple[float, list[Row]]:  # fmt: skip
    """One absence, for all senders at once; in a folder of its own.

    Returns:
        Seconds that it was away in fact, and what came of each sender.
    """
    folder.mkdir()
    folder.chmod(0o755)
    name = absence.title(absence.seconds)
    footfall = Footfall(folder)
    front = Front(folder / "front", footfall.grpc)
    with ExitStack() as stack:
        for each in (footfall, front):
            stack.callback(each.stop)
            each.start()
        senders = [
            stack.enter_context(_sender(name, protocol, footfall, front, rate, timeout))
            for name in names
            for protocol in (*PROTOCOLS, "collector")
        ]
        for sender in senders:
            sender.wait_until_ready()
        gone, back = _be_away(footfall, senders, absence, step)
        step(f"{name}: senders end")
        for sender in senders:
            sender.end()
        ended = {sender.service: sender.wait() for sender in senders}
        step(f"{name}: everything arrives")
        return back - gone, _rows(footfall, senders, ended, gone, back)


@contextmanager
def _sender(
    name: str, protocol: str, footfall: Footfall, front: Front, rate: int, timeout: float | None
) -> Iterator[Sender]:
    endpoint = {"grpc": footfall.grpc, "collector": front.http}.get(protocol, footfall.http)
    sender = Sender(
        name, PROTOCOLS[1] if protocol == "collector" else protocol, endpoint, footfall.catalog,
        rate=rate, settings=settings(name, timeout), service=f"{name}-{protocol.partition('/')[0]}",
    )  # fmt: skip
    try:
        yield sender
    finally:
        sender.stop()


def _be_away(
    footfall: Footfall, senders: list[Sender], absence: Absence, step: Callable[[str], None]
) -> tuple[float, float]:
    """From when to when it was away (time.monotonic())."""
    name = absence.title(absence.seconds)
    step(f"{name}: before")
    for sender in senders:
        sender.go()
    time.sleep(BEFORE_S)
    gone = time.monotonic()
    step(f"{name}: now")
    if absence.frozen:
        footfall.process.send_signal(SIGSTOP)
        time.sleep(absence.seconds)
        footfall.process.send_signal(SIGCONT)
    else:
        footfall.kill()
        time.sleep(absence.seconds - RESTART_S)
        footfall.start()
    back = time.monotonic()
    step(f"{name}: after")
    time.sleep(AFTER_S)
    return gone, back


def _rows(
    footfall: Footfall, senders: list[Sender], ended: dict[str, bool], gone: float, back: float
) -> list[Row]:
    stored = _at_rest(footfall)
    dropped = reckoning.dropped(footfall)
    rows = []
    for sender in senders:
        seen = stored.spans.get((sender.service, SEEN), 0)
        counted = stored.counts.get((sender.service, COUNTED), 0)
        rows.append(
            Row(
                PROGRAMS[sender.name].sdk,
                sender.service.partition("-")[2],
                sender.total,
                sender.made_at(back) - sender.made_at(gone),
                sender.total - seen,
                sender.total - counted,
                dropped.get(sender.service, 0),
                ended[sender.service],
            )
        )
    return rows


def _at_rest(footfall: Footfall) -> reckoning.Figures:
    """Looks until nothing has changed for a while."""
    begun = changed = time.monotonic()
    found = reckoning.stored(footfall)
    while time.monotonic() - changed < QUIET_S and time.monotonic() - begun < PATIENCE_S:
        time.sleep(1)
        seen = reckoning.stored(footfall)
        if seen != found:
            found, changed = seen, time.monotonic()
    return found
