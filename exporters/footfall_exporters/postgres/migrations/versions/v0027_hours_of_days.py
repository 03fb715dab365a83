"""Counts by day know their hours."""

from footfall_exporters.postgres.migrations.run import run_sql

revision = "0027"
down_revision = "0026"


def upgrade() -> None:
    """Runs v0027_hours_of_days.sql."""
    run_sql(__file__)
