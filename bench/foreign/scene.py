"""Where a run takes place: a folder that goes with it, a line that says what happens, the senders made."""

import os
import tempfile
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from rich.console import Console
from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

from foreign.programs import PROGRAMS


@contextmanager
def scene(console: Console, names: Iterable[str]) -> Iterator[tuple[Path, Callable[[str], None]]]:
    """A folder that Postgres' user can reach, and what says what happens now; makes these senders first.

    Raises:
        Missing: A sender cannot be made.
    """
    root = Path("/var/tmp") if os.geteuid() == 0 else None  # noqa: S108
    columns = (SpinnerColumn(), TextColumn("{task.description}"), TimeElapsedColumn())
    with (
        Progress(*columns, console=console, transient=True) as progress,
        tempfile.TemporaryDirectory(prefix="footfall-foreign-", dir=root) as folder,
    ):
        Path(folder).chmod(0o755)
        task = progress.add_task("", total=None)

        def step(what: str) -> None:
            progress.update(task, description=what)

        for name in names:
            step(f"making the sender {name}")
            PROGRAMS[name].made()
        yield Path(folder), step
