"""The peers of bench/sdk, in which released versions, and the environment that they run in.

It is made once, below the user's cache directory, in a folder named by the versions.
"""

import hashlib
import subprocess
import sys
from pathlib import Path

import platformdirs

PACKAGES = ("posthog==7.91.1", "sentry-sdk==2.75.0", "logfire==5.4.0", "statsd==4.0.1")
COMMAND = "python bench sdk --install"

_CACHE = Path(platformdirs.user_cache_dir("footfall")) / "bench"
_VENV = _CACHE / f"sdk-{hashlib.sha256(repr(PACKAGES).encode()).hexdigest()[:8]}"
_DONE = _VENV / "installed"


def python() -> Path | None:
    """The Python that has the peers, once they were installed."""
    return _VENV / "bin" / "python" if _DONE.exists() else None


def install() -> bool:
    """Gets the peers if they are not there yet; says where, and whether they are there now."""
    try:
        if python() is None:
            print(f"{', '.join(PACKAGES)}: getting them, into {_VENV} ...", flush=True)
            subprocess.run([sys.executable, "-m", "venv", _VENV], check=True)
            pip = (_VENV / "bin" / "python", "-m", "pip", "install", "--quiet")
            subprocess.run([*pip, *PACKAGES], check=True)
            _DONE.touch()
    except (OSError, subprocess.CalledProcessError) as error:
        print(f"not to be had: {error}", file=sys.stderr)
        return False
    print(f"the peers of bench/sdk: {python()}")
    return True
