"""What subscribers read, and where they are."""

from footfall_exporters.postgres.migrations.run import run_sql

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    """Runs v0002_stream.sql."""
    run_sql(__file__)
