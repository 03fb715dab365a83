"""What arrives of five uses when a process ends: every server and runner, every way to end it.

`make bench BENCH=ends` prints the table of docs/guides/ends.md, and ends with status 1 where the guide says
something else; it takes about four minutes. `python bench/ends.py uWSGI hypercorn TERM` prints some lines or
columns of it. gunicorn's gevent workers need gevent.
"""

import os
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

from instrumentation.ends.rows import ENDS, NONE, WAYS, documented, installed, run
from instrumentation.ends.sink import receiving

MISSING = "not installed"


def cell(name: str, end: str) -> str:
    """What arrives; `-` where the way has no such end."""
    way = WAYS[name]
    if end not in way.ends:
        return NONE
    if not installed(way):
        return MISSING
    with receiving() as sink, tempfile.TemporaryDirectory() as folder:
        try:
            return run(way, end, sink, Path(folder))
        except Exception as error:
            print(error, file=sys.stderr)
            return f"{type(error).__name__}"


def line(name: str, ends: Sequence[str], differing: list[str]) -> str:
    """A line of the table; what the guide says otherwise is added to `differing`."""
    cells, told = {end: cell(name, end) for end in ends}, documented().get(name, {})
    for end, found in cells.items():
        if found not in (told.get(end), MISSING):
            differing.append(f"{name}, {end}: {found}; the guide says {told.get(end)}")
    return f"| {name} | {' | '.join(cells.values())} |"


def main() -> None:
    """Prints the table, or those lines and columns of it that are named."""
    asked, differing = sys.argv[1:], list[str]()
    if unknown := set(asked) - set(WAYS) - set(ENDS):
        sys.exit(f"not in the table: {', '.join(unknown)}; there are {', '.join([*WAYS, *ENDS])}")
    ends = [end for end in ENDS if end in asked] or ENDS
    names = [name for name in WAYS if name in asked] or WAYS
    print(f"| what runs | {' | '.join(ends)} |\n|---{'|---' * len(ends)}|")
    for name in names:
        print(line(name, ends, differing), flush=True)
    print(*differing, sep="\n")
    sys.exit(bool(differing))


if __name__ == "__main__":
    for variable in list(os.environ):
        if variable.startswith(("OTEL_", "TELEMETRY_")):
            del os.environ[variable]
    main()
