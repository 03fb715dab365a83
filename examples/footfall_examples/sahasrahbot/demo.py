"""`footfall demo`: a real product, a real database, and the proof that the numbers are right."""

import asyncio
import logging
import sys
from pathlib import Path

import click


@click.command()
@click.option("--once", is_flag=True, help="End when all is shown, also in a terminal.")
@click.option(
    "--data",
    metavar="DIR",
    type=click.Path(path_type=Path, file_okay=False),
    help="Where the demo keeps its data; it is emptied at the next demo. "
    "[default: `demo`, beside Footfall's own Postgres]",
)
def demo(once: bool, data: Path | None) -> None:
    """Drive a real product and check every number.

    A web API, a Discord bot and a racetime.gg bot are used by many, in all the ways that succeed and
    fail. What Footfall made of it is printed, compared with what was done, and searched for anything
    personal.
    """
    # simcord tries discord.py out when it is imported, which then warns of voice and intents.
    logging.getLogger("discord").setLevel(logging.ERROR)
    from footfall_collector.errors import failing_plainly
    from footfall_examples.sahasrahbot import run
    from footfall_examples.sahasrahbot.directory import DirectoryError, held
    from footfall_examples.sahasrahbot.drive import WrongAnswer
    from footfall_exporters.embedded import default_directory

    directory = (data or default_directory().parent / "demo").expanduser().absolute()
    stay = not once and sys.stdin.isatty() and sys.stdout.isatty()
    try:
        with failing_plainly(), held(directory):
            good = asyncio.run(run.run(directory, stay))
    except (DirectoryError, WrongAnswer) as error:
        raise click.ClickException(str(error)) from None
    sys.exit(0 if good else 1)
