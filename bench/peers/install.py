"""Where the peers of bench/peers are, in which released versions, and how they get there.

Everything is made once, below the user's cache directory, in folders named by version; the Collector's also
by what is built into it.
"""

import hashlib
import os
import shutil
import subprocess
import sys
from pathlib import Path

import platformdirs

ROTEL = "0.0.1a15"
OTELCOL = "v0.156.0"
"""The release of builder, core and contrib; otelcol_builder.yaml names the same. Not the newest: the OTLP
receiver of v0.163.0 and v0.164.0 needs internal/statusutil, which the module proxy would not serve."""
COMMAND = "python bench peers --install"

CACHE = Path(platformdirs.user_cache_dir("footfall")) / "bench"
_ROTEL = CACHE / f"rotel-{ROTEL}"
_MANIFEST = Path(__file__).with_name("otelcol_builder.yaml")
_OTELCOL = CACHE / f"otelcol-{OTELCOL}-{hashlib.sha256(_MANIFEST.read_bytes()).hexdigest()[:8]}"


def rotel() -> Path | None:
    """Rotel's program in a venv of its own, once it was installed."""
    return next(_ROTEL.glob("lib*/python3*/site-packages/rotel/rotel-agent"), None)


def otelcol() -> Path | None:
    """The built collector, once it was built."""
    program = _OTELCOL / "distribution" / "otelcol"
    return program if program.exists() else None


def go() -> str | None:
    """The go command: on the path, or where Go's own installer puts it."""
    return shutil.which("go") or shutil.which("go", path="/usr/local/go/bin")


def install() -> bool:
    """Gets what is not there yet; one line for each, and whether all are there now."""
    for name, found, get in (
        (f"Rotel {ROTEL}", rotel, _install_rotel),
        (f"OpenTelemetry Collector {OTELCOL}", otelcol, _build_otelcol),
    ):
        try:
            if not found():
                print(f"{name}: getting it, into {CACHE} ...", flush=True)
                get()
            print(f"{name}: {found()}")
        except (OSError, subprocess.CalledProcessError) as error:
            print(f"{name}: not to be had: {error}", file=sys.stderr)
    return rotel() is not None and otelcol() is not None


def _install_rotel() -> None:
    subprocess.run([sys.executable, "-m", "venv", _ROTEL], check=True)
    pip = (_ROTEL / "bin" / "python", "-m", "pip", "install", "--quiet")
    subprocess.run([*pip, f"rotel=={ROTEL}"], check=True)


def _build_otelcol() -> None:
    """Builds with the official builder, politely: it takes minutes and every core."""
    program = go()
    if program is None:
        raise FileNotFoundError("it is built from Go modules, and there is no go command")
    _OTELCOL.mkdir(parents=True, exist_ok=True)
    path = f"{Path(program).parent}{os.pathsep}{os.environ['PATH']}"
    environment = {**os.environ, "PATH": path, "GOBIN": str(_OTELCOL), "CGO_ENABLED": "0"}
    module = f"go.opentelemetry.io/collector/cmd/builder@{OTELCOL}"
    for command in ((program, "install", module), (_OTELCOL / "builder", "--config", _MANIFEST)):
        polite = ["nice", "-n", "15", *command]
        subprocess.run(polite, check=True, cwd=_OTELCOL, env=environment)
