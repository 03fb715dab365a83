"""How often CPython looks for garbage."""

import atexit
import gc


def collect_seldom() -> None:
    """After 50,000 new objects in place of 700, not at the end: for objects that stay, or are in no cycles.

    Modules stay: looking through them while they are imported takes a tenth of a start. Batches come and go
    by the thousand objects, in no cycles: looking through them takes a fifth of the CPU time under load.
    CPython looks through everything when a process ends, which takes a sixth of a short command; its memory
    goes anyway. What is to be done at the end has been done by then: the first registered comes last.
    """
    gc.set_threshold(50_000, 20, 100)
    atexit.unregister(gc.freeze)
    atexit.register(gc.freeze)
