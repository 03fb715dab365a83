"""What the text of a variable says; what is wrong with it is said without repeating it."""

from collections.abc import Callable, Mapping, Sequence
from math import isfinite
from os import pathsep
from urllib.parse import unquote


def bare(text: str) -> str:
    """Without blanks and one pair of quotes around it, as some tools leave them from a file."""
    text = text.strip()
    quoted = text[:1] in ("'", '"') and text.find(text[0], 1) == len(text) - 1
    return text[1:-1].strip() if quoted else text


def flag(text: str) -> bool:
    """Yes or no.

    Raises:
        ValueError: it is neither; like those of the others, it ends a sentence that begins with a name.
    """
    if text.lower() not in ("true", "false", "1", "0"):
        raise ValueError("must be true or false")
    return text.lower() in ("true", "1")


def switch(text: str) -> None:
    """What TELEMETRY_ENABLED may be; `footfall._decision` says what it means."""
    if text.lower() not in ("true", "false", "1", "0", "local"):
        raise ValueError("must be true, false or local")


def share(text: str) -> float:
    """A share, [0, 1]."""
    return _number(text, lambda n: 0 <= n <= 1, "must be a number from 0 to 1")


def positive(text: str) -> float:
    """A number above 0."""
    return _number(text, lambda n: n > 0, "must be a number above 0")


def whole(text: str) -> int:
    """A whole number above 0."""
    return int(_number(text, lambda n: n >= 1 and n == int(n), "must be a whole number above 0"))


def salt(text: str) -> bytes:
    """A salt for hashing; empty without one."""
    from footfall_processors.hashing import SaltError, static_salts

    try:
        return next(iter(static_salts(text).values()), b"")
    except SaltError as error:  # its message names the variable, as ours does
        raise ValueError(str(error).partition(" ")[2].rstrip(".")) from None


def paths(text: str) -> Sequence[str]:
    """Files, joined as in PATH."""
    return [path for path in text.split(pathsep) if path]


def resource(environ: Mapping[str, str]) -> dict[str, str]:
    """What OTEL_RESOURCE_ATTRIBUTES says; what is malformed of it is none of Footfall's business."""
    found = {}
    for part in environ.get("OTEL_RESOURCE_ATTRIBUTES", "").split(","):
        key, is_pair, value = part.partition("=")
        if is_pair and value.strip():
            found[key.strip()] = unquote(value.strip())
    return found


def _number(text: str, good: Callable[[float], bool], rule: str) -> float:
    try:
        number = float(text)
    except ValueError:
        number = float("nan")
    if not (isfinite(number) and good(number)):
        raise ValueError(rule)
    return number
