"""The command `footfall statement`: what is counted, in words for those whose use it is."""

import os
from typing import TYPE_CHECKING

import click

from footfall_collector.cli.options import catalog_option, config_option
from footfall_collector.errors import refuse
from footfall_processors import Catalog, DocumentError, load_catalog
from footfall_processors.notice import FORMATS, Keeping, Sooner, notice

if TYPE_CHECKING:
    from footfall_collector.config.config import Config


@click.command()
@click.option("--format", "form", type=click.Choice(list(FORMATS)), default="text", show_default=True,
              help="A whole page, or text to put into one of yours.")  # fmt: skip
@click.option("--operator", metavar="NAME", help="Who is responsible for it.")
@click.option("--contact", metavar="ADDRESS", help="Where questions go.")
@catalog_option
@config_option
def statement(
    form: str, operator: str | None, contact: str | None, catalog: str | None, config: str | None
) -> None:
    """Print the privacy statement of a catalog, for a web site or an application.

    It says what the catalog allows. With --config it also says for how long it is kept, to which other
    services it is passed on, what is kept of ratings and sessions, and how whoever has a receipt erases it.
    """
    declared, keeping = _configured(config, catalog) if config else (_catalog(catalog), None)
    click.echo(FORMATS[form](notice(declared, operator, contact, keeping)))


def _catalog(file: str | None) -> Catalog:
    named = file or os.environ.get("TELEMETRY_CATALOG") or "events.yaml"
    try:
        return load_catalog([file] if file else named.split(os.pathsep))
    except DocumentError as error:
        refuse(error)


def _configured(file: str, catalog: str | None) -> tuple[Catalog, Keeping]:
    """What a collector works by."""
    from footfall_collector.config.config import load_config  # a catalog needs no collector

    try:
        config = load_config(file, catalog=catalog)
    except DocumentError as error:
        refuse(error)
    return config.catalog, _keeping(config)


def _keeping(config: "Config") -> Keeping:
    from footfall_exporters.postgres.sessions.following import INSTALLATION, tracked  # as above

    store = config.postgres
    passed_on = tuple(sorted(config.subscribers))
    if store is None:
        return Keeping(None, 0, passed_on)
    api = config.http_api if config.http_api and config.http_api.enabled else None
    sessions = tracked(config.catalog) if api else None
    return Keeping(
        store.retention_days,
        store.rollup_retention_days,
        passed_on,
        ratings=api is not None and api.psr.enabled,
        sessions=sessions is not None,
        installations=sessions is not None
        and any(INSTALLATION in config.catalog.events[e].attributes for e in sessions.events),
        published=store.published.k if store.published.products else None,
        receipts=api is not None
        and any(api.attributes.receipt in e.attributes for e in config.catalog.events.values()),
        sooner=tuple(Sooner(r.days, r.product, r.environment) for r in store.retention),
    )
