"""The commands `footfall reload` and `footfall stop`: a word to the collector that runs."""

import os
import signal
import time
from pathlib import Path

import click

from footfall_collector.cli.options import catalog_option, config_option, read_config
from footfall_collector.config.config import catalog_files
from footfall_collector.errors import failing_plainly
from footfall_collector.process import presence

PATIENCE_S = 90.0
"""Seconds for a reload: the schema may be waited for for a minute."""


@click.command()
@config_option
@catalog_option
def reload(config: str | None, catalog: str | None) -> None:
    """Have the running collector read catalog, keys and certificates again, and say whether it took them.

    Mistakes are listed first, and nothing is reloaded then. What is wrong beyond them is in its log, and what
    was in force stays so.
    """
    read_config(config, catalog)
    place, pid = _running(config, catalog)
    since = time.monotonic_ns()
    _tell(place, pid, signal.SIGHUP)
    taken = None
    while taken is None and time.monotonic_ns() - since < PATIENCE_S * 1e9:
        time.sleep(0.05)
        if presence.holder(place) != pid:
            raise click.ClickException(f"the collector (process {pid}) has ended; see its log")
        taken = presence.reloaded(place, since)
    if taken is None:
        raise click.ClickException(
            f"process {pid} has not said in {PATIENCE_S:.0f} s that it has reloaded; see its log"
        )
    if not taken:
        raise click.ClickException(
            f"process {pid} did not take all of it; its log says what and why"
        )
    click.echo(f"Reloaded: process {pid} took catalog, keys and certificates.")


@click.command()
@config_option
@catalog_option
@click.option(
    "--timeout",
    type=click.FloatRange(0, 3600),
    default=60.0,
    show_default=True,
    help="Seconds to wait.",
)
def stop(config: str | None, catalog: str | None, timeout: float) -> None:
    """Stop the running collector, and wait until it has ended; requests in flight are answered."""
    place, pid = _running(config, catalog)
    begun = time.monotonic()
    _tell(place, pid, signal.SIGTERM)
    if not presence.wait_for_end(place, pid, timeout):
        raise click.ClickException(f"process {pid} has not ended in {timeout:g} s; it still works")
    click.echo(f"Stopped: process {pid} ended after {time.monotonic() - begun:.1f} s.")


def _running(config: str | None, catalog: str | None) -> tuple[Path, int]:
    """The lock of the collector that runs with this configuration, and its process."""
    with failing_plainly():
        place = presence.place_of(
            config, [] if config else catalog_files(None, os.environ, catalog)
        )
    try:
        pid = presence.holder(place)
    except OSError as error:
        raise click.ClickException(f"{place}: {error.strerror}") from None
    if pid is None:
        raise click.ClickException(
            "no collector runs with this configuration; give --config, --catalog and FOOTFALL_HOME as it was"
            " started with"
        )
    if pid == 0:
        raise click.ClickException("the collector runs in another container: tell it there")
    return place, pid


def _tell(place: Path, pid: int, number: signal.Signals) -> None:
    try:
        if presence.tell(place, pid, number):
            return
    except OSError as error:
        raise click.ClickException(f"process {pid}: {error.strerror}") from None
    raise click.ClickException(f"the collector (process {pid}) has just ended")
