"""What commands send by hand, and what they say of whom they would send it to."""

from collections.abc import Mapping

import click

from footfall_collector.config.masking import MASK
from footfall_exporters.notify import Target
from footfall_processors.notice import Notice


def say_targets(targets: Mapping[str, Target], notice: Notice) -> None:
    """Prints what would be sent where: of a URL nothing but what kind it is."""
    for name, target in targets.items():
        size = f"{len(target.body(notice)):,} characters of {target.form}"
        click.echo(f"to {name}: {target.service} ({target.schema}://{MASK}), {size}")


def send_to(targets: Mapping[str, Target], notice: Notice) -> None:
    """Sends it to each, and says which have taken it.

    Raises:
        ClickException: some have not.
    """
    failed = []
    for name, target in targets.items():
        if target.send(notice):
            click.echo(f"sent to {name}")
        else:
            failed.append(name)
    if failed:
        names = ", ".join(failed)
        raise click.ClickException(
            f"not sent to {names}: it was not taken; see whether the URL is right, and reached from here"
        )
