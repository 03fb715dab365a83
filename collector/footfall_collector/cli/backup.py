"""The commands `footfall backup` and `footfall restore`: the store as one file, and back."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import click
from rich.console import Console
from rich.progress import Progress

from footfall_collector.cli.options import config_option, read_made_store, read_store
from footfall_collector.errors import failing_plainly
from footfall_exporters import postgres
from footfall_exporters.postgres.backup import Progress as Told
from footfall_exporters.postgres.backup import back_up
from footfall_exporters.postgres.restore import examine
from footfall_exporters.postgres.restore import restore as restored_from

_file = click.argument("file", type=click.Path(path_type=Path))


@click.command()
@_file
@click.option(
    "--postgres",
    "programs",
    type=click.Path(path_type=Path, file_okay=False, exists=True),
    help="Where the Postgres is that made the data, if it is not the one that is installed.",
)
@config_option
def backup(file: Path, programs: Path | None, config: str | None) -> None:
    """Write everything that is stored to a new file, without the salts.

    The collector may go on meanwhile. FILE can be read by you alone; it holds pseudonyms and the keys of the
    database, so keep it as you keep the database.
    """
    store = read_made_store(config)
    if file.exists():
        raise click.UsageError(f"{file} is there already; name a new file")
    with (
        _failing(file),
        postgres.database_as_made(store, programs) as dsn,
        _progress("backing up") as told,
    ):
        made = back_up(dsn, file, told)
    size = f"{made.size / 2**20:,.1f} MiB"
    click.echo(f"{file}: {size}, schema {made.schema}, of Postgres {made.server}, without salts")


@click.command()
@_file
@config_option
def restore(file: Path, config: str | None) -> None:
    """Make the database of a backup, in any supported version of Postgres.

    FILE is read to its end first. A database that holds something of Footfall already is left as it is.
    """
    store = read_store(config)
    with _failing(file):
        found = examine(file)
        with postgres.database(store) as dsn, _progress("restoring") as told:
            done = restored_from(dsn, found, store.event_time, told)
    click.echo(
        f"restored: {done.occurrences:,} occurrences, up to commit {done.position:,}, schema {done.schema}"
    )
    click.echo("Hashes begin with new salts. Next: `footfall up`.")


@contextmanager
def _failing(file: Path) -> Iterator[None]:
    """Also what a file can be in the way with."""
    try:
        with failing_plainly():
            yield
    except OSError as error:
        raise click.ClickException(f"{error.filename or file}: {error.strerror}") from None


@contextmanager
def _progress(what: str) -> Iterator[Told]:
    """Shows how many tables are done, in a terminal."""
    console = Console(stderr=True)
    with Progress(console=console, transient=True, disable=not console.is_terminal) as progress:
        task = progress.add_task(what, total=None)

        def told(done: int, total: int) -> None:
            progress.update(task, completed=done, total=total)

        yield told
