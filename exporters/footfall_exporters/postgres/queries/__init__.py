"""Statements of more than a few lines, each in a file of its own."""

from functools import cache
from pathlib import Path

_FOLDER = Path(__file__).parent


@cache
def query(name: str) -> str:
    """The statement in the file of this name."""
    return (_FOLDER / f"{name}.sql").read_text(encoding="utf-8")
