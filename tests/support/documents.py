"""Tables of the documents."""

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]

CATALOG, LOSSES = ROOT / "docs/catalog.md", ROOT / "docs/losses.md"


def table(file, heading):
    """The rows of the table below a heading, by the name in their first cell."""
    section = re.split(r"^#+ ", file.read_text("utf-8"), flags=re.MULTILINE)
    (body,) = [part for part in section if part.startswith(heading + "\n")]
    rows = [
        [cell.strip() for cell in line.strip("|").split("|")]
        for line in body.splitlines()
        if line.startswith("| `")
    ]
    return {row[0].strip("`"): row[1:] for row in rows}
