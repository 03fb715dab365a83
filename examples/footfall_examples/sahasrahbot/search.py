"""A byte search for the planted personal values, in every form in which a store could hold them.

    python -m footfall_examples.sahasrahbot.search DIRECTORY

Looked for as UTF-8, UTF-16, hex, base64 at each of its three alignments, and, numbers and IPv4 addresses,
as integers of 4 and 8 bytes in both orders. The control values, stored on purpose, must be found, or
the search has proved nothing and fails.
"""

import base64
import ipaddress
import re
import stat
import sys
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import click

from footfall_examples.sahasrahbot import planted
from footfall_examples.sahasrahbot.planted import Planted

SHORTEST = 4
"""Bytes; anything shorter would be found by chance."""


@dataclass(frozen=True, slots=True)
class Hit:
    """A value that was found.

    Attributes:
        planted: Which one; a report names its line and kind, never the value.
        encoding: As what.
        file: In which file.
        offset: Where in it, in bytes.
    """

    planted: Planted
    encoding: str
    file: Path
    offset: int

    def __str__(self) -> str:
        what = f"{planted.FILE.name}:{self.planted.line} ({self.planted.kind})"
        return f"{what} as {self.encoding} in {self.file}, byte {self.offset:,}"


@dataclass(slots=True)
class Result:
    """What a search found.

    Attributes:
        size: Bytes searched.
        files: Files searched.
        personal: Where personal values are: none, if all is well.
        missing: Control values that were not found; if there is one, the search proves nothing.
    """

    size: int = 0
    files: int = 0
    personal: list[Hit] = field(default_factory=list)
    missing: list[Planted] = field(default_factory=list)

    @property
    def good(self) -> bool:
        """Whether everything searched for on purpose was found, and nothing personal."""
        return not self.personal and not self.missing


def search(paths: Iterable[Path], values: Sequence[Planted]) -> Result:
    """Looks for every value in files, and in all files below directories.

    Of a value's places in one file the first in each encoding is kept.

    Raises:
        ValueError: a value is too short to be searched for.
        OSError: a file cannot be read.
    """
    needles = {n: (one, name) for one in values for n, name in forms(one.value).items()}
    pattern = re.compile(_trie(needles), re.DOTALL)
    result = Result(missing=planted.controls(values))
    for file in _files(paths):
        first = {n: offset for offset, n in reversed(_matches(pattern, file, result))}
        for needle, offset in first.items():
            one, encoding = needles[needle]
            if one.kind != planted.CONTROL:
                result.personal.append(Hit(one, encoding, file, offset))
            elif one in result.missing:
                result.missing.remove(one)
    return result


def forms(value: str) -> dict[bytes, str]:
    """The byte strings that would betray a value, each with the name of its encoding.

    Zero bytes at their ends are left off: `00 41 00 42` and `41 00 42 00` are both found by `41 00 42`.

    Raises:
        ValueError: one of them is shorter than SHORTEST.
    """
    text = value.encode()
    found = dict.fromkeys(_integers(value), "integer")
    found |= dict.fromkeys(_base64(text), "base64")
    found |= dict.fromkeys([text.hex().encode(), text.hex().upper().encode()], "hex")
    found |= dict.fromkeys([value.encode("utf-16-le"), value.encode("utf-16-be")], "UTF-16")
    found[text] = "UTF-8"
    stripped = {needle.strip(b"\0"): encoding for needle, encoding in found.items()}
    if min(map(len, stripped)) < SHORTEST:
        raise ValueError("too short to be searched for: it would be found by chance")
    return stripped


def _integers(value: str) -> Iterator[bytes]:
    try:
        number = int(value if value.isdecimal() else ipaddress.IPv4Address(value))
    except ValueError:
        return
    for size in (4, 8):
        if number < 1 << 8 * size:
            yield number.to_bytes(size, "big")
            yield number.to_bytes(size, "little")


def _base64(text: bytes) -> Iterator[bytes]:
    """The characters that stand for `text` alone when 0, 1 or 2 other bytes precede it."""
    for before in range(3):
        encoded = base64.b64encode(bytes(before) + text)
        own = encoded[-(-8 * before // 6) : 8 * (before + len(text)) // 6]
        yield own
        yield own.translate(bytes.maketrans(b"+/", b"-_"))


def _trie(words: Iterable[bytes]) -> bytes:
    """A pattern of all words with their common beginnings merged: six times faster than `a|b|...`."""
    branches: dict[bytes, list[bytes]] = {}
    for word in words:
        if not word:
            return b""
        branches.setdefault(word[:1], []).append(word[1:])
    inner = (re.escape(first) + _trie(rest) for first, rest in sorted(branches.items()))
    return b"(?:" + b"|".join(inner) + b")"


def _files(paths: Iterable[Path]) -> Iterator[Path]:
    for path in paths:
        if path.is_dir():
            yield from _files(sorted(path.iterdir()))
        else:
            yield path


def _matches(pattern: re.Pattern[bytes], file: Path, result: Result) -> list[tuple[int, bytes]]:
    """Where the pattern is in a file; sockets, and files that have gone since, hold nothing."""
    try:
        if not stat.S_ISREG(file.stat().st_mode):
            return []
        content = file.read_bytes()
    except FileNotFoundError:
        return []
    result.files += 1
    result.size += len(content)
    return [(match.start(), match.group()) for match in pattern.finditer(content)]


@click.command()
@click.argument("paths", nargs=-1, required=True, type=click.Path(exists=True, path_type=Path))
def main(paths: tuple[Path, ...]) -> None:
    """Search files and directories for the personal values that the demo planted."""
    values = planted.load()
    try:
        result = search(paths, values)
    except OSError as error:
        raise click.ClickException(f"{error.filename}: {error.strerror}") from None
    for line in describe(result, values):
        click.echo(line)
    sys.exit(0 if result.good else 1)


def describe(result: Result, values: Sequence[Planted]) -> list[str]:
    """A result in a few plain lines, without the values themselves."""
    number = len(planted.personal(values))
    where = f"{result.files:,} files, {result.size / 1e6:,.0f} MB"
    lines = [
        f"{planted.FILE.name}:{one.line}: this control value is not there, so the search proves nothing"
        for one in result.missing
    ]
    lines += [f"found {hit}" for hit in result.personal]
    if result.good:
        lines.append(f"{number} planted personal values in {where}: none found")
        lines.append(
            f"{len(planted.controls(values))} control values, stored on purpose: all found"
        )
    return lines


if __name__ == "__main__":
    main()
