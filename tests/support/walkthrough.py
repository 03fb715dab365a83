"""Documents as they are followed: their files and commands, in their order.

A block in a fence is a file when its first line is a comment that begins with the file's name
(`# events.yaml: ...`), or the paragraph before it ends by naming one of its language (The catalog,
`events.yaml`:). Blocks of `sh` and indented ones are commands, those of `sql` are typed into the operator's
Postgres. Anything else is to be read.
"""

import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

SUFFIXES: Final = {
    "yaml": (".yaml", ".yml"),
    "python": (".py",),
    "ini": (".service", ".conf", ".ini"),
    "nginx": (".conf",),
    "toml": (".toml",),
    "json": (".json",),
    "html": (".html",),
    "go": (".go",),
    "text": (),
}
"""Languages of blocks that may be files, and how the names of these end."""
_PART = re.compile(r"^```(\S*)[^\n]*\n(.*?)^```$|((?:^ {4,}[^\n]*\n)+)", re.MULTILINE | re.DOTALL)
_COMMENT = re.compile(r"#\s*([\w./-]+\.\w+)(?:$|[:,\s])")
_NAMED = re.compile(r"`([\w./-]+\.\w+)`")
_ASSIGNMENT = re.compile(r"\w+=")


@dataclass(frozen=True)
class File:
    """A file that the reader writes."""

    name: str
    text: str


@dataclass(frozen=True)
class Sql:
    """What the reader types into the operator's Postgres."""

    text: str


@dataclass(frozen=True)
class Command:
    """A line that the reader types into a shell."""

    line: str

    @property
    def program(self) -> str:
        """What it starts: `footfall up`, else the first word."""
        words = shlex.split(self.line, comments=True)
        while words and _ASSIGNMENT.match(words[0]):
            words.pop(0)
        return " ".join(words[: 2 if words[:1] == ["footfall"] else 1])


Step = File | Sql | Command


def steps(document: Path) -> list[Step]:
    """What a reader does who follows a document word by word."""
    text = document.read_text("utf-8")
    return [step for part in _PART.finditer(text) for step in _steps(text[: part.start()], part)]


def blocks(document: Path) -> list[tuple[str, str]]:
    """The blocks in fences: language and text."""
    return [part.group(1, 2) for part in _PART.finditer(document.read_text("utf-8")) if part[2]]


def _steps(before: str, part: re.Match[str]) -> Iterator[Step]:
    language, fenced, indented = part.groups()
    if indented is not None:
        # In a list four spaces continue an item.
        if before.endswith("\n\n") and not re.search(
            r"(?m)^(?:\d+\.|[-*]) .*\n(?: .*\n|\n)*\Z", before
        ):
            yield from _commands(re.sub(r"(?m)^ {4}", "", indented))
    elif language == "sh":
        yield from _commands(fenced)
    elif language == "sql":
        yield Sql(fenced)
    elif name := _name(language, fenced, before):
        yield File(name, fenced)


def _commands(text: str) -> Iterator[Command]:
    """Lines, those that a backslash or an open quote continues as one."""
    line = ""
    for each in text.splitlines():
        line += each
        if _is_whole(line):
            if Command(line).program:
                yield Command(line)
            line = ""
        else:
            line += "\n"
    assert not line.strip(), f"not ended: {line}"


def _is_whole(line: str) -> bool:
    try:
        shlex.split(line, comments=True)
    except ValueError:
        return False
    return not line.endswith("\\")


def _name(language: str, fenced: str, before: str) -> str | None:
    if language not in SUFFIXES:
        return None
    comment = _COMMENT.match(fenced)
    if comment:
        return comment[1]
    paragraph = before.rstrip("\n").rpartition("\n\n")[2]
    named = [name for name in _NAMED.findall(paragraph) if name.endswith(SUFFIXES[language])]
    return named[-1] if named and paragraph.endswith(":") else None
