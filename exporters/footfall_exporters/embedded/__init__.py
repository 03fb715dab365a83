"""A Postgres server of our own, for when no other one is named (issue 2, part 6).

It lives in one directory, is reached through a private Unix socket, keeps its data between runs and ends
with the process that started it.
"""

from footfall_exporters.embedded.errors import EmbeddedPostgresError
from footfall_exporters.embedded.layout import default_directory
from footfall_exporters.embedded.server import EmbeddedPostgres

__all__ = ["EmbeddedPostgres", "EmbeddedPostgresError", "default_directory"]
