"""The command `footfall validate`: mistakes and warnings of a catalog or a configuration."""

import sys
from collections.abc import Sequence
from itertools import groupby

import click

from footfall_collector.errors import WRONG_INPUT, refuse
from footfall_processors import DocumentError, Mistake, load_catalog
from footfall_processors.cautions import cautions
from footfall_processors.document import load


@click.command()
@click.argument("file")
@click.option("--strict", is_flag=True, help="Fail on warnings as well.")
def validate(file: str, strict: bool) -> None:
    """Check a catalog (events.yaml) or a collector configuration.

    Every mistake is listed; and every warning, of what is valid and could tell who somebody is.
    """
    try:
        keys = set(load(file).data)
        if keys & {"receivers", "processors", "exporters", "service"}:
            from footfall_collector.config.config import load_config

            config = load_config(file)
            catalog, what, catalogs = config.catalog, "configuration", config.catalog_files
        else:
            catalog, what, catalogs = load_catalog(file), "catalog", [file]
        warnings = cautions(catalogs)
    except DocumentError as error:
        refuse(error)
    events = sum(1 for event in catalog.events.values() if event.surface != "footfall")
    click.echo(f"{file}: a valid {what} with {events} events")
    _warn(warnings)
    if strict and warnings:
        sys.exit(WRONG_INPUT)


def _warn(warnings: Sequence[Mistake]) -> None:
    """Each file once, its warnings below it."""
    for file, of_file in groupby(warnings, key=lambda warning: warning.file):
        listed = list(of_file)
        click.echo(f"{file}: {len(listed)} warning{'s' * (len(listed) > 1)}")
        for warning in listed:
            click.echo(f"  line {warning.line}, {warning.path}: {warning.message}")
