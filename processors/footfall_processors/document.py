"""YAML documents checked as a whole: every mistake at once, each with file, line and path."""

import datetime as dt
import difflib
import re
import types
from collections.abc import Hashable, Iterable, Mapping
from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path
from typing import Any, TypeVar, get_args, get_origin

import msgspec
import yaml

from footfall_processors.errors import OperatorError

Keys = tuple[str | int, ...]
T = TypeVar("T")
S = TypeVar("S", bound=msgspec.Struct)

LARGEST = 2**24
"""Bytes that are read of a file."""
VALUES = 100_000
"""How many values a document may hold: a few aliases of aliases can stand for billions."""
_TAG = "tag:yaml.org,2002:"
_WORDS = {"object": "mapping", "array": "list"}
_NUMBER = re.compile(r"[-+]?(\d{1,20}(\.\d{0,20})?|\.\d{1,20})([eE][-+]?\d{1,2})?", re.ASCII)
_MERGED = (
    "is not read here: write the fields out, or have an alias stand for a whole value (`b: *a`)"
)
_UNSTORABLE = re.compile("[\x00\ud800-\udfff]")


@dataclass(frozen=True, slots=True)
class Mistake:
    """One thing that is wrong in a file.

    Attributes:
        file: The file's name as the user gave it.
        line: Line number, from 1.
        path: Where in the document, e.g. `events.discord.generator.actions`.
        message: What is wrong and what would be right.
    """

    file: str
    line: int
    path: str
    message: str

    def __str__(self) -> str:
        where = f"{self.file}:{self.line}: " + (f"{self.path}: " if self.path else "")
        return where + self.message


class DocumentError(OperatorError, ValueError):
    """A file was refused; `mistakes` holds every reason (never empty), and the message a line for each."""

    def __init__(self, mistakes: Iterable[Mistake]) -> None:
        self.mistakes = tuple(mistakes)
        super().__init__("\n".join(map(str, self.mistakes)))


@dataclass
class Document:
    """A YAML file as plain data, with the line of every path and the mistakes found so far.

    A lax document may give a number as text, as environment variables do.
    """

    file: str
    data: Any = None
    lines: dict[Keys, int] = field(default_factory=dict)
    mistakes: list[Mistake] = field(default_factory=list)
    lax: bool = False

    def wrong(self, path: Keys, message: str) -> None:
        """Notes a mistake at `path` (the nearest enclosing line is cited)."""
        known = next(path[:n] for n in range(len(path), -1, -1) if path[:n] in self.lines or n == 0)
        line = self.lines.get(known, 1)
        where = _printable(".".join(map(str, path)))
        self.mistakes.append(Mistake(self.file, line, where, _printable(message)))

    def read(self, shape: type[T], path: Keys = ()) -> T | None:
        """The whole document as `shape` (a msgspec Struct), or None when there were mistakes."""
        value = convert(self, shape, self.data, path)
        return None if self.mistakes else value

    def refuse(self) -> None:
        """Raises DocumentError when a mistake was noted."""
        if self.mistakes:
            raise DocumentError(sorted(self.mistakes, key=lambda m: m.line))


def load(path: str | Path, missing: str = "") -> Document:
    """Reads a YAML file.

    Args:
        path: Of the file.
        missing: What to do where there is none.

    Raises:
        DocumentError: the file cannot be read, or is not a single YAML mapping. Lesser mistakes
            (a repeated key) are noted, for the reader to add its own.
    """
    document = Document(str(path))
    try:
        with Path(path).open("rb") as file:
            read = file.read(LARGEST + 1)  # a device has no end
    except OSError as error:
        advice = f"; {missing}" if missing and isinstance(error, FileNotFoundError) else ""
        document.wrong((), f"cannot be read: {error.strerror}{advice}")
    else:
        _parse_bytes(read, document)
    if not isinstance(document.data, dict):
        document.refuse()
    return document


def _parse_bytes(read: bytes, document: Document) -> None:
    if len(read) > LARGEST:
        document.wrong((), f"is larger than {LARGEST // 2**20} MiB")
        return
    try:
        parse(read.decode(), document)
    except UnicodeDecodeError:
        document.wrong((), "is not UTF-8 text")


def parse(text: str, document: Document) -> None:
    """Parses `text` into `document`; syntax errors and repeated keys become mistakes."""
    try:
        node = yaml.compose(text, Loader=yaml.SafeLoader)
        document.data = {} if node is None else _plain(document, node, (), ())
    except yaml.MarkedYAMLError as error:
        document.lines[()] = error.problem_mark.line + 1 if error.problem_mark else 1
        reason = ", ".join(filter(None, (error.context, error.problem)))
        document.wrong((), f"is not valid YAML: {reason}")
    except yaml.reader.ReaderError as error:
        document.lines[()] = text.count("\n", 0, error.position) + 1
        document.wrong(
            (), f"is not valid YAML: it holds U+{ord(text[error.position]):04X}; leave it out"
        )
    except RecursionError:
        document.wrong((), "is nested too deeply")
    except (ValueError, OverflowError) as error:  # an escape beyond Unicode, an endless version
        document.wrong((), f"is not valid YAML: {error}")
    if not (document.mistakes or isinstance(document.data, dict)):
        document.wrong((), "must be a mapping (`key: value` lines)")


def nearest(word: str, known: Iterable[str]) -> str:
    """The end of a sentence that names what was probably meant: `; did you mean "x"?`, or nothing."""
    match = difflib.get_close_matches(word, list(known), n=1)
    return f'; did you mean "{match[0]}"?' if match else ""


def _plain(document: Document, node: yaml.Node, path: Keys, above: tuple[int, ...]) -> Any:
    """A YAML node as plain data, noting lines on the way (a node inside itself is a mistake)."""
    document.lines.setdefault(path, node.start_mark.line + 1)
    if len(document.lines) > VALUES:
        raise yaml.MarkedYAMLError(problem=f"it holds more than {VALUES} values")
    if id(node) in above:
        document.wrong(path, "an alias may not contain itself")
        return None
    above = (*above, id(node))
    if isinstance(node, yaml.CollectionNode) and node.tag not in (_TAG + "seq", _TAG + "map"):
        tag = node.tag.replace(_TAG, "!!")
        document.wrong(path, f"the tag {tag} is not read here; write what it stands for")
    if isinstance(node, yaml.SequenceNode):
        return [_plain(document, n, (*path, i), above) for i, n in enumerate(node.value)]
    if isinstance(node, yaml.MappingNode):
        return _mapping(document, node, path, above)
    return _scalar(document, node, path)


def _scalar(document: Document, node: yaml.Node, path: Keys) -> Any:
    """A leaf; text that no Postgres or terminal takes is a mistake."""
    try:
        value = yaml.constructor.SafeConstructor().construct_document(node)
    except (yaml.YAMLError, ValueError, LookupError, AttributeError, OverflowError):
        # PyYAML lets all of these out of an impossible date, an endless number or a wrong tag.
        kind = node.tag.removeprefix(_TAG)
        what = "a day or a time that there is" if kind == "timestamp" else f"a valid YAML {kind}"
        document.wrong(path, f"is not {what}; if it is text, put it in quotes")
        return None
    if isinstance(value, str) and _UNSTORABLE.search(value):
        document.wrong(path, "holds NUL or half a surrogate pair; leave it out")
        return _UNSTORABLE.sub("\ufffd", value)
    return value


def _mapping(
    document: Document, node: yaml.MappingNode, path: Keys, above: tuple[int, ...]
) -> dict[str, Any]:
    result: dict[str, Any] = {}
    for key_node, value_node in node.value:
        key = key_node.value if isinstance(key_node, yaml.ScalarNode) else "?"
        name = _UNSTORABLE.sub("\ufffd", key)
        inner, line = (*path, name), key_node.start_mark.line + 1
        first = document.lines.setdefault(inner, line)
        if key_node.tag == _TAG + "merge":
            document.wrong(inner, _MERGED)
            continue
        if key_node.tag != _TAG + "str" or name != key:
            document.wrong(inner, "a key must be a string of valid characters; put it in quotes")
        if name in result:
            document.lines[inner] = line
            document.wrong(inner, f"is given twice, first in line {first}")
            document.lines[inner] = first
        else:
            result[name] = _plain(document, value_node, inner, above)
    return result


def _printable(text: str) -> str:
    """`text` on one line: what a file holds must not steer the terminal that shows its mistakes."""
    return "".join(c if c.isprintable() else "\ufffd" for c in text)


def peek(shape: type[T], value: Any) -> T | None:
    """`value` as `shape` when it is one; None otherwise, without a mistake."""
    try:
        return msgspec.convert(value, shape)
    except msgspec.ValidationError:
        return None


def sound(shape: type[S], value: Any, needed: Iterable[str], **instead: Any) -> S | None:
    """What is right of a mapping, so that one wrong field does not hide what its others have wrong.

    Args:
        shape: A msgspec Struct.
        value: A mapping, else nothing is.
        needed: Fields without which nothing can be said of the others.
        instead: What stands for required fields that are wrong or missing; others have their defaults.
    """
    if not isinstance(value, Mapping):
        return None
    types_ = {spec.name: spec.type for spec in msgspec.structs.fields(shape) if spec.name in value}
    right = {name for name, kind in types_.items() if peek(kind, value[name]) is not None}
    if not types_.keys() & set(needed) <= right:
        return None
    return peek(shape, instead | {name: value[name] for name in right})


def convert(document: Document, shape: Any, value: Any, path: Keys) -> Any:
    """`value` as `shape`, field by field, so that one mistake does not hide the next."""
    if isinstance(shape, type) and issubclass(shape, msgspec.Struct):
        return _struct(document, shape, value, path)
    origin, args = get_origin(shape), get_args(shape)
    if origin in (types.UnionType,) and type(None) in args and len(args) == 2:
        inner = next(a for a in args if a is not type(None))
        return None if value is None else convert(document, inner, value, path)
    if origin is dict and isinstance(value, dict):
        return {k: convert(document, args[1], v, (*path, k)) for k, v in value.items()}
    if origin is tuple and isinstance(value, list):
        return tuple(convert(document, args[0], v, (*path, i)) for i, v in enumerate(value))
    return check(document, shape, value, path)


def check(document: Document, shape: Any, value: Any, path: Keys) -> Any:
    """`value` as the msgspec type `shape`; None, and a mistake at `path`, when it is not one."""
    try:
        return msgspec.convert(value, shape, strict=not document.lax)
    except msgspec.ValidationError as error:
        rule = _rule(shape) if isinstance(value, str) else ""
        document.wrong(path, rule or _plainly(str(error)) + _hint(shape, value))
        return None


def _rule(shape: Any) -> str:
    """What a text must be, where its type says it in words; a pattern is no help to a reader."""
    args = get_args(shape)
    words = [a.description for a in args if isinstance(a, msgspec.Meta) and args[0] is str]
    return f"must be {words[0]}" if words and words[0] else ""


def _why(shape: Any) -> str:
    """Why a number has the limits that it has, where its type says it."""
    args = get_args(shape)
    words = [a.description for a in args if isinstance(a, msgspec.Meta) and args[0] in (int, float)]
    return (words[0] if words else "") or ""


def _struct(document: Document, shape: type[msgspec.Struct], value: Any, path: Keys) -> Any:
    if not isinstance(value, Mapping):
        document.wrong(path, "must be a mapping (`key: value` lines)")
        return None
    fields = {f.encode_name: f for f in msgspec.structs.fields(shape)}
    for key in value:
        if key not in fields:
            known = ", ".join(fields)
            document.wrong(
                (*path, key), f"is not known here{nearest(key, fields)} (known: {known})"
            )
    before = len(document.mistakes)
    arguments: dict[str, Hashable] = {}
    for name, spec in fields.items():
        if name in value:
            arguments[spec.name] = convert(document, spec.type, value[name], (*path, name))
        elif spec.required:
            document.wrong((*path, name), "is missing")
    try:
        return shape(**arguments) if len(document.mistakes) == before else None
    except ValueError as error:  # what a shape's own check says
        document.wrong(path, str(error))
        return None


def _hint(shape: Any, value: Any) -> str:
    """What would be right, or why, where msgspec's message does not say it."""
    if isinstance(shape, type) and issubclass(shape, Enum):
        known = [str(item.value) for item in shape]
        return f" (one of: {', '.join(known)}){nearest(str(value), known)}"
    if shape is dt.date or dt.date in get_args(shape):
        return "; write it as 2027-12-31"
    if why := _why(shape):
        return f": {why}"
    kinds = (shape, *get_args(shape))
    if isinstance(value, str) and not {int, float}.isdisjoint(kinds):
        return _as_number(value, float in kinds)
    text = get_origin(shape) is not dict and str in kinds
    if text and isinstance(value, bool | int | float | dt.date):
        return "; put it in quotes"
    return ""


def _as_number(text: str, fractions: bool) -> str:
    """How a number is written that YAML 1.1 takes for text: `1e3`, or one in quotes."""
    if not _NUMBER.fullmatch(text):
        return ""
    number = float(text)
    if number.is_integer() and abs(number) < 2**53:
        return f"; write {int(number)}, without quotes"
    mantissa, e, exponent = repr(number).partition("e")
    written = f"{float(mantissa)}{e}{exponent}"
    return f"; write {written}, without quotes" if fractions and number < float("inf") else ""


def _plainly(message: str) -> str:
    """A message of msgspec in YAML's words: `expected mapping, got list`."""
    words = message[0].lower() + message[1:].replace("`", "").split(" - at ")[0]
    return re.sub(r"\b(object|array)\b", lambda m: _WORDS[m.group()], words)
