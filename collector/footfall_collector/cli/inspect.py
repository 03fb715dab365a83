"""The command `footfall inspect`: what the SDK keeps on this machine, for its user to see."""

import sys
from pathlib import Path

import click

from footfall_collector.cli.options import json_option


@click.command()
@click.option("--product", metavar="NAME", help="The product, where there are several.")
@click.option("--catalog", metavar="FILE", help="Its catalog: what it allows beyond the consent.")
@click.option(
    "--folder",
    metavar="DIR",
    type=click.Path(path_type=Path),
    help="Where the program keeps its decision and its events, if it chose a place itself.",
)
@json_option
@click.option("--next", "payloads", is_flag=True, help="Print what would be sent, as OTLP/JSON.")
@click.option(
    "--raw",
    metavar="DIR",
    type=click.Path(path_type=Path),
    help="Write the bytes of what would be sent to a new folder, a file for each request.",
)
def inspect(
    product: str | None,
    catalog: str | None,
    folder: Path | None,
    as_json: bool,
    payloads: bool,
    raw: Path | None,
) -> None:
    """Show what a program's telemetry keeps on this machine; nothing is sent."""
    from footfall.inspect import run

    sys.exit(run(product, catalog, folder, as_json=as_json, payloads=payloads, raw=raw))
