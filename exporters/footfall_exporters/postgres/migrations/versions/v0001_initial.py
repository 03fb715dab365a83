"""The first schema."""

from footfall_exporters.postgres.migrations.run import run_sql

revision = "0001"
down_revision = None


def upgrade() -> None:
    """Runs v0001_initial.sql."""
    run_sql(__file__)
