"""The command `footfall digest`: what a team reads every day or week."""

import datetime as dt
from contextlib import closing

import click

from footfall_collector.cli.options import OneLine, config_option, read_store
from footfall_collector.errors import failing_plainly
from footfall_exporters import postgres
from footfall_exporters.postgres.reports import digest as digests
from footfall_exporters.postgres.reports.state import of_this_version
from footfall_processors.notice import FORMATS


@click.command(cls=OneLine)
@click.option("--daily", "every", flag_value="daily", help="Of yesterday (UTC).")
@click.option(
    "--weekly", "every", flag_value="weekly", default=True, help="Of the 7 days up to yesterday."
)
@click.option("--format", "form", type=click.Choice(list(FORMATS)), default="text", show_default=True,
              help="A whole page, or text to be sent.")  # fmt: skip
@config_option
def digest(every: digests.Every, form: str, config: str | None) -> None:
    """Print what was used, what changed, what died, what expires and what was lost.

    To be sent by cron or a timer, as mail or to a chat.
    """
    store = read_store(config)
    if not postgres.is_made(store):
        raise click.ClickException("there is no database yet; run `footfall up`")
    with (
        failing_plainly(),
        postgres.database(store) as dsn,
        closing(postgres.connect_sync(dsn, postgres.READING)) as connection,
        of_this_version(),
    ):
        click.echo(FORMATS[form](digests.digest(connection, every, dt.datetime.now(dt.UTC))))
