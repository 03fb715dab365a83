"""Housekeeping's own records, and the rollups that outlive observations."""

from footfall_exporters.postgres.migrations.run import run_sql

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    """Runs v0004_housekeeping.sql."""
    run_sql(__file__)
