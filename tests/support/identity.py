"""Programs that run as another user."""

import os
from collections.abc import Sequence
from pathlib import Path


def run_as(user: str | int | None, command: Sequence[str | Path]) -> list[str | Path]:
    """The command, as that user when root runs this.

    `subprocess` itself would fork to become somebody else, and between fork and exec gRPC's threads act.
    """
    if user is None or os.geteuid() != 0:
        return list(command)
    return ["setpriv", f"--reuid={user}", "--clear-groups", "--", *command]
