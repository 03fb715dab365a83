"""A Postgres server of our own, for when no other one is named.

It lives in one directory, is reached through a private Unix socket, keeps its data between runs and ends
with the process that started it.
"""

from footfall_exporters.embedded.errors import EmbeddedPostgresError
from footfall_exporters.embedded.layout import default_directory
from footfall_exporters.embedded.listening import Listening
from footfall_exporters.embedded.server import EmbeddedPostgres
from footfall_exporters.embedded.supervision import Supervision

__all__ = [
    "EmbeddedPostgres",
    "EmbeddedPostgresError",
    "Listening",
    "Supervision",
    "default_directory",
]
