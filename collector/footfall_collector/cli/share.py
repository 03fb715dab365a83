"""The command `footfall share`: a link to one view of the page, for somebody without a key."""

import re
from contextlib import closing

import click

from footfall_collector.cli.options import OneLine, Wrong, config_option, read_config
from footfall_collector.config.config import Config
from footfall_collector.config.schema import OperatorConfig
from footfall_collector.errors import failing_plainly
from footfall_collector.security import shares
from footfall_exporters import postgres
from footfall_exporters.postgres import page_keys
from footfall_exporters.postgres.reports.state import of_this_version

_SECONDS = {"m": 60, "h": 3600, "d": 86_400, "w": 7 * 86_400}


@click.command(cls=OneLine)
@click.argument("address", required=False)
@click.option("--for", "lasts", metavar="TIME", default="7d", show_default=True,
              help="How long it is good: 12h, 7d, 2w; 366d at most.")  # fmt: skip
@click.option("--end-all", is_flag=True, help="End every link that was made so far.")
@config_option
def share(address: str | None, lasts: str, end_all: bool, config: str | None) -> None:
    """Print a link to one view of the page, for looking, without a key.

    ADDRESS is what the browser shows, such as "/feature?event=shop.order&period=7d": whoever has the link
    sees this view, under its filters, until it is over, and nothing else.
    """
    if (address is None) != end_all:
        raise Wrong("give the ADDRESS of a view, or --end-all")
    found = read_config(config)
    operator = _operator(found)
    made = None if address is None else _made(address, lasts)
    secret = _secret(found, forget=end_all)
    if address is None or made is None:
        click.echo("every link is over, within half a minute; those made from now on are good")
        return
    token = shares.signed().write(secret, made)
    click.echo(f"{_base(operator)}{shares.linked(address, token)}")


def _made(address: str, lasts: str) -> shares.Share:
    match = re.fullmatch(r"([0-9]{1,5})([mhdw])", lasts)
    if match is None:
        raise Wrong("`--for` is no time; give 12h, 7d or 2w")
    try:
        return shares.share(address, int(match[1]) * _SECONDS[match[2]])
    except shares.NotShared as error:
        raise Wrong(str(error)) from None


def _operator(config: Config) -> OperatorConfig:
    operator = config.service.operator
    if operator is None or operator.keys_file is None:
        raise click.ClickException(
            "the operator's listener asks for no key, so that whoever reaches it sees everything;"
            " set `service.operator.keys_file`"
        )
    return operator


def _secret(config: Config, *, forget: bool) -> bytes:
    if config.postgres is None:
        raise click.ClickException("this collector is a gateway: it stores nothing to be shown")
    with (
        failing_plainly(),
        postgres.database(config.postgres) as dsn,
        closing(postgres.connect_sync(dsn, page_keys.SIGNING)) as connection,
        of_this_version(),
    ):
        if forget:
            page_keys.forget(connection, "shares")
        return page_keys.read(connection, "shares")


def _base(operator: OperatorConfig) -> str:
    """Where browsers find the listener."""
    if operator.url:
        return operator.url.rstrip("/")
    scheme = "https" if operator.tls or operator.behind_tls else "http"
    host, _, port = operator.endpoint.rpartition(":")
    host = operator.hosts[0] if operator.hosts else host
    return f"{scheme}://{host}" if operator.behind_tls else f"{scheme}://{host}:{port}"
