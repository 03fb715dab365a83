"""The command `footfall`: each command in a module of its own, imported when it is asked for."""

import importlib
import importlib.metadata
import logging
from typing import Any

import click

_COMMANDS = {
    "config": "footfall_collector.cli.config:commands",
    "doctor": "footfall_collector.cli.doctor:doctor",
    "export": "footfall_collector.cli.export:export",
    "inspect": "footfall_collector.cli.inspect:inspect",
    "keys": "footfall_collector.cli.keys:commands",
    "migrate": "footfall_collector.cli.store:migrate",
    "purge": "footfall_collector.cli.store:purge",
    "report": "footfall_collector.cli.store:report",
    "up": "footfall_collector.cli.up:up",
    "validate": "footfall_collector.cli.validate:validate",
}


class _Commands(click.Group):
    """The commands above, and those of other packages (entry points `footfall.commands`)."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return sorted(_COMMANDS.keys() | _others().names)

    def get_command(self, ctx: click.Context, name: str) -> click.Command | None:
        try:
            return _command(name)
        except ImportError as error:
            raise click.ClickException(
                f"`footfall {name}` needs {error.name}: pip install 'footfall[{name}]'"
            ) from None


def _others() -> importlib.metadata.EntryPoints:
    return importlib.metadata.entry_points(group="footfall.commands")


def _command(name: str) -> click.Command | None:
    if name in _COMMANDS:
        module, _, attribute = _COMMANDS[name].partition(":")
        found: Any = getattr(importlib.import_module(module), attribute)
    else:
        found = next((entry.load() for entry in _others().select(name=name)), None)
    command: click.Command | None = found
    return command


@click.group(cls=_Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="footfall")
def main() -> None:
    """Count which features are used, without knowing by whom."""
    logging.basicConfig(level=logging.WARNING, format="%(levelname)s %(name)s: %(message)s")
