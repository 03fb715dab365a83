"""The owner may become the reader."""

from footfall_exporters.postgres.migrations.run import run_sql

revision = "0009"
down_revision = "0008"


def upgrade() -> None:
    """Runs v0009_reader.sql."""
    run_sql(__file__)
