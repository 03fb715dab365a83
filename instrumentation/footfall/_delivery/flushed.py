"""What became of what waited."""

from enum import IntEnum


class Flushed(IntEnum):
    """How `flush()` ended; as a condition it is false only where something may be lost.

    Attributes:
        NOT_DONE: The collector has not taken everything in time. A warning on the logger `footfall` says why.
        DONE: It has.
        OFF: Telemetry is off: there was nothing to send, and nothing will be.
    """

    NOT_DONE = 0
    DONE = 1
    OFF = 2

    def __str__(self) -> str:
        return self.name.lower().replace("_", " ")
