"""One scenario, from its first process to the verdict."""

import os
import tempfile
from dataclasses import asdict
from pathlib import Path
from typing import Any

from rich.progress import Progress

from faults.scenarios import SCENARIOS, Missing, Stuck
from faults.stage import Scale, Stage
from footfall_exporters.embedded import EmbeddedPostgresError

QUICK = Scale(kills=6, crashes=4, away=12, pauses=(1, 13), steps=2.5, timeout=3, patience=60)


def play(
    name: str, scale: Scale, progress: Progress, *, break_ledger: bool = False
) -> dict[str, Any]:
    """One scenario; what came of it."""
    scenario = SCENARIOS[name]
    task = progress.add_task(name, total=scenario.steps(scale) + 1)
    root = Path("/var/tmp") if os.geteuid() == 0 else None  # noqa: S108  # reachable for Postgres' user
    with tempfile.TemporaryDirectory(prefix="footfall-faults-", dir=root) as folder:
        Path(folder).chmod(0o755)
        with Stage(Path(folder), scale, lambda: progress.advance(task), break_ledger) as stage:
            try:
                scenario.play(stage)
                verdict, whys, complaints = stage.close()
            except Missing as reason:
                return {"missing": str(reason), "faults": []}
            except (Stuck, EmbeddedPostgresError) as reason:
                return {"missing": "stuck", "faults": [str(reason)]}
            finally:
                progress.advance(task)
    faults = verdict.faults + stage.faults + [f"the collector's log: {line}" for line in complaints]
    return asdict(verdict) | {
        "seconds": round(progress.tasks[task].elapsed or 0),
        "attempts_failed": whys,
        "answer_lost": stage.answer_lost,
        "notes": stage.notes,
        "faults": faults,
    }
