"""Prints what `make check` tests: the rooms that differ from upstream, and those that are built on them."""

import subprocess
from pathlib import Path

HERE = Path(__file__).parent
ROOMS = ["processors", "instrumentation", "exporters", "collector"]
BUILT_ON = {
    "processors": ["processors", "instrumentation", "collector"],
    "instrumentation": ["instrumentation"],
    "exporters": ["exporters", "collector"],
    "collector": ["collector"],
}


def changed() -> set[str]:
    """The files that are not as they are upstream, or as in the last commit where there is no upstream."""

    def git(*arguments: str) -> list[str]:
        done = subprocess.run(["git", *arguments], cwd=HERE, capture_output=True, text=True)
        return done.stdout.split("\n") if done.returncode == 0 else []

    since = git("merge-base", "HEAD", "@{upstream}") or ["HEAD"]
    new = git("ls-files", "--others", "--exclude-standard", "--full-name", "..")
    return {*git("diff", "--name-only", since[0]), *new} - {""}


def chosen(files: set[str]) -> list[str]:
    """The folders of tests: all of them for what all share."""
    found = set()
    for file in files:
        first, second = [*Path(file).parts, ""][:2]
        room = second if first == "tests" else first
        of_all = first in ("pyproject.toml", "constraints.txt") or room in (
            "support",
            "conftest.py",
        )
        found |= {*(ROOMS if of_all else BUILT_ON.get(room, []))}
    return [room for room in ROOMS if room in found]


if __name__ == "__main__":
    tests = [*(HERE / room for room in chosen(changed())), *sorted(HERE.glob("test_*.py"))]
    print(*(each.relative_to(HERE.parent) for each in tests))
