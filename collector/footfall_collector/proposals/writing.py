"""The text of a catalog: a new one, or events added to one that somebody has edited."""

import json
import os
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import yaml

from footfall_collector.proposals.naming import Named
from footfall_processors import Catalog, DocumentError, OperatorError, load_catalog

_HEAD: Final = """\
# What {product} may send about its use, and what is stored of it: what is not
# declared here is neither. The names are yours to change, while nothing is stored.
# Check it with: footfall validate {file}

product: {product}

# What events may carry beside their outcome and duration; each lists its own:
# `attributes: [plan, team_id]`.
#
# attributes:
#   plan: {{type: enum, values: [free, pro]}}   # one of a few values
#   team_id: {{type: string, hash: daily}}      # a hash is kept, and its salt a day

# A use is counted when it begins (invoke), and when it ends: success or failure,
# with its duration.
events:
"""
_INDENT: Final = 2


class NotAdded(OperatorError):
    """Events cannot be added to a catalog as it is written."""


def new_catalog(file: str, product: str, surface: str, events: Sequence[Named], rule: str) -> str:
    """The text of a catalog with these events."""
    head = _HEAD.format(product=plain(product), file=Path(file).name)
    return head + "\n".join(block(events, surface, rule, _INDENT)) + "\n"


def block(events: Sequence[Named], surface: str, rule: str, indent: int) -> list[str]:
    """The lines of events, each below the last."""
    deep, deeper = " " * indent, " " * (indent + 2)
    lines = []
    for event, feature, text in events:
        lines += [
            f"{deep}{event}:",
            f"{deeper}surface: {surface}",
            f"{deeper}feature: {plain(feature)}",
            *([f"{deeper}match: [{{{rule}: {quoted(text)}}}]"] if text else []),
        ]
    return lines


def plain(text: str) -> str:
    """A name as it is, or in quotes where YAML would take it for yes, no or nothing."""
    return text if yaml.safe_load(text) == text else quoted(text)


def quoted(text: str) -> str:
    """A text in quotes, as YAML and JSON have them alike."""
    return json.dumps(text, ensure_ascii=False)


def added(text: str, events: Sequence[Named], surface: str, rule: str) -> str:
    """The text of a catalog with these events behind its own; everything else of it stays.

    Raises:
        NotAdded: it has no `events:` that can be written on.
    """
    root = yaml.compose(text, Loader=yaml.SafeLoader)
    pairs = root.value if isinstance(root, yaml.MappingNode) else []
    found = next((value for key, value in pairs if key.value == "events"), None)
    if not isinstance(found, yaml.MappingNode):
        raise NotAdded("there is no mapping `events:` in it")
    if found.flow_style:
        return _in_flow(text, found, events, surface, rule)
    lines = text.splitlines(keepends=True)
    end = "\r\n" if lines[0].endswith("\r\n") else "\n"
    indent = found.value[0][0].start_mark.column
    after = _last_line(found) + 1
    while after < len(lines) and _is_comment(lines[after], indent):
        after += 1
    if not lines[after - 1].endswith("\n"):
        lines[after - 1] += end
    lines[after:after] = [line + end for line in block(events, surface, rule, indent)]
    return "".join(lines)


def _in_flow(
    text: str, found: yaml.MappingNode, events: Sequence[Named], surface: str, rule: str
) -> str:
    """Behind the last of `{a: ..., b: ...}`."""
    items = [
        f"{event}: {{surface: {surface}, feature: {plain(feature)}, match: [{{{rule}: {quoted(it)}}}]}}"
        for event, feature, it in events
    ]
    place = found.end_mark.index - 1
    before = text[:place].rstrip()
    comma = "," if found.value and not before.endswith(",") else ""
    return f"{before}{comma}\n  " + ",\n  ".join(items) + "\n" + text[place:]


def _last_line(node: yaml.Node) -> int:
    """The line, from 0, on which a node ends."""
    if isinstance(node, yaml.CollectionNode) and not node.flow_style and node.value:
        last = node.value[-1]
        return _last_line(last[1] if isinstance(last, tuple) else last)
    end = node.end_mark
    is_block = isinstance(node, yaml.ScalarNode) and node.style in ("|", ">")
    return int(end.line - (1 if is_block and end.column == 0 else 0))


def _is_comment(line: str, indent: int) -> bool:
    """Whether a line is a comment that belongs to what is indented so far."""
    return line.lstrip().startswith("#") and len(line) - len(line.lstrip()) >= indent


@contextmanager
def checked(file: Path, text: str) -> Iterator[Catalog]:
    """The catalog that a text is; it takes the file's place when the context ends well.

    Raises:
        DocumentError: the text is no valid catalog; the file stays as it is.
    """
    place = Path(os.path.realpath(file))  # a link stays one
    descriptor, name = tempfile.mkstemp(prefix=f".{place.name}.", dir=place.parent)
    try:
        with open(descriptor, "w", encoding="utf-8", newline="") as writing:
            writing.write(text)
        yield load_catalog(name)
        if place.exists():
            shutil.copymode(place, name)
        else:
            Path(name).chmod(0o666 & ~_umask())
        os.replace(name, place)
    finally:
        Path(name).unlink(missing_ok=True)


def add(file: Path, before: Catalog, events: Sequence[Named], surface: str, rule: str) -> Catalog:
    """Adds events to the file of a catalog.

    Args:
        file: The catalog's only one.
        before: What it holds.
        events: What to add.
        surface: Of them all.
        rule: The kind of their rules.

    Returns:
        What it holds then.

    Raises:
        NotAdded: nothing can be added to it as it is written; it stays as it is.
        OSError: it cannot be written; it stays as it is.
    """
    with file.open(encoding="utf-8", newline="") as reading:
        text = reading.read()
    try:
        with checked(file, added(text, events, surface, rule)) as after:
            if {name: after.events.get(name) for name in before.events} != before.events:
                raise NotAdded("what it holds would change")  # built-in events aside
    except (DocumentError, yaml.YAMLError):
        raise NotAdded("it is written in an unusual way") from None
    return after


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask
