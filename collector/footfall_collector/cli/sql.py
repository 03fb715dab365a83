"""The command `footfall sql`: questions of one's own, in psql where it is installed."""

import json
import signal
import subprocess
import sys
from collections.abc import Iterator

import click
import psycopg
from psycopg import Connection

from footfall_collector.cli.options import config_option, json_option, read_made_store
from footfall_collector.cli.tables import print_rows
from footfall_collector.errors import failing_plainly
from footfall_exporters import postgres, spreadsheets
from footfall_exporters.postgres import asking, programs
from footfall_exporters.postgres.asking import Answer

_HELP = r"A statement ends with ; at the end of a line. \d lists the views, \q quits."


@click.command("sql")
@click.option("--command", "statement", metavar="SQL", help="Run this, print what it gives, end.")
@click.option(
    "--reader",
    "role",
    flag_value="reader",
    default="reader",
    help="See `reporting` alone (default).",
)
@click.option("--owner", "role", flag_value="owner", help="See and change everything.")
@click.option("--csv", "as_csv", is_flag=True, help="Print CSV, for spreadsheets; with --command.")
@json_option
@config_option
def command(
    statement: str | None, role: str, as_csv: bool, as_json: bool, config: str | None
) -> None:
    """Ask the store in SQL: in psql if it is installed, else at a small prompt.

    The views of `reporting` are found without their schema: SELECT * FROM usage;
    """
    if statement is None and (as_csv or as_json):
        raise click.UsageError("--csv and --json print what --command gives: add it")
    store, owner = read_made_store(config), role == "owner"
    with failing_plainly(), postgres.database(store) as dsn:
        with asking.session(dsn, owner=owner) as connection:
            if statement is not None:
                _print_all(_asked(connection, statement), as_csv=as_csv, as_json=as_json)
                return
            psql = _psql(connection, dsn, owner=owner)
            if psql is None:
                _prompt(connection)
                return
        sys.exit(_run(*psql))


def _asked(connection: Connection, statement: str) -> list[Answer]:
    try:
        return asking.ask(connection, statement)
    except psycopg.Error as error:
        raise click.ClickException(_said(error)) from None


def _said(error: psycopg.Error) -> str:
    """What Postgres says of a statement to whoever wrote it."""
    hint = f" ({error.diag.message_hint})" if error.diag.message_hint else ""
    return f"{error.diag.message_primary or str(error).strip()}{hint}"


def _print_all(answers: list[Answer], *, as_csv: bool = False, as_json: bool = False) -> None:
    for answer in answers:
        if as_json:
            rows = [dict(zip(answer.columns, row, strict=True)) for row in answer.rows]
            click.echo(json.dumps({"status": answer.status, "rows": rows}, default=str))
        elif as_csv:
            if answer.columns:
                click.echo(spreadsheets.as_csv(answer.columns, answer.rows), nl=False)
        elif answer.columns:
            print_rows(answer.columns, answer.rows)
        else:
            click.echo(answer.status)


def _psql(
    connection: Connection, dsn: str, *, owner: bool
) -> tuple[list[str], dict[str, str]] | None:
    """The command of psql and its environment; None where it cannot be used as this role."""
    server = connection.info.server_version // 10_000
    program = programs.as_new_as("psql", server) or programs.newest("psql")
    options = asking.options(dsn, owner=owner)
    if program is None or options is None:
        return None
    target, environment = programs.reaching(dsn, options=options, application_name="footfall sql")
    return [str(program.path), target], environment


def _run(command: list[str], environment: dict[str, str]) -> int:
    """Runs psql to its end; Ctrl-C is for its statement."""
    before = signal.signal(signal.SIGINT, lambda *_: None)
    try:
        return subprocess.run(command, env=environment, check=False).returncode
    finally:
        signal.signal(signal.SIGINT, before)


def _prompt(connection: Connection) -> None:
    """Reads statements and prints what they give, until the input ends."""
    interactive = sys.stdin.isatty()
    if interactive:
        import readline  # noqa: F401  # gives input() a history and its editing

        click.echo(_HELP)
    for statement in _statements(interactive):
        try:
            said = asking.views(connection) if statement == r"\d" else None
            _print_all([said] if said else asking.ask(connection, statement))
        except psycopg.Error as error:
            click.echo(_said(error), err=True)
        except KeyboardInterrupt:
            click.echo("cancelled", err=True)


def _statements(interactive: bool) -> Iterator[str]:
    r"""The statements that are typed, and \d; a line with another word of the prompt is none."""
    lines: list[str] = []
    while (line := _line(interactive, "     ... " if lines else "footfall> ")) != r"\q":
        if line is None:
            lines = []
        elif not lines and line in ("", r"\?"):
            click.echo(_HELP if line else "")
        else:
            lines.append(line)
            if line == r"\d" or line.endswith(";"):
                yield "\n".join(lines)
                lines = []
    if lines:
        yield "\n".join(lines)


def _line(interactive: bool, prompt: str) -> str | None:
    r"""What is typed, \q at the end of the input, None for Ctrl-C."""
    try:
        return input(prompt if interactive else "").rstrip()
    except EOFError:
        return r"\q"
    except KeyboardInterrupt:
        click.echo()
        return None
