"""The commands `footfall compose` and `footfall grafana`: files for Docker and Grafana, in a folder."""

import secrets
import shlex
from collections.abc import Mapping
from importlib.metadata import version
from pathlib import Path

import click

from footfall_collector.errors import WRONG_INPUT

_PACKED = Path(__file__).parents[1] / "stack"
"""Where the package has these files (pyproject.toml); a checkout has them at its root."""
_FILES = (
    "docker-compose.yml",
    ".env.example",
    "constraints.txt",
    "docker/*",
    "grafana/provisioning/*/*",
)
_EXAMPLE = "./examples/footfall_examples/sahasrahbot/events.yaml"
_PROVISIONED = "/etc/grafana/provisioning/dashboards"
_OPERATORS = {".env", "docker/keys.yaml"}
"""What an operator fills: never overwritten."""

folder_argument = click.argument(
    "folder", metavar="DIR", type=click.Path(path_type=Path, file_okay=False)
)
force_option = click.option("--force", is_flag=True, help="Overwrite files that differ.")


@click.command()
@folder_argument
@force_option
def compose(folder: Path, force: bool) -> None:
    """Write a compose file with all it needs: Postgres, the collector and Grafana.

    The collector's image is built from the package, so no checkout is needed. Passwords are made up and
    written to .env; that file and the keys are never overwritten.
    """
    files = _stack()
    files[".env"] = _with_passwords(files[".env.example"])
    _write(folder, files, force)
    steps = [f"cd {shlex.quote(str(folder))}"]
    if not (folder / "events.yaml").exists():
        steps.append("footfall init            # or put your events.yaml there")
    steps += [
        "docker compose up --build --detach",
        "# Grafana: http://127.0.0.1:3000, user admin, its password is in .env",
        "# Applications send OTLP to 127.0.0.1:4317 (gRPC) or 127.0.0.1:4318 (HTTP).",
    ]
    _next(steps)


@click.command()
@folder_argument
@force_option
def grafana(folder: Path, force: bool) -> None:
    """Write dashboards and a data source for a Grafana of your own, and the role that it reads with.

    DIR is a folder from which Grafana is provisioned, such as /etc/grafana/provisioning.
    """
    provisioning, dashboards = "grafana/provisioning/", folder.absolute() / "dashboards"
    stack = _stack()
    files = {
        name.removeprefix(provisioning): text.replace(_PROVISIONED, str(dashboards))
        for name, text in stack.items()
        if name.startswith(provisioning)
    }
    # The rest takes the password from the superuser: right for a stack's own server alone.
    files["roles.sql"] = stack["docker/roles.sql"].partition("\n-- The superuser:")[0]
    _write(folder, files, force)
    _next(
        [
            "# Once, as a superuser of a Postgres of your own (the passwords are yours to choose):",
            "export FOOTFALL_DB_PASSWORD=... GRAFANA_DB_USER=grafana GRAFANA_DB_PASSWORD=...",
            f"psql -d footfall -f {shlex.quote(str(folder / 'roles.sql'))}",
            "# Then start Grafana with that user and password, and with:",
            f"export GF_PATHS_PROVISIONING={shlex.quote(str(folder.absolute()))}",
            "export FOOTFALL_DB_HOST=localhost:5432 FOOTFALL_DB_NAME=footfall",
            "export FOOTFALL_DB_SSLMODE=require",
        ]
    )


def _stack() -> dict[str, str]:
    """The files of the stack by their paths, as they are where there is no checkout."""
    root = _PACKED if _PACKED.is_dir() else _PACKED.parents[2]
    # Where it is installed, its programs have been compiled, which makes folders.
    found = sorted(f for pattern in _FILES for f in root.glob(pattern) if f.is_file())
    files = {str(file.relative_to(root)): file.read_text("utf-8") for file in found}
    files["docker/constraints.txt"] = files.pop("constraints.txt")
    here = files["docker-compose.yml"].replace("context: .\n", "context: docker\n")
    files["docker-compose.yml"] = here.replace(_EXAMPLE, "./events.yaml")
    package = f"ARG FOOTFALL=footfall[digest]=={version('footfall')}"
    files["docker/Dockerfile"] = files["docker/Dockerfile"].replace(
        "ARG FOOTFALL=footfall[digest]", package
    )
    return files


def _with_passwords(example: str) -> str:
    """The example of an .env, with a password wherever one has to be filled in."""
    lines = example.splitlines()
    return "".join(f"{line}{secrets.token_hex(24) if _empty(line) else ''}\n" for line in lines)


def _empty(line: str) -> bool:
    return line.endswith("=") and not line.startswith("#")


def _write(folder: Path, files: Mapping[str, str], force: bool) -> None:
    """Writes what is not there, and says so; exits when something else is in the way."""
    there = {name for name in files if (folder / name).exists()}
    differing = sorted(n for n in there - _OPERATORS if (folder / n).read_text("utf-8") != files[n])
    if differing and not force:
        for name in differing:
            click.echo(f"{folder / name}: exists and differs", err=True)
        click.echo("nothing was written; --force overwrites these files", err=True)
        raise SystemExit(WRONG_INPUT)
    written = sorted(files.keys() - there) + differing
    try:
        for name in written:
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).touch(0o600 if name == ".env" else 0o666)
            (folder / name).write_text(files[name], "utf-8")
    except OSError as error:
        raise click.ClickException(f"{folder} cannot be written: {error.strerror}") from None
    click.echo(f"Written to {folder}:" if written else f"{folder} has all of it already.")
    for name in sorted(written):
        click.echo(f"  {name}")


def _next(steps: list[str]) -> None:
    click.echo("Next:")
    for step in steps:
        click.echo(f"  {step}")
