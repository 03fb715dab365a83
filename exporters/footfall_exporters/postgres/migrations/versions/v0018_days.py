"""Counts by day, beside those by hour."""

from footfall_exporters.postgres.migrations.run import run_sql

revision = "0018"
down_revision = "0017"


def upgrade() -> None:
    """Runs v0018_days.sql."""
    run_sql(__file__)
