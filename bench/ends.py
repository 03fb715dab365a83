"""What arrives of five uses when a process ends: every server and runner, every way to end it.

`make bench BENCH=ends` prints the table of docs/guides/ends.md; `python bench/ends.py uWSGI TERM` one cell.
"""

import os
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

from instrumentation.ends.rows import WAYS, installed, run
from instrumentation.ends.sink import receiving

ENDS = ("exit", "TERM", "INT", "limit", "reload")


def cell(name: str, end: str) -> str:
    """What arrives; `-` where the way has no such end."""
    way = WAYS[name]
    if end not in way.ends:
        return "-"
    if not installed(way):
        return "not installed"
    with receiving() as sink, tempfile.TemporaryDirectory() as folder:
        try:
            return run(way, end, sink, Path(folder))
        except Exception as error:
            print(error, file=sys.stderr)
            return f"{type(error).__name__}"


def main() -> None:
    """Prints the table, or one cell."""
    if sys.argv[2:]:
        print(cell(sys.argv[1], sys.argv[2]))
        return
    print(f"| what runs | {' | '.join(ENDS)} |\n|---{'|---' * len(ENDS)}|")
    for name in WAYS:
        if sys.argv[1:] in ([], [name]):
            print(f"| {name} | {' | '.join(cell(name, end) for end in ENDS)} |", flush=True)


if __name__ == "__main__":
    for variable in list(os.environ):
        if variable.startswith(("OTEL_", "TELEMETRY_")):
            del os.environ[variable]
    main()
