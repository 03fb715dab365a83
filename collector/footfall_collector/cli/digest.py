"""The command `footfall digest`: what a team reads every day or week."""

import datetime as dt
from contextlib import closing

import click

from footfall_collector.cli.options import OneLine, Wrong, config_option, read_made_store
from footfall_collector.cli.sending import say_targets, send_to
from footfall_collector.config.config import load_digest
from footfall_collector.config.digest import DigestConfig
from footfall_collector.errors import failing_plainly
from footfall_exporters import notify, postgres
from footfall_exporters.postgres.reports import digest as digests
from footfall_exporters.postgres.reports.state import of_this_version
from footfall_exporters.postgres.reports.zones import zone_of
from footfall_processors.notice import FORMATS, Notice

_NOBODY = (
    "nobody is named to whom the digest could be sent; set `digest.targets` in the configuration"
)


@click.command(cls=OneLine)
@click.option("--daily", "every", flag_value="daily", help="Of yesterday (UTC).")
@click.option("--weekly", "every", flag_value="weekly", help="Of the 7 days up to yesterday.")
@click.option("--format", "form", type=click.Choice(list(FORMATS)), default="text", show_default=True,
              help="A whole page, or text to be sent.")  # fmt: skip
@click.option("--send", is_flag=True, help="Send it now, to all whom the configuration names.")
@click.option("--dry-run", is_flag=True, help="With --send: say what would be sent where.")
@config_option
def digest(
    every: digests.Every | None, form: str, send: bool, dry_run: bool, config: str | None
) -> None:
    """Print what was used, what changed, what died, what expires and what was lost.

    Of the 7 days up to yesterday, unless told otherwise. A collector sends it by itself where `digest`
    is configured.
    """
    if dry_run and not send:
        raise Wrong("--dry-run says what --send would do: add it")
    with failing_plainly():
        to = load_digest(config) if send else None
    if send and to is None:
        raise Wrong(_NOBODY)
    notice = _made(config, every or (to.every if to else "weekly"))
    if to is None:
        click.echo(FORMATS[form](notice))
    elif dry_run:
        _say(to, notice)
    else:
        send_to(notify.targets(to.targets), notice)


def _made(config: str | None, every: digests.Every) -> Notice:
    store = read_made_store(config)
    with (
        failing_plainly(),
        postgres.database(store) as dsn,
        closing(postgres.connect_sync(dsn, postgres.READING)) as connection,
        of_this_version(),
    ):
        return digests.digest(connection, every, dt.datetime.now(dt.UTC))


def _say(to: DigestConfig, notice: Notice) -> None:
    """What would be sent where, and when that is."""
    say_targets(notify.targets(to.targets), notice)
    due = to.next_due(dt.datetime.now(dt.UTC))
    there = f"{due.astimezone(zone_of(to.time_zone)):%Y-%m-%d %H:%M} {to.time_zone}"
    click.echo(f"nothing was sent; a collector sends it next at {there} ({due:%H:%M} UTC)\n")
    click.echo(FORMATS["text"](notice))
