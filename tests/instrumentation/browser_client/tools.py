"""The browser client's tools from npm, in a copy of their folder."""

import shutil
import subprocess
from pathlib import Path

REPOSITORY = Path(__file__).parents[3]
TOOLS = REPOSITORY / "instrumentation" / "browser"
MODULE = REPOSITORY / "instrumentation" / "footfall" / "browser"


def install(root: Path) -> Path:
    """Where the tools are now installed; their sources are beside them, with nothing built."""
    tools, module = root / "browser", root / "footfall" / "browser"
    shutil.copytree(TOOLS, tools, ignore=shutil.ignore_patterns("node_modules"))
    module.mkdir(parents=True)
    for source in MODULE.glob("*.js"):
        if not source.name.endswith(".min.js"):
            shutil.copy(source, module)
    npm(tools, "install", "--prefer-offline")
    return tools


def npm(directory: Path, *arguments: str) -> None:
    """Runs it, silently; what it says stands in the failure."""
    command = ["npm", "--silent", *arguments]
    done = subprocess.run(command, cwd=directory, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
