"""The command `footfall`: each command in a module of its own, imported when it is asked for.

What is listed needs no import, so `footfall --help` works, and quickly, whatever is installed.
"""

import errno
import importlib
import importlib.metadata
import io
import logging
import os
import sys
from collections.abc import Iterator
from contextlib import suppress
from typing import Any, NamedTuple

try:
    import click
    from click.shell_completion import CompletionItem
except ModuleNotFoundError:  # installed without its dependencies
    raise SystemExit("footfall: click is not installed: pip install footfall") from None

from footfall_collector.process.garbage import collect_seldom


class _Row(NamedTuple):
    """A command: the module and function, and what the list of commands says of it."""

    place: str
    summary: str


_SECTIONS = {
    "Begin": {
        "init": _Row("init:init", "Write a catalog for an application, or add what is new."),
        "validate": _Row("validate:validate", "Check a catalog or a configuration."),
        "up": _Row("up:up", "Run the collector, with a Postgres of its own or yours."),
    },
    "Look": {
        "tail": _Row("tail:tail", "What comes in, as it comes in."),
        "stats": _Row("seen:stats", "How often each event came."),
        "recent": _Row("seen:recent", "The newest observations."),
        "report": _Row("report:report", "What was used, what failed, how long it took."),
        "annotate": _Row("annotate:annotate", "Say what happened, beside the figures."),
        "digest": _Row("digest:digest", "What a team reads every day or week."),
        "publish": _Row("publish:publish", "Write a web site of what may leave the team."),
        "share": _Row("share:share", "A link to one view of the page, without a key."),
        "sql": _Row("sql:command", "Ask the store in SQL."),
        "inspect": _Row("inspect:inspect", "What a program keeps on this machine, for its user."),
        "statement": _Row("statement:statement", "The privacy statement of a catalog."),
        "config": _Row("config:commands", "Every value in force and where it comes from."),
    },
    "Operate": {
        "alerts": _Row("alerts:commands", "What fires, a test of the way, and silence."),
        "doctor": _Row("doctor:doctor", "Check everything, and say what to do."),
        "keys": _Row("keys:commands", "Make, list and revoke the keys of senders."),
        "migrate": _Row("store:migrate", "Bring the database to the current schema."),
        "purge": _Row("store:purge", "Drop what is older than the retention, now."),
        "reload": _Row("signals:reload", "Have the collector read its files again."),
        "stop": _Row("signals:stop", "Stop the collector, and wait for its end."),
        "backup": _Row("backup:backup", "Write what is stored to a file, without salts."),
        "restore": _Row("backup:restore", "Make the database of a backup."),
        "export": _Row("export:export", "Send what was stored to another backend."),
        "compose": _Row("stack:compose", "Write a compose file with all it needs to a folder."),
        "grafana": _Row("stack:grafana", "Write dashboards for a Grafana of your own."),
        "man": _Row("man:man", "Write manual pages of all commands."),
    },
}
_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO)
_COMMANDS = {name: row for rows in _SECTIONS.values() for name, row in rows.items()}


class _Commands(click.Group):
    """The commands above, and those of other packages (entry points `footfall.commands`)."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return sorted(_COMMANDS.keys() | _others().names)

    def get_command(self, ctx: click.Context, name: str) -> click.Command | None:
        try:
            return _command(name)
        except ModuleNotFoundError as error:
            raise _told(name, error) from None

    def main(self, *args: Any, **kwargs: Any) -> Any:
        """Says in one line that what it prints cannot be written, also what is left of it at the end."""
        _open_streams()
        try:
            try:
                return super().main(*args, **kwargs)
            finally:
                sys.stdout.flush()
        except OSError as error:
            if error.filename is not None or error.errno not in (*_FULL, errno.EPIPE):
                raise
            print_no_more()
            if error.errno != errno.EPIPE:
                reason = os.strerror(error.errno)
                click.echo(f"Error: the output cannot be written: {reason}", err=True)
            sys.exit(1)

    def invoke(self, ctx: click.Context) -> Any:
        collect_seldom()  # before anything large is imported
        try:
            return super().invoke(ctx)
        except ModuleNotFoundError as error:
            raise _told(ctx.invoked_subcommand, error) from None

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        width = max(map(len, self.list_commands(ctx)))
        for section, rows in _listed():
            with formatter.section(section):
                formatter.write_dl([(name.ljust(width), text) for name, text in rows])

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[CompletionItem]:
        rows = sorted(row for _, rows in _listed() for row in rows)
        found = [CompletionItem(n, help=text) for n, text in rows if n.startswith(incomplete)]
        return found + click.Command.shell_complete(self, ctx, incomplete)


def _open_streams() -> None:
    """What is closed (`>&-`) goes nowhere, or its number would be that of the next file or connection.

    What the output's encoding does not have is a `?`.
    """
    for number, name in enumerate(("stdin", "stdout", "stderr")):
        try:
            os.fstat(number)
        except OSError:
            os.set_inheritable(os.open(os.devnull, os.O_RDWR), True)  # the lowest that is free
        if getattr(sys, name) is None:
            setattr(sys, name, os.fdopen(number, "w" if number else "r", encoding="utf-8"))
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="replace")


def print_no_more() -> None:
    """Python would complain at its end of what cannot be written."""
    with suppress(OSError):  # in a test, standard output has no number
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _others() -> importlib.metadata.EntryPoints:
    return importlib.metadata.entry_points(group="footfall.commands")


def _listed() -> Iterator[tuple[str, list[tuple[str, str]]]]:
    """Each section with its commands and what is said of them."""
    for section, rows in _SECTIONS.items():
        yield section, [(name, row.summary) for name, row in rows.items()]
    if names := sorted(_others().names):
        yield "More", [(name, _summary(name)) for name in names]


def _summary(name: str) -> str:
    try:
        command = _command(name)
    except ModuleNotFoundError as error:
        return f"(needs {error.name})"
    return command.get_short_help_str(60) if command else ""


def _command(name: str) -> click.Command | None:
    if row := _COMMANDS.get(name):
        module, _, attribute = row.place.partition(":")
        found: Any = getattr(importlib.import_module(f"{__name__}.{module}"), attribute)
    else:
        found = next((entry.load() for entry in _others().select(name=name)), None)
    command: click.Command | None = found
    return command


def _told(name: str | None, error: ModuleNotFoundError) -> Exception:
    """One line that names the extra of what is not installed; the error itself, if that is Footfall's."""
    if error.name is None or error.name.startswith("footfall"):
        return error
    extra = "collector" if name in _COMMANDS else name
    return click.ClickException(
        f"`footfall {name}` needs {error.name}: pip install 'footfall[{extra}]'"
    )


@click.group(cls=_Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="footfall")
def main() -> None:
    """Count which features are used, without knowing by whom."""
    logging.basicConfig(level=logging.WARNING, format="%(levelname)s %(name)s: %(message)s")
