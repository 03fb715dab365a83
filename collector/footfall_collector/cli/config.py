"""The command `footfall config show`: what a collector would run with, and where each value comes from."""

import json
import os
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click
import msgspec

from footfall_collector.cli.options import config_option, json_option
from footfall_collector.config.environment import SINK, expand
from footfall_collector.config.masking import MASK, Masking
from footfall_collector.config.reader import Reading, located, read
from footfall_collector.errors import refuse
from footfall_processors.document import Document, DocumentError, Keys, load

_TARGETS = {("digest", "targets"), ("alerts", "targets")}
"""URLs, any part of which may be a secret."""
_REFERENCE = re.compile(r"\$\{env:(\w+)")


@dataclass(frozen=True, slots=True)
class Shown:
    """A value in force.

    Attributes:
        keys: What leads to it, such as `exporters`, `postgres`, `dsn`.
        value: As it may be shown.
        source: `FILE:LINE`, a variable's name, or `default`.
    """

    keys: Keys
    value: Any
    source: str


def effective(path: str | Path | None, environment: Mapping[str, str] = os.environ) -> list[Shown]:
    """Every value in force, secrets hidden, in the order of the file's sections.

    Raises:
        DocumentError: the configuration has mistakes.
    """
    reading = read(path, environment)
    reading.document.refuse()
    written = load(path).data if path is not None else {}
    masking = Masking(environment)
    # Once more, with masks for the variables that are secrets: what they are a part of shows the mask.
    masked = expand(Document(""), written, (), masking.environment)
    return [
        Shown(
            keys,
            MASK
            if keys[:2] in _TARGETS
            else masking.show(list(map(str, keys[2:])), _masked(reading, masked, keys, value)),
            _source(reading, written, keys, environment),
        )
        for keys, value in _leaves(_sections(reading), ())
    ]


def _sections(reading: Reading) -> dict[str, Any]:
    """The whole configuration as plain data, with files as they are opened."""
    plain: dict[str, Any] = msgspec.to_builtins(located(reading.file, reading.folder))
    exporters = {name: msgspec.to_builtins(c) for name, c in reading.exporters.items()}
    return plain | {"exporters": exporters}


def _leaves(value: Any, path: Keys) -> Iterator[tuple[Keys, Any]]:
    """The values below `value` with their paths; a list is one value."""
    if isinstance(value, dict) and value:
        for key, inner in value.items():
            yield from _leaves(inner, (*path, key))
    else:
        yield path, value


def _at(data: Any, keys: Keys) -> Any:
    """What plain data has at a path; None for nothing."""
    for key in keys:
        data = data.get(key) if isinstance(data, dict) else None
    return data


def _dotted(keys: Keys) -> str:
    return ".".join(map(str, keys))


def _masked(reading: Reading, masked: Any, keys: Keys, value: Any) -> Any:
    """The value, or what the file makes of it when secret variables hold a mask."""
    hidden = _at(masked, keys)
    if hidden is None or hidden == _at(reading.document.data, keys):
        return value
    return hidden


def _source(reading: Reading, written: Any, keys: Keys, environment: Mapping[str, str]) -> str:
    variable = reading.filled.get(_dotted(keys))
    if variable is not None:
        return variable
    if keys[:2] == ("service", "pipelines") and _at(written, keys[:2]) is None:
        return SINK if environment.get(SINK) else "default"
    if keys not in reading.document.lines:
        return "default"
    used = "".join(f" ${name}" for name in _REFERENCE.findall(str(_at(written, keys))))
    return f"{reading.document.file}:{reading.document.lines[keys]}{used}"


@click.group("config")
def commands() -> None:
    """Look at the configuration; `footfall validate` checks it."""


@commands.command()
@config_option
@json_option
def show(config: str | None, as_json: bool) -> None:
    """Show every value in force and where it comes from; secrets are hidden."""
    try:
        values = effective(config)
    except DocumentError as error:
        refuse(error)
    if as_json:
        rows = [{"key": _dotted(v.keys), "value": v.value, "from": v.source} for v in values]
        click.echo(json.dumps({"values": rows}, default=str))
    else:
        click.echo("\n".join(_as_yaml(values)))


def _as_yaml(values: Iterable[Shown]) -> Iterator[str]:
    """The lines of a configuration file that says the same, each with its source."""
    above: Keys = ()
    for each in values:
        *sections, key = each.keys
        for depth, name in enumerate(sections):
            if above[: depth + 1] != each.keys[: depth + 1]:
                yield f"{'  ' * depth}{name}:"
        above = tuple(sections)
        line = f"{'  ' * len(sections)}{key}: {json.dumps(each.value, default=str)}"
        yield f"{line:<60} # {each.source}"
