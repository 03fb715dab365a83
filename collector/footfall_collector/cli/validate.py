"""The command `footfall validate`: mistakes and warnings of a catalog or a configuration."""

import sys
from collections.abc import Sequence
from itertools import groupby
from typing import NamedTuple

import click

from footfall_collector.doctor.checks import count
from footfall_collector.errors import WRONG_INPUT, refuse
from footfall_processors import Catalog, DocumentError, Mistake, load_catalog
from footfall_processors.cautions import cautions
from footfall_processors.document import Document, load


class _Valid(NamedTuple):
    what: str
    catalog: Catalog
    files: Sequence[str]


@click.command()
@click.argument("file")
@click.option("--strict", is_flag=True, help="Fail on warnings as well.")
def validate(file: str, strict: bool) -> None:
    """Check a catalog (events.yaml) or a collector configuration.

    Every mistake is listed, files that a configuration names and that are not there among them; and every
    warning, of what is valid and could tell who somebody is.
    """
    try:
        document = load(file)
        is_catalog = document.data.keys().isdisjoint(
            ("receivers", "processors", "exporters", "digest", "alerts", "service")
        )
        valid = _catalog(file) if is_catalog else _configuration(file, document)
        warnings = cautions(valid.files)
    except DocumentError as error:
        refuse(error)
    events = sum(1 for event in valid.catalog.events.values() if event.surface != "footfall")
    click.echo(f"{file}: a valid {valid.what} with {count(events, 'event')}")
    _warn(warnings)
    if strict and warnings:
        sys.exit(WRONG_INPUT)


def _catalog(file: str) -> _Valid:
    return _Valid("catalog", load_catalog(file), [file])


def _configuration(file: str, document: Document) -> _Valid:
    from footfall_collector.config.config import load_config  # a catalog needs no collector
    from footfall_collector.doctor.files import check_files

    config = load_config(file)
    check_files(document, config)
    document.refuse()
    return _Valid("configuration", config.catalog, config.catalog_files)


def _warn(warnings: Sequence[Mistake]) -> None:
    """Each file once, its warnings below it."""
    for file, of_file in groupby(warnings, key=lambda warning: warning.file):
        listed = list(of_file)
        click.echo(f"{file}: {count(len(listed), 'warning')}")
        for warning in listed:
            click.echo(f"  line {warning.line}, {warning.path}: {warning.message}")
