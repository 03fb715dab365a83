"""Runs a bench by its name: `python bench faults --quick`; without one, says which there are."""

import runpy
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent


def names() -> list[str]:
    """The benches: scripts, and packages with a command."""
    scripts = {file.stem for file in HERE.glob("*.py")} - {Path(__file__).stem}
    return sorted(scripts | {file.parent.name for file in HERE.glob("*/__main__.py")})


def main() -> None:
    """Runs it as the main module; its arguments are what follows the name."""
    if len(sys.argv) < 2 or sys.argv[1] not in names():
        sys.exit(f"python bench NAME, which is one of: {', '.join(names())}")
    sys.path[0] = str(HERE)  # for the processes that it starts elsewhere, too
    del sys.argv[0]
    runpy.run_module(sys.argv[0], run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    main()
