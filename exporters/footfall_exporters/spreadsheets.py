"""CSV, which is read by spreadsheets: what begins like a formula is none there (OWASP, "CSV Injection")."""

import csv
import io
from collections.abc import Iterable, Sequence
from typing import Any, Final

FORMULAS: Final = ("=", "+", "-", "@", "\t", "\r")
"""What a spreadsheet would take for the beginning of a formula."""


def as_csv(columns: Sequence[str], rows: Iterable[Iterable[Any]]) -> str:
    """Rows below a heading. A text that would be a formula has an apostrophe before it; a number is one."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerows([map(_harmless, row) for row in (columns, *rows)])
    return text.getvalue()


def _harmless(cell: Any) -> Any:
    return f"'{cell}" if isinstance(cell, str) and cell.startswith(FORMULAS) else cell
