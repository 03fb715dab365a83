"""The command `footfall publish`: what may leave the team, as a site for any static host."""

from pathlib import Path

import click
import msgspec

from footfall_collector.cli.options import OneLine, config_option, json_option, read_made_store
from footfall_collector.doctor.checks import count
from footfall_collector.errors import failing_plainly
from footfall_collector.site import put, site
from footfall_exporters import postgres
from footfall_exporters.postgres.published import Published, published

_NOTHING = (
    "nothing is published yet: name products under exporters.postgres.published; the first day comes six"
    " hours after its end"
)


@click.command(cls=OneLine)
@click.argument("folder", type=click.Path(path_type=Path), metavar="DIR")
@json_option
@config_option
def publish(folder: Path, as_json: bool, config: str | None) -> None:
    """Write what may leave the team as a web site: a page, its figures, badges.

    DIR is replaced as a whole, and holds nothing else. It may be served by any static host, and shows nobody:
    see docs/publishing.md for what is in it.
    """
    store = read_made_store(config)
    with failing_plainly():
        with postgres.database(store) as dsn:
            found = published(dsn)
        files = site(found)
        try:
            put(folder, files)
        except OSError as error:
            raise click.ClickException(f"{error.filename or folder}: {error.strerror}") from None
    if as_json:
        click.echo(msgspec.json.encode(_told(folder, list(files), found)))
    else:
        _say(folder, len(files), found)


def _told(folder: Path, files: list[str], found: Published) -> dict[str, object]:
    days = [each.day for each in found.days]
    return {
        "directory": str(folder),
        "files": files,
        "products": sorted({each.product for each in found.days}),
        "first_day": min(days, default=None),
        "last_day": max(days, default=None),
        "figures": len(found.figures),
    }


def _say(folder: Path, files: int, found: Published) -> None:
    written = f"{folder}: {count(files, 'file')}"
    if not found.days:
        click.echo(f"{written}, without figures")
        click.echo(_NOTHING, err=True)
        return
    days = sorted({each.day for each in found.days})
    figures = count(len(found.figures), "figure")
    click.echo(f"{written}, {figures} of {count(len(days), 'day')} up to {days[-1]}")
