"""What the commands share: options, and reading the configuration that they name."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import click

from footfall_collector.errors import WRONG_INPUT, refuse

if TYPE_CHECKING:
    from footfall_collector.config.config import Config
    from footfall_exporters.postgres import PostgresConfig

config_option = click.option(
    "--config", "-c", metavar="FILE", help="Collector configuration (YAML)."
)
catalog_option = click.option(
    "--catalog", metavar="FILE", help="The catalog; overrides the configuration."
)
json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON, for scripts.")


class Wrong(click.ClickException):
    """A question that cannot be asked."""

    exit_code = WRONG_INPUT


@contextmanager
def asked_rightly() -> Iterator[None]:
    """Says of a question that cannot be asked what is wrong, with the status for that."""
    from footfall_exporters.postgres.reports.asked import WrongQuestion

    try:
        yield
    except WrongQuestion as error:
        raise Wrong(str(error)) from None


class OneLine(click.Command):
    """A command that says in one line what is wrong with its arguments: what would be right is in it."""

    def make_context(self, *words: Any, **more: Any) -> click.Context:
        """As click does, without the block of usage."""
        try:
            return super().make_context(*words, **more)
        except click.exceptions.NoArgsIsHelpError:
            raise
        except click.UsageError as error:
            error.ctx = None
            raise


def read_config(path: str | None, catalog: str | None = None) -> "Config":
    """The checked configuration; exits with status 2 and every mistake when there is one."""
    from footfall_collector.config.config import load_config
    from footfall_processors import DocumentError

    try:
        return load_config(path, catalog=catalog)
    except DocumentError as error:
        refuse(error)


def read_store(path: str | None) -> "PostgresConfig":
    """The configured store, for commands that need no catalog; else as `read_config`."""
    from footfall_collector.config.config import load_store
    from footfall_processors import DocumentError

    try:
        return load_store(path)
    except DocumentError as error:
        refuse(error)


def read_made_store(path: str | None) -> "PostgresConfig":
    """The same, for commands that have nothing to say before there is a database."""
    from footfall_exporters.postgres import is_made

    store = read_store(path)
    if not is_made(store):
        raise click.ClickException("there is no database yet; run `footfall up`")
    return store
