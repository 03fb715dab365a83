"""Refused requests by the hour, for alerts."""

from footfall_exporters.postgres.migrations.run import run_sql

revision = "0025"
down_revision = "0024"


def upgrade() -> None:
    """Runs v0025_refused_hours.sql."""
    run_sql(__file__)
