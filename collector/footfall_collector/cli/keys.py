"""The command `footfall keys`: who may send to this collector."""

import datetime as dt
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import click

from footfall_collector.cli.options import json_option
from footfall_collector.errors import refuse
from footfall_collector.security import keys
from footfall_collector.security.keys_file import changing
from footfall_processors.document import DocumentError, nearest

_file = click.option("--file", "-f", metavar="FILE", help="The keys file; overrides --config.")
_config = click.option("--config", "-c", metavar="FILE", help="The configuration that names it.")
_RIGHTS = ("relay", "operator", "names_viewers")


@click.group("keys")
def commands() -> None:
    """Make, list and revoke the keys that senders need."""


@commands.command()
@click.argument("name")
@click.option("--service", "-s", "services", multiple=True, metavar="NAME",
              help="A service.name that it may send for; repeat it for more. All without any.")  # fmt: skip
@click.option("--requests-per-minute", metavar="N", type=click.IntRange(1, 10_000_000),
              help="How many requests it may send, in each worker.")  # fmt: skip
@click.option("--relay", is_flag=True, help="For another Footfall, whose pseudonyms are kept.")
@click.option("--operator", is_flag=True, help="Opens the operator's listener as well.")
@click.option("--names-viewers", is_flag=True, help="For a backend that says who its user is.")
@click.option("--expires", metavar="DATE", type=click.DateTime(["%Y-%m-%d"]),
              help="Its last day (UTC), such as 2027-12-31.")  # fmt: skip
@json_option
@_file
@_config
def new(
    name: str,
    services: tuple[str, ...],
    requests_per_minute: int | None,
    relay: bool,
    operator: bool,
    names_viewers: bool,
    expires: dt.datetime | None,
    as_json: bool,
    file: str | None,
    config: str | None,
) -> None:
    """Make a key and print it, once; the file keeps only its hash."""
    today = dt.datetime.now(dt.UTC).date()
    if not keys.NAME.fullmatch(name):
        raise click.BadParameter(keys.NAME_RULE, param_hint="NAME")
    last_day = expires.date() if expires else None
    if last_day is not None and last_day < today:
        raise click.BadParameter("that day is over", param_hint="--expires")
    token = keys.make_token()
    path = _path(file, config)
    entry = keys.KeyEntry(
        hash=f"sha256:{keys.digest(token).hex()}",
        services=services,
        requests_per_minute=requests_per_minute,
        relay=relay,
        operator=operator,
        names_viewers=names_viewers,
        created=today,
        expires=last_day,
    )
    with _changing(path) as entries:
        if name in entries:
            raise click.ClickException(
                f"{path} has a key {name} already; revoke it first, or choose another name"
            )
        entries[name] = entry
    click.echo(json.dumps({"name": name, "key": token, "file": str(path)}) if as_json else token)
    click.echo(
        f"Key {name} is in {path}. Keep what is printed here: it cannot be had again. A collector that"
        f" runs takes it after `footfall reload`.",
        err=True,
    )


@commands.command("list")
@json_option
@_file
@_config
def list_keys(as_json: bool, file: str | None, config: str | None) -> None:
    """List the keys: names and what they may do, never a key or its hash."""
    path = _path(file, config)
    with _refusing():
        entries = keys.read(path)
    if as_json:
        rows = [{"name": name, **_shown(entry)} for name, entry in entries.items()]
        click.echo(json.dumps({"keys": rows}, default=str))
    elif entries:
        _print_table(entries)
    else:
        click.echo(f"{path} has no keys: nobody may send. Make one with `footfall keys new`.")


@commands.command()
@click.argument("name")
@_file
@_config
def revoke(name: str, file: str | None, config: str | None) -> None:
    """Remove a key; its sender is refused after the next SIGHUP."""
    path = _path(file, config)
    with _changing(path) as entries:
        if name not in entries:
            hint = nearest(name, entries) or "; `footfall keys list` shows them"
            raise click.ClickException(f"{path} has no key {name}{hint}")
        del entries[name]
    click.echo(
        f"Key {name} is revoked. A collector that runs refuses it after `footfall reload`.",
        err=True,
    )


def _path(file: str | None, config: str | None) -> Path:
    """The keys file: the one that is given, else the one that the configuration names."""
    from footfall_collector.config.reader import read, section

    if file is not None:
        return Path(file)
    with _refusing():
        reading = read(config, os.environ)  # whatever else is wrong in it
    places = (("receivers", "otlp", "auth", "keys_file"), ("service", "operator", "keys_file"))
    named = next((found for keys in places if (found := section(reading.document, *keys))), None)
    if not isinstance(named, str):
        with _refusing():
            reading.document.refuse()
        raise click.UsageError(
            "no keys file is configured: set receivers.otlp.auth.keys_file, or give --file"
        )
    return reading.folder / named


@contextmanager
def _refusing() -> Iterator[None]:
    """Prints the mistakes of a file and ends."""
    try:
        yield
    except DocumentError as error:
        refuse(error)


@contextmanager
def _changing(path: Path) -> Iterator[dict[str, keys.KeyEntry]]:
    try:
        with _refusing(), changing(path) as entries:
            yield entries
    except OSError as error:
        raise click.ClickException(
            f"{path} cannot be changed: {error.strerror}; its folder must exist, and be writable"
        ) from None


def _shown(entry: keys.KeyEntry) -> dict[str, Any]:
    """What an entry says, without its hash."""
    return {f: getattr(entry, f) for f in entry.__struct_fields__ if f != "hash"}


def _print_table(entries: dict[str, keys.KeyEntry]) -> None:
    from rich.console import Console
    from rich.table import Table

    from footfall_collector.cli.tables import print_texts

    today = dt.datetime.now(dt.UTC).date()
    rows = []
    for name, entry in entries.items():
        limit = f"{entry.requests_per_minute:,}" if entry.requests_per_minute else "any"
        rights = [right for right in _RIGHTS if getattr(entry, right)]
        over = entry.expires is not None and entry.expires < today
        row = (
            name,
            ", ".join(entry.services) or "all",
            limit,
            ", ".join(rights).replace("_", " ") or "-",
            str(entry.created),
            f"{entry.expires or 'never'}{' (over)' if over else ''}",
        )
        rows.append(row)
    columns = ("name", "services", "per minute", "may also", "created", "expires")
    table = Table(title="Keys", title_justify="left")
    print_texts(table, columns, rows, ["per minute"], Console())
