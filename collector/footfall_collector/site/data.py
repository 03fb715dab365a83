"""What is published, as JSON and CSV: row for row as `reporting.published` has it."""

import json
from collections.abc import Sequence
from typing import Any, Final

from footfall_exporters.postgres.published import Day, Published
from footfall_exporters.spreadsheets import as_csv

COLUMNS: Final = ("day", "product", "event", "title", "surface", "feature", "count")
GENERATOR: Final = "footfall publish"
"""By which a folder is known."""


def json_of(published: Published, files: Sequence[str]) -> str:
    """Days and figures, with who wrote them and the files of the site: by these it is known again."""
    said = {
        "generator": GENERATOR,
        "days": _days(published),
        "figures": [dict(zip(COLUMNS, row, strict=True)) for row in published.figures],
        "files": files,
    }
    return json.dumps(said, default=str, ensure_ascii=False, indent=1) + "\n"


def csv_of(published: Published) -> str:
    """The figures with a heading; texts are texts, whatever a spreadsheet would make of them."""
    return as_csv(COLUMNS, published.figures)


def embedded(published: Published) -> str:
    """Days and figures, to stand in a page: no text of them ends the element, or begins another.

    Each event is named once, with its figures by day: a year of many events would make a large page else.
    """
    events: dict[tuple[str | None, ...], dict[str, int]] = {}
    for day, *named, uses in published.figures:
        events.setdefault(tuple(named), {})[str(day)] = uses
    listed = [
        dict(zip(COLUMNS[1:-1], named, strict=True)) | {"by_day": counted}
        for named, counted in events.items()
    ]
    document = {"days": _days(published), "events": listed}
    said = json.dumps(document, default=str, separators=(",", ":"))
    return said.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")


def _days(published: Published) -> list[dict[str, Any]]:
    return [dict(zip(Day._fields, day, strict=True)) for day in published.days]
