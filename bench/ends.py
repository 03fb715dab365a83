"""What arrives of five uses when a process ends: every server and runner, every way to end it.

`make bench BENCH=ends` prints the table of docs/guides/ends.md, and ends with status 1 where the guide says
something else; `python bench/ends.py uWSGI TERM` prints one cell. gunicorn's gevent workers need gevent.
"""

import os
import sys
import tempfile
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


def main() -> None:
    """Prints the table, or one cell."""
    if sys.argv[2:]:
        print(cell(sys.argv[1], sys.argv[2]))
        return
    differs, guide = [], documented()
    print(f"| what runs | {' | '.join(ENDS)} |\n|---{'|---' * len(ENDS)}|")
    for name in WAYS:
        if sys.argv[1:] in ([], [name]):
            cells = [cell(name, end) for end in ENDS]
            print(f"| {name} | {' | '.join(cells)} |", flush=True)
            told = guide.get(name, {})
            differs += [
                f"{name}, {end}: the guide says {told.get(end)}"
                for end, found in zip(ENDS, cells, strict=True)
                if found not in (told.get(end), MISSING)
            ]
    print(*differs, sep="\n")
    sys.exit(bool(differs))


if __name__ == "__main__":
    for variable in list(os.environ):
        if variable.startswith(("OTEL_", "TELEMETRY_")):
            del os.environ[variable]
    main()
