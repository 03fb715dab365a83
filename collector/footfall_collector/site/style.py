"""How the page looks: light or dark as its reader's system is, from a phone's width on (page.css)."""

from base64 import b64encode
from hashlib import sha256
from importlib.resources import files
from typing import Final

STYLE: Final = (files(__package__) / "page.css").read_text("utf-8")
"""Of the whole page. It has no font, and nothing from elsewhere; a phone has no room for trends."""
HASH: Final = f"sha256-{b64encode(sha256(STYLE.encode()).digest()).decode()}"
"""By which the page allows this style and no other."""
